#include "engine/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/continuity.h"
#include "watch_internal.h"

enum {
    LOOK_MS = 1000
};
static const int64_t compare_us = INT64_C(20) * 1000000;
static const int64_t compute_us = INT64_C(2) * 1000000;
/*
 * Listing costs requests, computing a look at every WAL object of the cluster (some 0.2 s for
 * 100,000 of them). Each should take no more than a thirtieth of the time, but what is found must
 * be found within a minute: a busy host or a slow store does not put the next look off for longer.
 */
static const int64_t share = 30;
static const int64_t longest_compare_us = INT64_C(40) * 1000000;
static const int64_t longest_compute_us = INT64_C(10) * 1000000;

struct hq_watch {
    struct hq_watch_options options;
    struct watched_gaps gaps; /* the thread's own */
    int64_t compare_due_us;   /* monotonic */
    int64_t compute_due_us;
    uint64_t version; /* of the catalog, when it was computed */
    bool in_trouble;  /* and it was told */
    bool wanting;     /* a backup, and nobody has taken that on yet */
    pthread_t thread;
    atomic_int stop;
    pthread_mutex_t lock; /* around what follows */
    struct hq_watch_status status;
};

static const char *
cluster_of(const struct hq_watch *w)
{
    return w->options.site->config->cluster.name;
}

/* When to begin again what began at @p began_us and has just ended. */
static int64_t
due(int64_t began_us, int64_t every_us, int64_t longest_us)
{
    int64_t now = hq_clock_monotonic_us(), pause = (now - began_us) * share;

    if (pause < every_us)
        pause = every_us;
    return now + (pause < longest_us ? pause : longest_us);
}

static void
compare(struct hq_watch *w, struct hq_error *err)
{
    const struct hq_site *site = w->options.site;
    int64_t began = hq_clock_monotonic_us();

    if (hq_catalog_sync_continuity(site->catalog, site->repository, cluster_of(w), err) == 0) {
        pthread_mutex_lock(&w->lock);
        w->status.compared_us = hq_clock_wall_us();
        pthread_mutex_unlock(&w->lock);
        w->compare_due_us = due(began, compare_us, longest_compare_us);
    } else {
        w->compare_due_us = hq_clock_monotonic_us() + compare_us;
    }
}

/* At the start, after each backup, and when recovery ends on another timeline. */
static void
tell_range(const struct hq_watch *w, const struct hq_watch_status *before,
           const struct hq_watch_status *s)
{
    const struct hq_recovery_range *r = &s->range;
    char from[HQ_TIME_TEXT_MAX], until[HQ_TIME_TEXT_MAX];

    if (!s->recoverable || (before->recoverable && before->backups == s->backups &&
                            before->range.timeline == r->timeline))
        return;
    hq_log(HQ_LOG_INFO, "recoverable without a hole", HQ_F_TEXT("cluster", cluster_of(w)),
           HQ_F_TEXT("from", hq_time_format(r->from_us, from)),
           HQ_F_TEXT("until", hq_time_format(r->to_us > r->from_us ? r->to_us : r->from_us, until)),
           HQ_F_LSN("from_lsn", r->from_lsn), HQ_F_LSN("to_lsn", r->to_lsn),
           HQ_F_U64("timeline", r->timeline), HQ_F_U64("backups", r->backups),
           HQ_F_U64("open_gaps", s->open_gaps));
}

static void
publish(struct hq_watch *w, const struct hq_backup_list *list, const struct hq_continuity *c)
{
    struct hq_watch_status s = {.computed_us = hq_clock_wall_us(),
                                .recoverable = c->range_count > 0,
                                .open_gaps = hq_continuity_gaps(c, false),
                                .acknowledged_gaps = hq_continuity_gaps(c, true),
                                .backups = list->count};

    s.covered_gaps = c->gap_count - s.open_gaps - s.acknowledged_gaps;
    if (s.recoverable)
        s.range = *hq_continuity_newest(c);
    for (size_t i = 0; i < c->gap_count; i++)
        s.missing_segments += c->gaps[i].covered ? 0 : c->gaps[i].segments;
    for (size_t i = 0; i < list->count; i++) {
        if (c->complete[i])
            s.last_backup = list->roots[i];
        s.incomplete_backups += !c->complete[i];
    }
    tell_range(w, &w->status, &s);
    pthread_mutex_lock(&w->lock);
    s.compared_us = w->status.compared_us;
    s.behind_since_us = w->status.behind_since_us;
    w->status = s;
    pthread_mutex_unlock(&w->lock);
}

