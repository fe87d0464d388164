#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"

enum {
    LOOK_MS = 200,
    /* As wal_receiver_status_interval. */
    REPORT_INTERVAL_MS = 10000,
    /* The spool is synced so many times an interval, and after so much in any case. */
    SYNCS_PER_INTERVAL = 10,
    UNSYNCED_MAX = 4 << 20,
    SEGMENTS_MIN = 4
};

/* What the receiver must know of the others. */
struct outlook {
    uint32_t timeline;
    uint64_t durable;
    uint64_t system; /* whose that is */
    bool failed, full, let_go, empty, superseded;
};

static struct outlook
look_around(struct hq_archiver *a)
{
    struct outlook o;

    pthread_mutex_lock(&a->lock);
    o = (struct outlook){.timeline = a->position.timeline,
                         .durable = a->position.durable_lsn,
                         .system = a->durable_system,
                         .failed = a->failed,
                         .full = a->segments >= SEGMENTS_MIN &&
                                 a->position.spool_bytes >= a->options.spool_limit,
                         .let_go = a->letting_go,
                         .empty = a->first == NULL,
                         .superseded = a->lookout.found};
    pthread_mutex_unlock(&a->lock);
    return o;
}

/*
 * What a commit may count on. While WAL of an older timeline, or from before a gap, is still on its
 * way to the store, this stream is durable as far as it needs nothing of its own.
 */
static uint64_t
flushed(const struct hq_archiver *a, const struct outlook *o)
{
    if (a->options.durable == HQ_WAL_DURABLE_SPOOL)
        return a->synced_lsn > a->start.base ? a->synced_lsn : a->start.base;
    /* Not known yet, as when the spool was found and the store is away: 0 tells the server nothing.
     */
    if (o->system != a->system.system_identifier)
        return 0;
    /* Never back to before a gap: that would move the slot to WAL that is gone. */
    if (a->gap.system_identifier == o->system && a->gap.to_lsn <= a->start.lsn &&
        o->durable < a->gap.to_lsn)
        return a->gap.to_lsn;
    if (o->timeline != a->start.timeline && o->durable > a->start.base)
        return a->start.base;
    return o->durable;
}

