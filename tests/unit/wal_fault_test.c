/* System calls of the spool that fail, or are looked at from outside: the linker wraps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "wal_run.h"

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

static atomic_int syncs_to_fail;
static struct run *observed; /* who removes spool files */
static atomic_int begun_anew, removals;

int
__wrap_fdatasync(int fd)
{
    if (syncs_to_fail > 0) {
        syncs_to_fail--;
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

/* Whoever wants to begin the segment whose file goes must still be told to wait. */
int
__wrap_unlink(const char *path)
{
    if (observed != NULL && strstr(path, "000000010000000000000008.spool") != NULL) {
        struct spool_id id = run_id(START);
        struct segment *s = NULL;
        struct hq_error err = {0};

        removals++;
        if (archiver_append(observed->a, &id, &s, &err) == 0)
            begun_anew++;
        else
            assert_int_equal(err.code, HQ_E_TRANSIENT);
    }
    return __real_unlink(path);
}

/* What could not be synced was not received: neither told nor stored, nor found after a death. */
static void
test_sync_fails(void **state)
{
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;
    uint64_t synced;

    run_begin(&r, *state, START);
    maker_commit(&r.wal, 0, 1000, 0);
    maker_filler(&r.wal, 3000);
    run_send(&r, 1);
    synced = START + r.sent;
    run_await(&r, synced);
    maker_commit(&r.wal, 0, 2000, 0);
    maker_filler(&r.wal, 3000);
    ASSERT_OK(archiver_write(r.a, r.wal.bytes.data + r.sent, r.wal.bytes.len - r.sent, 1, &err),
              &err);
    syncs_to_fail = 1;
    ASSERT_CODE(archiver_sync(r.a, &err), &err, HQ_E_SYS);
    assert_int_equal(spool_file_written(r.a->current->file), synced);
    assert_int_equal(r.a->current->synced, synced);
    assert_int_equal(r.a->known.end, synced);
    assert_int_equal(r.a->synced_lsn, synced);
    (void)hq_clock_sleep_ms(300, NULL);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.written_lsn, synced);
    assert_int_equal(p.durable_lsn, synced);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    assert_int_equal(fixture_count(r.f, "wal/"), 1);

    /* It comes again, over another connection, and is whole. */
    r.a->next_lsn = synced;
    r.a->fresh = (struct fresh){0};
    hq_error_clear(&err);
    run_send(&r, 1);
    run_await(&r, START + r.sent);
    run_end(&r);
    (void)run_object(&r, 0);
    assert_int_equal(run_object(&r, 1).end_lsn, START + r.sent);
    run_clear(&r);
}

static void
test_sync_fails_and_death(void **state)
{
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_error err = {0};
    struct run r;
    uint64_t synced;

    run_begin(&r, *state, START);
    hq_memory_set_faults(r.f->store, &faults);
    maker_filler(&r.wal, 3000);
    run_send(&r, 1);
    synced = START + r.sent;
    maker_filler(&r.wal, 3000);
    ASSERT_OK(archiver_write(r.a, r.wal.bytes.data + r.sent, r.wal.bytes.len - r.sent, 1, &err),
              &err);
    syncs_to_fail = 1;
    ASSERT_CODE(archiver_sync(r.a, &err), &err, HQ_E_SYS);
    r.stop = 1;
    assert_int_equal(archiver_storers_join(r.a, &err), -1);
    archiver_release(r.a);
    hq_error_clear(&err);
    /* Its bytes can still be read back, from memory that no disk ever takes. */
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_int_equal(r.a->known.end, synced);
    run_clear(&r);
}

/* Begun before its old file is gone, a segment would lose its new one. */
static void
test_file_goes_first(void **state)
{
    struct run r;

    run_begin(&r, *state, START);
    observed = &r;
    maker_filler(&r.wal, FIXTURE_SEGMENT + 100);
    run_send(&r, 1);
    run_await(&r, START + r.sent);
    for (int i = 0; i < 500 && removals == 0; i++)
        (void)hq_clock_sleep_ms(10, NULL);
    run_end(&r);
    observed = NULL;
    assert_int_equal(removals, 1);
    assert_int_equal(begun_anew, 0);
    run_clear(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_sync_fails),
        FIXTURE_TEST(test_sync_fails_and_death),
        FIXTURE_TEST(test_file_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
