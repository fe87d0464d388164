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
    RETURN_LOOK_MS = 1000,
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
    (void)pthread_cond_init(&a->lookout.stopped, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_mutex_init(&a->learning, NULL);
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
        hq_archiver_free(a);
        return -1;
    }
    a->spool = (struct spool){options->spool_directory, options->cluster,
                              spool_memory_new(ARCHIVER_MEMORY_BYTES, err)};
    if (a->spool.memory == NULL) {
        hq_archiver_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void
hq_archiver_free(struct hq_archiver *a)
{
    if (a == NULL)
        return;
    archiver_release(a);
    archive_start_clear(&a->start);
    wal_parts_clear(&a->superseded);
    hq_walscan_free(a->scan);
    spool_memory_free(a->spool.memory);
    if (a->wake >= 0)
        (void)close(a->wake);
    (void)pthread_cond_destroy(&a->work);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_cond_destroy(&a->lookout.stopped);
    (void)pthread_mutex_destroy(&a->lock);
    (void)pthread_mutex_destroy(&a->learning);
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

/* What a round needs: again after each trouble, which may have been its. */
static int
prepare(struct hq_archiver *a, struct hq_error *err)
{
    if (spool_prepare(&a->spool, err) != 0)
        return -1;
    if (!a->recovered) {
        archiver_release(a);
        if (archiver_recover(a, err) != 0)
            return -1;
        a->recovered = true;
    }
    return a->storer_count > 0 ? 0 : archiver_storers_start(a, err);
}

static bool
storers_failed(struct hq_archiver *a)
{
    bool failed;

    pthread_mutex_lock(&a->lock);
    failed = a->failed;
    pthread_mutex_unlock(&a->lock);
    return failed;
}

static enum archiver_end
run_round(struct hq_archiver *a, struct hq_error *err)
{
    enum archiver_end end = ARCHIVER_TROUBLE;

    if (prepare(a, err) == 0)
        end = archiver_round(a, err);
    /* A damaged spool is no reason to stop: what it lost is asked for again. */
    if (storers_failed(a) && archiver_storers_join(a, err) != 0) {
        a->recovered = a->recovered && err->code != HQ_E_CORRUPT;
        end = ARCHIVER_TROUBLE;
    }
    return end;
}

static void
log_interruption(const struct hq_archiver *a, const struct hq_error *err)
{
    bool passes = hq_code_retryable(err->code);

    if (a->missing != ARCHIVER_NOT_MISSING)
        hq_log_error(HQ_LOG_ERROR, "WAL is missing on the server", err);
    else if (a->wrong_server)
        hq_log_error(HQ_LOG_ERROR, "this server's WAL is refused; it will be tried again", err);
    else if (!a->recovered && err->code == HQ_E_CORRUPT)
        hq_log_error(HQ_LOG_ERROR, "the spool is damaged; what it lost is received again", err);
    else
        hq_log_error(passes ? HQ_LOG_WARNING : HQ_LOG_ERROR,
                     "streaming WAL is interrupted and will be tried again", err);
}

/* How far a round got: the next one waits only where the one before got no further. */
struct reached {
    uint64_t end;
    uint32_t timeline;
    enum archiver_missing missing;
    bool away;
};

static struct reached
reached(const struct hq_archiver *a)
{
    return (struct reached){
        .end = a->known.end, .timeline = a->known.timeline, .missing = a->missing, .away = a->away};
}

/*
 * A small spool is full again and again; while WAL gets through there is no need to wait. Nor is
 * there where a server came back, or when it is known now what it lacks.
 */
static bool
got_further(const struct reached *before, const struct reached *now)
{
    return now->end != before->end || now->timeline != before->timeline ||
           now->missing != before->missing || (before->away && !now->away);
}

static bool
answers(const struct hq_archiver *a)
{
    struct hq_error ignored = {0};
    struct hq_pg *pg;

    if (hq_pg_connect(&a->options.connection, &pg, &ignored) != 0)
        return false;
    hq_pg_close(pg);
    return true;
}

/*
 * One that comes back may have been restored and have no slot: then each checkpoint removes WAL, so
 * its return is looked for more often than it would be worth a line in the log.
 */
static void
back_off(const struct hq_archiver *a, int64_t backoff_ms)
{
    int64_t until_us = hq_clock_monotonic_us() + backoff_ms * 1000, left_us;

    while ((left_us = until_us - hq_clock_monotonic_us()) > 0) {
        int64_t pause_ms = (left_us + 999) / 1000;

        if (a->away && pause_ms > RETURN_LOOK_MS)
            pause_ms = RETURN_LOOK_MS;
        if (!hq_clock_sleep_ms(pause_ms, a->options.stop) || (a->away && answers(a)))
            return;
    }
}

static int
receive_for_ever(struct hq_archiver *a, struct hq_error *err)
{
    int64_t backoff_ms = FIRST_BACKOFF_MS;

    while (!*a->options.stop) {
        struct reached before = reached(a), now;
        enum archiver_end end = run_round(a, err);

        if (end != ARCHIVER_TROUBLE)
            continue;
        archiver_note_trouble(a, &a->troubles.receiving, err);
        if (archiver_ends_by(a, err))
            return -1;
        if (*a->options.stop)
            break;
        log_interruption(a, err);
        now = reached(a);
        if (got_further(&before, &now))
            backoff_ms = FIRST_BACKOFF_MS;
        back_off(a, backoff_ms);
        backoff_ms = backoff_ms * 2 < LONGEST_BACKOFF_MS ? backoff_ms * 2 : LONGEST_BACKOFF_MS;
        hq_error_clear(err);
    }
    return 0;
}

static int
run(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_error failure = {0};
    int result = receive_for_ever(a, err);

    archiver_lookout_stop(a);
    if (archiver_storers_join(a, &failure) != 0 && result == 0) {
        *err = failure;
        result = -1;
    }
    return result;
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
hq_archiver_let_go(struct hq_archiver *a)
{
    pthread_mutex_lock(&a->lock);
    a->letting_go = a->position.let_go = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    archiver_wake(a);
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
