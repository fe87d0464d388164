#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "catalog_internal.h"

int
db_fail(struct hq_catalog *c, const char *what, struct hq_error *err)
{
    enum hq_code code = HQ_E_SYS;
    int primary = sqlite3_errcode(c->db) & 0xff;

    if (primary == SQLITE_FULL)
        code = HQ_E_NO_SPACE;
    else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        code = HQ_E_CORRUPT;
    else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
        code = HQ_E_BUSY;
    else if (primary == SQLITE_NOMEM)
        code = HQ_E_NOMEM;
    else if (primary == SQLITE_READONLY || primary == SQLITE_PERM || primary == SQLITE_CANTOPEN)
        code = HQ_E_REFUSED;
    hq_fail(err, code, "catalog %s: %s: %s", c->path, what, sqlite3_errmsg(c->db));
    if (code == HQ_E_CORRUPT)
        hq_error_hint(err, "stop what uses it and run `hq-backup catalog rebuild`: "
                           "everything in it comes back from the repository");
    return -1;
}

int
db_exec(struct hq_catalog *c, const char *sql, struct hq_error *err)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(c, sql, err);
}

int
db_transaction(struct hq_catalog *c, const char *sql, struct hq_error *err)
{
    if (db_exec(c, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    if (db_exec(c, sql, err) == 0 && db_exec(c, "COMMIT", err) == 0)
        return 0;
    /* Left open it would refuse every later transaction of this program. */
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

sqlite3_stmt *
db_prepare(struct hq_catalog *c, const char *sql, struct hq_error *err)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        db_fail(c, sql, err);
        return NULL;
    }
    return stmt;
}

static int
bind_all(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err, const char *types,
         va_list args)
{
    int rc = SQLITE_OK;

    for (int i = 1; *types != '\0' && rc == SQLITE_OK; i++, types++) {
        if (*types == 'i')
            rc = sqlite3_bind_int64(stmt, i, va_arg(args, int64_t));
        else if (*types == 't')
            rc = sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else
            rc = sqlite3_bind_blob(stmt, i, va_arg(args, const struct hq_id *)->bytes, HQ_ID_BYTES,
                                   SQLITE_TRANSIENT);
    }
    return rc == SQLITE_OK ? 0 : db_fail(c, "bind", err);
}

int
db_bind(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err, const char *types, ...)
{
    va_list args;
    int result;

    va_start(args, types);
    result = bind_all(c, stmt, err, types, args);
    va_end(args);
    return result;
}

int
db_step(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_fail(c, sqlite3_sql(stmt), err);
}

int
db_run(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err)
{
    int result = db_step(c, stmt, err) < 0 ? -1 : 0;

    sqlite3_reset(stmt);
    return result;
}

int
db_do(struct hq_catalog *c, struct hq_error *err, const char *sql, const char *types, ...)
{
    DB_STATEMENT *stmt = db_prepare(c, sql, err);
    va_list args;
    int result;

    if (stmt == NULL)
        return -1;
    va_start(args, types);
    result = bind_all(c, stmt, err, types, args);
    va_end(args);
    return result != 0 ? -1 : db_run(c, stmt, err);
}

void
db_text(sqlite3_stmt *stmt, int column, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    snprintf(out, size, "%s", text == NULL ? "" : text);
}
