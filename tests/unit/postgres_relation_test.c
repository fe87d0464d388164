#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relation.h"

static void
test_relations(void **state)
{
    static const struct {
        const char *path;
        struct hq_relation want;
    } good[] = {
        {"base/1/1259", {1259, false, 0}},
        {"base/16384/16390.1", {16390, false, 1}},
        {"base/16384/16390_init", {16390, true, 0}},
        {"base/16384/16390_init.12", {16390, true, 12}},
        {"base/4294967295/4294967295.4294967294", {4294967295, false, 4294967294}},
        {"global/1262", {1262, false, 0}},
        {"pg_tblspc/16389/PG_15_202209061/5/16390.3", {16390, false, 3}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct hq_relation got;

        assert_true(hq_relation_parse(good[i].path, &got));
        assert_int_equal(got.filenode, good[i].want.filenode);
        assert_int_equal(got.init, good[i].want.init);
        assert_int_equal(got.segment, good[i].want.segment);
    }
}

static void
test_others(void **state)
{
    static const char *const others[] = {
        "",
        "base",
        "base/",
        "base/1",
        "base/1/",
        "base/1/PG_VERSION",
        "base/1/pg_filenode.map",
        "base/1/1259_fsm",
        "base/1/1259_vm",
        "base/1/1259_fsm.1",
        "base/1/1259.",
        "base/1/1259.0",
        "base/1/1259.01",
        "base/1/01259",
        "base/1/0",
        "base/1/4294967296",
        "base/1/1259.4294967295",
        "base/1/1259.4294967296",
        "base/1/99999999999999999999999999",
        "base/1/1259_initial",
        "base/1/1259.1_init",
        "base/1/1259 ",
        "base/1/+1259",
        "base/1/t3_16390",
        "base/x/1259",
        "base/1/2/1259",
        "base/pgsql_tmp/1259",
        "global/pg_control",
        "global/1/1262",
        "global/",
        "pg_xact/0000",
        "pg_tblspc/16389",
        "pg_tblspc/16389/PG_15_202209061/16390",
        "pg_tblspc/16389/15/5/16390",
        "pg_tblspc/x/PG_15_202209061/5/16390",
        "pg_tblspc/16389/PG_15_202209061/x/16390",
        "pg_wal/1",
        "1259",
        "/base/1/1259",
        "base//1259",
        "base/1//1259",
    };

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct hq_relation got;

        if (hq_relation_parse(others[i], &got))
            fail_msg("\"%s\" is taken for a relation", others[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
