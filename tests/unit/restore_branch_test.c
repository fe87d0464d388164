#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"
#include "wal_maker.h"

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

/*
 * Timeline 1 has a commit each hour from hour 0 on, up to hour 4; timeline 2 left it at the end of
 * hour 1's segment, and went on in hour 6.
 */
static void
fill_a_left_branch(struct fixture *f)
{
    fixture_backup_cluster(f, &fixture_first);
    (void)fixture_history(f, 2, "1\t0/2200000\treason\n");
    for (unsigned i = 0; i < 5; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    for (unsigned i = 2; i < 4; i++)
        (void)fixture_wal(f, 2, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + (4 + i) * HOUR);
}

/* Before timeline 2 went on, a time means what timeline 1 had by then. */
static void
a_time_on_a_branch_that_was_left_is_told(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t hours;
        bool told;
    } cases[] = {{1, false}, {2, true}, {3, true}, {4, true}, {5, true}, {6, false}, {7, false}};
    struct hq_error err = {0};

    fill_a_left_branch(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_target target = {.type = HQ_TARGET_TIME,
                                   .time_us = FIXTURE_TIME_US + cases[i].hours * HOUR};
        struct hq_plan p;

        ASSERT_OK(plan(f, &target, false, &p, &err), &err);
        assert_int_equal(p.coverage.end_timeline, 2);
        assert_int_equal(p.branch_count, cases[i].told);
        if (cases[i].told) {
            assert_int_equal(p.branches[0].timeline, 1);
            assert_int_equal(p.branches[0].parted_lsn, SEGMENT(2));
            assert_int_equal(p.branches[0].first_commit_us, FIXTURE_TIME_US + 2 * HOUR);
            assert_int_equal(p.branches[0].last_commit_us, FIXTURE_TIME_US + 4 * HOUR);
            assert_int_equal(p.branches[0].own_commit_us, FIXTURE_TIME_US + 6 * HOUR);
            assert_true(p.branches[0].only_there);
        }
        hq_plan_clear(&p);
        /* Who names a timeline has chosen. */
        target.timeline = 2;
        ASSERT_OK(plan(f, &target, false, &p, &err), &err);
        assert_int_equal(p.branch_count, 0);
        hq_plan_clear(&p);
    }
}

/* What lived beside the plan's timeline is told too, behind what the plan lacks. */
static void
timelines_that_lived_side_by_side_are_told(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 6 * HOUR};
    struct hq_plan p;
    struct hq_error err = {0};

    fill_a_left_branch(f);
    /* Timeline 1 went on until hour 7; 3 parts from 2 behind hour 6, and has none before 9. */
    for (unsigned i = 5; i < 8; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.branch_count, 1);
    assert_int_equal(p.branches[0].timeline, 1);
    assert_false(p.branches[0].only_there);
    hq_plan_clear(&p);
    (void)fixture_history(f, 3, "1\t0/2200000\treason\n2\t0/2300000\treason\n");
    (void)fixture_wal(f, 3, SEGMENT(3), SEGMENT(4), FIXTURE_TIME_US + 9 * HOUR);
    target.time_us = FIXTURE_TIME_US + 7 * HOUR;
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.coverage.end_timeline, 3);
    assert_int_equal(p.branch_count, 2);
    assert_int_equal(p.branches[0].timeline, 2);
    assert_true(p.branches[0].only_there);
    assert_int_equal(p.branches[1].timeline, 1);
    assert_false(p.branches[1].only_there);
    hq_plan_clear(&p);
}

/* A backup of timeline 2, behind the parting and before that timeline's first commit. */
static const struct fixture_backup newer = {.id = "20260701T053000Z-00000003",
                                            .finished_us = FIXTURE_TIME_US + 11 * HOUR / 2,
                                            .timeline = 2,
                                            .start_lsn = SEGMENT(2) + 0x28,
                                            .stop_lsn = SEGMENT(2) + 0x100};

