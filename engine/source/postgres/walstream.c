#include "postgres/walstream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "postgres_internal.h"

/* Messages within the COPY (protocol documentation, "Streaming Replication Protocol"). */
enum {
    DATA_HEADER_BYTES = 25,
    KEEPALIVE_BYTES = 18,
    REPORT_BYTES = 34
};

enum {
    /* Bytes may wait in the TLS library, where poll(2) does not see them. */
    TLS_STEP_MS = 200,
    ANSWER_TIMEOUT_MS = 60000,
    CLOSE_TIMEOUT_MS = 2000
};

struct hq_wal_stream {
    struct hq_pg *pg;
    char *message; /* libpq's, the one last given out */
    int wake_fd;
    bool copying;
    /* The timeline's end, when the server had nothing of it to send. */
    bool ended;
    uint32_t next_timeline;
    uint64_t next_lsn;
};

/* Integers of the protocol are big-endian. */
static uint64_t
get_be64(const char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static void
set_be64(char *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (char)(uint8_t)v;
}

static int64_t
server_time(const char *p)
{
    int64_t us;

    if (__builtin_add_overflow((int64_t)get_be64(p), HQ_POSTGRES_EPOCH_US, &us))
        return 0;
    return us;
}

/* The row that says which timeline follows, and from where. */
static int
take_next_timeline(struct hq_wal_stream *s, const PGresult *result, struct hq_error *err)
{
    uint64_t timeline;

    if (PQntuples(result) != 1 || PQnfields(result) < 2)
        return hq_fail(err, HQ_E_SERVER, "the timeline's end came as %d rows of %d columns",
                       PQntuples(result), PQnfields(result));
    if (hq_pg_field_u64(result, 0, 0, UINT32_MAX, &timeline, err) != 0 ||
        hq_pg_field_lsn(result, 0, 1, &s->next_lsn, err) != 0)
        return -1;
    if (timeline == 0)
        return hq_fail(err, HQ_E_SERVER, "the timeline's end names no timeline");
    s->next_timeline = (uint32_t)timeline;
    return 0;
}

/* Read results until there is none: after a COPY, or instead of one. */
static int
finish_results(struct hq_wal_stream *s, PGresult *first, struct hq_error *err)
{
    PGresult *result = first;
    int failed = 0;

    s->ended = true;
    while (result != NULL) {
        if (failed == 0 && PQresultStatus(result) == PGRES_TUPLES_OK)
            failed = take_next_timeline(s, result, err);
        PQclear(result);
        if (hq_pg_result(s->pg, ANSWER_TIMEOUT_MS, NULL, &result, err) != 0)
            return -1;
    }
    return failed;
}

static int
begin_copy(struct hq_wal_stream *s, const char *command, struct hq_error *err)
{
    PGresult *result = NULL;

    if (!PQsendQuery(s->pg->conn, command))
        return hq_pg_fail(s->pg, NULL, err);
    if (hq_pg_result(s->pg, ANSWER_TIMEOUT_MS, NULL, &result, err) != 0)
        return -1;
    if (PQresultStatus(result) != PGRES_COPY_BOTH)
        return finish_results(s, result, err);
    PQclear(result);
    s->copying = true;
    return 0;
}

static int
format_command(const char *slot, uint32_t timeline, uint64_t lsn, char *out, size_t size,
               struct hq_error *err)
{
    int len;

    /* The slot's name goes into the command as it is, so it must be one. */
    if (slot[strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
        return hq_fail(err, HQ_E_USAGE, "\"%.80s\" is not a slot's name", slot);
    len = snprintf(out, size,
                   "START_REPLICATION SLOT \"%s\" PHYSICAL %" PRIX32 "/%08" PRIX32
                   " TIMELINE %" PRIu32,
                   slot, (uint32_t)(lsn >> 32), (uint32_t)lsn, timeline);
    if (len < 0 || (size_t)len >= size)
        return hq_fail(err, HQ_E_USAGE, "the slot's name is too long");
    return 0;
}

int
hq_wal_stream_start(struct hq_pg *pg, const char *slot, uint32_t timeline, uint64_t lsn,
                    struct hq_wal_stream **out, struct hq_error *err)
{
    struct hq_wal_stream *s;
    char command[192];

    *out = NULL;
    if (format_command(slot, timeline, lsn, command, sizeof command, err) != 0)
        return -1;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL stream");
    s->pg = pg;
    s->wake_fd = -1;
    if (begin_copy(s, command, err) != 0) {
        free(s);
        return hq_error_prefix(err, "%s", command);
    }
    *out = s;
    return 0;
}

void
hq_wal_stream_wake_on(struct hq_wal_stream *s, int fd)
{
    s->wake_fd = fd;
}

/* The server has closed its half of the COPY, waits for ours, and then says why. */
static int
close_half(struct hq_wal_stream *s, PGresult **out, struct hq_error *err)
{
    PQclear(*out);
    *out = NULL;
    if (PQputCopyEnd(s->pg->conn, NULL) != 1 || PQflush(s->pg->conn) != 0)
        return hq_pg_fail(s->pg, NULL, err);
    return hq_pg_result(s->pg, ANSWER_TIMEOUT_MS, NULL, out, err);
}

/* The COPY ended by itself: the timeline's end, a shutdown, or an error. */
static int
end_copy(struct hq_wal_stream *s, struct hq_error *err)
{
    PGresult *result = NULL;
    int failed;

    s->copying = false;
    failed = hq_pg_result(s->pg, ANSWER_TIMEOUT_MS, NULL, &result, err);
    if (failed == 0 && PQresultStatus(result) == PGRES_COPY_IN)
        failed = close_half(s, &result, err);
    if (failed == 0)
        failed = finish_results(s, result, err);
    if (failed != 0 && err->code == HQ_E_MISSING)
        hq_error_hint(err,
                      "the server has removed WAL that the repository lacks: hq-backupd goes "
                      "on behind the gap and takes a backup; unless the server was restored or "
                      "promoted, which leaves no slot, find out who dropped it");
    return failed;
}

/* Wait for the socket or the wake-up. @return 1: look for a message, 0: give up waiting. */
static int
wait_for_more(struct hq_wal_stream *s, int64_t left_ms, struct hq_error *err)
{
    PGconn *conn = s->pg->conn;
    bool hidden = PQsslInUse(conn) || PQgssEncInUse(conn);
    struct pollfd fds[2] = {{.fd = PQsocket(conn), .events = POLLIN},
                            {.fd = s->wake_fd, .events = POLLIN}};
    int64_t step_ms = hidden && left_ms > TLS_STEP_MS ? TLS_STEP_MS : left_ms;

    if (fds[0].fd < 0)
        return hq_pg_fail(s->pg, NULL, err);
    if (poll(fds, 2, (int)step_ms) < 0 && errno != EINTR)
        return hq_fail_sys(err, errno, "wait for PostgreSQL");
    /* Twice under encryption: one call may leave the rest of what it decrypted behind. */
    if ((fds[0].revents != 0 || hidden) &&
        (!PQconsumeInput(conn) || (hidden && !PQconsumeInput(conn))))
        return hq_pg_fail(s->pg, NULL, err);
    if (fds[0].revents != 0)
        return 1;
    return fds[1].revents == 0 && step_ms < left_ms ? 1 : 0;
}

static int
take_message(struct hq_wal_stream *s, int len, struct hq_wal_message *out, struct hq_error *err)
{
    const char *m = s->message;

    if (m[0] == 'w' && len >= DATA_HEADER_BYTES) {
        out->event = HQ_WAL_DATA;
        out->lsn = get_be64(m + 1);
        out->sent_us = server_time(m + 17);
        out->data = (const uint8_t *)m + DATA_HEADER_BYTES;
        out->len = (size_t)len - DATA_HEADER_BYTES;
        return 0;
    }
    if (m[0] == 'k' && len >= KEEPALIVE_BYTES) {
        out->event = HQ_WAL_KEEPALIVE;
        out->lsn = get_be64(m + 1);
        out->sent_us = server_time(m + 9);
        out->reply_wanted = m[17] != 0;
        return 0;
    }
    return hq_fail(err, HQ_E_SERVER, "replication message of type %d and %d bytes", m[0], len);
}

static int
tell_end(const struct hq_wal_stream *s, struct hq_wal_message *out)
{
    out->event = HQ_WAL_END;
    out->next_timeline = s->next_timeline;
    out->lsn = s->next_lsn;
    return 0;
}

int
hq_wal_stream_next(struct hq_wal_stream *s, int timeout_ms, struct hq_wal_message *out,
                   struct hq_error *err)
{
    int64_t end_us = hq_clock_monotonic_us() + (int64_t)timeout_ms * 1000;

    *out = (struct hq_wal_message){.event = HQ_WAL_TIMEOUT};
    while (!s->ended) {
        int64_t left_ms = (end_us - hq_clock_monotonic_us() + 999) / 1000;
        int len, more;

        PQfreemem(s->message);
        s->message = NULL;
        len = PQgetCopyData(s->pg->conn, &s->message, 1);
        if (len > 0)
            return take_message(s, len, out, err);
        if (len < -1)
            return hq_pg_fail(s->pg, NULL, err);
        if (len == -1) {
            if (end_copy(s, err) != 0)
                return -1;
            break;
        }
        more = wait_for_more(s, left_ms > 0 ? left_ms : 0, err);
        if (more <= 0)
            return more;
    }
    return tell_end(s, out);
}

int
hq_wal_stream_report(struct hq_wal_stream *s, uint64_t write, uint64_t flush, bool reply,
                     struct hq_error *err)
{
    char m[REPORT_BYTES];

    m[0] = 'r';
    set_be64(m + 1, write);
    set_be64(m + 9, flush);
    set_be64(m + 17, 0); /* nothing is replayed here */
    set_be64(m + 25, (uint64_t)(hq_clock_wall_us() - HQ_POSTGRES_EPOCH_US));
    m[33] = reply ? 1 : 0;
    if (!s->copying)
        return 0;
    if (PQputCopyData(s->pg->conn, m, sizeof m) != 1 || PQflush(s->pg->conn) != 0)
        return hq_pg_fail(s->pg, NULL, err);
    return 0;
}

/* Say that no more is wanted and pass over what was on its way, so that the slot is free soon. */
static void
leave_copy(struct hq_wal_stream *s)
{
    int64_t end_us = hq_clock_monotonic_us() + CLOSE_TIMEOUT_MS * 1000;
    struct hq_wal_message ignored;
    struct hq_error err;

    if (PQputCopyEnd(s->pg->conn, NULL) != 1 || PQflush(s->pg->conn) != 0)
        return;
    s->wake_fd = -1;
    do {
        if (hq_wal_stream_next(s, CLOSE_TIMEOUT_MS, &ignored, &err) != 0)
            return;
    } while (ignored.event != HQ_WAL_END && hq_clock_monotonic_us() < end_us);
}

void
hq_wal_stream_close(struct hq_wal_stream *s)
{
    if (s == NULL)
        return;
    if (s->copying)
        leave_copy(s);
    PQfreemem(s->message);
    free(s);
}
