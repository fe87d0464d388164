/**
 * @file record.h
 * The headers of a WAL record behind its fixed one: which blocks it names and where its main data
 * lies (DecodeXLogRecord() in src/backend/access/transam/xlogreader.c).
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_RECORD_H
#define HQ_POSTGRES_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postgres/walsummary.h"
#include "postgres/xactrecord.h"

enum {
    WALRECORD_BLOCKS_MAX = 33, /**< XLR_MAX_BLOCK_ID + 1 */

    WALRECORD_RMGR_XLOG = 0,
    WALRECORD_RMGR_XACT = 1,
    WALRECORD_RMGR_SMGR = 2,
    WALRECORD_RMGR_DBASE = 4,
    WALRECORD_RMGR_TBLSPC = 5
};

struct walrecord_block {
    struct hq_relation_fork fork;
    uint32_t block;
};

struct walrecord {
    const uint8_t *data; /**< borrowed, header first */
    size_t len;
    uint16_t magic;
    uint8_t rmgr, info; /**< info: its upper bits, the resource manager's own */
    uint32_t main_at, main_len;
    size_t block_count;
    struct walrecord_block blocks[WALRECORD_BLOCKS_MAX];
};

/**
 * Take the record of @p total bytes apart whose first @p len are at @p data. @return false when
 * they do not hold all headers, or the headers do not account for every byte of the record.
 */
bool walrecord_parse(const uint8_t *data, size_t len, uint32_t total, uint16_t magic,
                     struct walrecord *out);
/** Its main data. @return false when not all of it is there. */
bool walrecord_main(const struct walrecord *r, const uint8_t **data, uint32_t *len);

/**
 * The relations that a transaction's end dropped: @p count of them, 12 bytes each (tablespace,
 * database, relation). @return false when the record does not hold what it says.
 */
bool walrecord_dropped(const struct walrecord *r, const uint8_t **relations, uint32_t *count);

#endif
