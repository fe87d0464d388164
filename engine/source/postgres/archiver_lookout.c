/* Whether another of several hosts is the primary by now, though this one still streams. */
#include <time.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "postgres_internal.h"

enum {
    LOOK_EVERY_MS = 60000
};

/* Caller holds the lock, which is let go of while the hosts are asked. */
static void
look(struct hq_archiver *a)
{
    struct lookout *l = &a->lookout;
    struct hq_pg_options options = l->options;
    struct hq_pg_newer newer = l->newer;
    uint64_t stream = l->stream;
    struct hq_error err = {0};
    int found;

    if (!l->following)
        return;
    pthread_mutex_unlock(&a->lock);
    found = hq_pg_find_newer(&options, &newer, a->options.stop, &err);
    if (found < 0)
        hq_log_error(HQ_LOG_WARNING, "the other hosts can't be looked at", &err);
    pthread_mutex_lock(&a->lock);
    if (found > 0 && l->following && l->stream == stream) {
        l->newer = newer;
        l->found = true;
        archiver_wake(a);
    }
}

static void *
run_lookout(void *archiver)
{
    struct hq_archiver *a = archiver;
    struct lookout *l = &a->lookout;

    pthread_mutex_lock(&a->lock);
    while (!l->stop) {
        int64_t every_ms = a->options.look_every_ms > 0 ? a->options.look_every_ms : LOOK_EVERY_MS;
        int64_t until_us = hq_clock_monotonic_us() + every_ms * 1000;
        struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                 .tv_nsec = (long)(until_us % 1000000) * 1000};

        while (!l->stop && hq_clock_monotonic_us() < until_us)
            (void)pthread_cond_timedwait(&l->stopped, &a->lock, &until);
        if (!l->stop)
            look(a);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

void
archiver_lookout_follow(struct hq_archiver *a)
{
    struct lookout *l = &a->lookout;
    struct hq_error err = {0};
    int rc = 0;

    /* While an ancestor's WAL is fetched, or of one host, there is nothing to compare. */
    if (!a->pg->several || a->start.timeline != a->system.timeline)
        return;
    pthread_mutex_lock(&a->lock);
    l->options = a->options.connection;
    l->newer = (struct hq_pg_newer){.host = a->pg->number,
                                    .system_identifier = a->system.system_identifier,
                                    .timeline = a->system.timeline,
                                    .begin = a->start.begin};
    l->following = true;
    l->found = false;
    l->stream++;
    pthread_mutex_unlock(&a->lock);
    if (!l->running)
        rc = pthread_create(&l->thread, NULL, run_lookout, a);
    l->running = rc == 0;
    if (rc != 0) {
        (void)hq_fail_sys(&err, rc, "start the thread that looks at the other hosts");
        hq_log_error(HQ_LOG_WARNING, "a newer primary would not be noticed", &err);
    }
}

void
archiver_lookout_leave(struct hq_archiver *a)
{
    pthread_mutex_lock(&a->lock);
    a->lookout.following = a->lookout.found = false;
    pthread_mutex_unlock(&a->lock);
}

void
archiver_lookout_stop(struct hq_archiver *a)
{
    struct lookout *l = &a->lookout;

    if (!l->running)
        return;
    pthread_mutex_lock(&a->lock);
    l->stop = true;
    pthread_cond_signal(&l->stopped);
    pthread_mutex_unlock(&a->lock);
    (void)pthread_join(l->thread, NULL);
    l->running = false;
}

int
archiver_lookout_fail(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_pg_newer newer;

    pthread_mutex_lock(&a->lock);
    newer = a->lookout.newer;
    pthread_mutex_unlock(&a->lock);
    return hq_fail(err, HQ_E_TRANSIENT,
                   "%s is the primary by now: it is on timeline %u, %s on the older %u",
                   newer.place, newer.newer, a->system.host, newer.timeline);
}
