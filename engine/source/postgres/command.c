#include "postgres_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* How long *stop may go unseen, and how long a command that only looks something up may take. */
enum {
    STOP_STEP_MS = 200,
    COMMAND_TIMEOUT_MS = 60000
};

/* One poll of at most @p ms. @return 1 something to consume, 0 nothing, -1 failed. */
static int
poll_once(struct hq_pg *pg, int64_t ms, struct hq_error *err)
{
    struct pollfd fd = {.fd = PQsocket(pg->conn), .events = POLLIN};
    int rc;

    if (fd.fd < 0)
        return hq_pg_fail(pg, NULL, err);
    rc = poll(&fd, 1, (int)ms);
    if (rc < 0 && errno != EINTR)
        return hq_fail_sys(err, errno, "wait for PostgreSQL");
    return rc > 0 ? 1 : 0;
}

int
hq_pg_wait(struct hq_pg *pg, int64_t timeout_ms, const atomic_int *stop, struct hq_error *err)
{
    int64_t end_us = hq_clock_monotonic_us() + timeout_ms * 1000;

    for (;;) {
        int64_t step = STOP_STEP_MS;
        int rc;

        if (stop != NULL && *stop)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while waiting for PostgreSQL");
        if (timeout_ms >= 0) {
            int64_t left = (end_us - hq_clock_monotonic_us() + 999) / 1000;

            step = left < step ? (left > 0 ? left : 0) : step;
        }
        rc = poll_once(pg, step, err);
        if (rc != 0)
            return rc;
        if (step == STOP_STEP_MS && (PQsslInUse(pg->conn) || PQgssEncInUse(pg->conn)))
            return 1;
        if (timeout_ms >= 0 && hq_clock_monotonic_us() >= end_us)
            return 0;
    }
}

/* Wait for the next result, whatever it says. */
static int
next_result(struct hq_pg *pg, int64_t timeout_ms, const atomic_int *stop, PGresult **out,
            struct hq_error *err)
{
    int64_t begin_us = hq_clock_monotonic_us();

    while (PQisBusy(pg->conn)) {
        int64_t left_ms = timeout_ms;

        if (timeout_ms >= 0)
            left_ms -= (hq_clock_monotonic_us() - begin_us) / 1000;
        if (timeout_ms >= 0 && left_ms <= 0)
            return hq_fail(err, HQ_E_TRANSIENT, "PostgreSQL did not answer within %" PRId64 " s",
                           timeout_ms / 1000);
        if (hq_pg_wait(pg, left_ms, stop, err) < 0)
            return -1;
        if (!PQconsumeInput(pg->conn))
            return hq_pg_fail(pg, NULL, err);
    }
    *out = PQgetResult(pg->conn);
    return 0;
}

static bool
is_error(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_FATAL_ERROR ||
           PQresultStatus(result) == PGRES_BAD_RESPONSE;
}

int
hq_pg_result(struct hq_pg *pg, int64_t timeout_ms, const atomic_int *stop, PGresult **out,
             struct hq_error *err)
{
    PGresult *result = NULL;

    *out = NULL;
    if (next_result(pg, timeout_ms, stop, &result, err) != 0)
        return -1;
    if (result != NULL && is_error(result)) {
        hq_pg_fail(pg, result, err);
        PQclear(result);
        return -1;
    }
    *out = result;
    return 0;
}

int
hq_pg_command(struct hq_pg *pg, const char *command, int columns, PGresult **out,
              struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *last = NULL;
    bool failed = false;

    *out = NULL;
    if (!PQsendQuery(pg->conn, command))
        return hq_pg_fail(pg, NULL, err);
    /* After an error too the answer is read to its end: the connection stays usable. */
    for (;;) {
        PGresult *result = NULL;

        if (next_result(pg, COMMAND_TIMEOUT_MS, NULL, &result, err) != 0)
            return -1;
        if (result == NULL)
            break;
        if (is_error(result) && !failed) {
            failed = true;
            hq_pg_fail(pg, result, err);
        }
        PQclear(last);
        last = result;
    }
    if (failed)
        return -1;
    if (columns > 0 && (PQntuples(last) != 1 || PQnfields(last) < columns))
        return hq_fail(err, HQ_E_SERVER, "%d rows of %d columns, not 1 of %d", PQntuples(last),
                       PQnfields(last), columns);
    *out = last;
    last = NULL;
    return 0;
}

int
hq_pg_field_u64(const PGresult *result, int row, int column, uint64_t max, uint64_t *out,
                struct hq_error *err)
{
    const char *text = PQgetvalue(result, row, column);
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > max)
        return hq_fail(err, HQ_E_SERVER, "%s is \"%.40s\", not a number up to %" PRIu64,
                       PQfname(result, column), text, max);
    *out = value;
    return 0;
}

/* 1 to 8 hexadecimal digits, then @p stop. @return past it, or NULL. */
static const char *
parse_hex32(const char *text, char stop, uint64_t *out)
{
    size_t len = strspn(text, "0123456789abcdefABCDEF");

    if (len < 1 || len > 8 || text[len] != stop)
        return NULL;
    *out = strtoull(text, NULL, 16);
    return text + len + 1;
}

int
hq_pg_field_lsn(const PGresult *result, int row, int column, uint64_t *out, struct hq_error *err)
{
    const char *text = PQgetvalue(result, row, column);
    const char *rest;
    uint64_t high = 0, low = 0;

    rest = parse_hex32(text, '/', &high);
    if (rest == NULL || parse_hex32(rest, '\0', &low) == NULL)
        return hq_fail(err, HQ_E_SERVER, "%s is \"%.40s\", not an LSN", PQfname(result, column),
                       text);
    *out = high << 32 | low;
    return 0;
}
