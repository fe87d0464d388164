#include "postgres/walstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "postgres_internal.h"

/*
 * Messages of the streaming replication protocol (PostgreSQL's documentation, 55.4), all integers
 * big-endian:
 *   'w' u64 start, u64 server's end of WAL, i64 time, bytes          from the server
 *   'k' u64 server's end of WAL, i64 time, u8 reply wanted            from the server
 *   'r' u64 written, u64 flushed, u64 applied, i64 time, u8 reply     to the server
 */
enum {
    DATA_HEADER = 1 + 8 + 8 + 8,
    KEEPALIVE_BYTES = 1 + 8 + 8 + 1,
    REPORT_BYTES = 1 + 8 + 8 + 8 + 8 + 1,
    END_TIMEOUT_MS = 10000,
    START_TIMEOUT_MS = 60000,
    SLOT_NAME_MAX = 63,
};

struct hq_wal_stream {
    struct hq_pg *pg;
    char *message; /**< libpq's, lent out with the last event */
    bool copying;
};

static uint64_t
get_be64(const char *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static void
put_be64(char *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (char)(v & 0xff);
}

static int64_t
server_time(const char *p)
{
    int64_t us;

    /* A hostile time must not overflow; it only shows in delays. */
    if (__builtin_add_overflow((int64_t)get_be64(p), HQ_POSTGRES_EPOCH_US, &us))
        return 0;
    return us;
}

static bool
slot_name_valid(const char *slot)
{
    size_t len = strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return len > 0 && len <= SLOT_NAME_MAX && slot[len] == '\0';
}

int
hq_wal_stream_start(struct hq_pg *pg, const char *slot, uint32_t timeline, uint64_t lsn,
                    struct hq_wal_stream **out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    struct hq_wal_stream *s;
    char command[160];

    *out = NULL;
    if (!slot_name_valid(slot))
        return hq_fail(err, HQ_E_CONFIG, "%s can't be a slot's name: it is of a-z, 0-9 and _",
                       slot);
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL stream");
    s->pg = pg;
    snprintf(command, sizeof command, "START_REPLICATION SLOT %s PHYSICAL %X/%X TIMELINE %" PRIu32,
             slot, (unsigned)(lsn >> 32), (unsigned)lsn, timeline);
    if (!PQsendQuery(pg->conn, command)) {
        hq_pg_fail(pg, NULL, err);
        goto fail;
    }
    if (hq_pg_result(pg, START_TIMEOUT_MS, NULL, &result, err) != 0)
        goto fail;
    if (result == NULL || PQresultStatus(result) != PGRES_COPY_BOTH) {
        hq_fail(err, HQ_E_SERVER, "the server did not begin to stream");
        goto fail;
    }
    s->copying = true;
    *out = s;
    return 0;

fail:
    free(s);
    return hq_error_prefix(err, "stream WAL of timeline %" PRIu32 " from %X/%X", timeline,
                           (unsigned)(lsn >> 32), (unsigned)lsn);
}

/* The timeline ended: the server names the next one, or nothing when it shuts down. */
static int
end_of_timeline(struct hq_wal_stream *s, struct hq_wal_message *out, struct hq_error *err)
{
    PGresult *result = NULL;
    uint64_t timeline;

    s->copying = false;
    if (PQputCopyEnd(s->pg->conn, NULL) < 0 || PQflush(s->pg->conn) < 0)
        return hq_pg_fail(s->pg, NULL, err);
    *out = (struct hq_wal_message){.event = HQ_WAL_END};
    do {
        PQclear(result);
        if (hq_pg_result(s->pg, END_TIMEOUT_MS, NULL, &result, err) != 0)
            return -1;
        if (result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
            PQnfields(result) >= 2) {
            if (hq_pg_field_u64(result, 0, 0, UINT32_MAX, &timeline, err) != 0 ||
                hq_pg_field_lsn(result, 0, 1, &out->lsn, err) != 0) {
                PQclear(result);
                return -1;
            }
            out->next_timeline = (uint32_t)timeline;
        }
    } while (result != NULL);
    return 0;
}

static int
decode(const char *message, int len, struct hq_wal_message *out, struct hq_error *err)
{
    if (message[0] == 'w' && len > DATA_HEADER) {
        *out = (struct hq_wal_message){.event = HQ_WAL_DATA,
                                       .lsn = get_be64(message + 1),
                                       .sent_us = server_time(message + 17),
                                       .data = (const uint8_t *)message + DATA_HEADER,
                                       .len = (size_t)len - DATA_HEADER};
        return 0;
    }
    if (message[0] == 'k' && len >= KEEPALIVE_BYTES) {
        *out = (struct hq_wal_message){.event = HQ_WAL_KEEPALIVE,
                                       .lsn = get_be64(message + 1),
                                       .sent_us = server_time(message + 9),
                                       .reply_wanted = message[17] != 0};
        return 0;
    }
    return hq_fail(err, HQ_E_CORRUPT, "the server sent an unknown message (0x%02X, %d bytes)",
                   (unsigned)(uint8_t)message[0], len);
}

int
hq_wal_stream_next(struct hq_wal_stream *s, int timeout_ms, struct hq_wal_message *out,
                   struct hq_error *err)
{
    int64_t deadline = hq_clock_monotonic_us() + (int64_t)timeout_ms * 1000;

    *out = (struct hq_wal_message){.event = HQ_WAL_TIMEOUT};
    PQfreemem(s->message);
    s->message = NULL;
    for (;;) {
        int len = PQgetCopyData(s->pg->conn, &s->message, 1);
        int64_t left_us = deadline - hq_clock_monotonic_us();
        int waited;

        if (len == -1)
            return end_of_timeline(s, out, err);
        if (len == -2)
            return hq_pg_fail(s->pg, NULL, err);
        if (len > 0)
            return decode(s->message, len, out, err);
        if (left_us <= 0)
            return 0;
        waited = hq_pg_wait(s->pg, left_us / 1000 + 1, NULL, err);
        if (waited < 0)
            return -1;
        if (waited > 0 && !PQconsumeInput(s->pg->conn))
            return hq_pg_fail(s->pg, NULL, err);
    }
}

int
hq_wal_stream_report(struct hq_wal_stream *s, uint64_t write, uint64_t flush, bool reply,
                     struct hq_error *err)
{
    char report[REPORT_BYTES];

    report[0] = 'r';
    put_be64(report + 1, write);
    put_be64(report + 9, flush);
    put_be64(report + 17, 0); /* nothing is applied here */
    put_be64(report + 25, (uint64_t)(hq_clock_wall_us() - HQ_POSTGRES_EPOCH_US));
    report[33] = reply ? 1 : 0;
    if (PQputCopyData(s->pg->conn, report, sizeof report) <= 0 || PQflush(s->pg->conn) < 0)
        return hq_pg_fail(s->pg, NULL, err);
    return 0;
}

void
hq_wal_stream_close(struct hq_wal_stream *s)
{
    struct hq_error ignored = {0};
    struct hq_wal_message end;

    if (s == NULL)
        return;
    PQfreemem(s->message);
    s->message = NULL;
    /* Politely, so that the slot is free at once; what is under way is received again later. */
    if (s->copying && PQstatus(s->pg->conn) == CONNECTION_OK)
        (void)!end_of_timeline(s, &end, &ignored);
    free(s);
}
