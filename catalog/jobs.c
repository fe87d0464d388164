#include "base/cleanup.h"
#include "base/clock.h"
#include "catalog_internal.h"

int
hq_catalog_job_begin(struct hq_catalog *c, const char *cluster, const char *kind, int64_t *id,
                     struct hq_error *err)
{
    DB_LOCKED(c);

    if (db_do(c, err, "INSERT INTO jobs (cluster, kind, started) VALUES (?, ?, ?)", "tti", cluster,
              kind, hq_clock_wall_us()) != 0)
        return -1;
    *id = sqlite3_last_insert_rowid(c->db);
    return 0;
}

int
hq_catalog_job_end(struct hq_catalog *c, int64_t id, const char *subject,
                   const struct hq_error *why, struct hq_error *err)
{
    DB_LOCKED(c);

    return db_do(c, err,
                 "UPDATE jobs SET ended = ?, subject = ?, code = ?, message = ? WHERE id = ?",
                 "ititi", hq_clock_wall_us(), subject, (int64_t)(why == NULL ? 0 : (int)why->code),
                 why == NULL ? "" : why->message, id);
}

int
hq_catalog_job_last(struct hq_catalog *c, const char *cluster, const char *kind, int64_t *ended_us,
                    struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = db_prepare(
        c, "SELECT max(ended) FROM jobs WHERE cluster = ? AND kind = ? AND code = 0", err);

    if (stmt == NULL || db_bind(c, stmt, err, "tt", cluster, kind) != 0 ||
        db_step(c, stmt, err) < 0)
        return -1;
    *ended_us = sqlite3_column_int64(stmt, 0);
    return 0;
}
