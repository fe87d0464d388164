/**
 * @file wal_changes.h
 * Summaries of what WAL changes (postgres/walsummary.h) of one site: where they lie, who writes
 * them, how a backup comes by those it needs.
 *
 * They are in "<state directory>/summaries/<cluster>", written by whoever streams WAL on this host
 * and deleted by it when no backup can ask for them again: when they end before the newest complete
 * backup began, and beyond HQ_WAL_CHANGES_BYTES_MAX.
 * Threads  reentrant.
 */
#ifndef HQ_ENGINE_WAL_CHANGES_H
#define HQ_ENGINE_WAL_CHANGES_H

#include <stdatomic.h>

#include "engine/archive_thread.h"
#include "engine/site.h"
#include "postgres/walsummarizer.h"
#include "repository/timeline.h"

#define HQ_WAL_CHANGES_BYTES_MAX (UINT64_C(256) << 20)

/** Write them, for as long as the site is open. hq_wal_summarizer_free(). */
int hq_wal_changes_summarizer(struct hq_site *site, struct hq_wal_summarizer **out,
                              struct hq_error *err) HQ_MUST_CHECK;

struct hq_wal_changes_range {
    uint64_t system_identifier;
    uint32_t wal_segment_size;
    const struct hq_timeline_path *path; /**< to the present timeline; older ones may be missing */
    uint64_t from_lsn, to_lsn;
};
/**
 * What changed in @p range, with what whoever streams knows of the unfinished segment: @p archive,
 * of this process, or where that is NULL the daemon, if one runs. Waits, 15 s at most, until WAL up
 * to to_lsn has come. Errors and results as hq_wal_summary_load(); INTERRUPTED by @p stop.
 */
int hq_wal_changes_load(const struct hq_site *site, struct hq_archive_thread *archive,
                        const struct hq_wal_changes_range *range, const atomic_int *stop,
                        struct hq_wal_summary **out, struct hq_wal_summary_hole *hole,
                        struct hq_error *err) HQ_MUST_CHECK;

#endif