/* Tell the server when something new is safe, when it asks, and now and then. */
static int
report(struct hq_archiver *a, const struct outlook *o, bool asked, struct hq_error *err)
{
    int64_t now_us = hq_clock_monotonic_us();
    uint64_t flush = flushed(a, o), write = a->synced_lsn > flush ? a->synced_lsn : flush;

    if (flush == a->reported_flush && write == a->reported_write && !asked &&
        now_us - a->reported_at_us < REPORT_INTERVAL_MS * 1000)
        return 0;
    HQ_CRASH_POINT("wal.before-report");
    if (hq_wal_stream_report(a->stream, write, flush, false, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.after-report");
    a->reported_flush = flush;
    a->reported_write = write;
    a->reported_at_us = now_us;
    return 0;
}

/* Wait until the spool has room for a segment, reporting meanwhile. @return 1, 0: end, -1. */
static int
wait_for_room(struct hq_archiver *a, struct hq_error *err)
{
    bool told = false;

    for (;;) {
        struct outlook o = look_around(a);

        if (!o.full)
            return 1;
        if (o.failed || o.let_go || *a->options.stop)
            return 0;
        if (!told)
            hq_log(HQ_LOG_WARNING, "the spool is full; from here on WAL stays on the server",
                   HQ_F_TEXT("cluster", a->options.cluster),
                   HQ_F_U64("limit", a->options.spool_limit), HQ_F_LSN("at", a->next_lsn));
        told = true;
        if (report(a, &o, false, err) != 0)
            return -1;
        (void)hq_clock_sleep_ms(LOOK_MS, a->options.stop);
    }
}

/* @return 1 when there is a segment for the next byte, 0: end, -1. */
static int
current_segment(struct hq_archiver *a, struct hq_error *err)
{
    struct spool_id id = {.kind = SPOOL_WAL,
                          .system_identifier = a->system.system_identifier,
                          .timeline = a->start.timeline,
                          .segment_size = a->system.wal_segment_size,
                          .start = a->next_lsn};
    int room;

    if (a->current != NULL)
        return 1;
    room = wait_for_room(a, err);
    if (room <= 0)
        return room;
    return archiver_append(a, &id, &a->current, err) == 0 ? 1 : -1;
}

/* @return 1, 0: end (what is left is received again), -1. */
static int
take_data(struct hq_archiver *a, const struct hq_wal_message *m, struct hq_error *err)
{
    size_t done = 0;

    if (m->lsn != a->next_lsn)
        return hq_fail(err, HQ_E_SERVER, "the server sent WAL from %X/%08X on, not from %X/%08X",
                       (unsigned)(m->lsn >> 32), (unsigned)m->lsn, (unsigned)(a->next_lsn >> 32),
                       (unsigned)a->next_lsn);
    while (done < m->len) {
        size_t n = m->len - done;
        int there = current_segment(a, err);

        if (there <= 0)
            return there;
        if (n > a->current->end - a->next_lsn)
            n = (size_t)(a->current->end - a->next_lsn);
        if (archiver_write(a, m->data + done, n, m->sent_us, err) != 0 ||
            (a->next_lsn == a->current->end && archiver_sync(a, err) != 0))
            return -1;
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

/* How long to wait for a message before what was received is synced. */
static int
patience_ms(const struct hq_archiver *a)
{
    int64_t due_us;

    if (a->fresh.since_us == 0)
        return LOOK_MS;
    if (a->options.durable == HQ_WAL_DURABLE_SPOOL)
        return 0; /* what came together is synced together */
    due_us = a->fresh.since_us + a->options.flush_interval_ms * 1000 / SYNCS_PER_INTERVAL -
             hq_clock_monotonic_us();
    return due_us <= 0 ? 0 : (int)((due_us + 999) / 1000);
}

static int
take_message(struct hq_archiver *a, const struct hq_wal_message *m, struct hq_error *err)
{
    uint64_t ignored;

    if (m->event == HQ_WAL_DATA && take_data(a, m, err) < 0)
        return -1;
    if (m->event == HQ_WAL_TIMEOUT)
        (void)!read(a->wake, &ignored, sizeof ignored); /* not blocking */
    if (a->fresh.since_us == 0)
        return 0;
    if (a->next_lsn - a->synced_lsn < UNSYNCED_MAX && patience_ms(a) > 0)
        return 0;
    /* While more is there already it can share the sync. */
    if (m->event == HQ_WAL_DATA && a->options.durable == HQ_WAL_DURABLE_SPOOL &&
        a->next_lsn - a->synced_lsn < UNSYNCED_MAX)
        return 0;
    return archiver_sync(a, err);
}

/* What this process knows may be less than what the store has: that is asked first. */
static void
note_missing(struct hq_archiver *a, const struct hq_error *err)
{
    if (err->code != HQ_E_MISSING)
        return;
    a->missing = a->from_shelf ? ARCHIVER_MISSING_ALL : ARCHIVER_MISSING_KNOWN;
    a->missing_at = a->next_lsn;
    (void)snprintf(a->missing_host, sizeof a->missing_host, "%s", a->system.host);
}

static enum archiver_end
receive(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_wal_message m = {.event = HQ_WAL_TIMEOUT};

    while (!*a->options.stop) {
        struct outlook o = look_around(a);

        /* What a storer failed by is told when it is joined. */
        if (o.failed)
            return ARCHIVER_STOPPED;
        if (o.let_go)
            return ARCHIVER_LET_GO;
        if (o.superseded) {
            (void)archiver_lookout_fail(a, err);
            return ARCHIVER_TROUBLE;
        }
        if (report(a, &o, m.reply_wanted, err) != 0)
            return ARCHIVER_TROUBLE;
        if (hq_wal_stream_next(a->stream, patience_ms(a), &m, err) != 0) {
            note_missing(a, err);
            return ARCHIVER_TROUBLE;
        }
        if (m.event == HQ_WAL_END)
            return check_end(a, &m, err) == 0 ? ARCHIVER_TIMELINE_ENDED : ARCHIVER_TROUBLE;
        if (take_message(a, &m, err) != 0)
            return ARCHIVER_TROUBLE;
        archiver_note_relief(a, &a->troubles.receiving);
    }
    return ARCHIVER_STOPPED;
}

static void
set_position(struct hq_archiver *a, bool streaming)
{
    struct hq_archiver_position *p = &a->position;

    pthread_mutex_lock(&a->lock);
    p->streaming = streaming;
    if (streaming && a->first == NULL && a->durable_system != a->system.system_identifier) {
        a->durable_system = a->system.system_identifier;
        p->durable_lsn = 0;
        p->last_commit_us = 0;
    }
    p->system_identifier = a->system.system_identifier;
    if (streaming && a->first == NULL && p->durable_lsn <= a->start.base) {
        p->timeline = a->start.timeline;
        p->durable_lsn = a->start.base;
    }
    if (streaming)
        p->received_lsn = p->written_lsn = a->start.lsn;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static int
start_stream(struct hq_archiver *a, struct hq_error *err)
{
    const struct segment *s = a->current;

    if (s != NULL && (s->id->timeline != a->start.timeline || s->synced != a->start.lsn ||
                      s->id->system_identifier != a->system.system_identifier))
        archiver_close_segment(a);
    /* A history that is to be stored first closes it too: then it comes again from its beginning.
     */
    if (a->current == NULL)
        a->start.lsn = archiver_segment_start(a, a->start.lsn);
    if (archiver_prepare_scan(a, a->system.wal_segment_size, err) != 0)
        return -1;
    if (hq_wal_stream_start(a->pg, a->options.slot, a->start.timeline, a->start.lsn, &a->stream,
                            err) != 0) {
        /* It went between two commands, or it is there and was invalidated: it is made anew. */
        a->slot_lost = err->code == HQ_E_MISSING;
        if (a->slot_lost)
            err->code = HQ_E_TRANSIENT;
        return -1;
    }
    a->has_streamed = true;
    a->options.connection.avoid = 0; /* roles may change */
    hq_wal_stream_wake_on(a->stream, a->wake);
    a->next_lsn = a->synced_lsn = a->start.lsn;
    a->reported_flush = a->reported_write = 0;
    hq_log(HQ_LOG_INFO, "streaming WAL", HQ_F_TEXT("cluster", a->options.cluster),
           HQ_F_TEXT("host", a->system.host), HQ_F_U64("timeline", a->start.timeline),
           HQ_F_LSN("from", a->start.lsn), HQ_F_LSN("durable", a->start.base));
    return 0;
}

/* What came and is not synced is not lost by a connection's end, unless syncing fails. */
static void
settle(struct hq_archiver *a)
{
    struct hq_error ignored = {0};

    if (a->current != NULL && archiver_sync(a, &ignored) != 0)
        spool_file_rewind(a->current->file);
    a->fresh = (struct fresh){0};
}

static enum archiver_end
stream(struct hq_archiver *a, struct hq_error *err)
{
    struct hq_error ignored = {0};
    enum archiver_end end;
    struct outlook o;

    set_position(a, true);
    archiver_lookout_follow(a);
    end = receive(a, err);
    archiver_lookout_leave(a);
    settle(a);
    set_position(a, false);
    if (*a->options.stop && archiver_storers_join(a, &ignored) != 0)
        hq_error_clear(&ignored); /* it is told when the run ends */
    /* So that a server that shuts down, or a slot, does not wait for a receiver that is gone. */
    o = look_around(a);
    if (report(a, &o, true, &ignored) != 0)
        hq_error_clear(&ignored);
    hq_wal_stream_close(a->stream);
    a->stream = NULL;
    return end;
}

/* Without its slot the server removes WAL as it likes; what is spooled goes to the store first. */
static int
let_go(struct hq_archiver *a, struct hq_error *err)
{
    if (hq_pg_slot_drop(a->pg, a->options.slot, err) != 0)
        return -1;
    hq_log(HQ_LOG_ERROR, "WAL is no longer held back on the server: the slot was dropped",
           HQ_F_TEXT("cluster", a->options.cluster), HQ_F_TEXT("slot", a->options.slot));
    hq_pg_close(a->pg);
    a->pg = NULL;
    for (;;) {
        struct outlook o = look_around(a);

        if (o.empty || o.failed || *a->options.stop)
            break;
        archiver_close_segment(a);
        (void)hq_clock_sleep_ms(LOOK_MS, a->options.stop);
    }
    pthread_mutex_lock(&a->lock);
    a->letting_go = a->position.let_go = false;
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static enum archiver_end
connected_round(struct hq_archiver *a, struct hq_error *err)
{
    enum archiver_end end = ARCHIVER_LET_GO;

    if (!look_around(a).let_go) {
        if (archiver_find_start(a, err) != 0 || start_stream(a, err) != 0)
            return ARCHIVER_TROUBLE;
        end = stream(a, err);
    }
    if (end == ARCHIVER_LET_GO && let_go(a, err) != 0)
        return ARCHIVER_TROUBLE;
    return end;
}

enum archiver_end
archiver_round(struct hq_archiver *a, struct hq_error *err)
{
    enum archiver_end end = ARCHIVER_TROUBLE;

    a->wrong_server = a->away = false;
    if (a->known.any) {
        a->options.connection.known_system = a->known.system_identifier;
        a->options.connection.known_timeline = a->known.timeline;
    }
    if (hq_pg_connect(&a->options.connection, &a->pg, err) == 0)
        end = connected_round(a, err);
    else
        a->away = err->code == HQ_E_TRANSIENT;
    hq_wal_stream_close(a->stream);
    a->stream = NULL;
    hq_pg_close(a->pg);
    a->pg = NULL;
    archive_start_clear(&a->start);
    return end;
}

void
archiver_wake(struct hq_archiver *a)
{
    /* It can fail only when the counter is full, and then the receiver wakes anyway. */
    (void)!eventfd_write(a->wake, 1);
}
