#include <string.h>

#include "base/cleanup.h"
#include "catalog_internal.h"

int
hq_catalog_add_wal(struct hq_catalog *c, const char *cluster, const struct hq_wal_info *i,
                   struct hq_error *err)
{
    DB_LOCKED(c);
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(cluster, i, name);
    return db_do(c, err, "INSERT OR REPLACE INTO wal VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                 "ttiiiiiiiiiii", name, cluster, (int64_t)i->type, (int64_t)i->system_identifier,
                 (int64_t)i->timeline, (int64_t)i->segment_size, (int64_t)i->start_lsn,
                 (int64_t)i->end_lsn, i->first_commit_us, i->last_commit_us, i->sent_us,
                 (int64_t)i->parent, (int64_t)i->begin_lsn);
}

int
hq_catalog_drop_wal_parts(struct hq_catalog *c, const char *cluster, const struct hq_wal_info *by,
                          struct hq_error *err)
{
    DB_LOCKED(c);
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(cluster, by, name);
    return db_do(c, err,
                 "DELETE FROM wal WHERE cluster = ? AND system_identifier = ? AND timeline = ?"
                 " AND type = ? AND start_lsn >= ? AND end_lsn <= ? AND name <> ?",
                 "tiiiiit", cluster, (int64_t)by->system_identifier, (int64_t)by->timeline,
                 (int64_t)HQ_WAL_PART, (int64_t)by->start_lsn, (int64_t)by->end_lsn, name);
}

/* The earlier of two times of which 0 means none. */
static int64_t
earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static bool
continues(const struct hq_wal_range *range, const struct hq_wal_range *next)
{
    return strcmp(range->cluster, next->cluster) == 0 &&
           range->system_identifier == next->system_identifier &&
           range->timeline == next->timeline && next->start_lsn <= range->end_lsn;
}

static void
join(struct hq_wal_range *range, const struct hq_wal_range *next)
{
    if (next->end_lsn > range->end_lsn)
        range->end_lsn = next->end_lsn;
    range->first_commit_us = earlier(range->first_commit_us, next->first_commit_us);
    if (next->last_commit_us > range->last_commit_us)
        range->last_commit_us = next->last_commit_us;
}

static void
take_range(sqlite3_stmt *s, struct hq_wal_range *range)
{
    *range = (struct hq_wal_range){
        .system_identifier = (uint64_t)sqlite3_column_int64(s, 1),
        .timeline = (uint32_t)sqlite3_column_int64(s, 2),
        .start_lsn = (uint64_t)sqlite3_column_int64(s, 3),
        .end_lsn = (uint64_t)sqlite3_column_int64(s, 4),
        .first_commit_us = sqlite3_column_int64(s, 5),
        .last_commit_us = sqlite3_column_int64(s, 6),
    };
    db_text(s, 0, range->cluster, sizeof range->cluster);
}

int
hq_catalog_wal_ranges(struct hq_catalog *c, const char *cluster, hq_wal_range_fn *each,
                      void *context, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(
        c,
        "SELECT cluster, system_identifier, timeline, start_lsn, end_lsn, first_commit, last_commit"
        " FROM wal WHERE (?1 IS NULL OR cluster = ?1) AND end_lsn > start_lsn"
        " ORDER BY cluster, system_identifier, timeline, start_lsn, end_lsn",
        err);
    struct hq_wal_range range = {0}, next;
    int row;

    if (stmt == NULL || db_bind(c, stmt, err, "t", cluster) != 0)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1) {
        take_range(stmt, &next);
        if (continues(&range, &next)) {
            join(&range, &next);
            continue;
        }
        if (range.cluster[0] != '\0' && each(&range, context, err) != 0)
            return -1;
        range = next;
    }
    if (row < 0)
        return -1;
    return range.cluster[0] != '\0' ? each(&range, context, err) : 0;
}
