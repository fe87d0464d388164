#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "restore/continuity_report.h"
#include "watch_internal.h"

/*
 * A listing is no snapshot: parts may be replaced by a wider one while it is read. So a gap is news
 * only when it is still there a while later; longer when the archiver, which may be about to store
 * what the spool has, is not at work.
 */
static const int64_t settle_us = INT64_C(5) * 1000000;
static const int64_t settle_idle_us = INT64_C(25) * 1000000;

void
watched_gaps_clear(struct watched_gaps *w)
{
    free(w->items);
    w->items = NULL;
    w->count = w->cap = 0;
}

static struct watched_gap *
find(struct watched_gaps *w, const struct hq_gap *gap)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct hq_gap *other = &w->items[i].gap;

        if (other->system_identifier == gap->system_identifier &&
            other->timeline == gap->timeline && other->from_lsn == gap->from_lsn &&
            other->to_lsn == gap->to_lsn)
            return &w->items[i];
    }
    return NULL;
}

static int
follow(struct watched_gaps *w, const struct hq_gap *gap, int64_t now_us, struct hq_error *err)
{
    struct watched_gap *known = find(w, gap);

    if (known == NULL) {
        if (w->count == w->cap) {
            size_t cap = w->cap == 0 ? 8 : 2 * w->cap;
            struct watched_gap *items = reallocarray(w->items, cap, sizeof *items);

            if (items == NULL)
                return hq_fail(err, HQ_E_NOMEM, "list of %zu gaps", cap);
            w->items = items;
            w->cap = cap;
        }
        known = &w->items[w->count++];
        *known = (struct watched_gap){.seen_us = now_us};
    }
    known->gap = *gap;
    known->there = true;
    return 0;
}

static void
tell(const struct watched_gaps *w, enum hq_log_level level, const char *message,
     const struct hq_gap *gap)
{
    char text[HQ_GAP_TEXT_MAX];

    hq_log(level, message, HQ_F_TEXT("cluster", w->cluster),
           HQ_F_TEXT("first_segment", gap->first_segment),
           HQ_F_TEXT("last_segment", gap->last_segment), HQ_F_U64("segments", gap->segments),
           HQ_F_U64("timeline", gap->timeline), HQ_F_LSN("missing_from", gap->from_lsn),
           HQ_F_LSN("missing_to", gap->to_lsn), HQ_F_TEXT("state", hq_gap_state(gap)),
           HQ_F_TEXT("detail", hq_gap_describe(gap, text)));
}

static bool
is_news(const struct watched_gap *g, const struct hq_archiver_position *position, int64_t now_us)
{
    bool works_here = position->streaming &&
                      position->system_identifier == g->gap.system_identifier &&
                      position->timeline == g->gap.timeline;

    if (g->told || g->gap.covered || g->gap.acknowledged)
        return false;
    if (works_here && g->gap.to_lsn > position->durable_lsn)
        return false;
    return now_us - g->seen_us >= (position->streaming ? settle_us : settle_idle_us);
}

/* What became of a gap that was told. @return whether it is done with. */
static bool
tell_end(const struct watched_gaps *w, const struct watched_gap *g)
{
    if (!g->there) {
        if (g->told)
            tell(w, HQ_LOG_INFO, "a gap in the WAL is no more: it closed, grew or expired",
                 &g->gap);
        return true;
    }
    if (g->told && g->gap.covered)
        tell(w, HQ_LOG_INFO, "a backup covers the gap in the WAL", &g->gap);
    else if (g->told && g->gap.acknowledged)
        tell(w, HQ_LOG_INFO, "the gap in the WAL is acknowledged", &g->gap);
    return g->gap.covered || g->gap.acknowledged;
}

int
watched_gaps_look(struct watched_gaps *w, const struct hq_continuity *c,
                  const struct hq_archiver_position *position, int64_t now_us, struct hq_error *err)
{
    size_t kept = 0;
    int news = 0;

    for (size_t i = 0; i < w->count; i++)
        w->items[i].there = false;
    for (size_t i = 0; i < c->gap_count; i++)
        if (follow(w, &c->gaps[i], now_us, err) != 0)
            return -1;
    for (size_t i = 0; i < w->count; i++) {
        if (is_news(&w->items[i], position, now_us)) {
            tell(w, HQ_LOG_ERROR, "gap in the WAL", &w->items[i].gap);
            w->items[i].told = true;
            news++;
        }
        if (!tell_end(w, &w->items[i]))
            w->items[kept++] = w->items[i];
    }
    w->count = kept;
    return news;
}
