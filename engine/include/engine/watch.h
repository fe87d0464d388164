/**
 * @file watch.h
 * Watches that what is stored of a cluster can be recovered without a hole.
 *
 * Whenever the catalog changes, continuity is computed again; every 20 seconds the catalog is
 * compared with the store's listing, so that objects that were deleted behind our back are missed
 * within a minute. A new gap is logged once, as an error naming its segments, and a backup is asked
 * for. Its end (covered, acknowledged, its WAL is there again) is logged too, and the newest range
 * at the start, after each backup, and on another timeline.
 *
 * What the archiver is still storing is no gap: a hole before which it works, above its durable
 * position, is left to it.
 * Threads  one of its own; hq_watch_status() from any thread.
 */
#ifndef HQ_ENGINE_WATCH_H
#define HQ_ENGINE_WATCH_H

#include "engine/site.h"
#include "postgres/archiver.h"
#include "restore/continuity.h"

struct hq_watch_options {
    struct hq_site *site; /**< borrowed, its catalog open */
    void (*position)(void *context, struct hq_archiver_position *out);
    /**
     * Asked for a backup, on the watch's thread, when a gap is found; returns at once. False: one
     * is under way, which may cover the gap; it is asked again if that does not. NULL: nobody to
     * ask.
     */
    bool (*want_backup)(void *context);
    void *context;
};

struct hq_watch_status {
    int64_t computed_us; /**< wall clock; 0: not yet, the rest means nothing */
    int64_t compared_us; /**< with the store's listing */
    bool recoverable;    /**< there is a range; `range` is the newest */
    struct hq_recovery_range range;
    size_t open_gaps, acknowledged_gaps, covered_gaps;
    uint64_t missing_segments; /**< of gaps that no backup covers */
    size_t backups, incomplete_backups;
    struct hq_root last_backup; /**< the newest complete one; backup "" if there is none */
    int64_t behind_since_us;    /**< wall clock since when WAL waits to be stored; 0: none does */
};

struct hq_watch;
int hq_watch_start(const struct hq_watch_options *options, struct hq_watch **out,
                   struct hq_error *err) HQ_MUST_CHECK;
void hq_watch_status(struct hq_watch *w, struct hq_watch_status *out);
/** Stop, join, free. NULL is a no-op. */
void hq_watch_stop(struct hq_watch *w);

#endif
