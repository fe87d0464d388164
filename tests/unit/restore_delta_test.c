#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>

#include "restore_attempt.h"

#define MARKER ".hq-restore.json"
#define CONTROL "global/pg_control"

/* A whole restore, of which a data directory of the cluster remains. */
static struct attempt *
prepare_whole(struct fixture *f)
{
    struct attempt *a = prepare(f);
    struct hq_error err = {0};

    ASSERT_OK(run(a, &err), &err);
    assert_false(exists(a, MARKER));
    set_system(a, FIXTURE_SYSTEM);
    a->options.delta = true;
    return a;
}

/* The store fails at each call in turn; the same command then goes on with what there is. */
static void
an_interrupted_restore_goes_on(void **state)
{
    struct attempt *a = prepare(*state);
    uint64_t failures = 0, in_a_row = 0;

    for (uint64_t n = 1; in_a_row < 10; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};
        struct hq_error err = {0};
        int failed;

        hq_memory_set_faults(a->f->store, &faults);
        failed = run(a, &err);
        hq_memory_set_faults(a->f->store, &(struct hq_memory_faults){0});
        in_a_row = failed == 0 ? in_a_row + 1 : 0;
        if (failed != 0) {
            failures++;
            assert_true(exists(a, MARKER) || !exists(a, "base"));
            ASSERT_OK(run(a, &err), &err);
        }
        check_cluster(a);
        assert_false(exists(a, MARKER));
        assert_false(exists(a, "global/pg_control.hq-restore"));
        remove_data(a);
    }
    assert_true(failures > 3);
    free_attempt(a);
}

static void
interrupt(struct attempt *a)
{
    struct hq_error err = {0};

    a->options.stop = &a->stop;
    a->stop = 1;
    ASSERT_CODE(run(a, &err), &err, HQ_E_INTERRUPTED);
    a->stop = 0;
    assert_true(exists(a, MARKER));
}

static void
another_backup_does_not_go_on(void **state)
{
    struct fixture *f = *state;
    struct fixture_backup second = fixture_first;
    struct attempt *a = prepare(f), *b;
    struct hq_error err = {0};

    second.id = "20260702T000000Z-00000002";
    second.finished_us += 86400 * 1000000LL;
    fixture_backup_cluster(f, &second);
    interrupt(a);
    b = new_attempt(f, &latest, false);
    assert_string_equal(b->plan.root.backup, second.id);
    ASSERT_CODE(run(b, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, fixture_first.id));
    assert_non_null(strstr(err.hint, "--backup 20260701T000000Z-00000001"));
    /* Unless that is wanted. */
    b->options.delta = true;
    ASSERT_OK(run(b, &err), &err);
    check_cluster(b);
    free_attempt(a);
    free_attempt(b);
}

/* The last moment: pg_control is in its place, the marker is still there. */
static void
a_directory_in_use_is_not_taken_for_an_interrupted_one(void **state)
{
    struct attempt *a = prepare(*state);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf marker = {0};
    char full[512], other[512];
    struct hq_error err = {0};
    pid_t child;
    int status;

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    child = fork();
    if (child == 0) {
        (void)setenv("HQ_CRASH_POINT", "restore.after-control", 1);
        _exit(run(a, &err));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(exists(a, MARKER) && exists(a, CONTROL));
    ASSERT_OK(hq_io_read_file(path_in(a, MARKER, full), 1 << 20, &marker, &err), &err);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    /* A server has changed pg_control since. */
    ASSERT_OK(hq_io_replace(path_in(a, MARKER, full), marker.data, marker.len, 0600, &err), &err);
    set_system(a, FIXTURE_SYSTEM);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.hint, "--delta"));
    assert_true(exists(a, CONTROL));
    /* A marker that is none. */
    put(a, MARKER, 0, "[", 1);
    ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
    a->options.delta = true;
    ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
    assert_int_equal(unlink(path_in(a, MARKER, other)), 0);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

