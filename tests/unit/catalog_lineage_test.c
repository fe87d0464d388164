#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "fixture.h"

#define OTHER UINT64_C(7100000000000000001)
#define HOUR INT64_C(3600000000)
#define AT(hours) (FIXTURE_TIME_US + (hours)*HOUR)

static void
back_up(struct fixture *f, uint64_t system, const char *id, int64_t finished_us)
{
    struct fixture_backup backup = {.id = id,
                                    .finished_us = finished_us,
                                    .timeline = 1,
                                    .start_lsn = 0x2000028,
                                    .stop_lsn = 0x2000100};

    f->system = system;
    fixture_backup_cluster(f, &backup);
}

static int
append_id(const struct hq_root *root, void *context, struct hq_error *err)
{
    (void)err;
    hq_buf_printf(context, "%c", root->backup[strlen(root->backup) - 1]);
    return 0;
}

static void
expect(struct fixture *f, const char *order)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf ids = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_catalog_sync(f->catalog, &f->writer, FIXTURE_CLUSTER, &err), &err);
    ASSERT_OK(hq_catalog_backups(f->catalog, FIXTURE_CLUSTER, append_id, &ids, &err), &err);
    assert_string_equal(hq_buf_text(&ids), order);
}

/* A clock that was wrong, or names, must not order what the lineages do. */
static void
backups_order_by_lineage(void **state)
{
    struct fixture *f = *state;

    back_up(f, FIXTURE_SYSTEM, "20260701T000000Z-00000001", AT(1));
    back_up(f, OTHER, "20260601T000000Z-00000002", AT(5));
    back_up(f, FIXTURE_SYSTEM, "20260701T000000Z-00000003", AT(6)); /* begun before, ended late */
    expect(f, "123");
    fixture_accept(f, OTHER, AT(4));
    expect(f, "132");
    fixture_accept(f, FIXTURE_SYSTEM, AT(7));
    back_up(f, FIXTURE_SYSTEM, "20260501T000000Z-00000004", AT(8));
    expect(f, "1324");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(backups_order_by_lineage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
