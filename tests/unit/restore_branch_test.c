#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"

/* Timeline 2 begins in segment 2, which it lost; a backup of it follows. Timeline 1 is whole. */
static void
fill_a_gap_after_the_switch(struct fixture *f)
{
    struct fixture_backup newer = second;

    newer.timeline = 2;
    newer.start_lsn = SEGMENT(4) + 0x28;
    newer.stop_lsn = SEGMENT(4) + 0x100;
    newer.finished_us = FIXTURE_TIME_US + 9 * HOUR;
    fixture_backup_cluster(f, &fixture_first);
    fixture_backup_cluster(f, &newer);
    (void)fixture_history(f, 2, "1\t0/2200500\treason\n");
    for (unsigned i = 0; i < 5; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    for (unsigned i = 3; i < 5; i++)
        (void)fixture_wal(f, 2, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + (5 + i) * HOUR);
}

/* What the newest timeline has lost another may have: the refusal says so, and that works. */
static void
a_refusal_names_the_timeline_that_has_the_target(void **state)
{
    struct fixture *f = *state;
    struct hq_target targets[] = {
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 3 * HOUR},
        {.type = HQ_TARGET_LSN, .lsn = SEGMENT(3)},
    };

    fill_a_gap_after_the_switch(f);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct hq_plan p;
        struct hq_error err = {0};

        ASSERT_CODE(plan(f, &targets[i], false, &p, &err), &err, HQ_E_RANGE);
        assert_non_null(strstr(err.message, "lies in a gap"));
        assert_non_null(strstr(err.message, "along timeline 2"));
        assert_ptr_equal(strstr(err.hint, "timeline 1 has it: --target-timeline 1;"), err.hint);
        targets[i].timeline = 1;
        ASSERT_OK(plan(f, &targets[i], false, &p, &err), &err);
        assert_string_equal(p.root.backup, first_id);
        assert_int_equal(p.coverage.end_timeline, 1);
        hq_plan_clear(&p);
    }
}

/* What no timeline has is said of none. */
static void
a_refusal_names_no_timeline_that_has_it_not(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target targets[] = {
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 6 * HOUR},
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 20 * HOUR},
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US},
        {.type = HQ_TARGET_LSN, .lsn = SEGMENT(6)},
    };

    fill_a_gap_after_the_switch(f);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct hq_plan p;
        struct hq_error err = {0};

        ASSERT_CODE(plan(f, &targets[i], false, &p, &err), &err, HQ_E_RANGE);
        assert_null(strstr(err.hint, "--target-timeline"));
    }
}

/* Who names a timeline is told what there is of that one, not of the cluster. */
static void
a_timeline_is_refused_with_its_own_range(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target target = {
        .type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 6 * HOUR, .timeline = 1};
    struct hq_plan p;
    struct hq_error err = {0};

    fill_a_gap_after_the_switch(f);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "recoverable along timeline 1 from 2026-07-01T00:01:00Z"));
    assert_non_null(strstr(err.message, "to 2026-07-01T04:00:00Z (0/2500000)"));
    assert_null(strstr(err.message, "with holes"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_refusal_names_the_timeline_that_has_the_target),
        FIXTURE_TEST(a_refusal_names_no_timeline_that_has_it_not),
        FIXTURE_TEST(a_timeline_is_refused_with_its_own_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
