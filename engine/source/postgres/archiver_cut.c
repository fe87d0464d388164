/* Which stretch of which segment is put next, and how far that brings what is durable. */
#include "archiver_internal.h"
#include "base/clock.h"

/* Whether all that will ever come of @p s is in the store, whole or in parts. */
static bool
is_covered(const struct segment *s)
{
    return s->stored >= s->end || (s->closed && s->stored >= s->synced);
}

/* How far everything is in the store, going through the list. Caller holds the lock. */
static void
update_durable(struct hq_archiver *a)
{
    struct hq_archiver_position *p = &a->position;

    for (const struct segment *s = a->first; s != NULL; s = s->next) {
        if (s->after_hole)
            break;
        if (s->id->kind == SPOOL_WAL) {
            a->durable_system = s->id->system_identifier;
            p->timeline = s->id->timeline;
            p->durable_lsn = s->stored > s->base ? s->stored : s->base;
            if (s->stored_commit_us != 0)
                p->last_commit_us = s->stored_commit_us;
        }
        if (!is_covered(s))
            break;
    }
}

/*
 * Whether to put the full segment @p s whole now; otherwise what its parts lack comes first, which
 * is in the store sooner. That pays while it is little.
 */
static bool
is_put_whole(const struct segment *s)
{
    uint64_t left = s->end - s->stored;

    return left == 0 || left > (s->end - s->start) / 2 || s->parts.count + 1 >= ARCHIVER_PARTS_MAX;
}

/* Caller holds the lock. */
static void
begin_cut(struct segment *s, struct cut *cut)
{
    *cut = (struct cut){.segment = s,
                        .from = s->stored,
                        .to = s->synced,
                        .whole = s->synced == s->end && is_put_whole(s),
                        .sent_us = s->sent_us,
                        .oldest_sent_us = s->oldest_sent_us,
                        .all = s->all,
                        .unstored = s->unstored};
    s->oldest_sent_us = 0;
    s->unstored = (struct commit_times){0};
    s->busy = true;
}

/*
 * Whether to put something of @p s now; of one that is not full a part when the interval is over,
 * and @p chained: all before it is in the store.
 */
static bool
ready(const struct hq_archiver *a, const struct segment *s, bool chained, int64_t now_us,
      int64_t *due_us)
{
    int64_t part_us = a->last_put_us + a->options.flush_interval_ms * 1000;

    if (s->synced == s->end)
        return true;
    if (s->synced <= s->stored)
        return false;
    if (s->closed || a->finishing)
        return true;
    if (!chained)
        return false;
    *due_us = part_us;
    return now_us >= part_us;
}

bool
archiver_choose(struct hq_archiver *a, struct cut *cut, int64_t *due_us, bool *idle)
{
    int64_t now_us = hq_clock_monotonic_us();
    bool chained = true;

    *due_us = INT64_MAX;
    *idle = true;
    for (struct segment *s = a->first; s != NULL; s = s->next) {
        if (s->done && !s->busy)
            continue;
        if (s->busy) {
            *idle = false;
        } else if (ready(a, s, chained, now_us, due_us)) {
            if (s->synced < s->end)
                a->last_put_us = now_us;
            begin_cut(s, cut);
            return true;
        }
        if (s->id->kind == SPOOL_HISTORY && !s->done)
            return false;
        chained = chained && is_covered(s);
    }
    return false;
}

static void
note_delay(struct hq_archiver_position *p, int64_t oldest_sent_us)
{
    int64_t delay = hq_clock_wall_us() - oldest_sent_us;

    /* The server's clock may be ahead of this host's. */
    p->delay_us = delay > 0 ? delay : 0;
    if (p->delay_us > p->delay_max_us)
        p->delay_max_us = p->delay_us;
}

/* Caller holds the lock. */
static void
note_history(struct hq_archiver *a, const struct spool_id *id)
{
    if (a->history_system != id->system_identifier || a->history_stored < id->timeline)
        a->history_stored = id->timeline;
    a->history_system = id->system_identifier;
}

void
archiver_advance(struct hq_archiver *a, const struct cut *cut, size_t bytes)
{
    struct segment *s = cut->segment;

    pthread_mutex_lock(&a->lock);
    s->stored = cut->to;
    s->busy = false;
    s->done = cut->whole || (s->closed && s->synced < s->end && s->stored == s->synced);
    /* Before the segment leaves the list: one of both always says that it need not come again. */
    if (s->id->kind == SPOOL_HISTORY && s->done)
        note_history(a, s->id);
    if (cut->all.last_us != 0)
        s->stored_commit_us = cut->all.last_us;
    update_durable(a);
    if (cut->oldest_sent_us != 0)
        note_delay(&a->position, cut->oldest_sent_us);
    a->position.stored_bytes += bytes;
    a->position.puts++;
    pthread_cond_broadcast(&a->work);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    archiver_wake(a);
}
