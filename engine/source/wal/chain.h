/**
 * @file chain.h
 * Follows the chain of records through a stream of WAL: over pages and segments, in pieces of any
 * size (XLogRecord, XLogPageHeaderData: src/include/access/xlogrecord.h, xlog_internal.h; the same
 * in PostgreSQL 14 to 18).
 *
 * A record is told when its last byte came, if its link to the one before and, where asked for, its
 * CRC hold. Where something does not hold the chain is lost, and found again at the next page
 * header that starts a record: records are then missed, never invented. A record that its server
 * gave up at a crash (XLP_FIRST_IS_OVERWRITE_CONTRECORD) is no record.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_CHAIN_H
#define HQ_POSTGRES_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "postgres/xactrecord.h"

enum {
    WALCHAIN_PAGE_BYTES = 40
};

/** A whole record; borrowed for the call. */
struct walchain_record {
    const uint8_t *data; /**< its header first */
    size_t len;          /**< how much is there: all of it, or at least what was wanted */
    uint32_t total;
    uint64_t lsn; /**< it begins at */
    uint16_t magic;
};

/** Who is told of records. */
struct walchain_user {
    /** How many of a record's first bytes are wanted, by its header (24 bytes); 0: it is not. */
    size_t (*wanted)(void *context, const uint8_t *header, uint32_t total);
    /** @return NULL, or why nothing counts as seen up to here: the chain is lost. */
    const char *(*record)(void *context, const struct walchain_record *r);
    /** The chain, held so far, does not go on at @p lsn; or NULL. */
    void (*lost)(void *context, uint64_t lsn, const char *why);
};

enum walchain_state {
    WALCHAIN_LOST,      /**< waits for a page header to begin again at */
    WALCHAIN_BETWEEN,   /**< the next aligned byte begins a record */
    WALCHAIN_IN_RECORD, /**< `left` bytes of one are still to come */
    WALCHAIN_SKIPPING   /**< behind a switch: the rest of the segment is nothing */
};

/*
 * Invariants:
 *   lsn is where the next byte belongs; page_used bytes of its page's header are in `page`, and
 *   the page is taken apart only when all are there.
 *   head holds the first head_len bytes of the record that begins at `begin`: its header, and of
 *   the rest as much as `keep` says. A record of which only the end is seen has `begin` 0.
 *   Every record that ended in [since, lsn) was told; since is 0 when none was seen whole yet.
 */
struct walchain {
    uint32_t segment_size;
    uint32_t block_size;
    uint64_t system; /**< that pages must name; 0: any */
    bool check_crc;
    uint64_t lsn, since;
    enum walchain_state state;
    uint16_t magic;
    uint64_t begin, previous; /**< previous: where the record before began; 0: not known */
    uint32_t total, left, crc;
    size_t keep, head_len, head_max, page_used;
    uint8_t page[WALCHAIN_PAGE_BYTES];
    uint8_t head[]; /**< head_max bytes */
};

/**
 * @pre @p segment_size is a power of two from 1 MiB to 1 GiB. @p head_max: the most of a record
 * that can be wanted. @return NULL: no memory. Free with free().
 */
struct walchain *walchain_new(uint32_t segment_size, size_t head_max);
/** Feed the next bytes; a jump of @p lsn loses the chain. */
void walchain_feed(struct walchain *c, uint64_t lsn, const uint8_t *data, size_t len,
                   const struct walchain_user *user, void *context);

/** Know nothing of what came before: as lost, and nobody is told. */
void walchain_forget(struct walchain *c);
/**
 * Append what is needed to go on at the start of the next segment.
 * @pre c->lsn is a segment's end, and the chain holds.
 */
void walchain_save(const struct walchain *c, struct hq_buf *out);
/**
 * Go on at @p lsn, a segment's start, as what _save() wrote says; @p user is asked again what it
 * wants. @return false, and @p c is forgotten, when it is not that.
 */
bool walchain_restore(struct walchain *c, uint64_t lsn, struct hq_view *saved,
                      const struct walchain_user *user, void *context);

#endif