static void
expect_branches(struct fixture *f, const struct hq_target *target, size_t wanted)
{
    struct hq_plan p;
    struct hq_error err = {0};

    ASSERT_OK(plan(f, target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, newer.id);
    assert_int_equal(p.branch_count, wanted);
    hq_plan_clear(&p);
}

/* Of a time before its first commit: who backed timeline 2 up had left timeline 1 by then. */
static void
a_branch_is_told_where_a_backup_leads_to_it(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 23 * HOUR / 4};

    fill_a_left_branch(f);
    fixture_backup_cluster(f, &newer);
    expect_branches(f, &target, 0);
    for (unsigned i = 5; i < 8; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    expect_branches(f, &target, 1);
    target.backup = newer.id; /* which does not lead there */
    expect_branches(f, &target, 0);
}

/* Timeline 1 has a backup behind each of these targets, and none before: it can't be had there. */
static void
a_branch_that_no_backup_leads_to_is_not_told(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_backup later = {.id = "20260701T070000Z-00000004",
                                                .finished_us = FIXTURE_TIME_US + 7 * HOUR,
                                                .timeline = 1,
                                                .start_lsn = SEGMENT(6) + 0x28,
                                                .stop_lsn = SEGMENT(6) + 0x100};
    static const struct hq_target targets[] = {
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 13 * HOUR / 2},
        {.type = HQ_TARGET_LSN, .lsn = SEGMENT(3)},
    };

    fixture_backup_cluster(f, &newer);
    fixture_backup_cluster(f, &later);
    (void)fixture_history(f, 2, "1\t0/2200000\treason\n");
    for (unsigned i = 0; i < 8; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    for (unsigned i = 2; i < 4; i++)
        (void)fixture_wal(f, 2, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + (4 + i) * HOUR);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        expect_branches(f, &targets[i], 0);
}

/* Timeline 2 parts from 1 in hour 2, the plan's 3 in hour 3: 1 has what 3 lacks. */
static void
what_the_plan_lacks_comes_first(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target target = {.type = HQ_TARGET_TIME,
                                            .time_us = FIXTURE_TIME_US + 13 * HOUR / 2};
    struct hq_plan p;
    struct hq_error err = {0};

    fill_a_left_branch(f);
    (void)fixture_history(f, 3, "1\t0/2300000\treason\n");
    (void)fixture_wal(f, 3, SEGMENT(3), SEGMENT(4), FIXTURE_TIME_US + 9 * HOUR);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.coverage.end_timeline, 3);
    assert_int_equal(p.branch_count, 2);
    assert_int_equal(p.branches[0].timeline, 1);
    assert_true(p.branches[0].only_there);
    assert_int_equal(p.branches[1].timeline, 2);
    assert_false(p.branches[1].only_there);
    hq_plan_clear(&p);
}

static void
an_lsn_behind_the_parting_is_on_both(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t lsn;
        bool told;
    } cases[] = {{SEGMENT(2), false}, {SEGMENT(2) + 1, true}, {SEGMENT(4), true}};
    struct hq_error err = {0};

    fill_a_left_branch(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_target target = {.type = HQ_TARGET_LSN, .lsn = cases[i].lsn};
        struct hq_plan p;

        ASSERT_OK(plan(f, &target, false, &p, &err), &err);
        assert_int_equal(p.coverage.end_timeline, 2);
        assert_int_equal(p.branch_count, cases[i].told);
        hq_plan_clear(&p);
    }
}

/* As the records have it: PostgreSQL counts from 2000 on. */
static uint64_t
commit_at(struct wal_maker *m, int64_t time_us)
{
    return maker_commit(m, 0, time_us - INT64_C(946684800000000), 0);
}

/*
 * Timelines part within segment 1, between a commit at minute 10 and, if @p more, one at 20 that
 * only timeline 1 has; the header tells of both. Timeline 2 went on in hour 5.
 */
