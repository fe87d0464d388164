/**
 * @file walsummarizer.h
 * Writes summaries of the blocks that WAL changes (walsummary.h), a file a segment, from the stream
 * as it is received.
 *
 * Every record's CRC and its link to the record before are checked. Where one does not hold, or
 * says something that is not understood, what was known of that segment is forgotten: a hole, told
 * in the log. A record counts in the segment in which it ends; what has come of one that goes on in
 * the next segment is kept in the file, so that a process begun anew at a segment's start goes on
 * without a hole.
 *
 * Failure  trouble here never stops who feeds it: it becomes a hole.
 * Durability  files are written whole and then named, but not synced: a power cut may cost them,
 *          and their checksum says so.
 * Memory   32 MiB at most for what one segment changed, 1 MiB for a record.
 * Threads  _feed belongs to one thread; _reach may be called by others.
 */
#ifndef HQ_POSTGRES_WALSUMMARIZER_H
#define HQ_POSTGRES_WALSUMMARIZER_H

#include <stdatomic.h>

#include "base/error.h"
#include "postgres/walsummary.h"

/** Where bytes of WAL are from. */
struct hq_wal_origin {
    uint64_t system_identifier;
    uint32_t timeline;
    uint32_t segment_size;
};

struct hq_wal_summarizer_options {
    const char *directory; /**< of one cluster; made if missing */
    /** Told, from _feed()'s thread, when a segment's end was reached; or NULL. */
    void (*on_segment)(void *context, const struct hq_wal_origin *origin, uint64_t segment_lsn);
    void *context;
};

struct hq_wal_summarizer;
int hq_wal_summarizer_new(const struct hq_wal_summarizer_options *options,
                          struct hq_wal_summarizer **out, struct hq_error *err) HQ_MUST_CHECK;
/** Nothing of an unfinished segment is kept: whoever begins anew feeds it from its start. */
void hq_wal_summarizer_free(struct hq_wal_summarizer *s);
/**
 * The next bytes. They continue what came before, or begin a segment; anything else is a hole
 * before them.
 */
void hq_wal_summarizer_feed(struct hq_wal_summarizer *s, const struct hq_wal_origin *origin,
                            uint64_t lsn, const uint8_t *data, size_t len);
/**
 * Wait until WAL up to @p lsn was fed and write down what is known of the unfinished segment, so
 * that hq_wal_summary_load() finds it. TRANSIENT after @p timeout_ms; INTERRUPTED by @p stop.
 */
int hq_wal_summarizer_reach(struct hq_wal_summarizer *s, uint64_t lsn, int64_t timeout_ms,
                            const atomic_int *stop, struct hq_error *err) HQ_MUST_CHECK;

#endif
