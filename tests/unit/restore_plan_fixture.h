/**
 * @file restore_plan_fixture.h
 * Two backups of the fixture's cluster with their WAL, and plans for it. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_RESTORE_PLAN_FIXTURE_H
#define HQ_TESTS_RESTORE_PLAN_FIXTURE_H

#include <stdio.h>

#include "fixture.h"
#include "restore/plan.h"

#define SEGMENT(n) (UINT64_C(0x2000000) + (uint64_t)(n)*FIXTURE_SEGMENT)
#define HOUR INT64_C(3600000000)

/* Two backups, an hour and two segments apart, and WAL that goes on behind the second. */
static const struct fixture_backup second = {.id = "20260701T010000Z-00000002",
                                             .finished_us = FIXTURE_TIME_US + HOUR + 60000000,
                                             .timeline = 1,
                                             .start_lsn = 0x2200028,
                                             .stop_lsn = 0x2200100};
static const char *const first_id = "20260701T000000Z-00000001";

static inline void
fill(struct fixture *f)
{
    fixture_backup_cluster(f, &fixture_first);
    fixture_backup_cluster(f, &second);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), FIXTURE_TIME_US);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), FIXTURE_TIME_US + HOUR / 2);
    (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(3), FIXTURE_TIME_US + HOUR);
    (void)fixture_wal(f, 1, SEGMENT(3), SEGMENT(4), FIXTURE_TIME_US + 2 * HOUR);
    (void)fixture_wal(f, 1, SEGMENT(4), SEGMENT(4) + 0x500, FIXTURE_TIME_US + 3 * HOUR);
}

static inline int
plan(struct fixture *f, const struct hq_target *target, bool allow_damaged, struct hq_plan *out,
     struct hq_error *err)
{
    hq_error_clear(err);
    return hq_plan_make(&f->repository, FIXTURE_CLUSTER, target, allow_damaged, out, err);
}

#endif