static void
change_files(const struct attempt *a)
{
    char full[512], other[512];
    struct stat st;

    put(a, "base/1/1259", 5 * FIXTURE_BLOCK + 100, "damage", 6);
    /* Pages of zeros, one of which is not. */
    put(a, "base/1/1259", 3 * FIXTURE_BLOCK + 8000, "x", 1);
    put(a, "big", 700000, "damage", 6);
    assert_int_equal(truncate(path_in(a, "base/1/1259_init", full), 100), 0);
    put(a, "base/1/1259_fsm", 24576, "longer than it was", 18);
    assert_int_equal(unlink(path_in(a, "PG_VERSION", full)), 0);
    put(a, "empty", 0, "not", 3);
    assert_int_equal(chmod(path_in(a, "base/1", full), 0755), 0);
    assert_int_equal(stat(path_in(a, "server.key", full), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    /* A second name elsewhere must not see what is written here. */
    assert_int_equal(rename(path_in(a, "backup_label", full), path_in(a, "../other-name", other)),
                     0);
    assert_int_equal(link(other, full), 0);
    assert_int_equal(truncate(other, 3), 0);
}

static void
put_strange_things(const struct attempt *a)
{
    char full[512], outside[512];
    struct hq_error err = {0};

    ASSERT_OK(hq_io_make_dirs(path_in(a, "../outside", outside), 0700, &err), &err);
    put(a, "../outside/file", 0, "mine", 4);
    assert_int_equal(symlink(outside, path_in(a, "base/link", full)), 0);
    ASSERT_OK(hq_io_make_dirs(path_in(a, "base/77/deep", full), 0700, &err), &err);
    put(a, "base/77/deep/1", 0, "x", 1);
    assert_int_equal(mkfifo(path_in(a, "fifo", full), 0600), 0);
    put(a, "recovery.conf", 0, "x", 1);
    put(a, "pg_wal/000000010000000000000001", 0, "old", 3);
    /* What the backup has as a directory is a link, and the other way round. */
    ASSERT_OK(hq_io_remove_tree(path_in(a, "pg_wal", full), &err), &err);
    assert_int_equal(symlink(outside, full), 0);
    assert_int_equal(unlink(path_in(a, "standby.signal", full)) == 0 || errno == ENOENT, 1);
    assert_int_equal(mkdir(full, 0700), 0);
}

static void
delta_makes_a_changed_directory_the_backup(void **state)
{
    struct attempt *a = prepare_whole(*state);
    struct hq_error err = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char full[512];

    change_files(a);
    put_strange_things(a);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    assert_false(exists(a, "base/link") || exists(a, "base/77") || exists(a, "fifo") ||
                 exists(a, "recovery.conf") || exists(a, MARKER) || exists(a, "standby.signal"));
    assert_true(exists(a, "recovery.signal") && exists(a, "../outside/file"));
    assert_true(a->result.removed >= 6);
    assert_true(a->result.kept_bytes > 1000000);
    ASSERT_OK(hq_io_read_file(path_in(a, "../other-name", full), 100, &text, &err), &err);
    assert_int_equal(text.len, 3);
    free_attempt(a);
}

/* Everything is right: what has no proof of its own is all that is fetched. */
static void
delta_fetches_what_differs(void **state)
{
    struct attempt *a = prepare_whole(*state);
    struct hq_error err = {0};
    uint64_t whole = a->result.fetched_bytes;

    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    assert_true(a->result.fetched_bytes < whole);
    /* All but pg_control, and what the recovery settings replaced: pages by their sums. */
    assert_true(a->result.kept_bytes >= 1500000 + 100 * FIXTURE_BLOCK);
    assert_true(a->result.fetched_bytes < 20000);
    free_attempt(a);
}

static void
delta_dies_anywhere_and_goes_on(void **state)
{
    static const char *const labels[] = {"restore.marker-written", "restore.control-held",
                                         "restore.extras-removed", "restore.chunk-written",
                                         "restore.window-done",    "restore.before-sync",
                                         "restore.before-control", "restore.after-control"};
    struct attempt *a = prepare_whole(*state);
    struct hq_error err = {0};

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        pid_t child;
        int status;

        put(a, "base/1/1259", 8 * FIXTURE_BLOCK, "damage", 6);
        put(a, "big", 9, "damage", 6);
        put(a, "extra", 0, "x", 1);
        set_system(a, FIXTURE_SYSTEM);
        child = fork();
        if (child == 0) {
            (void)setenv("HQ_CRASH_POINT", labels[i], 1);
            _exit(run(a, &err));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            fail_msg("%s was not passed", labels[i]);
        ASSERT_OK(run(a, &err), &err);
        check_cluster(a);
        assert_false(exists(a, "extra") || exists(a, MARKER));
    }
    free_attempt(a);
}

static void
foreign_directories_are_refused(void **state)
{
    struct attempt *a = prepare_whole(*state);
    char full[512], held[512];
    struct hq_error err = {0};

    put(a, "extra", 0, "x", 1);
    set_system(a, FIXTURE_SYSTEM + 1);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, "7312345678901234568"));
    assert_int_equal(
        rename(path_in(a, CONTROL, full), path_in(a, "global/pg_control.hq-restore", held)), 0);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_int_equal(unlink(held), 0);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, "no data directory"));
    put(a, CONTROL, 0, "short", 5);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    set_system(a, FIXTURE_SYSTEM);
    a->options.delta = false;
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.hint, "--delta"));
    assert_true(exists(a, "extra"));
    assert_false(exists(a, MARKER));
    free_attempt(a);
}

