#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"

#define OTHER UINT64_C(7100000000000000001)
#define AT(hours) (FIXTURE_TIME_US + (hours)*HOUR)

/* Of the other system: its id sorts before all others, its LSNs are those of the first. */
static const struct fixture_backup moved = {.id = "20260630T000000Z-00000003",
                                            .finished_us = FIXTURE_TIME_US + 5 * HOUR,
                                            .timeline = 1,
                                            .start_lsn = 0x2000028,
                                            .stop_lsn = 0x2000100};
/* And of the first system again. */
static const struct fixture_backup back = {.id = "20260701T080000Z-00000004",
                                           .finished_us = FIXTURE_TIME_US + 8 * HOUR,
                                           .timeline = 1,
                                           .start_lsn = 0x2500028,
                                           .stop_lsn = 0x2500100};

/* From hour 4 on the cluster is another system, with a backup at 5 and commits up to 6. */
static void
move(struct fixture *f)
{
    fill(f);
    fixture_accept(f, OTHER, AT(4));
    f->system = OTHER;
    fixture_backup_cluster(f, &moved);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), AT(5));
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(1) + 0x500, AT(6));
}

/* From hour 7 on it is the first one again, whose WAL goes on where it ended. */
static void
move_back(struct fixture *f)
{
    fixture_accept(f, FIXTURE_SYSTEM, AT(7));
    f->system = FIXTURE_SYSTEM;
    (void)fixture_wal(f, 1, SEGMENT(4), SEGMENT(5), AT(7));
    (void)fixture_wal(f, 1, SEGMENT(5), SEGMENT(6), AT(8));
    (void)fixture_wal(f, 1, SEGMENT(6), SEGMENT(6) + 0x500, AT(9));
    fixture_backup_cluster(f, &back);
}

static void
expect(struct fixture *f, const struct hq_target *target, const char *backup, size_t lineage,
       bool former)
{
    struct hq_error err = {0};
    struct hq_plan p;

    ASSERT_OK(plan(f, target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, backup);
    assert_int_equal(p.lineage, lineage);
    assert_int_equal(p.former, former);
    hq_plan_clear(&p);
}

static void
refuse(struct fixture *f, const struct hq_target *target)
{
    struct hq_error err = {0};
    struct hq_plan p;

    ASSERT_CODE(plan(f, target, false, &p, &err), &err, HQ_E_RANGE);
}

static void
every_target_is_of_its_lineage(void **state)
{
    struct fixture *f = *state;
    struct hq_target time = {.type = HQ_TARGET_TIME};
    struct hq_target lsn = {.type = HQ_TARGET_LSN, .lsn = 0x2100200};

    move(f);
    expect(f, &(struct hq_target){.type = HQ_TARGET_LATEST}, moved.id, 2, false);
    expect(f, &(struct hq_target){.type = HQ_TARGET_IMMEDIATE}, moved.id, 2, false);
    expect(f, &(struct hq_target){.type = HQ_TARGET_LATEST, .backup = first_id}, first_id, 1, true);

    time.time_us = AT(2);
    expect(f, &time, second.id, 1, true);
    time.time_us = AT(3);
    expect(f, &time, second.id, 1, true);
    time.time_us = AT(6);
    expect(f, &time, moved.id, 2, false);
    /* The new system was the cluster, and had no backup yet: the old one does not reach there. */
    time.time_us = AT(4) + HOUR / 2;
    refuse(f, &time);

    /* Both systems have this LSN; the newest lineage's is meant. */
    expect(f, &lsn, moved.id, 2, false);
    lsn.backup = first_id;
    expect(f, &lsn, first_id, 1, true);
    /* And this one only the first. */
    lsn = (struct hq_target){.type = HQ_TARGET_LSN, .lsn = 0x2400500};
    refuse(f, &lsn);
    lsn.backup = second.id;
    expect(f, &lsn, second.id, 1, true);
}

static void
a_system_that_comes_back(void **state)
{
    struct fixture *f = *state;
    struct hq_target time = {.type = HQ_TARGET_TIME};

    move(f);
    move_back(f);
    expect(f, &(struct hq_target){.type = HQ_TARGET_LATEST}, back.id, 3, false);
    time.time_us = AT(9);
    expect(f, &time, back.id, 3, false);
    time.time_us = AT(6);
    expect(f, &time, moved.id, 2, true);
    time.time_us = AT(2);
    expect(f, &time, second.id, 1, false);
    /* Before its first backup in the new lineage: those of the old one lead there. */
    time.time_us = AT(8) - 1;
    expect(f, &time, second.id, 1, false);
    expect(f, &(struct hq_target){.type = HQ_TARGET_LSN, .lsn = 0x2100000}, first_id, 1, false);
}

/* At hour 6 the first system was another's past, however far its WAL reaches by now. */
static void
another_system_never_stands_in(void **state)
{
    struct fixture *f = *state;
    struct hq_target time = {.type = HQ_TARGET_TIME, .time_us = AT(6)};
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1], prefix[64];

    move(f);
    move_back(f);
    snprintf(prefix, sizeof prefix, "wal/main/%016llx/", (unsigned long long)OTHER);
    fixture_object(f, prefix, 0, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    refuse(f, &time);
    /* Nor where the other one has no backup at all. */
    snprintf(name, sizeof name, "backups/main/%s", moved.id);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    refuse(f, &time);
}

/* Accepted at hour 4, while the first system went on until it was switched off. */
static void
accepted_before_the_switch(void **state)
{
    struct fixture *f = *state;
    struct hq_target time = {.type = HQ_TARGET_TIME, .time_us = AT(4) + HOUR / 2};

    move(f);
    f->system = FIXTURE_SYSTEM;
    (void)fixture_wal(f, 1, SEGMENT(4) + 0x500, SEGMENT(4) + 0x600, AT(4) + HOUR / 2);
    expect(f, &time, second.id, 1, true);
}

struct ranges {
    struct hq_recovery_range items[8];
    size_t count;
};

static int
keep(const struct hq_recovery_range *range, void *context, struct hq_error *err)
{
    struct ranges *r = context;

    (void)err;
    r->items[r->count++] = *range;
    return 0;
}

static void
ranges_follow_lineages(void **state)
{
    struct fixture *f = *state;
    struct ranges r = {.count = 0};
    struct hq_error err = {0};

    move(f);
    move_back(f);
    ASSERT_OK(hq_recovery_ranges(&f->repository, FIXTURE_CLUSTER, keep, &r, &err), &err);
    assert_int_equal(r.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.items[i].lineage, i + 1);
    assert_true(r.items[0].system_identifier == FIXTURE_SYSTEM);
    assert_true(r.items[1].system_identifier == OTHER);
    assert_true(r.items[2].system_identifier == FIXTURE_SYSTEM);
    assert_int_equal(r.items[0].backups, 2);
    assert_string_equal(r.items[2].first_backup, back.id);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(every_target_is_of_its_lineage), FIXTURE_TEST(a_system_that_comes_back),
        FIXTURE_TEST(another_system_never_stands_in), FIXTURE_TEST(accepted_before_the_switch),
        FIXTURE_TEST(ranges_follow_lineages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
