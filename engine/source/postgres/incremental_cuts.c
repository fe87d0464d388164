#include "incremental_cuts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "postgres_internal.h"

enum {
    CUTS_MAX = 100000
};

struct cut {
    struct hq_relation_fork fork;
    uint32_t block; /* from here on */
};

struct hq_pg_cuts {
    size_t count;
    struct cut cuts[]; /* ascending */
};

void
hq_pg_cuts_free(struct hq_pg_cuts *cuts)
{
    free(cuts);
}

static int
compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int
compare_forks(const void *a, const void *b)
{
    const struct hq_relation_fork *x = &((const struct cut *)a)->fork;
    const struct hq_relation_fork *y = &((const struct cut *)b)->fork;
    int order = compare_numbers(x->tablespace, y->tablespace);

    if (order == 0)
        order = compare_numbers(x->database, y->database);
    if (order == 0)
        order = compare_numbers(x->relation, y->relation);
    return order != 0 ? order : compare_numbers(x->fork, y->fork);
}

bool
hq_pg_cuts_before(const struct hq_pg_cuts *cuts, const struct hq_relation_fork *fork, uint64_t end)
{
    const struct cut key = {.fork = *fork};
    const struct cut *found =
        bsearch(&key, cuts->cuts, cuts->count, sizeof cuts->cuts[0], compare_forks);

    return found != NULL && found->block < end;
}

static int
read_rows(const PGresult *rows, struct hq_pg_cuts **out, struct hq_error *err)
{
    int count = PQntuples(rows);
    struct hq_pg_cuts *cuts;

    if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQnfields(rows) != 5)
        return hq_fail(err, HQ_E_SERVER, "the server's summaries are not as expected");
    if (count > CUTS_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "more than %d relations were cut off", CUTS_MAX);
    cuts = calloc(1, sizeof *cuts + (size_t)count * sizeof cuts->cuts[0]);
    if (cuts == NULL)
        return hq_fail(err, HQ_E_NOMEM, "relations that were cut off");
    for (int row = 0; row < count; row++) {
        uint64_t numbers[5];

        for (int column = 0; column < 5; column++) {
            if (hq_pg_field_u64(rows, row, column, UINT32_MAX, &numbers[column], err) != 0) {
                free(cuts);
                return -1;
            }
        }
        cuts->cuts[cuts->count++] = (struct cut){{(uint32_t)numbers[0], (uint32_t)numbers[1],
                                                  (uint32_t)numbers[2], (uint32_t)numbers[3]},
                                                 (uint32_t)numbers[4]};
    }
    qsort(cuts->cuts, cuts->count, sizeof cuts->cuts[0], compare_forks);
    hq_pg_cuts_free(*out);
    *out = cuts;
    return 0;
}

/* Those that lost all blocks are sent whole: block 0 says nothing new. */
int
hq_pg_cuts_ask(const struct hq_pg_options *server, const char *host, uint64_t from_lsn,
               struct hq_pg_cuts **out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *rows = NULL;
    struct hq_pg *pg = NULL;
    char question[700];
    int failed;

    snprintf(question, sizeof question,
             "SELECT c.reltablespace, c.reldatabase, c.relfilenode, c.relforknumber,"
             " min(c.relblocknumber) FROM pg_catalog.pg_available_wal_summaries() s, LATERAL"
             " pg_catalog.pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) c"
             " WHERE s.end_lsn > '%" PRIX32 "/%" PRIX32 "' AND c.is_limit_block"
             " AND c.relblocknumber > 0 GROUP BY 1, 2, 3, 4 LIMIT %d",
             (uint32_t)(from_lsn >> 32), (uint32_t)from_lsn, CUTS_MAX + 1);
    if (hq_pg_connect_sql(server, host, &pg, err) != 0)
        return -1;
    failed = hq_pg_command(pg, question, 0, &rows, err);
    if (failed == 0)
        failed = read_rows(rows, out, err);
    hq_pg_close(pg);
    return failed;
}
