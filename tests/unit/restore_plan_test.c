#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"

static void
every_target_finds_its_backup(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct hq_target target;
        int backup;
        uint64_t last_piece; /* where the last WAL object that is needed begins */
    } cases[] = {
        {{.type = HQ_TARGET_LATEST}, 2, SEGMENT(4)},
        {{.type = HQ_TARGET_IMMEDIATE}, 2, SEGMENT(2)},
        {{.type = HQ_TARGET_IMMEDIATE, .backup = "20260701T000000Z-00000001"}, 1, SEGMENT(0)},
        {{.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 3 * HOUR}, 2, SEGMENT(4)},
        /* To the microsecond: consistent, or just not. */
        {{.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + HOUR + 60000000}, 2, SEGMENT(4)},
        {{.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + HOUR + 59999999}, 1, SEGMENT(4)},
        {{.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 60000000}, 1, SEGMENT(4)},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2200100}, 2, SEGMENT(4)},
        {{.type = HQ_TARGET_LSN, .lsn = 0x22000ff}, 1, SEGMENT(4)},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2000100}, 1, SEGMENT(4)},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2100000}, 1, SEGMENT(4)},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2400500}, 2, SEGMENT(4)},
    };
    struct hq_error err = {0};

    fill(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_plan p;
        uint64_t bytes = 0;

        ASSERT_OK(plan(f, &cases[i].target, false, &p, &err), &err);
        assert_string_equal(p.root.backup, cases[i].backup == 1 ? first_id : second.id);
        assert_string_equal(p.cluster, FIXTURE_CLUSTER);
        assert_true(p.coverage.count > 0);
        assert_int_equal(p.coverage.pieces[p.coverage.count - 1].start_lsn, cases[i].last_piece);
        for (size_t k = 0; k < p.coverage.count; k++)
            bytes += p.coverage.pieces[k].object_size;
        assert_int_equal(p.coverage.stored_bytes, bytes);
        assert_int_equal(p.last_commit_us, FIXTURE_TIME_US + 3 * HOUR);
        assert_true(p.packs > 0 && p.pack_bytes > 0);
        assert_int_equal(p.missing_chunks, 0);
        hq_plan_clear(&p);
        assert_null(p.wal);
    }
}

/* PostgreSQL fails at the end of WAL when it saw nothing behind the target. */
static void
a_target_may_be_the_very_end(void **state)
{
    static const int64_t last_us = FIXTURE_TIME_US + 3 * HOUR;
    static const struct {
        struct hq_target target;
        bool at_end;
    } cases[] = {
        {{.type = HQ_TARGET_LATEST}, false},
        {{.type = HQ_TARGET_TIME, .time_us = last_us}, true},
        {{.type = HQ_TARGET_TIME, .time_us = last_us, .exclusive = true}, false},
        {{.type = HQ_TARGET_TIME, .time_us = last_us - 1}, false},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2400500}, true},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2400500, .exclusive = true}, true},
        {{.type = HQ_TARGET_LSN, .lsn = 0x24004ff}, false},
    };
    struct hq_error err = {0};

    fill(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_plan p;

        ASSERT_OK(plan(*state, &cases[i].target, false, &p, &err), &err);
        assert_int_equal(p.at_end, cases[i].at_end);
        hq_plan_clear(&p);
    }
}

/* The range that is possible, as the message names it. */
static void
assert_names_the_range(const struct hq_error *err)
{
    static const char *const parts[] = {"2026-07-01T00:01:00Z", "0/2000100", "2026-07-01T03:00:00Z",
                                        "0/2400500"};

    for (size_t i = 0; i < 4; i++)
        if (strstr(err->message, parts[i]) == NULL)
            fail_msg("%s is not in: %s", parts[i], err->message);
    assert_non_null(strstr(err->hint, "hq-restore points"));
}

static void
targets_outside_are_refused_with_the_range(void **state)
{
    struct fixture *f = *state;
    static const struct hq_target targets[] = {
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 59999999},
        {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 3 * HOUR + 1},
        {.type = HQ_TARGET_TIME, .time_us = INT64_MAX / 2},
        {.type = HQ_TARGET_TIME, .time_us = 0},
        {.type = HQ_TARGET_LSN, .lsn = 0x20000ff},
        {.type = HQ_TARGET_LSN, .lsn = 0x2400501},
        {.type = HQ_TARGET_LSN, .lsn = UINT64_MAX},
        {.type = HQ_TARGET_LSN, .lsn = 0x2100000, .backup = "20260701T010000Z-00000002"},
    };

    fill(f);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct hq_plan p;
        struct hq_error err = {0};

        ASSERT_CODE(plan(f, &targets[i], false, &p, &err), &err, HQ_E_RANGE);
        assert_names_the_range(&err);
        assert_null(p.wal);
        assert_null(p.index);
    }
}

