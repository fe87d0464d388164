#include "postgres/archiver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    FIRST_BACKOFF_MS = 500,
    LONGEST_BACKOFF_MS = 30000,
    FLUSH_INTERVAL_MIN_MS = 100,
    FLUSH_INTERVAL_MAX_MS = 60000
};

/* Time-outs are of the monotonic clock: the wall clock may jump. */
static void
init_conditions(struct hq_archiver *a)
{
    pthread_condattr_t monotonic;

    /* None of these can fail on Linux with these arguments. */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&a->work, &monotonic);
    (void)pthread_cond_init(&a->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&a->lock, NULL);
}

int
hq_archiver_new(const struct hq_archiver_options *options, struct hq_archiver **out,
                struct hq_error *err)
{
    struct hq_archiver *a;

    *out = NULL;
    if (!hq_cluster_name_valid(options->cluster))
        return hq_fail(err, HQ_E_USAGE, "\"%.80s\" is not a cluster's name", options->cluster);
    if (options->flush_interval_ms < FLUSH_INTERVAL_MIN_MS ||
        options->flush_interval_ms > FLUSH_INTERVAL_MAX_MS)
        return hq_fail(err, HQ_E_USAGE, "a flush interval of %" PRId64 " ms is not within %d to %d",
                       options->flush_interval_ms, FLUSH_INTERVAL_MIN_MS, FLUSH_INTERVAL_MAX_MS);
    a = calloc(1, sizeof *a);
    if (a == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL archiver");
    a->options = *options;
    init_conditions(a);
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->wake < 0) {
        hq_fail_sys(err, errno, "event for the WAL archiver");
    } else {
        a->compressor = hq_compressor_new(options->compression_level, err);
        if (a->compressor != NULL) {
            *out = a;
            return 0;
        }
    }
    hq_archiver_free(a);
    return -1;
}

void
hq_archiver_free(struct hq_archiver *a)
{
    if (a == NULL)
        return;
    hq_compressor_free(a->compressor);
    hq_walscan_free(a->scan);
    if (a->wake >= 0)
        (void)close(a->wake);
    (void)pthread_cond_destroy(&a->work);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* What _wait's callers are told from now on. */
static void
set_ended(struct hq_archiver *a, const struct hq_error *why)
{
    pthread_mutex_lock(&a->lock);
    a->ended = true;
    a->end = *why;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static int
run(struct hq_archiver *a, struct hq_error *err)
{
    int64_t backoff_ms = FIRST_BACKOFF_MS;

    while (!*a->options.stop) {
        int64_t began_us = hq_clock_monotonic_us();
        struct hq_archiver_position before, after;

        hq_archiver_position(a, &before);
        switch (archiver_round(a, err)) {
        case ARCHIVER_STOPPED:
            return 0;
        case ARCHIVER_TIMELINE_ENDED:
            continue;
        case ARCHIVER_TROUBLE:
        default:
            break;
        }
        if (!hq_code_retryable(err->code))
            return -1;
        if (*a->options.stop)
            return a->failed ? -1 : 0; /* without a connection there was nothing to store */
        hq_log_error(HQ_LOG_WARNING, "streaming WAL is interrupted and will be tried again", err);
        /* A small spool is full again and again; while WAL gets through there is no need to wait.
         */
        hq_archiver_position(a, &after);
        if (after.durable_lsn > before.durable_lsn ||
            hq_clock_monotonic_us() - began_us > LONGEST_BACKOFF_MS * INT64_C(1000))
            backoff_ms = FIRST_BACKOFF_MS;
        (void)hq_clock_sleep_ms(backoff_ms, a->options.stop);
        backoff_ms = backoff_ms * 2 < LONGEST_BACKOFF_MS ? backoff_ms * 2 : LONGEST_BACKOFF_MS;
        hq_error_clear(err);
    }
    return 0;
}

int
hq_archiver_run(struct hq_archiver *a, struct hq_error *err)
{
    int result;

    hq_error_clear(err);
    result = run(a, err);
    if (result == 0)
        hq_error_clear(err);
    set_ended(a, err);
    return result;
}

void
hq_archiver_position(struct hq_archiver *a, struct hq_archiver_position *out)
{
    pthread_mutex_lock(&a->lock);
    *out = a->position;
    pthread_mutex_unlock(&a->lock);
}

static int
fail_waiting(const struct hq_archiver *a, uint64_t lsn, struct hq_error *err)
{
    uint64_t durable = a->position.durable_lsn;

    if (a->ended && a->end.code != HQ_E_OK) {
        *err = a->end;
        return -1;
    }
    return hq_fail(err, a->ended ? HQ_E_INTERRUPTED : HQ_E_TRANSIENT,
                   "WAL is in the repository up to %X/%08X, %X/%08X is waited for%s",
                   (unsigned)(durable >> 32), (unsigned)durable, (unsigned)(lsn >> 32),
                   (unsigned)lsn, a->ended ? ", and archiving has stopped" : "");
}

int
hq_archiver_wait(struct hq_archiver *a, uint64_t lsn, int64_t timeout_ms, struct hq_error *err)
{
    int64_t until_us = hq_clock_monotonic_us() + timeout_ms * 1000;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};
    int result = 0;

    pthread_mutex_lock(&a->lock);
    while (a->position.durable_lsn < lsn && !a->ended && hq_clock_monotonic_us() < until_us)
        (void)pthread_cond_timedwait(&a->changed, &a->lock, &until);
    if (a->position.durable_lsn < lsn)
        result = fail_waiting(a, lsn, err);
    pthread_mutex_unlock(&a->lock);
    return result;
}
