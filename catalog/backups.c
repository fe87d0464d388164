#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "catalog_internal.h"

int
hq_catalog_add_backup(struct hq_catalog *c, const struct hq_root *r, struct hq_error *err)
{
    DB_LOCKED(c);
    char name[HQ_OBJECT_NAME_MAX + 1];

    snprintf(name, sizeof name, "backups/%s/%s", r->cluster, r->backup);
    return db_do(c, err,
                 "INSERT OR REPLACE INTO backups VALUES"
                 " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                 "ttttiittttiiiiiiiiiiiiii", name, r->cluster, r->backup, r->parent, r->started_us,
                 r->finished_us, r->host, r->program, r->writer.name, r->mode,
                 (int64_t)r->version_number, (int64_t)r->system_identifier, (int64_t)r->timeline,
                 (int64_t)r->start_lsn, (int64_t)r->stop_lsn, (int64_t)r->wal_segment_size,
                 (int64_t)r->block_size, (int64_t)r->checksums, (int64_t)r->files,
                 (int64_t)r->bytes, (int64_t)r->pages, (int64_t)r->damaged_pages,
                 (int64_t)r->new_bytes, (int64_t)r->stored_bytes);
}

static void
take_root(sqlite3_stmt *s, struct hq_root *r)
{
    *r = (struct hq_root){0};
    db_text(s, 1, r->cluster, sizeof r->cluster);
    db_text(s, 2, r->backup, sizeof r->backup);
    db_text(s, 3, r->parent, sizeof r->parent);
    r->started_us = sqlite3_column_int64(s, 4);
    r->finished_us = sqlite3_column_int64(s, 5);
    db_text(s, 6, r->host, sizeof r->host);
    db_text(s, 7, r->program, sizeof r->program);
    db_text(s, 8, r->writer.name, sizeof r->writer.name);
    db_text(s, 9, r->mode, sizeof r->mode);
    r->version_number = (uint32_t)sqlite3_column_int64(s, 10);
    r->system_identifier = (uint64_t)sqlite3_column_int64(s, 11);
    r->timeline = (uint32_t)sqlite3_column_int64(s, 12);
    r->start_lsn = (uint64_t)sqlite3_column_int64(s, 13);
    r->stop_lsn = (uint64_t)sqlite3_column_int64(s, 14);
    r->wal_segment_size = (uint32_t)sqlite3_column_int64(s, 15);
    r->block_size = (uint32_t)sqlite3_column_int64(s, 16);
    r->checksums = sqlite3_column_int(s, 17) != 0;
    r->files = (uint64_t)sqlite3_column_int64(s, 18);
    r->bytes = (uint64_t)sqlite3_column_int64(s, 19);
    r->pages = (uint64_t)sqlite3_column_int64(s, 20);
    r->damaged_pages = (uint64_t)sqlite3_column_int64(s, 21);
    r->new_bytes = (uint64_t)sqlite3_column_int64(s, 22);
    r->stored_bytes = (uint64_t)sqlite3_column_int64(s, 23);
}

int
hq_catalog_backups(struct hq_catalog *c, const char *cluster, hq_catalog_backup_fn *each,
                   void *context, struct hq_error *err)
{
    DB_LOCKED(c);
    /* docs/format.md §9b: the start of its lineage, 0 for the first, then its own. */
    DB_STATEMENT *stmt = db_prepare(
        c,
        "SELECT * FROM backups WHERE ?1 IS NULL OR cluster = ?1 ORDER BY cluster,"
        " coalesce((SELECT max(time) FROM audit WHERE audit.cluster = backups.cluster AND kind = ?2"
        " AND audit.system_identifier = backups.system_identifier AND time <= started), 0),"
        " started, name",
        err);
    int row;

    if (stmt == NULL ||
        db_bind(c, stmt, err, "ti", cluster, (int64_t)HQ_AUDIT_LINEAGE_ACCEPTED) != 0)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1) {
        struct hq_root root;

        take_root(stmt, &root);
        if (each(&root, context, err) != 0)
            return -1;
    }
    return row;
}
