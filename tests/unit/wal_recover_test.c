/* What an earlier run left in the spool, whole and damaged, becomes the list again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "wal_run.h"

static void
spool_path(const struct run *r, unsigned segment, char out[256])
{
    snprintf(out, 256, "%s/%s.%016" PRIX64 ".0000000100000000%08X.spool", r->spool, FIXTURE_CLUSTER,
             (uint64_t)FIXTURE_SYSTEM, segment);
}

static void
damage(const struct run *r, unsigned segment, off_t offset)
{
    char path[256];
    int fd;

    spool_path(r, segment, path);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, offset), 6);
    assert_int_equal(close(fd), 0);
}

/* Receive all of the maker's bytes while the store is away, and die. */
static void
die_with_spool(struct run *r)
{
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_error err = {0};

    hq_memory_set_faults(r->f->store, &faults);
    run_send(r, 1);
    r->stop = 1;
    assert_int_equal(archiver_storers_join(r->a, &err), -1);
    archiver_release(r->a);
    r->a->position.durable_lsn = 0;
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(r->f->store, &faults);
    r->stop = 0;
}

/* Nothing has been received yet, and no storer runs. */
static void
set_memory(struct run *r, size_t limit)
{
    struct hq_error err = {0};

    spool_memory_free(r->a->spool.memory);
    r->a->spool.memory = spool_memory_new(limit, &err);
    assert_non_null(r->a->spool.memory);
}

/* What the spool lost is not put; the failure says so and the position stays. */
static void
test_spool_damaged(void **state)
{
    struct hq_error err = {0};
    struct hq_archiver_position p;
    struct run r;

    run_begin(&r, *state, START);
    ASSERT_OK(archiver_storers_join(r.a, &err), &err);
    set_memory(&r, 0);
    maker_filler(&r.wal, 2 * FIXTURE_SEGMENT);
    run_send(&r, 1);
    damage(&r, 8, 70000);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    ASSERT_CODE(archiver_storers_join(r.a, &err), &err, HQ_E_CORRUPT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, START);
    run_clear(&r);
}

/* What is in memory is put from there: that never was on the disk that damaged it. */
static void
test_spool_damaged_behind_memory(void **state)
{
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, *state, START);
    ASSERT_OK(archiver_storers_join(r.a, &err), &err);
    maker_filler(&r.wal, 2 * FIXTURE_SEGMENT);
    run_send(&r, 1);
    damage(&r, 8, 70000);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_await(&r, START + r.sent);
    run_end(&r);
    assert_int_equal(run_object(&r, 0).type, HQ_WAL_SEGMENT);
    run_clear(&r);
}

/* More segments than memory holds: the others are read back from the spool. */
static void
test_beyond_memory(void **state)
{
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, *state, START);
    ASSERT_OK(archiver_storers_join(r.a, &err), &err);
    set_memory(&r, SEGMENT);
    maker_filler(&r.wal, 3 * FIXTURE_SEGMENT);
    run_send(&r, 1);
    assert_non_null(spool_file_memory(r.a->first->file, START));
    assert_null(spool_file_memory(r.a->first->next->file, START + SEGMENT));
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_await(&r, START + r.sent);
    run_end(&r);
    for (size_t i = 0; i < fixture_count(r.f, "wal/"); i++)
        (void)run_object(&r, i);
    run_clear(&r);
}

/* What an earlier run left in the spool is stored without a server. */
static void
test_recovered(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct hq_wal_info info;
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, f, START);
    maker_commit(&r.wal, 0, 1000, 0);
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    maker_commit(&r.wal, 0, 2000, 0);
    die_with_spool(&r);
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_true(r.a->known.any);
    assert_int_equal(r.a->known.end, START + r.sent);
    assert_non_null(r.a->current);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_await(&r, START + r.sent);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    run_end(&r);
    info = run_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    info = run_object(&r, 1);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    run_clear(&r);
}

/* A lost file of the spool: receiving goes on at the hole, and nothing behind it is told. */
static void
test_recovered_with_hole(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;
    char path[256];

    run_begin(&r, f, START);
    maker_filler(&r.wal, 4 * FIXTURE_SEGMENT);
    die_with_spool(&r);
    spool_path(&r, 9, path);
    assert_int_equal(unlink(path), 0);
    r.a->known.any = false;
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_int_equal(r.a->known.end, START + SEGMENT);
    assert_null(r.a->current);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_await(&r, START + SEGMENT);
    run_end(&r);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, START + SEGMENT);
    assert_int_equal(fixture_count(f, "wal/"), 4);
    run_clear(&r);
}

/* The first file is lost as a whole: where the chain began nobody knows, so nothing is told. */
static void
test_recovered_without_beginning(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, f, START);
    maker_filler(&r.wal, 3 * FIXTURE_SEGMENT);
    die_with_spool(&r);
    damage(&r, 8, FIXTURE_SEGMENT + 10);
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_false(r.a->known.any);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_end(&r);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, 0);
    assert_int_equal(p.puts, 3);
    run_clear(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_spool_damaged),       FIXTURE_TEST(test_spool_damaged_behind_memory),
        FIXTURE_TEST(test_beyond_memory),       FIXTURE_TEST(test_recovered),
        FIXTURE_TEST(test_recovered_with_hole), FIXTURE_TEST(test_recovered_without_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
