#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "start_internal.h"

/* From the newest to the oldest that a cluster can't be without: the first may be dropped. */
static const char *const databases[] = {"postgres", "template1"};

PGconn *
start_query_connect(const struct hq_server *server, const char *database)
{
    char port[8];
    const char *const keywords[] = {"host",
                                    "port",
                                    "user",
                                    "dbname",
                                    "options",
                                    "connect_timeout",

                                    "target_session_attrs",
                                    "application_name",
                                    "client_encoding",
                                    NULL};
    /* A default of the role or the cluster must neither stop nor delay these questions. */
    const char *const values[] = {server->socket_directory,
                                  port,
                                  server->options.user,
                                  database,
                                  "-c statement_timeout=0 -c lock_timeout=2s"
                                  " -c default_transaction_read_only=off",
                                  "10",
                                  "any",
                                  "hq-restore",
                                  "UTF8",
                                  NULL};

    snprintf(port, sizeof port, "%d", START_PORT);
    return PQconnectdbParams(keywords, values, 0);
}

static void
one_line(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    for (; *text != '\0'; text++)
        if (*text == '\n')
            *text = ' ';
}

static bool
mentions(const char *text, const char *words)
{
    return strstr(text, words) != NULL;
}

/* Whether waiting is no use: the server answers, but never to this user. */
static int
refused_for_good(const struct hq_server *server, const char *text, struct hq_error *err)
{
    char message[512];

    if (!mentions(text, "role \"") && !mentions(text, "authentication failed") &&
        !mentions(text, "pg_hba.conf"))
        return 0;
    snprintf(message, sizeof message, "%s", text);
    one_line(message);
    hq_fail(err, HQ_E_SERVER, "the server in %s can't be asked: %s", server->directory, message);
    return hq_error_hint(err, "name a superuser of the cluster with --user; the server goes on");
}

/* @return 1 connected, 0 not yet, -1 never */
static int
ensure(struct hq_server *server, struct hq_error *err)
{
    if (server->conn != NULL && PQstatus(server->conn) == CONNECTION_OK)
        return 1;
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        const char *why;

        start_query_close(server);
        server->conn = start_query_connect(server, databases[i]);
        if (server->conn == NULL)
            return hq_fail(err, HQ_E_NOMEM, "connection");
        if (PQstatus(server->conn) == CONNECTION_OK)
            return 1;
        why = PQerrorMessage(server->conn);
        if (!mentions(why, "database \""))
            return refused_for_good(server, why, err);
    }
    return 0;
}

/* @return the one row, or NULL with the error set. */
static PGresult *
ask(struct hq_server *server, const char *query, struct hq_error *err)
{
    PGresult *result = PQexec(server->conn, query);
    char message[512];

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        return result;
    snprintf(message, sizeof message, "%s", PQerrorMessage(server->conn));
    one_line(message);
    (void)hq_fail(err, HQ_E_SERVER, "ask the server in %s: %s", server->directory, message);
    PQclear(result);
    return NULL;
}

static bool
is_true(const PGresult *result, int column)
{
    return PQgetvalue(result, 0, column)[0] == 't';
}

/*
 * Without a primary, the startup process waits in this one place when the archive and pg_wal have
 * nothing more. What was paused by a person, or by the server for want of settings, is paused too:
 * the caller tells that by the log.
 */
static const char state_query[] =
    "SELECT r, l::text, (extract(epoch FROM t) * 1000000)::bigint,"
    " CASE WHEN r THEN pg_get_wal_replay_pause_state() = 'paused' ELSE false END,"
    " coalesce((SELECT wait_event = 'RecoveryRetrieveRetryInterval' FROM pg_stat_activity"
    " WHERE backend_type = 'startup'), false)"
    " FROM (SELECT pg_is_in_recovery() r, pg_last_wal_replay_lsn() l,"
    " pg_last_xact_replay_timestamp() t) s";

int
start_query_state(struct hq_server *server, struct start_state *out, struct hq_error *err)
{
    PGresult *result;
    int ready = ensure(server, err);

    *out = (struct start_state){0};
    if (ready <= 0)
        return ready;
    result = ask(server, state_query, err);
    if (result == NULL) {
        /* It shut the connection as it ended, or left recovery between two of these questions. */
        if (PQstatus(server->conn) == CONNECTION_OK && !mentions(err->message, "in progress"))
            return -1;
        hq_error_clear(err);
        return 0;
    }
    out->in_recovery = is_true(result, 0);
    (void)hq_lsn_parse(PQgetvalue(result, 0, 1), &out->lsn);
    if (!PQgetisnull(result, 0, 2))
        out->time_us = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    out->paused = is_true(result, 3);
    out->out_of_wal = is_true(result, 4);
    PQclear(result);
    return 1;
}

/* A connection for what can't wait until the server answers. */
static int
require(struct hq_server *server, struct hq_error *err)
{
    int ready = ensure(server, err);

    if (ready == 0)
        return hq_fail(err, HQ_E_SERVER, "the server in %s does not answer", server->directory);
    return ready < 0 ? -1 : 0;
}

int
start_query_promote(struct hq_server *server, struct hq_error *err)
{
    PGresult *result;

    if (require(server, err) != 0)
        return -1;
    result = ask(server, "SELECT pg_promote(false)", err);
    if (result == NULL)
        return hq_error_prefix(err, "promote");
    PQclear(result);
    return 0;
}

int
start_query_promoted(struct hq_server *server, uint32_t *timeline, uint64_t *lsn,
                     struct hq_error *err)
{
    PGresult *result;

    if (require(server, err) != 0)
        return -1;
    result = ask(server,
                 "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),"
                 " pg_current_wal_lsn()::text",
                 err);
    if (result == NULL)
        return -1;
    *timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 0), NULL, 16);
    (void)hq_lsn_parse(PQgetvalue(result, 0, 1), lsn);
    PQclear(result);
    return 0;
}

void
start_query_close(struct hq_server *server)
{
    PQfinish(server->conn);
    server->conn = NULL;
}
