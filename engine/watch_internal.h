/**
 * @file watch_internal.h
 * Which gaps are news, for watch.c and its test.
 *
 *     seen -> (there at every look for a while) -> told -> gone, covered or acknowledged ->
 * forgotten
 */
#ifndef HQ_ENGINE_WATCH_INTERNAL_H
#define HQ_ENGINE_WATCH_INTERNAL_H

#include "postgres/archiver.h"
#include "restore/continuity.h"

/** A gap that is followed. */
struct watched_gap {
    struct hq_gap gap;
    int64_t seen_us; /**< monotonic, at first */
    bool told;
    bool there; /**< at the present look */
};

struct watched_gaps {
    const char *cluster;
    struct watched_gap *items; /**< owned */
    size_t count, cap;
};
void watched_gaps_clear(struct watched_gaps *w);
/**
 * Compare with what was there at the look before; log what is news. @p position tells where the
 * archiver works. @return how many gaps are new, for which a backup is wanted; -1 without memory.
 */
int watched_gaps_look(struct watched_gaps *w, const struct hq_continuity *c,
                      const struct hq_archiver_position *position, int64_t now_us,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