static void
what_is_not_there_is_missing(void **state)
{
    struct fixture *f = *state;
    struct hq_target latest = {.type = HQ_TARGET_LATEST};
    struct hq_target named = {.type = HQ_TARGET_LATEST, .backup = "20260701T000000Z-ffffffff"};
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    ASSERT_CODE(plan(f, &latest, false, &p, &err), &err, HQ_E_MISSING);
    assert_non_null(strstr(err.message, "no backup of cluster main"));
    fill(f);
    ASSERT_CODE(plan(f, &named, false, &p, &err), &err, HQ_E_MISSING);
    assert_non_null(strstr(err.message, "20260701T000000Z-ffffffff"));
    ASSERT_CODE(hq_plan_make(&f->repository, "mai", &latest, false, &p, &err), &err, HQ_E_MISSING);
    /* With every root damaged it is another message: there is something to look at. */
    for (size_t i = 0; i < 2; i++) {
        fixture_object(f, "backups/main/", i, name);
        ASSERT_OK(hq_memory_damage(f->store, name, 100, 2, &err), &err);
    }
    ASSERT_CODE(plan(f, &latest, false, &p, &err), &err, HQ_E_MISSING);
    assert_non_null(strstr(err.message, "no readable backup"));
}

static void
a_damaged_root_leaves_the_other_backups(void **state)
{
    struct fixture *f = *state;
    struct hq_target latest = {.type = HQ_TARGET_LATEST};
    struct hq_backup_list list;
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    fill(f);
    fixture_object(f, "backups/main/", 1, name);
    ASSERT_OK(hq_memory_damage(f->store, name, 100, 2, &err), &err);
    ASSERT_OK(hq_backup_list_load(&f->repository, FIXTURE_CLUSTER, &list, &err), &err);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.unreadable, 1);
    hq_backup_list_clear(&list);
    ASSERT_OK(plan(f, &latest, false, &p, &err), &err);
    assert_string_equal(p.root.backup, first_id);
    assert_int_equal(p.coverage.end_lsn, 0x2400500);
    hq_plan_clear(&p);
}

static void
a_backup_without_its_wal_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct hq_target latest = {.type = HQ_TARGET_LATEST};
    struct hq_target named = {.type = HQ_TARGET_LATEST, .backup = second.id};
    struct hq_plan p;
    struct hq_error err = {0};

    fixture_backup_cluster(f, &fixture_first);
    fixture_backup_cluster(f, &second);
    ASSERT_CODE(plan(f, &latest, false, &p, &err), &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "no backup of cluster main has its WAL complete"));
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(0) + 0xff, 0);
    ASSERT_CODE(plan(f, &latest, false, &p, &err), &err, HQ_E_RANGE);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(0) + 0x100, FIXTURE_TIME_US);
    ASSERT_OK(plan(f, &latest, false, &p, &err), &err);
    assert_string_equal(p.root.backup, first_id);
    hq_plan_clear(&p);
    ASSERT_CODE(plan(f, &named, false, &p, &err), &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "from the backup's start to its end is not complete"));
    /* Without a commit since, the backup's own end is all there is. */
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(0) + 0x100, 0);
    ASSERT_CODE(plan(f, &(struct hq_target){.type = HQ_TARGET_TIME, .time_us = second.finished_us},
                     false, &p, &err),
                &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "the end of its backup"));
}

/* Timeline 2 was begun from a point between the two backups; the second lies on the old one. */
static void
timelines_choose_their_backup(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_plan p;
    struct hq_error err = {0};

    fill(f);
    (void)fixture_history(f, 2, "1\t0/2100500\tbefore 2026-07-01\n");
    (void)fixture_wal(f, 2, SEGMENT(1), SEGMENT(2), FIXTURE_TIME_US + 5 * HOUR);
    /* Where nothing is asked for, the newest timeline, whichever backup is the newest. */
    for (target.timeline = 0; target.timeline <= 2; target.timeline += 2) {
        ASSERT_OK(plan(f, &target, false, &p, &err), &err);
        assert_string_equal(p.root.backup, first_id);
        assert_int_equal(p.path.count, 2);
        assert_int_equal(p.coverage.end_timeline, 2);
        assert_int_equal(p.last_commit_us, FIXTURE_TIME_US + 5 * HOUR);
        hq_plan_clear(&p);
    }
    target.timeline = 1;
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, second.id);
    assert_int_equal(p.path.count, 1);
    hq_plan_clear(&p);
    /* A time that only the newest timeline reaches. */
    target = (struct hq_target){.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 4 * HOUR};
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.coverage.end_timeline, 2);
    hq_plan_clear(&p);
    /* Who names the backup gets its own. */
    target = (struct hq_target){.type = HQ_TARGET_LATEST, .backup = second.id};
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_int_equal(p.coverage.end_timeline, 1);
    hq_plan_clear(&p);
    target.timeline = 2;
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "timeline 2 does not descend"));
    target = (struct hq_target){.type = HQ_TARGET_LATEST, .timeline = 7};
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_RANGE);
    assert_non_null(strstr(err.message, "leads to the timeline"));
}

