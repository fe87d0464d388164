/*
 * A full disk, for real: a small tmpfs in a mount namespace of our own, which goes with the
 * process. Needs root; without it the test fails, because a test that is not run proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/storage.h"
#include "store_checks.h"

enum {
    DISK = 4 << 20
};

static char mount_point[] = "/tmp/hq-space-XXXXXX";

static int
set_up(void **state)
{
    char limits[64];
    struct hq_store_options options = {.url = mount_point};
    struct hq_store *store = NULL;
    struct hq_error err;

    /* 16 inodes: the root, two directories, and room to run out of. */
    (void)snprintf(limits, sizeof limits, "size=%d,nr_inodes=16,mode=700", DISK);
    if (mount("none", mount_point, "tmpfs", 0, limits) != 0)
        fail_msg("mount tmpfs: %s", strerror(errno));
    assert_int_equal(hq_store_open(&options, &store, &err), 0);
    *state = store;
    return 0;
}

static int
tear_down(void **state)
{
    hq_store_close(*state);
    assert_int_equal(umount2(mount_point, MNT_DETACH), 0);
    return 0;
}

static void
expect_no_space(int rc, const struct hq_error *err, const char *name)
{
    assert_int_equal(rc, -1);
    if (err->code != HQ_E_NO_SPACE)
        fail_msg("%s: %s", hq_code_name(err->code), err->message);
    assert_non_null(strstr(err->message, name));
    assert_non_null(strstr(err->hint, "file system is full"));
}

/* What is told is the file system's, not this process's or a guess. */
static void
space_is_told(void **state)
{
    struct hq_store *store = *state;
    HQ_FREE char *bytes = calloc(1, DISK / 2);
    uint64_t before, after, all;
    struct hq_error err;

    assert_non_null(bytes);
    assert_int_equal(hq_store_space(store, &before, &all, &err), 0);
    assert_int_equal(all, DISK);
    assert_in_range(before, DISK / 2, DISK);
    assert_int_equal(hq_store_put_bytes(store, "packs/half", bytes, DISK / 2, &err), 0);
    assert_int_equal(hq_store_space(store, &after, &all, &err), 0);
    assert_int_equal(before - after, DISK / 2);
}

/* A failed put gives its room back and leaves the old object; then less fits again. */
static void
full_disk(void **state)
{
    struct hq_store *store = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    HQ_FREE char *bytes = calloc(1, 2 * DISK);
    struct hq_error err;

    assert_non_null(bytes);
    assert_int_equal(hq_store_put_bytes(store, "packs/old", "old", 3, &err), 0);
    for (int i = 0; i < 5; i++) {
        expect_no_space(hq_store_put_bytes(store, "packs/new", bytes, 2 * DISK, &err), &err,
                        "packs/new");
        expect_no_space(hq_store_put_bytes(store, "packs/old", bytes, 2 * DISK, &err), &err,
                        "packs/old");
    }
    assert_int_equal(hq_store_get_all(store, "packs/old", 99, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "old");
    assert_int_equal(objects_in(store), 1);
    assert_int_equal(hq_store_put_bytes(store, "packs/new", bytes, DISK * 3 / 4, &err), 0);
    assert_int_equal(hq_store_delete(store, "packs/new", &err), 0);
    assert_int_equal(hq_store_put_bytes(store, "packs/two", bytes, DISK * 3 / 4, &err), 0);
}

static void
full_disk_from_file(void **state)
{
    struct hq_store *store = *state;
    char path[] = "/tmp/hq-space-file-XXXXXX";
    HQ_CLOSE int fd = mkstemp(path);
    struct hq_body body = {.data = NULL, .fd = fd, .size = 2 * DISK};
    struct hq_error err;

    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(fd, 2 * DISK), 0);
    for (int i = 0; i < 5; i++)
        expect_no_space(hq_store_put(store, "packs/new", &body, &err), &err, "packs/new");
    assert_int_equal(objects_in(store), 0);
    body.size = DISK / 2;
    assert_int_equal(hq_store_put(store, "packs/new", &body, &err), 0);
}

static void
no_more_files(void **state)
{
    struct hq_store *store = *state;
    struct hq_error err;
    char name[32];
    unsigned stored = 0;

    for (; stored < 100; stored++) {
        (void)snprintf(name, sizeof name, "packs/%u", stored);
        if (hq_store_put_bytes(store, name, "1", 1, &err) != 0)
            break;
    }
    expect_no_space(-1, &err, name);
    assert_in_range(stored, 5, 20);
    assert_int_equal(objects_in(store), stored);
    expect_no_space(hq_store_put_bytes(store, "new/folder/x", "1", 1, &err), &err, "new/folder/x");
    assert_int_equal(hq_store_delete(store, "packs/0", &err), 0);
    assert_int_equal(hq_store_put_bytes(store, "packs/again", "1", 1, &err), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(space_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_from_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_files, set_up, tear_down),
    };

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdtemp(mount_point) == NULL) {
        perror("storage_space_test needs root: mount namespace");
        return 1;
    }
    int failed = cmocka_run_group_tests_name("full disk", tests, NULL, NULL);
    (void)rmdir(mount_point);
    return failed == 0 ? 0 : 1;
}
