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

    return db_do(c, err, "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?)", "ttiii", cluster,
                 backup, note->losses, note->server_started_us, note->server_clock_us);
}

int
hq_catalog_backup_note(struct hq_catalog *c, const char *cluster, const char *backup,
                       struct hq_backup_note *out, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c,
                                    "SELECT losses, server_started, server_clock FROM notes"
                                    " WHERE cluster = ? AND backup = ?",
                                    err);
    int row = -1;

    *out = (struct hq_backup_note){0};
    if (stmt != NULL && db_bind(c, stmt, err, "tt", cluster, backup) == 0)
        row = db_step(c, stmt, err);
    if (row == 1)
        *out = (struct hq_backup_note){.losses = sqlite3_column_int64(stmt, 0),
                                       .server_started_us = sqlite3_column_int64(stmt, 1),
                                       .server_clock_us = sqlite3_column_int64(stmt, 2)};
    return row < 0 ? -1 : 0;
}

int
hq_catalog_backup_intact(struct hq_catalog *c, const char *cluster, const char *backup,
                         bool *intact, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c,
                                    "SELECT 1 FROM notes, identity WHERE cluster = ? AND backup = ?"
                                    " AND notes.losses = identity.losses",
                                    err);
    int row = -1;

    if (stmt != NULL && db_bind(c, stmt, err, "tt", cluster, backup) == 0)
        row = db_step(c, stmt, err);
    *intact = row == 1;
    return row < 0 ? -1 : 0;
}

int
hq_catalog_forget_notes(struct hq_catalog *c, const char *cluster, struct hq_error *err)
{
    DB_LOCKED(c);

    return db_do(c, err, "DELETE FROM notes WHERE cluster = ?", "t", cluster);
}
