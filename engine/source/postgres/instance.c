#include "postgres/instance.h"
#include "postgres_internal.h"

static int
read_instance(const PGresult *row, struct hq_pg_instance *out, struct hq_error *err)
{
    uint64_t started, now;

    out->replay_lsn = UINT64_MAX;
    if (hq_pg_field_u64(row, 0, 0, INT64_MAX, &started, err) != 0 ||
        hq_pg_field_u64(row, 0, 1, INT64_MAX, &now, err) != 0 ||
        (!PQgetisnull(row, 0, 2) && hq_pg_field_lsn(row, 0, 2, &out->replay_lsn, err) != 0))
        return -1;
    out->started_us = (int64_t)started;
    out->clock_us = (int64_t)now;
    return 0;
}

int
hq_pg_instance(const struct hq_pg_options *options, const char *host, struct hq_pg_instance *out,
               struct hq_error *err)
{
    static const char question[] =
        "SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint,"
        " (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint,"
        " CASE WHEN pg_catalog.pg_is_in_recovery()"
        " THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0') END";
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    struct hq_pg *pg = NULL;
    int failed;

    *out = (struct hq_pg_instance){0};
    if (hq_pg_connect_sql(options, host, &pg, err) != 0)
        return -1;
    failed = hq_pg_command(pg, question, 3, &result, err);
    if (failed == 0)
        failed = read_instance(result, out, err);
    hq_pg_close(pg);
    return failed;
}
