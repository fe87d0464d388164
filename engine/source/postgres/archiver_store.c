#include <stdlib.h>
#include <time.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    FIRST_BACKOFF_MS = 500,
    LONGEST_BACKOFF_MS = 30000
};
/* Of what several storers meet at once one line a minute is enough. */
static const int64_t tell_again_us = INT64_C(60) * 1000000;

/*
 * A segment that is done is taken off the front, in order, and stays in the list until its file is
 * gone: nobody begins one of that name meanwhile, and a crash leaves no later file without the
 * earlier ones. Caller holds the lock.
 */
static struct segment *
take_done(struct hq_archiver *a)
{
    struct segment *s = a->first;

    if (s == NULL || !s->done || s->busy)
        return NULL;
    s->busy = true;
    return s;
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

struct work {
    struct cut cut;
    struct segment *done;
    struct superseded old;
};

/* Sleep until there is something to do: putting comes before tidying up. */
static enum step
next_step(struct hq_archiver *a, struct work *work)
{
    int64_t due_us;
    enum step step;
    bool idle;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        if (a->failed) {
            step = STEP_END;
        } else if ((work->done = take_done(a)) != NULL) {
            step = STEP_DROP;
        } else if (archiver_choose(a, &work->cut, &due_us, &idle)) {
            step = STEP_PUT;
        } else if (a->finishing && idle) {
            step = STEP_END;
        } else if (!a->finishing && a->superseded.count > 0) {
            work->old = (struct superseded){a->superseded.items[--a->superseded.count],
                                            a->shelf_system, a->shelf_segment_size};
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

/* @return whether the storers have been told to end. */
static bool
tell_trouble(struct hq_archiver *a, const struct hq_error *err)
{
    int64_t now_us = hq_clock_monotonic_us();
    bool failed, tell;

    archiver_note_trouble(a, &a->troubles.storing, err);
    pthread_mutex_lock(&a->lock);
    failed = a->failed;
    tell = !failed && (a->trouble_told_us == 0 || now_us - a->trouble_told_us >= tell_again_us);
    if (tell)
        a->trouble_told_us = now_us;
    pthread_mutex_unlock(&a->lock);
    if (tell)
        hq_log_error(hq_code_retryable(err->code) ? HQ_LOG_WARNING : HQ_LOG_ERROR,
                     "WAL can't be stored; it will be tried again", err);
    return failed;
}

static void
tell_relief(struct hq_archiver *a)
{
    bool tell;

    archiver_note_relief(a, &a->troubles.storing);
    pthread_mutex_lock(&a->lock);
    tell = a->trouble_told_us != 0;
    a->trouble_told_us = 0;
    pthread_mutex_unlock(&a->lock);
    if (tell)
        hq_log(HQ_LOG_INFO, "WAL is stored again", HQ_F_TEXT("cluster", a->options.cluster));
}

/*
 * Sleep before the next attempt. @return false when there is to be none. The end of a connection
 * is no reason to give up: should the server be lost, the spool has what nobody else has any more.
 */
static bool
back_off(struct hq_archiver *a, const struct hq_error *err, int64_t ms)
{
    if (archiver_storer_ends_by(a, err) || *a->options.stop || tell_trouble(a, err))
        return false;
    /* One more attempt when it is stopped meanwhile. */
    (void)hq_clock_sleep_ms(ms, a->options.stop);
    return true;
}

/* Parts that an earlier run put are superseded with those of this one. */
static int
take_parts(struct hq_archiver *a, struct wal_shelf *shelf, struct hq_error *err)
{
    int failed = 0;

    pthread_mutex_lock(&a->lock);
    for (struct segment *s = a->first; s != NULL && failed == 0; s = s->next)
        if (s->id->kind == SPOOL_WAL && s->id->system_identifier == shelf->system_identifier &&
            s->id->segment_size == shelf->segment_size)
            failed = wal_shelf_take_parts(shelf, s->id->timeline, s->start, &s->parts, err);
    pthread_mutex_unlock(&a->lock);
    return failed;
}

/* A store that answers nonsense may do better next time; only the spool's damage is for good. */
static int
blame_store(struct hq_error *err)
{
    if (err->code == HQ_E_CORRUPT)
        err->code = HQ_E_TRANSIENT;
    return -1;
}

/* Before the first put of a list that the spool had: what is there that it supersedes? */
static int
learn(struct hq_archiver *a, const struct spool_id *id, struct hq_error *err)
{
    struct wal_shelf shelf;
    int failed = 0;

    pthread_mutex_lock(&a->learning);
    if (!a->learned && id->kind == SPOOL_WAL) {
        failed = wal_shelf_load(a->options.repository, a->options.cluster, id->system_identifier,
                                id->segment_size, &shelf, err);
        if (failed == 0) {
            failed = take_parts(a, &shelf, err);
            if (failed == 0)
                archiver_note_shelf(a, &shelf);
            wal_shelf_clear(&shelf);
        }
    }
    pthread_mutex_unlock(&a->learning);
    return failed == 0 ? 0 : blame_store(err);
}

/* Put, with patience until *stop. */
static int
put_patiently(struct hq_archiver *a, const struct cut *cut, struct tools *tools,
              struct hq_error *err)
{
    int64_t backoff_ms = FIRST_BACKOFF_MS;
    struct put put = {0};

    while (learn(a, cut->segment->id, err) != 0 || archiver_put(a, cut, tools, &put, err) != 0) {
        if (!back_off(a, err, backoff_ms))
            return -1;
        hq_error_clear(err);
        backoff_ms = backoff_ms * 2 < LONGEST_BACKOFF_MS ? backoff_ms * 2 : LONGEST_BACKOFF_MS;
    }
    tell_relief(a);
    /* From here on the segment may be gone. */
    archiver_advance(a, cut, put.bytes);
    archiver_record(a, cut, &put);
    return 0;
}

static void
fail(struct hq_archiver *a, const struct hq_error *err)
{
    pthread_mutex_lock(&a->lock);
    if (!a->failed)
        a->failure = *err;
    a->failed = true;
    pthread_cond_broadcast(&a->work);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    archiver_wake(a);
}

static void
drop(struct hq_archiver *a, struct segment *s)
{
    spool_file_unlink(s->file);
    pthread_mutex_lock(&a->lock);
    a->first = s->next;
    if (a->first == NULL)
        a->last = NULL;
    a->segments--;
    a->position.spool_bytes -= s->end - s->start;
    pthread_cond_broadcast(&a->work);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    spool_file_close(s->file);
    wal_parts_clear(&s->parts);
    free(s);
}

static int
work_until_end(struct hq_archiver *a, struct tools *tools, struct hq_error *err)
{
    struct work work;

    for (;;) {
        switch (next_step(a, &work)) {
        case STEP_PUT:
            if (put_patiently(a, &work.cut, tools, err) != 0)
                return -1;
            break;
        case STEP_DELETE:
            archiver_delete(a, &work.old);
            break;
        case STEP_DROP:
            drop(a, work.done);
            break;
        case STEP_END:
        default:
            return 0;
        }
    }
}

static void *
run_storer(void *archiver)
{
    struct hq_archiver *a = archiver;
    struct hq_error err = {0};
    struct tools tools = {.compressor = hq_compressor_new(a->options.compression_level, &err)};

    if (tools.compressor == NULL || work_until_end(a, &tools, &err) != 0)
        fail(a, &err);
    hq_compressor_free(tools.compressor);
    hq_buf_clear(&tools.raw);
    hq_buf_clear(&tools.object);
    return NULL;
}

int
archiver_storers_start(struct hq_archiver *a, struct hq_error *err)
{
    a->finishing = a->failed = false;
    for (struct segment *s = a->first; s != NULL; s = s->next)
        s->busy = false;
    while (a->storer_count < ARCHIVER_STORERS) {
        int rc = pthread_create(&a->storers[a->storer_count], NULL, run_storer, a);

        if (rc != 0) {
            struct hq_error ignored = {0};

            if (archiver_storers_join(a, &ignored) != 0)
                hq_error_clear(&ignored);
            return hq_fail_sys(err, rc, "start the threads that store WAL");
        }
        a->storer_count++;
    }
    return 0;
}

int
archiver_storers_join(struct hq_archiver *a, struct hq_error *err)
{
    pthread_mutex_lock(&a->lock);
    a->finishing = true;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
    while (a->storer_count > 0)
        (void)pthread_join(a->storers[--a->storer_count], NULL);
    if (a->failed)
        *err = a->failure;
    return a->failed ? -1 : 0;
}