/* And the other way round: the newest backup is the new timeline's, the old one is asked for. */
static void
an_old_timeline_is_found_behind_newer_backups(void **state)
{
    struct fixture *f = *state;
    struct fixture_backup newer = second;
    struct hq_target target = {.type = HQ_TARGET_LATEST, .timeline = 1};
    struct hq_plan p;
    struct hq_error err = {0};

    newer.timeline = 2;
    fixture_backup_cluster(f, &fixture_first);
    fixture_backup_cluster(f, &newer);
    (void)fixture_history(f, 2, "1\t0/2100500\treason\n");
    for (unsigned i = 0; i < 4; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US);
    for (unsigned i = 1; i < 3; i++)
        (void)fixture_wal(f, 2, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US);
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, first_id);
    assert_int_equal(p.coverage.end_lsn, SEGMENT(4));
    hq_plan_clear(&p);
    target.timeline = 0;
    ASSERT_OK(plan(f, &target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, newer.id);
    assert_int_equal(p.coverage.end_lsn, SEGMENT(3));
    hq_plan_clear(&p);
}

struct ranges {
    struct hq_recovery_range items[8];
    size_t count;
};

static int
note_range(const struct hq_recovery_range *range, void *context, struct hq_error *err)
{
    struct ranges *ranges = context;

    (void)err;
    assert_true(ranges->count < 8);
    ranges->items[ranges->count++] = *range;
    return 0;
}

static struct ranges
ranges_of(struct fixture *f)
{
    struct ranges ranges = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_recovery_ranges(&f->repository, FIXTURE_CLUSTER, note_range, &ranges, &err), &err);
    return ranges;
}

static void
ranges_join_and_divide(void **state)
{
    struct fixture *f = *state;
    struct ranges r = ranges_of(f);
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    assert_int_equal(r.count, 0);
    fill(f);
    r = ranges_of(f);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.items[0].backups, 2);
    assert_int_equal(r.items[0].from_us, FIXTURE_TIME_US + 60000000);
    assert_int_equal(r.items[0].to_us, FIXTURE_TIME_US + 3 * HOUR);
    assert_int_equal(r.items[0].from_lsn, 0x2000100);
    assert_int_equal(r.items[0].to_lsn, 0x2400500);
    assert_string_equal(r.items[0].first_backup, first_id);
    assert_string_equal(r.items[0].last_backup, second.id);
    /* Segment 1 is lost: two ranges, and a time in the hole belongs to none. */
    fixture_object(f, "wal/main/", 1, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    r = ranges_of(f);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.items[0].to_lsn, SEGMENT(1));
    assert_int_equal(r.items[0].to_us, FIXTURE_TIME_US);
    assert_int_equal(r.items[1].from_lsn, 0x2200100);
    assert_int_equal(r.items[1].backups, 1);
}

static int
note_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct hq_buf *names = context;

    (void)err;
    hq_buf_printf(names, "%s,", cluster);
    return 0;
}

static void
clusters_are_named_once(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf names = {0};
    static const char *const objects[] = {
        "backups/alpha/20260701T000000Z-00000001", "backups/alpha/20260701T000000Z-00000002",
        "backups/Beta/20260701T000000Z-00000001",  "backups/gamma/nonsense",
        "backups/delta/20260701T000000Z-00000001", "backups/delta/20260701T000000Z-00000001/x",
    };
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        ASSERT_OK(hq_store_put_bytes(f->store, objects[i], "x", 1, &err), &err);
    ASSERT_OK(hq_clusters(&f->repository, note_cluster, &names, &err), &err);
    assert_string_equal(hq_buf_text(&names), "alpha,delta,");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(every_target_finds_its_backup),
        FIXTURE_TEST(targets_outside_are_refused_with_the_range),
        FIXTURE_TEST(what_is_not_there_is_missing),
        FIXTURE_TEST(a_damaged_root_leaves_the_other_backups),
        FIXTURE_TEST(a_backup_without_its_wal_is_passed_over),
        FIXTURE_TEST(a_target_may_be_the_very_end),
        FIXTURE_TEST(timelines_choose_their_backup),
        FIXTURE_TEST(an_old_timeline_is_found_behind_newer_backups),
        FIXTURE_TEST(ranges_join_and_divide),
        FIXTURE_TEST(clusters_are_named_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
