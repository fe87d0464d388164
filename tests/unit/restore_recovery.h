/**
 * @file restore_recovery.h
 * A recovery of the fixture's cluster as wal-get sees it. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_RESTORE_RECOVERY_H
#define HQ_TESTS_RESTORE_RECOVERY_H

#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"
#include "fixture.h"
#include "restore/wal_get.h"

#define SEGMENT(n) (UINT64_C(0x2000000) + (uint64_t)(n)*FIXTURE_SEGMENT)

/* A recovery from the fixture's backup along timelines 1 and 2, as hq-restore pg leaves it. */
struct recovery {
    struct fixture *f;
    char settings[128], destination[128];
};

static inline struct recovery
prepare(struct fixture *f)
{
    struct recovery r = {.f = f};
    struct hq_restore_options options = {.store = &f->options};
    struct hq_target latest = {.type = HQ_TARGET_LATEST};
    struct hq_plan plan;
    struct hq_error err = {0};

    fixture_backup_cluster(f, &fixture_first);
    (void)fixture_history(f, 2, "1\t0/2200000\treason\n");
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), FIXTURE_TIME_US);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), FIXTURE_TIME_US);
    (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(3), FIXTURE_TIME_US);
    (void)fixture_wal(f, 2, SEGMENT(2), SEGMENT(2) + 0x100, 0);
    (void)fixture_wal(f, 2, SEGMENT(2) + 0x80, SEGMENT(2) + 0x90, 0);
    (void)fixture_wal(f, 2, SEGMENT(2) + 0x100, SEGMENT(2) + 0x700, 0);
    snprintf(r.settings, sizeof r.settings, "%s/wal.json", f->directory);
    snprintf(r.destination, sizeof r.destination, "%s/RECOVERYXLOG", f->directory);
    ASSERT_OK(hq_plan_make(&f->repository, FIXTURE_CLUSTER, &latest, false, &plan, &err), &err);
    ASSERT_OK(hq_wal_settings_write(&f->repository, &plan, &options, r.settings, &err), &err);
    hq_plan_clear(&plan);
    return r;
}

static inline int
get(const struct recovery *r, const char *file, struct hq_error *err)
{
    hq_error_clear(err);
    return hq_wal_get(r->settings, file, r->destination, err);
}

/* The destination holds @p len bytes of WAL, then zeros to the segment's end. */
static inline void
assert_wal(const struct recovery *r, uint32_t timeline, uint64_t lsn, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf found = {0};
    HQ_FREE uint8_t *expected = calloc(1, FIXTURE_SEGMENT);
    struct hq_error err = {0};

    assert_non_null(expected);
    fixture_wal_bytes(timeline, lsn, expected, len);
    ASSERT_OK(hq_io_read_file(r->destination, 64 << 20, &found, &err), &err);
    assert_int_equal(found.len, FIXTURE_SEGMENT);
    assert_memory_equal(found.data, expected, FIXTURE_SEGMENT);
    assert_int_equal(unlink(r->destination), 0);
}

static inline bool
delivered(const struct recovery *r)
{
    struct stat st;

    return stat(r->destination, &st) == 0;
}

#endif
