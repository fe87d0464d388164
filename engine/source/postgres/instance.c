#include <stdio.h>
#include <string.h>

#include "postgres/instance.h"
#include "postgres_internal.h"

int
hq_pg_server_started(const struct hq_pg_options *options, const char *host, int64_t *started_us,
                     struct hq_error *err)
{
    struct hq_pg_options sql = *options;
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    struct hq_pg *pg = NULL;
    uint64_t microseconds = 0;
    int failed;

    sql.database = "postgres";
    if (hq_pg_connect(&sql, &pg, err) != 0)
        return -1;
    if (strcmp(pg->place, host) != 0)
        failed = hq_fail(err, HQ_E_TRANSIENT, "%s answers, not %s", pg->place, host);
    else
        failed = hq_pg_command(pg,
                               "SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time())"
                               " * 1000000)::bigint",
                               1, &result, err);
    if (failed == 0)
        failed = hq_pg_field_u64(result, 0, 0, INT64_MAX, &microseconds, err);
    hq_pg_close(pg);
    *started_us = (int64_t)microseconds;
    return failed;
}
