#include "base/cleanup.h"
#include "catalog_internal.h"

int
hq_catalog_losses(struct hq_catalog *c, int64_t *losses, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c, "SELECT losses FROM identity", err);
    int row = stmt == NULL ? -1 : db_step(c, stmt, err);

    *losses = row == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    return row < 0 ? -1 : 0;
}

int
hq_catalog_note_backup(struct hq_catalog *c, const char *cluster, const char *backup,
                       const struct hq_backup_note *note, struct hq_error *err)
{
    DB_LOCKED(c);

    return db_do(c, err, "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", "ttii", cluster,
                 backup, note->losses, note->server_started_us);
}

/* The first column of the one row for a backup; @p missing where there is none. */
static int
ask(struct hq_catalog *c, const char *sql, const char *cluster, const char *backup, int64_t missing,
    int64_t *value, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c, sql, err);
    int row = -1;

    if (stmt != NULL && db_bind(c, stmt, err, "tt", cluster, backup) == 0)
        row = db_step(c, stmt, err);
    *value = row == 1 ? sqlite3_column_int64(stmt, 0) : missing;
    return row < 0 ? -1 : 0;
}

int
hq_catalog_backup_intact(struct hq_catalog *c, const char *cluster, const char *backup,
                         bool *intact, struct hq_error *err)
{
    int64_t same;

    if (ask(c,
            "SELECT notes.losses = identity.losses FROM notes, identity WHERE cluster = ?"
            " AND backup = ?",
            cluster, backup, 0, &same, err) != 0)
        return -1;
    *intact = same != 0;
    return 0;
}

int
hq_catalog_backup_server(struct hq_catalog *c, const char *cluster, const char *backup,
                         int64_t *server_started_us, struct hq_error *err)
{
    return ask(c, "SELECT server_started FROM notes WHERE cluster = ? AND backup = ?", cluster,
               backup, 0, server_started_us, err);
}
