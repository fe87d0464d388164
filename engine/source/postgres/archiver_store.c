#include <time.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    FIRST_BACKOFF_MS = 500,
    LONGEST_BACKOFF_MS = 30000
};

void
archiver_append(struct hq_archiver *a, struct segment *s)
{
    /* Of the first one a part may be stored already. */
    if (s->start == a->start.lsn) {
        s->stored = a->start.stored;
        s->parts = a->start.parts;
        a->start.parts = (struct wal_parts){0};
    }
    pthread_mutex_lock(&a->lock);
    if (a->last != NULL)
        a->last->next = s;
    else
        a->first = s;
    a->last = s;
    a->segments++;
    pthread_mutex_unlock(&a->lock);
}

void
archiver_hand_over(struct hq_archiver *a, struct segment *s, size_t len, int64_t sent_us)
{
    bool wake = false;

    pthread_mutex_lock(&a->lock);
    s->received += len;
    s->sent_us = sent_us;
    if (s->received > s->stored && s->oldest_sent_us == 0) {
        s->oldest_sent_us = sent_us;
        wake = true;
    }
    wake = wake || s->received == s->end;
    a->position.received_lsn = s->received;
    if (wake)
        pthread_cond_signal(&a->work);
    pthread_mutex_unlock(&a->lock);
}

/* A segment that is whole in the store is done with. Caller holds the lock. */
static struct segment *
take_done(struct hq_archiver *a)
{
    struct segment *s = a->first;

    if (s == NULL || s->stored < s->end)
        return NULL;
    a->first = s->next;
    if (a->first == NULL)
        a->last = NULL;
    a->segments--;
    pthread_cond_broadcast(&a->changed);
    return s;
}

/*
 * What to put now, if anything. The oldest segment comes first, so that what is stored never has a
 * hole: nothing of a later one is put before this one is whole. Otherwise *due_us is set to when
 * to look again, INT64_MAX: when something is received. Caller holds the lock.
 */
static bool
choose(struct hq_archiver *a, struct cut *cut, int64_t *due_us)
{
    struct segment *s = a->first;

    *due_us = INT64_MAX;
    if (s == NULL || s->received <= s->stored)
        return false;
    *due_us = a->last_put_us + a->options.flush_interval_ms * 1000;
    if (s->received < s->end && !a->finishing && hq_clock_monotonic_us() < *due_us)
        return false;
    /* A cut that failed is tried again with what came since: its oldest byte is still the oldest.
     */
    if (s->cut_oldest_us == 0)
        s->cut_oldest_us = s->oldest_sent_us;
    s->oldest_sent_us = 0;
    *cut = (struct cut){.segment = s,
                        .from = s->stored,
                        .to = s->received,
                        .sent_us = s->sent_us,
                        .oldest_sent_us = s->cut_oldest_us};
    return true;
}

/* Wait for work until @p until_us (monotonic). Caller holds the lock. */
static void
wait_for_work(struct hq_archiver *a, int64_t until_us)
{
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};

    if (until_us == INT64_MAX)
        pthread_cond_wait(&a->work, &a->lock);
    else
        (void)pthread_cond_timedwait(&a->work, &a->lock, &until);
}

enum step {
    STEP_PUT,
    STEP_DELETE,
    STEP_DROP,
    STEP_END
};

/* Sleep until there is something to do: putting comes before tidying up. */
static enum step
next_step(struct hq_archiver *a, struct cut *cut, struct segment **done)
{
    int64_t due_us;
    enum step step;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        if ((*done = take_done(a)) != NULL) {
            step = STEP_DROP;
        } else if (choose(a, cut, &due_us)) {
            step = STEP_PUT;
        } else if (a->finishing) {
            step = STEP_END;
        } else if (a->superseded.count > 0) {
            step = STEP_DELETE;
        } else {
            wait_for_work(a, due_us);
            continue;
        }
        break;
    }
    pthread_mutex_unlock(&a->lock);
    return step;
}

/*
 * Sleep before the next attempt. @return false when there is to be none. The end of a connection
 * is no reason to give up: should the server be lost, the spool has what nobody else has any more.
 */
static bool
back_off(struct hq_archiver *a, const struct hq_error *err, int64_t ms)
{
    if (!hq_code_retryable(err->code) || *a->options.stop)
        return false;
    hq_log_error(HQ_LOG_WARNING, "WAL can't be stored; it will be tried again", err);
    /* One more attempt when it is stopped meanwhile. */
    (void)hq_clock_sleep_ms(ms, a->options.stop);
    return true;
}

/* Put, with patience until *stop. */
static int
put_patiently(struct hq_archiver *a, const struct cut *cut, struct hq_error *err)
{
    int64_t backoff_ms = FIRST_BACKOFF_MS;

    a->last_put_us = hq_clock_monotonic_us();
    while (archiver_put(a, cut, err) != 0) {
        if (!back_off(a, err, backoff_ms))
            return -1;
        hq_error_clear(err);
        backoff_ms = backoff_ms * 2 < LONGEST_BACKOFF_MS ? backoff_ms * 2 : LONGEST_BACKOFF_MS;
    }
    return 0;
}

static void
fail(struct hq_archiver *a, const struct hq_error *err)
{
    pthread_mutex_lock(&a->lock);
    a->failed = true;
    a->failure = *err;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    archiver_wake(a);
}

static void *
run_storer(void *archiver)
{
    struct hq_archiver *a = archiver;
    struct hq_error err = {0};
    struct segment *done;
    struct cut cut;

    for (;;) {
        switch (next_step(a, &cut, &done)) {
        case STEP_PUT:
            if (put_patiently(a, &cut, &err) == 0)
                break;
            fail(a, &err);
            return NULL;
        case STEP_DELETE:
            archiver_delete_one(a);
            break;
        case STEP_DROP:
            segment_drop(done);
            break;
        case STEP_END:
        default:
            return NULL;
        }
    }
}

int
archiver_storer_start(struct hq_archiver *a, struct hq_error *err)
{
    int rc;

    a->finishing = a->failed = false;
    a->last_put_us = 0;
    hq_walscan_free(a->scan);
    a->scan = hq_walscan_new(a->system.wal_segment_size, err);
    if (a->scan == NULL)
        return -1;
    rc = pthread_create(&a->storer, NULL, run_storer, a);
    return rc == 0 ? 0 : hq_fail_sys(err, rc, "start the thread that stores WAL");
}

int
archiver_storer_join(struct hq_archiver *a, struct hq_error *err)
{
    pthread_mutex_lock(&a->lock);
    a->finishing = true;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->storer, NULL);
    if (a->failed)
        *err = a->failure;
    return a->failed ? -1 : 0;
}
