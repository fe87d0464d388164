#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "start_internal.h"

/*
 * The startup process holds what replayed transactions locked (XLOG_STANDBY_LOCK). Names are in
 * each database's own pg_class; indexes and TOAST tables go with their table.
 */
static const char held_query[] =
    "SELECT DISTINCT l.database, coalesce(d.datname, ''), l.relation FROM pg_locks l"
    " JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_type = 'startup'"
    " LEFT JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted"
    " ORDER BY 1, 3";
static const char name_query[] =
    "SELECT n.nspname || '.' || c.relname, c.relkind NOT IN ('i', 'I', 't')"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid";

static void
add(struct hq_start_locked *out, const char *database, const char *name)
{
    if (out->count < HQ_START_LOCKED_MAX)
        snprintf(out->names[out->count], sizeof out->names[0], "%s%s%s", database,
                 database[0] != '\0' ? "." : "", name);
    out->count++;
}

/* Row @p i of @p held, by name if @p conn is of its database and answers. */
static void
add_row(struct hq_start_locked *out, PGconn *conn, const PGresult *held, int i)
{
    const char *oid = PQgetvalue(held, i, 2);
    const char *const values[] = {oid};
    const char *database = PQgetvalue(held, i, 1);
    PGresult *found = NULL;
    char text[48];

    if (PQstatus(conn) == CONNECTION_OK)
        found = PQexecParams(conn, name_query, 1, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(found) == PGRES_TUPLES_OK && PQntuples(found) == 1) {
        if (PQgetvalue(found, 0, 1)[0] == 't')
            add(out, database, PQgetvalue(found, 0, 0));
    } else {
        snprintf(text, sizeof text, "relation %.16s", oid);
        add(out, database, text);
    }
    PQclear(found);
}

int
hq_start_locked(struct hq_server *server, struct hq_start_locked *out, struct hq_error *err)
{
    PGresult *held;
    PGconn *conn = NULL;
    const char *database = NULL;

    *out = (struct hq_start_locked){0};
    if (server->conn == NULL)
        return hq_fail(err, HQ_E_SERVER, "the server in %s does not answer", server->directory);
    held = PQexec(server->conn, held_query);
    if (PQresultStatus(held) != PGRES_TUPLES_OK) {
        (void)hq_fail(err, HQ_E_SERVER, "ask the server in %s for its locks: %.300s",
                      server->directory, PQerrorMessage(server->conn));
        PQclear(held);
        return -1;
    }
    for (int i = 0; i < PQntuples(held); i++) {
        const char *of = PQgetvalue(held, i, 1);

        if (database == NULL || strcmp(database, of) != 0) {
            PQfinish(conn);
            conn = of[0] != '\0' ? start_query_connect(server, of) : NULL;
            database = of;
        }
        add_row(out, conn, held, i);
    }
    PQfinish(conn);
    PQclear(held);
    return 0;
}
