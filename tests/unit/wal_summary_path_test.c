/* Which fork, and which of its blocks, a file of a cluster holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "postgres/walsummary.h"

static void
check_path(const char *path, const struct hq_relation_fork *fork, uint32_t first)
{
    struct hq_relation_fork found;
    uint32_t block;

    assert_true(hq_wal_summary_path(path, 131072, &found, &block));
    assert_memory_equal(&found, fork, sizeof found);
    assert_int_equal(block, first);
}

static void
test_paths(void **state)
{
    static const char *const none[] = {
        "base/5/PG_VERSION", "base/5/pg_filenode.map", "base/5/t3_100",      "base/5/100.",
        "base/5/100_fsm_vm", "base/5/100.1.2",         "base/05/100",        "base/5",
        "global/pg_control", "pg_tblspc/5/17/1",       "base/5/100.40000",   "pg_wal/1",
        "base/5/0",          "base/5/99999999999",     "pg_tblspc/1/PG_15/5"};
    struct hq_relation_fork found;
    uint32_t block;

    (void)state;
    check_path("base/5/100", &(struct hq_relation_fork){1663, 5, 100, 0}, 0);
    check_path("base/5/100.3", &(struct hq_relation_fork){1663, 5, 100, 0}, 3 * 131072);
    check_path("base/5/100_fsm.1", &(struct hq_relation_fork){1663, 5, 100, 1}, 131072);
    check_path("base/5/100_vm", &(struct hq_relation_fork){1663, 5, 100, 2}, 0);
    check_path("base/5/100_init", &(struct hq_relation_fork){1663, 5, 100, 3}, 0);
    check_path("global/1262", &(struct hq_relation_fork){1664, 0, 1262, 0}, 0);
    check_path("pg_tblspc/1700/PG_15_202209061/5/100.1",
               &(struct hq_relation_fork){1700, 5, 100, 0}, 131072);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(hq_wal_summary_path(none[i], 131072, &found, &block));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
