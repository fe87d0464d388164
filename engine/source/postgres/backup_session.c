#include "backup_session.h"

#include <string.h>

#include "postgres_internal.h"

/* From VERSION_RENAMED on the functions have their present names. */
enum {
    VERSION_RENAMED = 150000,
    VERSION_TRANSACTION_TIMEOUT = 170000,
    LABEL_COLUMNS = 3
};

/*
 * Everything by its full name: what the owner of the database puts before pg_catalog must not
 * answer. 14 calls the functions otherwise, and must be told that the backup is not exclusive.
 */
static const struct {
    const char *start, *stop;    /* commands */
    const char *may_run, *grant; /* a query of one boolean; what to run when it says f */
} commands[] = {
    {"SELECT pg_catalog.pg_start_backup($1::text, $2::boolean, false)",
     "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false, false)",
     "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_start_backup(text,boolean,boolean)',"
     " 'EXECUTE') AND pg_catalog.has_function_privilege("
     "'pg_catalog.pg_stop_backup(boolean,boolean)', 'EXECUTE')",
     "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)"},
    {"SELECT pg_catalog.pg_backup_start($1::text, $2::boolean)",
     "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(false)",
     "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_backup_start(text,boolean)',"
     " 'EXECUTE') AND pg_catalog.has_function_privilege('pg_catalog.pg_backup_stop(boolean)',"
     " 'EXECUTE')",
     "pg_backup_start(text, boolean), pg_backup_stop(boolean)"},
};

static size_t
generation(const struct hq_pg *pg)
{
    return pg->version_number >= VERSION_RENAMED;
}

/* One command with up to two parameters; its one row, for as long as it takes. */
static int
ask(struct hq_pg *pg, const char *command, const char *const values[2], int columns,
    const atomic_int *stop, PGresult **out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;

    *out = NULL;
    if (!PQsendQueryParams(pg->conn, command, values != NULL ? 2 : 0, NULL, values, NULL, NULL, 0))
        return hq_pg_fail(pg, NULL, err);
    for (;;) {
        PGresult *result = NULL;

        if (hq_pg_result(pg, -1, stop, &result, err) != 0)
            return -1;
        if (result == NULL)
            break;
        PQclear(row);
        row = result;
    }
    if (PQntuples(row) != 1 || PQnfields(row) != columns)
        return hq_fail(err, HQ_E_SERVER, "not one row of %d columns", columns);
    *out = row;
    row = NULL;
    return 0;
}

int
hq_backup_session_rights(struct hq_pg *pg, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;
    const char *grant = commands[generation(pg)].grant;

    if (hq_pg_command(pg, commands[generation(pg)].may_run, 1, &row, err) != 0)
        return hq_error_prefix(err, "rights to begin a backup");
    if (PQgetvalue(row, 0, 0)[0] == 't')
        return 0;
    hq_fail(err, HQ_E_REFUSED, "role %s may not begin a backup in database %s", PQuser(pg->conn),
            PQdb(pg->conn));
    return hq_error_hint(err, "in database %s: GRANT EXECUTE ON FUNCTION %s TO %s", PQdb(pg->conn),
                         grant, PQuser(pg->conn));
}

int
hq_backup_session_start(struct hq_pg *pg, const char *label, bool fast, const atomic_int *stop,
                        uint64_t *start_lsn, struct hq_error *err)
{
    static const char *const settings[] = {"SET statement_timeout = 0", "SET lock_timeout = 0",
                                           "SET idle_session_timeout = 0",
                                           "SET transaction_timeout = 0"};
    size_t count = pg->version_number >= VERSION_TRANSACTION_TIMEOUT ? 4 : 3;
    const char *const values[2] = {label, fast ? "true" : "false"};
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;

    for (size_t i = 0; i < count; i++) {
        HQ_AUTO(hq_auto_result)
        PGresult *done = NULL;

        if (hq_pg_command(pg, settings[i], 0, &done, err) != 0)
            return hq_error_prefix(err, "%s", settings[i]);
    }
    if (ask(pg, commands[generation(pg)].start, values, 1, stop, &row, err) != 0)
        return hq_error_prefix(err, "begin the backup");
    return hq_pg_field_lsn(row, 0, 0, start_lsn, err);
}

static int
fail_lost(struct hq_error *err)
{
    struct hq_error why = *err;

    hq_fail(err, HQ_E_TRANSIENT, "the session that holds the backup was lost (%.300s)",
            why.message);
    return hq_error_hint(err, "what was copied is void: the next backup begins anew");
}

int
hq_backup_session_alive(struct hq_pg *pg, struct hq_error *err)
{
    /* The server says something to an idle session only to end it. */
    if (PQconsumeInput(pg->conn) && PQstatus(pg->conn) == CONNECTION_OK)
        return 0;
    hq_pg_fail(pg, NULL, err);
    return fail_lost(err);
}

void
hq_backup_end_clear(struct hq_backup_end *end)
{
    hq_buf_clear(&end->label_text);
    hq_buf_clear(&end->map_text);
}

static int
take_text(const PGresult *row, int column, size_t max, struct hq_buf *out, struct hq_error *err)
{
    size_t len = (size_t)PQgetlength(row, 0, column);

    if (len > max)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s of %zu bytes", PQfname(row, column), len);
    hq_buf_put(out, PQgetvalue(row, 0, column), len);
    return hq_buf_check(out, PQfname(row, column), err);
}

/* A server that refuses says why; a promotion is the one reason after which all else is well. */
static int
fail_stop(struct hq_pg *pg, const atomic_int *stop, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;
    struct hq_error ignored = {0};

    if (err->code == HQ_E_INTERRUPTED)
        return -1;
    /* The answer is read to its end: it may be the last that this session says. */
    while (hq_pg_result(pg, -1, stop, &row, &ignored) == 0 && row != NULL) {
        PQclear(row);
        row = NULL;
    }
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return fail_lost(err);
    if (err->code == HQ_E_SERVER) {
        err->code = HQ_E_TRANSIENT;
        hq_error_hint(err, "what was copied is void: the next backup begins anew");
    }
    return hq_error_prefix(err, "end the backup");
}

int
hq_backup_session_stop(struct hq_pg *pg, const atomic_int *stop, struct hq_backup_end *out,
                       struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;

    *out = (struct hq_backup_end){0};
    if (ask(pg, commands[generation(pg)].stop, NULL, LABEL_COLUMNS, stop, &row, err) != 0)
        return fail_stop(pg, stop, err);
    if (PQgetisnull(row, 0, 1))
        return hq_fail(err, HQ_E_SERVER, "end the backup: the server gave no backup_label");
    if (hq_pg_field_lsn(row, 0, 0, &out->stop_lsn, err) != 0 ||
        take_text(row, 1, HQ_BACKUP_LABEL_MAX, &out->label_text, err) != 0 ||
        take_text(row, 2, HQ_TABLESPACE_MAP_MAX, &out->map_text, err) != 0 ||
        hq_backup_label_parse((const char *)out->label_text.data, out->label_text.len, &out->label,
                              err) != 0) {
        hq_backup_end_clear(out);
        return hq_error_prefix(err, "end the backup");
    }
    return 0;
}
