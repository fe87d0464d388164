#include "postgres/archiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"

enum {
    POLL_MS = 20,
    REPORT_INTERVAL_MS = 10000,
    FIRST_BACKOFF_MS = 500,
    LONGEST_BACKOFF_MS = 30000,
    /* The storer may lag by so many segments; then WAL stays on the server, which the slot keeps.
     */
    SEGMENTS_MAX = 4,
};

void
hq_archiver_free(struct hq_archiver *a)
{
    if (a == NULL)
        return;
    hq_compressor_free(a->compressor);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a->cluster);
    free(a->slot);
    free(a->spool);
    free(a->conninfo);
    free(a->password_file);
    free(a);
}

static bool
copy_options(struct hq_archiver *a, const struct hq_archiver_options *o)
{
    a->options = *o;
    a->cluster = strdup(o->cluster);
    a->slot = strdup(o->slot);
    a->spool = strdup(o->spool_directory);
    a->conninfo = strdup(o->connection.conninfo);
    a->password_file =
        o->connection.password_file != NULL ? strdup(o->connection.password_file) : NULL;
    a->options.connection.conninfo = a->conninfo;
    a->options.connection.password_file = a->password_file;
    return a->cluster != NULL && a->slot != NULL && a->spool != NULL && a->conninfo != NULL &&
           (o->connection.password_file == NULL || a->password_file != NULL);
}

int
hq_archiver_new(const struct hq_archiver_options *options, struct hq_archiver **out,
                struct hq_error *err)
{
    struct hq_archiver *a = calloc(1, sizeof *a);

