#include "copy_stream.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* How many bytes pass between two reports of progress. */
enum {
    PROGRESS_STEP = 4 << 20
};

/*
 * Of a message of PostgreSQL 15 and later the first byte is its kind:
 *   n  a new archive: its name and the tablespace's path, each zero-terminated
 *   m  a backup manifest begins (not asked for)
 *   d  bytes of the archive
 *   p  progress
 */
enum {
    NEW_ARCHIVE = 'n',
    ARCHIVE_DATA = 'd',
    PROGRESS = 'p'
};

static bool
typed(const struct hq_copy_stream *s)
{
    return s->pg->version_number >= HQ_PG_VERSION_OPTIONS;
}

static void
drop_message(struct hq_copy_stream *s)
{
    PQfreemem(s->message);
    s->message = NULL;
}

/*
 * That there are no more messages may mean that the archive is complete or that the server gave up
 * in its midst; the next result says which.
 */
static int
end_copy(struct hq_copy_stream *s, struct hq_error *err)
{
    s->copying = false;
    return hq_pg_result(s->pg, -1, s->options->stop, &s->after, err);
}

/* The next message of the COPY, in s->message; NULL there after the last. */
static int
next_message(struct hq_copy_stream *s, struct hq_error *err)
{
    PGconn *conn = s->pg->conn;
    const atomic_int *stop = s->options->stop;

    drop_message(s);
    for (;;) {
        if (stop != NULL && *stop)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
        s->message_len = PQgetCopyData(conn, &s->message, 1);
        if (s->message_len == -1)
            return end_copy(s, err);
        if (s->message_len == -2)
            return hq_pg_fail(s->pg, NULL, err);
        if (s->message_len != 0)
            return 0;
        if (hq_pg_wait(s->pg, -1, stop, err) < 0)
            return -1;
        if (!PQconsumeInput(conn))
            return hq_pg_fail(s->pg, NULL, err);
    }
}

static int
begin_copy(struct hq_copy_stream *s, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = s->after;

    s->after = NULL;
    if (result == NULL && hq_pg_result(s->pg, -1, s->options->stop, &result, err) != 0)
        return -1;
    if (PQresultStatus(result) != PGRES_COPY_OUT)
        return hq_fail(err, HQ_E_CORRUPT, "the server sent %s where an archive begins",
                       PQresStatus(PQresultStatus(result)));
    s->copying = true;
    return 0;
}

/* The message must begin the archive of @p oid: "base.tar" or "<oid>.tar". */
static int
check_archive_name(const struct hq_copy_stream *s, uint32_t oid, struct hq_error *err)
{
    const char *name = s->message + 1;
    char wanted[32] = "base.tar";

    if (oid != 0)
        snprintf(wanted, sizeof wanted, "%" PRIu32 ".tar", oid);
    if (memchr(name, '\0', (size_t)s->message_len - 1) == NULL || strcmp(name, wanted) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "the server sent another archive than %s", wanted);
    return 0;
}

/* Up to the message that begins the next archive, or to the end of the COPY. */
static int
find_archive(struct hq_copy_stream *s, struct hq_error *err)
{
    while (s->copying && !s->archive_due) {
        if (next_message(s, err) != 0)
            return -1;
        if (s->message == NULL)
            break;
        s->archive_due = s->message[0] == NEW_ARCHIVE;
        if (!s->archive_due && s->message[0] != PROGRESS)
            return hq_fail(err, HQ_E_CORRUPT, "message 0x%02X where an archive begins",
                           (unsigned)(unsigned char)s->message[0]);
    }
    return 0;
}

int
hq_copy_stream_archive(struct hq_copy_stream *s, bool *more, struct hq_error *err)
{
    size_t index = s->next;

    *more = index < s->order_count;
    if (!typed(s)) {
        if (*more && begin_copy(s, err) != 0)
            return -1;
    } else {
        if ((index == 0 && begin_copy(s, err) != 0) || find_archive(s, err) != 0)
            return -1;
        if (s->archive_due != *more)
            return hq_fail(err, HQ_E_CORRUPT, "the server sent %s archives than it has tablespaces",
                           *more ? "fewer" : "more");
        if (*more && check_archive_name(s, s->order[index], err) != 0)
            return -1;
    }
    s->archive_due = false;
    s->next++;
    return 0;
}

static void
tell_progress(struct hq_copy_stream *s, size_t len)
{
    s->done += len;
    if (s->options->progress == NULL || s->done - s->told < PROGRESS_STEP)
        return;
    s->told = s->done;
    s->options->progress(s->options->context, s->done, s->total);
}

/* Skip to the next message with bytes of this archive. @p header: bytes before them. */
static int
next_data(struct hq_copy_stream *s, size_t *header, struct hq_error *err)
{
    *header = typed(s) ? 1 : 0;
    while (s->copying && !s->archive_due) {
        if (next_message(s, err) != 0)
            return -1;
        if (s->message == NULL || !typed(s) ||
            (s->message[0] == ARCHIVE_DATA && s->message_len > 1))
            break;
        s->archive_due = s->message[0] == NEW_ARCHIVE;
        if (!s->archive_due && s->message[0] != PROGRESS && s->message[0] != ARCHIVE_DATA)
            return hq_fail(err, HQ_E_CORRUPT, "message 0x%02X within an archive",
                           (unsigned)(unsigned char)s->message[0]);
    }
    return 0;
}

int
hq_copy_stream_pull(void *context, const uint8_t **data, size_t *len, struct hq_error *err)
{
    struct hq_copy_stream *s = context;
    size_t header;

    *data = NULL;
    *len = 0;
    if (next_data(s, &header, err) != 0)
        return -1;
    if (!s->copying || s->archive_due)
        return 0;
    *data = (const uint8_t *)s->message + header;
    *len = (size_t)s->message_len - header;
    tell_progress(s, *len);
    return 0;
}

void
hq_copy_stream_clear(struct hq_copy_stream *s)
{
    drop_message(s);
    PQclear(s->after);
    s->after = NULL;
}