static int
compute(struct hq_watch *w, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity continuity = {0};
    struct hq_archiver_position position;
    int news;

    if (hq_catalog_continuity(w->options.site->catalog, cluster_of(w), &list, &continuity, err) !=
        0)
        return -1;
    publish(w, &list, &continuity);
    w->options.position(w->options.context, &position);
    news = watched_gaps_look(&w->gaps, &continuity, &position, hq_clock_monotonic_us(), err);
    w->wanting = (w->wanting || news > 0) && hq_continuity_gaps(&continuity, false) > 0;
    if (w->wanting && w->options.want_backup != NULL)
        w->wanting = !w->options.want_backup(w->options.context);
    return news < 0 ? -1 : 0;
}

/* Gaps that wait to be news are looked at again though nothing changed. */
static int
compute_if_due(struct hq_watch *w, struct hq_error *err)
{
    int64_t began = hq_clock_monotonic_us();
    uint64_t version;
    int failed;

    if (began < w->compute_due_us)
        return 0;
    if (hq_catalog_version(w->options.site->catalog, &version, err) != 0)
        return -1;
    if (version == w->version && w->gaps.count == 0 && w->compute_due_us != 0)
        return 0;
    failed = compute(w, err);
    w->version = failed == 0 ? version : 0;
    w->compute_due_us = due(began, compute_us, longest_compute_us);
    return failed;
}

static void
note_backlog(struct hq_watch *w)
{
    struct hq_archiver_position position;
    bool behind;

    w->options.position(w->options.context, &position);
    behind = position.received_lsn > position.durable_lsn;
    pthread_mutex_lock(&w->lock);
    if (!behind)
        w->status.behind_since_us = 0;
    else if (w->status.behind_since_us == 0)
        w->status.behind_since_us = hq_clock_wall_us();
    pthread_mutex_unlock(&w->lock);
}

/* Told once, until it passes: an outage of the store is the archiver's news. */
static void
tell_trouble(struct hq_watch *w, const struct hq_error *err)
{
    if (err->code != HQ_E_OK && !w->in_trouble)
        hq_log_error(HQ_LOG_WARNING, "what is recoverable can't be told; it will be tried again",
                     err);
    w->in_trouble = err->code != HQ_E_OK;
}

static void *
run(void *argument)
{
    struct hq_watch *w = argument;

    while (!w->stop) {
        struct hq_error err = {0}, second = {0};

        note_backlog(w);
        if (hq_clock_monotonic_us() >= w->compare_due_us)
            compare(w, &err);
        /* What the catalog says is told during an outage of the store too. */
        (void)compute_if_due(w, err.code == HQ_E_OK ? &err : &second);
        tell_trouble(w, &err);
        (void)hq_clock_sleep_ms(LOOK_MS, &w->stop);
    }
    return NULL;
}

int
hq_watch_start(const struct hq_watch_options *options, struct hq_watch **out, struct hq_error *err)
{
    struct hq_watch *w = calloc(1, sizeof *w);
    int rc;

    *out = NULL;
    if (w == NULL)
        return hq_fail(err, HQ_E_NOMEM, "watch of what is recoverable");
    w->options = *options;
    w->gaps.cluster = options->site->config->cluster.name;
    pthread_mutex_init(&w->lock, NULL);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        return hq_fail_sys(err, rc, "start the thread that watches the WAL for gaps");
    }
    *out = w;
    return 0;
}

void
hq_watch_status(struct hq_watch *w, struct hq_watch_status *out)
{
    /* The thread itself may be waiting for a store that does not answer. */
    note_backlog(w);
    pthread_mutex_lock(&w->lock);
    *out = w->status;
    pthread_mutex_unlock(&w->lock);
}

void
hq_watch_stop(struct hq_watch *w)
{
    if (w == NULL)
        return;
    w->stop = 1;
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    watched_gaps_clear(&w->gaps);
    free(w);
}