static void
fill_a_parting_within_a_segment(struct fixture *f, bool more)
{
    struct wal_maker m = {.start = SEGMENT(1), .magic = 0xD110};
    int64_t first = FIXTURE_TIME_US + HOUR / 6, second_us = FIXTURE_TIME_US + HOUR / 3;
    char history[64];
    uint64_t parted;

    (void)commit_at(&m, first);
    maker_fill_to(&m, SEGMENT(1) + 5000);
    parted = maker_lsn(&m);
    if (more)
        (void)commit_at(&m, second_us);
    maker_fill_to(&m, SEGMENT(2));
    (void)snprintf(history, sizeof history, "1\t0/%X\treason\n", (unsigned)parted);
    fixture_backup_cluster(f, &fixture_first);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    (void)fixture_wal_data(f, 1, SEGMENT(1), SEGMENT(2), first, m.bytes.data);
    (void)fixture_history(f, 2, history);
    /* Its copy of what was before, and nothing of interest behind it. */
    memset(m.bytes.data + (parted - SEGMENT(1)), 0, (size_t)(SEGMENT(2) - parted));
    (void)fixture_wal_data(f, 2, SEGMENT(1), SEGMENT(2), first, m.bytes.data);
    (void)fixture_wal(f, 2, SEGMENT(2), SEGMENT(3), FIXTURE_TIME_US + 5 * HOUR);
    hq_buf_clear(&m.bytes);
}

static void
what_a_segment_has_behind_the_parting_is_read(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target target = {.type = HQ_TARGET_TIME,
                                            .time_us = FIXTURE_TIME_US + HOUR};
    struct hq_plan p;
    struct hq_error err = {0};

    fill_a_parting_within_a_segment(f, true);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.branch_count, 1);
    assert_true(p.branches[0].only_there);
    assert_int_equal(p.branches[0].first_commit_us, FIXTURE_TIME_US + HOUR / 3);
    assert_int_equal(p.branches[0].last_commit_us, FIXTURE_TIME_US + HOUR / 3);
    assert_int_equal(p.branches[0].own_commit_us, FIXTURE_TIME_US + 5 * HOUR);
    hq_plan_clear(&p);
}

/* A failover: the old primary's last segment has no commit that the new one lacks. */
static void
nothing_is_told_of_a_branch_without_commits(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target target = {.type = HQ_TARGET_TIME,
                                            .time_us = FIXTURE_TIME_US + HOUR};
    struct hq_plan p;
    struct hq_error err = {0};

    fill_a_parting_within_a_segment(f, false);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.coverage.end_timeline, 2);
    assert_int_equal(p.branch_count, 0);
    hq_plan_clear(&p);
    /* Who can't read it can't tell, and says so rather than not. */
    ASSERT_OK(hq_plan_make(&f->writer, FIXTURE_CLUSTER, &target, false, &p, &err), &err);
    assert_int_equal(p.branch_count, 1);
    hq_plan_clear(&p);
}

/* The restore needs nothing of the branch: damage there is no reason to refuse it. */
static void
a_damaged_branch_is_told_and_fails_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target target = {.type = HQ_TARGET_TIME,
                                            .time_us = FIXTURE_TIME_US + HOUR};
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    fill_a_parting_within_a_segment(f, false);
    fixture_object(f, "wal/main/", 1, name);
    assert_non_null(strstr(name, "/00000001/000000010000000000000021"));
    ASSERT_OK(hq_memory_damage(f->store, name, 200, 2, &err), &err);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.branch_count, 1);
    hq_plan_clear(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_refusal_names_the_timeline_that_has_the_target),
        FIXTURE_TEST(a_refusal_names_no_timeline_that_has_it_not),
        FIXTURE_TEST(a_timeline_is_refused_with_its_own_range),
        FIXTURE_TEST(a_time_on_a_branch_that_was_left_is_told),
        FIXTURE_TEST(timelines_that_lived_side_by_side_are_told),
        FIXTURE_TEST(a_branch_is_told_where_a_backup_leads_to_it),
        FIXTURE_TEST(a_branch_that_no_backup_leads_to_is_not_told),
        FIXTURE_TEST(what_the_plan_lacks_comes_first),
        FIXTURE_TEST(an_lsn_behind_the_parting_is_on_both),
        FIXTURE_TEST(what_a_segment_has_behind_the_parting_is_read),
        FIXTURE_TEST(nothing_is_told_of_a_branch_without_commits),
        FIXTURE_TEST(a_damaged_branch_is_told_and_fails_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
