#include "base/cleanup.h"
#include "catalog_internal.h"

static void
take_info(sqlite3_stmt *s, struct hq_wal_info *info)
{
    *info = (struct hq_wal_info){
        .type = (enum hq_wal_type)sqlite3_column_int(s, 0),
        .system_identifier = (uint64_t)sqlite3_column_int64(s, 1),
        .timeline = (uint32_t)sqlite3_column_int64(s, 2),
        .segment_size = (uint32_t)sqlite3_column_int64(s, 3),
        .start_lsn = (uint64_t)sqlite3_column_int64(s, 4),
        .end_lsn = (uint64_t)sqlite3_column_int64(s, 5),
        .first_commit_us = sqlite3_column_int64(s, 6),
        .last_commit_us = sqlite3_column_int64(s, 7),
        .sent_us = sqlite3_column_int64(s, 8),
        .parent = (uint32_t)sqlite3_column_int64(s, 9),
        .begin_lsn = (uint64_t)sqlite3_column_int64(s, 10),
    };
}

int
hq_catalog_wal_objects(struct hq_catalog *c, const char *cluster, uint64_t system_identifier,
                       hq_catalog_wal_fn *each, void *context, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(
        c,
        "SELECT type, system_identifier, timeline, segment_size, start_lsn, end_lsn,"
        " first_commit, last_commit, sent, parent, begin_lsn FROM wal"
        " WHERE cluster = ? AND system_identifier = ? ORDER BY timeline, start_lsn, end_lsn",
        err);
    struct hq_wal_info info;
    int row;

    if (stmt == NULL || db_bind(c, stmt, err, "ti", cluster, (int64_t)system_identifier) != 0)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1) {
        take_info(stmt, &info);
        if (each(&info, context, err) != 0)
            return -1;
    }
    return row;
}

int
catalog_add_audit(struct hq_catalog *c, const char *name, const struct hq_audit_record *r,
                  struct hq_error *err)
{
    DB_LOCKED(c);

    return db_do(c, err, "INSERT OR REPLACE INTO audit VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                 "ttiittttiiii", name, r->cluster, (int64_t)r->kind, r->time_us, r->who, r->host,
                 r->program, r->reason, (int64_t)r->system_identifier, (int64_t)r->timeline,
                 (int64_t)r->from_lsn, (int64_t)r->to_lsn);
}

static void
take_record(sqlite3_stmt *s, struct hq_audit_record *r)
{
    *r = (struct hq_audit_record){
        .kind = (enum hq_audit_kind)sqlite3_column_int(s, 1),
        .time_us = sqlite3_column_int64(s, 2),
        .system_identifier = (uint64_t)sqlite3_column_int64(s, 7),
        .timeline = (uint32_t)sqlite3_column_int64(s, 8),
        .from_lsn = (uint64_t)sqlite3_column_int64(s, 9),
        .to_lsn = (uint64_t)sqlite3_column_int64(s, 10),
    };
    db_text(s, 0, r->cluster, sizeof r->cluster);
    db_text(s, 3, r->who, sizeof r->who);
    db_text(s, 4, r->host, sizeof r->host);
    db_text(s, 5, r->program, sizeof r->program);
    db_text(s, 6, r->reason, sizeof r->reason);
}

int
hq_catalog_audit_records(struct hq_catalog *c, const char *cluster, hq_audit_fn *each,
                         void *context, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt =
        db_prepare(c,
                   "SELECT cluster, kind, time, who, host, program, reason, system_identifier,"
                   " timeline, from_lsn, to_lsn FROM audit WHERE cluster = ? ORDER BY name",
                   err);
    struct hq_audit_record record;
    int row;

    if (stmt == NULL || db_bind(c, stmt, err, "t", cluster) != 0)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1) {
        take_record(stmt, &record);
        if (each(&record, context, err) != 0)
            return -1;
    }
    return row;
}

int
hq_catalog_version(struct hq_catalog *c, uint64_t *version, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c, "PRAGMA data_version", err);

    if (stmt == NULL || db_step(c, stmt, err) < 0)
        return -1;
    /* The one counts what other connections did, the other what this one did. */
    *version =
        (uint64_t)sqlite3_column_int64(stmt, 0) << 40 ^ (uint64_t)sqlite3_total_changes64(c->db);
    return 0;
}

int
hq_catalog_clusters(struct hq_catalog *c, hq_catalog_cluster_fn *each, void *context,
                    struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(c,
                                    "SELECT cluster FROM backups UNION SELECT cluster FROM wal"
                                    " ORDER BY 1",
                                    err);
    int row;

    if (stmt == NULL)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1)
        if (each((const char *)sqlite3_column_text(stmt, 0), context, err) != 0)
            return -1;
    return row;
}
