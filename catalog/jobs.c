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