    *out = NULL;
    if (a == NULL)
        return hq_fail(err, HQ_E_NOMEM, "archiver");
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (!copy_options(a, options)) {
        hq_archiver_free(a);
        return hq_fail(err, HQ_E_NOMEM, "archiver");
    }
    a->compressor = hq_compressor_new(options->compression_level, err);
    if (a->compressor == NULL) {
        hq_archiver_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void
hq_archiver_position(struct hq_archiver *a, struct hq_archiver_position *out)
{
    pthread_mutex_lock(&a->lock);
    *out = a->position;
    pthread_mutex_unlock(&a->lock);
}

int
hq_archiver_wait(struct hq_archiver *a, uint64_t lsn, int64_t timeout_ms, struct hq_error *err)
{
    int64_t deadline = hq_clock_monotonic_us() + timeout_ms * 1000;
    struct hq_archiver_position position;

    for (;;) {
        hq_archiver_position(a, &position);
        if (position.durable_lsn >= lsn)
            return 0;
        if (hq_clock_monotonic_us() >= deadline)
            return hq_fail(err, HQ_E_TRANSIENT, "WAL is durable to %X/%X only, %X/%X is wanted",
                           (unsigned)(position.durable_lsn >> 32), (unsigned)position.durable_lsn,
                           (unsigned)(lsn >> 32), (unsigned)lsn);
        if (!hq_clock_sleep_ms(POLL_MS, a->options.stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while waiting for WAL");
    }
}

/* The scanner found a commit record that ends in the bytes at hand. */
static void
note_commit(void *context, uint64_t lsn, int64_t time_us)
{
    struct segment *s = context;

    (void)lsn;
    commit_times_add(&s->all, time_us);
    commit_times_add(&s->pending, time_us);
}

static void
append_segment(struct hq_archiver *a, struct segment *s)
{
    pthread_mutex_lock(&a->lock);
    if (a->last != NULL)
        a->last->next = s;
    else
        a->first = s;
    a->last = s;
    a->waiting++;
    pthread_mutex_unlock(&a->lock);
}

/* The segment that takes the next byte: the storer lets go only of full and closed ones. */
static struct segment *
open_segment(struct hq_archiver *a)
{
    struct segment *s;

    pthread_mutex_lock(&a->lock);
    s = a->last;
    if (s != NULL && (s->closed || s->received == s->start + a->system.wal_segment_size))
        s = NULL;
    pthread_mutex_unlock(&a->lock);
    return s;
}

/* Bytes of one segment. Those that the store has already fill the spool and make no part. */
static int
take_bytes(struct hq_archiver *a, uint32_t timeline, uint64_t durable,
           const struct hq_wal_message *m, const uint8_t *data, size_t len, struct hq_error *err)
{
    struct segment *s = open_segment(a);
    uint64_t lsn = a->next_lsn;

    if (s == NULL) {
        s = segment_open(a, timeline, lsn - lsn % a->system.wal_segment_size, err);
        if (s == NULL)
            return -1;
        append_segment(a, s);
    }
    HQ_CRASH_POINT("wal.spool.before-write");
    if (segment_write(s, lsn, data, len, err) != 0)
        return -1;
    pthread_mutex_lock(&a->lock);
    hq_walscan_feed(a->scan, lsn, data, len, note_commit, s);
    s->received = lsn + len;
    s->sent_us = m->sent_us;
    if (s->received <= durable) {
        s->stored = s->received;
        s->pending = (struct commit_times){0};
    } else if (s->oldest_sent_us == 0) {
        s->oldest_sent_us = m->sent_us;
    }
    /* A durable position within this message: the part begins there. */
    if (s->stored < durable && s->received > durable)
        s->stored = durable;
    a->position.received_lsn = s->received;
    if (s->received == s->start + a->system.wal_segment_size)
        pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    a->next_lsn = lsn + len;
    return 0;
}

static int
take_data(struct hq_archiver *a, const struct archive_start *start, const struct hq_wal_message *m,
          struct hq_error *err)
{
    const uint8_t *data = m->data;
    size_t left = m->len;

    if (m->lsn != a->next_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "the server sent WAL at %X/%X, %X/%X was due",
                       (unsigned)(m->lsn >> 32), (unsigned)m->lsn, (unsigned)(a->next_lsn >> 32),
                       (unsigned)a->next_lsn);
    while (left > 0) {
        uint64_t room = a->system.wal_segment_size - a->next_lsn % a->system.wal_segment_size;
        size_t n = left < room ? left : (size_t)room;

        if (take_bytes(a, start->timeline, start->durable, m, data, n, err) != 0)
            return -1;
        data += n;
        left -= n;
    }
    return 0;
}

/* @return -1 with the storer's failure, if it has one. */
static int
look_at_storer(struct hq_archiver *a, uint64_t *durable, size_t *waiting, struct hq_error *err)
{
    bool failed;

    pthread_mutex_lock(&a->lock);
    *durable = a->position.durable_lsn;
    *waiting = a->waiting;
    failed = a->failed;
    if (failed)
        *err = a->failure;
    pthread_mutex_unlock(&a->lock);
    return failed ? -1 : 0;
}

/* Flush means durable in the store, and write means the same: the spool is no promise. */
static int
report(struct hq_archiver *a, uint64_t durable, bool wanted, int64_t *last_us, struct hq_error *err)
{
    int64_t now = hq_clock_monotonic_us();

    if (durable == a->reported_lsn && !wanted && now - *last_us < REPORT_INTERVAL_MS * 1000)
        return 0;
    HQ_CRASH_POINT("wal.report.before");
    if (hq_wal_stream_report(a->stream, durable, durable, false, err) != 0)
        return -1;
    a->reported_lsn = durable;
    *last_us = now;
    return 0;
}

/* Receive until the timeline ends (1), *stop (0) or trouble (-1). */
static int
receive(struct hq_archiver *a, const struct archive_start *start, struct hq_wal_message *end,
        struct hq_error *err)
{
    int64_t last_report_us = 0;
    bool wanted = false;
    uint64_t durable;
    size_t waiting;

    while (!*a->options.stop) {
        struct hq_wal_message m = {.event = HQ_WAL_TIMEOUT};

        if (look_at_storer(a, &durable, &waiting, err) != 0 ||
            report(a, durable, wanted, &last_report_us, err) != 0)
            return -1;
        wanted = false;
        if (waiting > SEGMENTS_MAX) {
            (void)hq_clock_sleep_ms(POLL_MS, a->options.stop);
            continue;
        }
        if (hq_wal_stream_next(a->stream, POLL_MS, &m, err) != 0)
            return -1;
        if (m.event == HQ_WAL_DATA && take_data(a, start, &m, err) != 0)
            return -1;
        wanted = m.event == HQ_WAL_KEEPALIVE && m.reply_wanted;
        if (m.event == HQ_WAL_END) {
            *end = m;
            return 1;
        }
    }
    return 0;
}

static int
start_storer(struct hq_archiver *a, struct hq_error *err)
{
    int rc;

    a->storing = true;
    a->finishing = false;
    a->failed = false;
    rc = pthread_create(&a->storer, NULL, archiver_store, a);
    a->storer_started = rc == 0;
    return rc == 0 ? 0 : hq_fail_sys(err, rc, "start the thread that stores WAL");
}

/* End the storer, after it stored what there is (@p finish) or at once. */
static int
end_storer(struct hq_archiver *a, bool finish, struct hq_error *err)
{
    int result = 0;

    if (!a->storer_started)
        return 0;
    pthread_mutex_lock(&a->lock);
    a->finishing = finish;
    a->storing = finish;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->storer, NULL);
    a->storer_started = false;
    if (a->failed) {
        *err = a->failure;
        result = -1;
    }
    return result;
}

static void
drop_segments(struct hq_archiver *a)
{
    while (a->first != NULL) {
        struct segment *s = a->first;

        a->first = s->next;
        segment_drop(s);
    }
    a->last = NULL;
    a->waiting = 0;
}

static void
set_streaming(struct hq_archiver *a, bool streaming, const struct archive_start *start)
{
    pthread_mutex_lock(&a->lock);
    a->position.streaming = streaming;
    if (start != NULL) {
        a->position.timeline = start->timeline;
        if (start->durable > a->position.durable_lsn)
            a->position.durable_lsn = start->durable;
    }
    pthread_mutex_unlock(&a->lock);
}

static void
close_segment(struct hq_archiver *a)
{
    pthread_mutex_lock(&a->lock);
    if (a->last != NULL)
        a->last->closed = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

/* One timeline after the other, from *start on. @return 0 at *stop. */
static int
follow(struct hq_archiver *a, struct archive_start *start, struct hq_error *err)
{
    struct hq_wal_message end;
    int ended;

    for (;;) {
        if (archiver_store_histories(a, start->timeline, err) != 0 ||
            hq_wal_stream_start(a->pg, a->slot, start->timeline, start->lsn, &a->stream, err) != 0)
            return -1;
        a->next_lsn = start->lsn;
        set_streaming(a, true, start);
        hq_log(HQ_LOG_INFO, "streaming WAL", HQ_F_TEXT("cluster", a->cluster),
               HQ_F_U64("timeline", start->timeline), HQ_F_LSN("from", start->lsn),
               HQ_F_LSN("durable", start->durable));
        ended = receive(a, start, &end, err);
        if (ended <= 0)
            return ended;
        hq_wal_stream_close(a->stream);
        a->stream = NULL;
        if (end.next_timeline == 0)
            return hq_fail(err, HQ_E_TRANSIENT, "the server ended the stream: it shuts down");
        close_segment(a);
        start->timeline = end.next_timeline;
        start->lsn = end.lsn - end.lsn % a->system.wal_segment_size;
        start->durable = start->lsn;
    }
}

static int
connect_and_follow(struct hq_archiver *a, struct hq_error *err)
{
    struct archive_start start;
    bool created;

    if (hq_pg_connect(&a->options.connection, &a->pg, err) != 0 ||
        hq_pg_identify(a->pg, &a->system, err) != 0 ||
        hq_pg_slot_ensure(a->pg, a->slot, &created, err) != 0 ||
        archiver_find_start(a, &start, err) != 0 || spool_clean(a, err) != 0)
        return -1;
    if (created)
        hq_log(HQ_LOG_INFO, "replication slot created", HQ_F_TEXT("slot", a->slot));
    hq_walscan_free(a->scan);
    a->scan = hq_walscan_new(a->system.wal_segment_size, err);
    if (a->scan == NULL || start_storer(a, err) != 0)
        return -1;
    a->reported_lsn = 0;
    return follow(a, &start, err);
}

/* One connection's life, with everything it needs taken down again. */
static int
run_once(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_error storer_err = {0};
    int result = connect_and_follow(a, err);
    uint64_t durable;
    size_t waiting;

    /* At the end of a good run what was received is stored; after trouble it is received again. */
    if (end_storer(a, result == 0, &storer_err) != 0 && result == 0) {
        *err = storer_err;
        result = -1;
    }
    if (result == 0 && a->stream != NULL && look_at_storer(a, &durable, &waiting, err) == 0)
        result = hq_wal_stream_report(a->stream, durable, durable, false, err);
    set_streaming(a, false, NULL);
    hq_wal_stream_close(a->stream);
    a->stream = NULL;
    hq_pg_close(a->pg);
    a->pg = NULL;
    drop_segments(a);
    hq_walscan_free(a->scan);
    a->scan = NULL;
    return result;
}

int
hq_archiver_run(struct hq_archiver *a, struct hq_error *err)
{
    int64_t backoff_ms = FIRST_BACKOFF_MS;

    while (!*a->options.stop) {
        int64_t began = hq_clock_monotonic_us();

        hq_error_clear(err);
        if (run_once(a, err) == 0)
            break;
        if (!hq_code_retryable(err->code))
            return -1;
        if (hq_clock_monotonic_us() - began > LONGEST_BACKOFF_MS * INT64_C(1000))
            backoff_ms = FIRST_BACKOFF_MS;
        hq_log_error(HQ_LOG_WARNING, "archiving WAL is interrupted and will be tried again", err);
        (void)hq_clock_sleep_ms(backoff_ms, a->options.stop);
        backoff_ms = backoff_ms * 2 < LONGEST_BACKOFF_MS ? backoff_ms * 2 : LONGEST_BACKOFF_MS;
    }
    hq_error_clear(err);
    return 0;
}
