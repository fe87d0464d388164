#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>

#include "restore_attempt.h"

/* The fixture's cluster has 2.7 MB, of which 21 pages are zeros. */
enum {
    KIB = 1024,
    ZERO_PAGES = 21
};

/* Whether this process can have file systems of its own. */
static bool may_mount;

/* A restore of the fixture's cluster to a small disk of its own, <fixture directory>/disk. */
static struct attempt *
prepare_disk(struct fixture *f, uint64_t bytes)
{
    struct attempt *a = prepare(f);
    char disk[256], size[32];

    snprintf(disk, sizeof disk, "%s/disk", f->directory);
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    assert_int_equal(mkdir(disk, 0700), 0);
    assert_int_equal(mount("tmpfs", disk, "tmpfs", 0, size), 0);
    assert_true((size_t)snprintf(a->data, sizeof a->data, "%s/data", disk) < sizeof a->data);
    return a;
}

static void
resize(const struct attempt *a, uint64_t bytes)
{
    char disk[256], size[32];

    snprintf(disk, sizeof disk, "%s/disk", a->f->directory);
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    assert_int_equal(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, size), 0);
}

static int
teardown(void **state)
{
    const struct fixture *f = *state;
    char disk[256];

    snprintf(disk, sizeof disk, "%s/disk", f->directory);
    (void)umount2(disk, MNT_DETACH);
    return fixture_teardown(state);
}

/* A whole restore, whose server has run since; then a file of it is lost. */
static struct attempt *
prepare_delta(struct fixture *f)
{
    struct attempt *a = prepare_disk(f, 8192 * KIB);
    struct hq_error err = {0};
    char full[512];

    ASSERT_OK(run(a, &err), &err);
    ASSERT_OK(hq_io_remove_tree(path_in(a, "hq_restore", full), &err), &err);
    set_system(a, FIXTURE_SYSTEM);
    assert_int_equal(unlink(path_in(a, "big", full)), 0);
    a->options.delta = true;
    return a;
}

/* Something of @p bytes, of the data directory or beside it. */
static void
fill(const struct attempt *a, const char *path, size_t bytes)
{
    HQ_FREE uint8_t *zeros = calloc(1, bytes);

    assert_non_null(zeros);
    put(a, path, 0, zeros, bytes);
}

static void
a_delta_that_can_not_fit_changes_nothing(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};
    char full[512];
    struct stat before, after;

    if (!may_mount)
        skip();
    a = prepare_delta(*state);
    put(a, "base/1/1259", 5 * FIXTURE_BLOCK, "damage", 6);
    put(a, "extra", 0, "x", 1);
    assert_int_equal(chmod(a->data, 0755), 0);
    resize(a, 2400 * KIB);
    assert_int_equal(stat(path_in(a, "base/1/1259", full), &before), 0);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    assert_non_null(strstr(err.message, "what is there already takes 1.1 MiB"));
    assert_non_null(strstr(err.message, "nothing was changed"));
    assert_non_null(strstr(err.hint, "KiB at least, and run the same command again"));
    assert_true(exists(a, "global/pg_control") && exists(a, "extra"));
    assert_false(exists(a, ".hq-restore.json"));
    assert_int_equal(stat(path_in(a, "base/1/1259", full), &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_int_equal(stat(a->data, &after), 0);
    assert_int_equal(after.st_mode & 07777, 0755);
    /* With the room that it asked for it goes on. */
    resize(a, 2900 * KIB);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

static void
what_goes_first_makes_room(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};
    char full[512];

    if (!may_mount)
        skip();
    a = prepare_delta(*state);
    ASSERT_OK(hq_io_make_dirs(path_in(a, "base/77/deep", full), 0700, &err), &err);
    fill(a, "base/77/deep/1", 1400 * KIB);
    resize(a, 2900 * KIB);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    /* Beside the directory it stays. */
    set_system(a, FIXTURE_SYSTEM);
    assert_int_equal(unlink(path_in(a, "big", full)), 0);
    ASSERT_OK(hq_io_remove_tree(path_in(a, "hq_restore", full), &err), &err);
    fill(a, "../beside", 1400 * KIB);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    /* Losses take no room: how many there will be nobody knows. */
    assert_int_equal(unlink(path_in(a, "../beside", full)), 0);
    fill(a, "../beside", 400 * KIB);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    assert_non_null(strstr(err.message, "nothing was changed"));
    a->options.allow_damaged = true;
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    assert_null(strstr(err.message, "nothing was changed"));
    free_attempt(a);
}

/* Enough for what is no zeros, too little for every byte. */
static void
holes_take_no_room(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};
    uint64_t bytes;

    if (!may_mount)
        skip();
    a = prepare_disk(*state, 8192 * KIB);
    ASSERT_OK(run(a, &err), &err);
    bytes = a->result.bytes;
    remove_data(a);
    resize(a, bytes - (uint64_t)ZERO_PAGES / 2 * FIXTURE_BLOCK);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    remove_data(a);
    resize(a, bytes - (uint64_t)(ZERO_PAGES + 1) * FIXTURE_BLOCK);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    assert_non_null(strstr(err.message, "nothing was written"));
    assert_false(exists(a, "base"));
    free_attempt(a);
}

static void
an_interrupted_restore_is_not_left_to_run_out_of_room(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};
    char full[512];

    if (!may_mount)
        skip();
    a = prepare_disk(*state, 8192 * KIB);
    a->options.stop = &a->stop;
    a->stop = 1;
    ASSERT_CODE(run(a, &err), &err, HQ_E_INTERRUPTED);
    a->stop = 0;
    fill(a, "../beside", 6000 * KIB);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    assert_non_null(strstr(err.message, "nothing was changed"));
    assert_true(exists(a, ".hq-restore.json"));
    assert_int_equal(unlink(path_in(a, "../beside", full)), 0);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

/* A file system below the data directory has room of its own. */
static void
what_is_mounted_below_counts(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};
    char full[512];

    if (!may_mount)
        skip();
    a = prepare_delta(*state);
    assert_int_equal(unlink(path_in(a, "base/1/1259", full)), 0);
    resize(a, 2000 * KIB);
    ASSERT_CODE(run(a, &err), &err, HQ_E_NO_SPACE);
    ASSERT_OK(hq_io_remove_tree(path_in(a, "base/1", full), &err), &err);
    assert_int_equal(mkdir(full, 0700), 0);
    assert_int_equal(mount("tmpfs", full, "tmpfs", 0, "size=1400k"), 0);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    assert_int_equal(umount2(full, MNT_DETACH), 0);
    free_attempt(a);
}

/* A tmpfs without a limit says that it has nothing, of which nothing is free. */
static void
no_limit_is_no_shortage(void **state)
{
    struct attempt *a;
    struct hq_error err = {0};

    if (!may_mount)
        skip();
    a = prepare_disk(*state, 0);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

#define ROOM_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(a_delta_that_can_not_fit_changes_nothing),
        ROOM_TEST(what_goes_first_makes_room),
        ROOM_TEST(holes_take_no_room),
        ROOM_TEST(an_interrupted_restore_is_not_left_to_run_out_of_room),
        ROOM_TEST(what_is_mounted_below_counts),
        ROOM_TEST(no_limit_is_no_shortage),
    };

    may_mount = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
