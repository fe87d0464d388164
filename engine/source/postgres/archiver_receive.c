#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"

enum {
    /* The storer may be so many segments behind; then WAL waits on the server, for the slot. */
    SEGMENTS_MAX = 4,
    LOOK_MS = 200,
    /* As wal_receiver_status_interval. */
    REPORT_INTERVAL_MS = 10000
};

/* What the receiver must know of the storer. */
struct storer_state {
    uint64_t durable;
    bool failed, full;
};

static struct storer_state
look_at_storer(struct hq_archiver *a)
{
    struct storer_state state;

    pthread_mutex_lock(&a->lock);
    state = (struct storer_state){.durable = a->position.durable_lsn,
                                  .failed = a->failed,
                                  .full = a->segments >= SEGMENTS_MAX};
    pthread_mutex_unlock(&a->lock);
    return state;
}

/*
 * Tell the server when something new is durable, when it asks, and now and then. What is only in
 * the spool counts as neither written nor flushed: after a crash nobody reads it.
 */
static int
report(struct hq_archiver *a, uint64_t durable, bool asked, struct hq_error *err)
{
    int64_t now_us = hq_clock_monotonic_us();

    if (durable == a->reported_lsn && !asked &&
        now_us - a->reported_at_us < REPORT_INTERVAL_MS * 1000)
        return 0;
    HQ_CRASH_POINT("wal.before-report");
    if (hq_wal_stream_report(a->stream, durable, durable, false, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.after-report");
    a->reported_lsn = durable;
    a->reported_at_us = now_us;
    return 0;
}

/* Wait until the list has room for a segment, reporting meanwhile. @return 1, 0 at *stop, -1. */
static int
wait_for_room(struct hq_archiver *a, struct hq_error *err)
{
    struct storer_state state;

    while ((state = look_at_storer(a)).full) {
        if (state.failed || *a->options.stop)
            return 0;
        if (report(a, state.durable, false, err) != 0)
            return -1;
        (void)hq_clock_sleep_ms(LOOK_MS, a->options.stop);
    }
    return 1;
}

/* The segment that takes the next byte: at a segment's beginning a new one. */
static int
current_segment(struct hq_archiver *a, struct segment **out, struct hq_error *err)
{
    int room;

    *out = NULL;
    if (a->next_lsn % a->system.wal_segment_size == 0) {
        room = wait_for_room(a, err);
        if (room <= 0)
            return room;
        *out = segment_open(a, a->next_lsn, err);
        if (*out == NULL)
            return -1;
        archiver_append(a, *out);
        return 1;
    }
    /* It is not full, so the storer leaves it alone. */
    pthread_mutex_lock(&a->lock);
    *out = a->last;
    pthread_mutex_unlock(&a->lock);
    return 1;
}

/* @return 1, 0 at *stop or when the storer failed (what is left is received again), or -1. */
static int
take_data(struct hq_archiver *a, const struct hq_wal_message *m, struct hq_error *err)
{
    size_t done = 0;

    if (m->lsn != a->next_lsn)
        return hq_fail(err, HQ_E_SERVER, "the server sent WAL from %X/%08X on, not from %X/%08X",
                       (unsigned)(m->lsn >> 32), (unsigned)m->lsn, (unsigned)(a->next_lsn >> 32),
                       (unsigned)a->next_lsn);
    while (done < m->len) {
        struct segment *s;
        size_t n = m->len - done;
        int ready = current_segment(a, &s, err);

        if (ready <= 0)
            return ready;
        if (n > s->end - a->next_lsn)
            n = (size_t)(s->end - a->next_lsn);
        HQ_CRASH_POINT("wal.spool.before-write");
        if (segment_write(s, m->data + done, n, err) != 0)
            return -1;
        HQ_CRASH_POINT("wal.spool.after-write");
        archiver_hand_over(a, s, n, m->sent_us);
        a->next_lsn += n;
        done += n;
    }
    return 1;
}

/* The server says the timeline ends at m->lsn; all up to there must have come. */
static int
check_end(const struct hq_archiver *a, const struct hq_wal_message *m, struct hq_error *err)
{
    if (m->next_timeline == 0)
        return hq_fail(err, HQ_E_TRANSIENT, "the server ended the stream: it shuts down");
    if (m->lsn > a->next_lsn)
        return hq_fail(err, HQ_E_SERVER,
                       "timeline %u ends at %X/%08X, but the server sent it up to %X/%08X only",
                       a->start.timeline, (unsigned)(m->lsn >> 32), (unsigned)m->lsn,
                       (unsigned)(a->next_lsn >> 32), (unsigned)a->next_lsn);
    hq_log(HQ_LOG_INFO, "the timeline ended", HQ_F_TEXT("cluster", a->options.cluster),
           HQ_F_U64("timeline", a->start.timeline), HQ_F_U64("next", m->next_timeline),
           HQ_F_LSN("at", m->lsn));
    return 0;
}

static enum archiver_end
receive(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_wal_message m = {.event = HQ_WAL_TIMEOUT};
    uint64_t ignored;

    while (!*a->options.stop) {
        struct storer_state state = look_at_storer(a);

        /* What the storer failed by is told when it is joined. */
        if (state.failed)
            return ARCHIVER_STOPPED;
        if (report(a, state.durable, m.reply_wanted, err) != 0 ||
            hq_wal_stream_next(a->stream, LOOK_MS, &m, err) != 0)
            return ARCHIVER_TROUBLE;
        if (m.event == HQ_WAL_END)
            return check_end(a, &m, err) == 0 ? ARCHIVER_TIMELINE_ENDED : ARCHIVER_TROUBLE;
        if (m.event == HQ_WAL_DATA && take_data(a, &m, err) < 0)
            return ARCHIVER_TROUBLE;
        if (m.event == HQ_WAL_TIMEOUT)
            (void)!read(a->wake, &ignored, sizeof ignored); /* not blocking */
    }
    return ARCHIVER_STOPPED;
}

static int
start_stream(struct hq_archiver *a, struct hq_error *err)
{
    if (spool_prepare(a->options.spool_directory, a->options.cluster, err) != 0 ||
        hq_wal_stream_start(a->pg, a->options.slot, a->start.timeline, a->start.lsn, &a->stream,
                            err) != 0)
        return -1;
    hq_wal_stream_wake_on(a->stream, a->wake);
    a->next_lsn = a->start.lsn;
    a->reported_lsn = 0;
    hq_log(HQ_LOG_INFO, "streaming WAL", HQ_F_TEXT("cluster", a->options.cluster),
           HQ_F_TEXT("host", a->system.host), HQ_F_U64("timeline", a->start.timeline),
           HQ_F_LSN("from", a->start.lsn), HQ_F_LSN("durable", a->start.durable));
    return 0;
}

static void
set_position(struct hq_archiver *a, bool streaming)
{
    pthread_mutex_lock(&a->lock);
    a->position.streaming = streaming;
    if (streaming) {
        a->position.timeline = a->start.timeline;
        a->position.durable_lsn = a->start.durable;
        a->position.received_lsn = a->start.lsn;
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

/* The storer's failure is the reason where there is no other, or where the other may pass. */
static enum archiver_end
join_storer(struct hq_archiver *a, enum archiver_end end, struct hq_error *err)
{
    struct hq_error failure = {0};

    if (archiver_storer_join(a, &failure) == 0)
        return end;
    if (end == ARCHIVER_TROUBLE && !hq_code_retryable(err->code))
        return end;
    *err = failure;
    return ARCHIVER_TROUBLE;
}

static enum archiver_end
stream(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_error ignored = {0};
    enum archiver_end end;

    if (archiver_storer_start(a, err) != 0)
        return ARCHIVER_TROUBLE;
    set_position(a, true);
    end = receive(a, err);
    set_position(a, false);
    end = join_storer(a, end, err);
    /* So that a server that shuts down, or a slot, does not wait for a receiver that is gone. */
    if (report(a, look_at_storer(a).durable, true, &ignored) != 0)
        hq_error_clear(&ignored);
    return end;
}

static void
take_down(struct hq_archiver *a)
{
    hq_wal_stream_close(a->stream);
    a->stream = NULL;
    hq_pg_close(a->pg);
    a->pg = NULL;
    while (a->first != NULL) {
        struct segment *s = a->first;

        a->first = s->next;
        segment_drop(s);
    }
    a->last = NULL;
    a->segments = 0;
    wal_parts_clear(&a->superseded);
    archive_start_clear(&a->start);
}

enum archiver_end
archiver_round(struct hq_archiver *a, struct hq_error *err)
{
    enum archiver_end end = ARCHIVER_TROUBLE;

    a->failed = false;
    if (hq_pg_connect(&a->options.connection, &a->pg, err) == 0 &&
        archiver_find_start(a, err) == 0 && start_stream(a, err) == 0)
        end = stream(a, err);
    take_down(a);
    return end;
}

void
archiver_wake(struct hq_archiver *a)
{
    /* It can fail only when the counter is full, and then the receiver wakes anyway. */
    (void)!eventfd_write(a->wake, 1);
}