static void
a_running_server_is_left_alone(void **state)
{
    struct attempt *a = prepare_whole(*state);
    char text[32], full[512];
    struct hq_error err = {0};
    pid_t child;

    snprintf(text, sizeof text, "%d\n/data\n", (int)getpid());
    put(a, "postmaster.pid", 0, text, strlen(text));
    ASSERT_CODE(run(a, &err), &err, HQ_E_BUSY);
    assert_true(exists(a, CONTROL));
    assert_false(exists(a, MARKER));
    /* One that died there. */
    child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(unlink(path_in(a, "postmaster.pid", full)), 0);
    snprintf(text, sizeof text, "%d\n/data\n", (int)child);
    put(a, "postmaster.pid", 0, text, strlen(text));
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    assert_false(exists(a, "postmaster.pid"));
    free_attempt(a);
}

static void
tablespaces_are_the_clusters_own(void **state)
{
    static const struct fixture_file files[] = {
        {.path = "global", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
        {.path = CONTROL, .type = HQ_ENTRY_FILE, .mode = 0600, .size = 8192, .seed = 4},
        {.path = "pg_tblspc", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
        {.path = "pg_tblspc/1234567890", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/old"},
        {.path = "pg_tblspc/1234567890/PG_15_2", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
        {.path = "pg_tblspc/1234567890/PG_15_2/5",
         .type = HQ_ENTRY_RELATION,
         .mode = 0600,
         .size = 5 * FIXTURE_BLOCK,
         .seed = 8},
    };
    struct fixture *f = *state;
    struct fixture_backup backup = fixture_first;
    struct hq_tablespace_map map = {.oid = 1234567890};
    struct attempt *a;
    char place[512], other[512], full[512];
    struct hq_error err = {0};

    backup.tablespace = "/nonexistent/old";
    ASSERT_OK(fixture_backup(f, &backup, files, sizeof files / sizeof files[0], &err), &err);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    a = new_attempt(f, &latest, false);
    map.to = path_in(a, "../space", place);
    a->options.tablespaces = &map;
    a->options.tablespace_count = 1;
    ASSERT_OK(run(a, &err), &err);
    a->options.delta = true;
    set_system(a, FIXTURE_SYSTEM);
    put(a, "pg_tblspc/1234567890/PG_15_2/5", 9000, "damage", 6);
    put(a, "pg_tblspc/1234567890/PG_15_2/6", 0, "extra", 5);
    /* Another cluster's, as pg_upgrade leaves them beside each other. */
    ASSERT_OK(hq_io_make_dirs(path_in(a, "../space/PG_14_1", full), 0700, &err), &err);
    ASSERT_OK(run(a, &err), &err);
    check_content(a, &files[5]);
    assert_false(exists(a, "../space/PG_15_2/6"));
    assert_true(exists(a, "../space/PG_14_1"));
    /* Not the place that the cluster's link leads to, and not empty. */
    map.to = path_in(a, "../elsewhere", other);
    ASSERT_OK(hq_io_make_dirs(other, 0700, &err), &err);
    put(a, "../elsewhere/file", 0, "mine", 4);
    set_system(a, FIXTURE_SYSTEM);
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_true(exists(a, CONTROL) && exists(a, "../elsewhere/file"));
    assert_int_equal(unlink(path_in(a, "../elsewhere/file", full)), 0);
    ASSERT_OK(run(a, &err), &err);
    check_content(a, &files[5]);
    assert_true(exists(a, "../elsewhere/PG_15_2/5") && exists(a, "../space/PG_15_2/5"));
    free_attempt(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(an_interrupted_restore_goes_on),
        FIXTURE_TEST(another_backup_does_not_go_on),
        FIXTURE_TEST(a_directory_in_use_is_not_taken_for_an_interrupted_one),
        FIXTURE_TEST(delta_makes_a_changed_directory_the_backup),
        FIXTURE_TEST(delta_fetches_what_differs),
        FIXTURE_TEST(delta_dies_anywhere_and_goes_on),
        FIXTURE_TEST(foreign_directories_are_refused),
        FIXTURE_TEST(a_running_server_is_left_alone),
        FIXTURE_TEST(tablespaces_are_the_clusters_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
