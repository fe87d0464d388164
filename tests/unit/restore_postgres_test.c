#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_attempt.h"

static void
a_cluster_comes_back(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    struct hq_error err = {0};
    char full[512];
    struct stat st;

    umask(0027);
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        a->options.workers = workers;
        ASSERT_OK(run(a, &err), &err);
        check_cluster(a);
        assert_int_equal(a->result.losses, 0);
        assert_true(a->result.files >= 11 && a->result.bytes > 2700000);
        assert_true(a->progress > 0 && a->result.fetched_bytes > 0);
        assert_false(exists(a, "global/pg_control.hq-restore"));
        assert_false(exists(a, "standby.signal"));
        assert_true(exists(a, "recovery.signal"));
        assert_int_equal(lstat(path_in(a, "hq_restore/wal.json", full), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(lstat(a->data, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        remove_data(a);
    }
    free_attempt(a);
}

static void
an_empty_directory_is_accepted(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_error err = {0};

    assert_int_equal(mkdir(a->data, 0755), 0);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

static void
put_file(const char *path, const char *text)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_io_create(path, text, strlen(text), 0600, &err), &err);
}

static void
nothing_is_overwritten(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_error err = {0};
    char full[512];

    put_file(a->data, "a file");
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_int_equal(unlink(a->data), 0);
    assert_int_equal(mkdir(a->data, 0700), 0);
    put_file(path_in(a, ".hidden", full), "x");
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, ".hidden"));
    assert_true(err.hint[0] != '\0');
    put_file(path_in(a, "postmaster.pid", full), "1\n");
    put_file(path_in(a, "zzz", full), "x");
    ASSERT_CODE(run(a, &err), &err, HQ_E_BUSY);
    assert_non_null(strstr(err.message, "postmaster.pid"));
    assert_false(exists(a, "PG_VERSION"));
    free_attempt(a);
}

static const struct fixture_file with_tablespace[] = {
    {.path = "PG_VERSION", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "15\n"},
    {.path = "global", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
    {.path = "global/pg_control", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 8192, .seed = 4},
    {.path = "pg_tblspc", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
    {.path = "pg_tblspc/1234567890", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/old"},
    {.path = "pg_tblspc/1234567890/PG_15_2", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
    {.path = "pg_tblspc/1234567890/PG_15_2/5",
     .type = HQ_ENTRY_RELATION,
     .mode = 0600,
     .size = 5 * FIXTURE_BLOCK,
     .seed = 8},
    {.path = "tablespace_map", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "1234567890 /old\n"},
};

static struct attempt *
prepare_tablespace(struct fixture *f)
{
    struct fixture_backup backup = fixture_first;
    struct hq_error err = {0};

    backup.tablespace = "/nonexistent/old";
    ASSERT_OK(fixture_backup(f, &backup, with_tablespace,
                             sizeof with_tablespace / sizeof with_tablespace[0], &err),
              &err);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    return new_attempt(f, &latest, false);
}

static void
tablespaces_go_where_they_are_mapped(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare_tablespace(f);
    char where[128], full[512], link[512] = "";
    struct hq_tablespace_map maps[2] = {{.oid = 1234567890, .to = where},
                                        {.from = "/nonexistent/old", .to = where}};
    struct hq_error err = {0};

    snprintf(where, sizeof where, "%s/space", f->directory);
    a->options.tablespace_count = 1;
    for (size_t i = 0; i < 2; i++) {
        struct fixture_file file = with_tablespace[6];

        a->options.tablespaces = &maps[i];
        ASSERT_OK(run(a, &err), &err);
        assert_true(readlink(path_in(a, "pg_tblspc/1234567890", full), link, sizeof link - 1) > 0);
        link[strlen(where)] = '\0';
        assert_string_equal(link, where);
        check_content(a, &file);
        /* The server would make the old links again. */
        assert_false(exists(a, "tablespace_map"));
        remove_data(a);
        ASSERT_OK(hq_io_remove_tree(where, &err), &err);
    }
    free_attempt(a);
}

static void
tablespaces_are_not_overwritten_either(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare_tablespace(f);
    struct hq_tablespace_map map = {.oid = 1234567890, .to = f->directory};
    struct hq_error err = {0};

    a->options.tablespaces = &map;
    a->options.tablespace_count = 1;
    ASSERT_CODE(run(a, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, "tablespace 1234567890"));
    assert_false(exists(a, "global/pg_control"));
    remove_data(a);
    map.to = "relative/path";
    ASSERT_CODE(run(a, &err), &err, HQ_E_USAGE);
    remove_data(a);
    map.to = a->data;
    ASSERT_CODE(run(a, &err), &err, HQ_E_USAGE);
    assert_non_null(strstr(err.message, "is the data directory"));
    assert_non_null(strstr(err.hint, "--tablespace-map"));
    free_attempt(a);
}

/* What a manifest may not make a restore do, even if it is signed. */
static void
entries_outside_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_file evil[][2] = {
        {{.path = "base", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/etc"},
         {.path = "base/passwd", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "x"}},
        {{.path = "pg_tblspc", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
         {.path = "pg_tblspc/16390", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/etc"}},
        {{.path = "pg_tblspc", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
         {.path = "pg_tblspc/16390/passwd", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "x"}},
    };

    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        struct attempt *a;
        struct hq_error err = {0};

        ASSERT_OK(fixture_backup(f, &fixture_first, evil[i], 2, &err), &err);
        a = new_attempt(f, &latest, true);
        ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
        remove_data(a);
        free_attempt(a);
    }
}

static void
without_pg_control_there_is_no_cluster(void **state)
{
    struct fixture *f = *state;
    struct attempt *a;
    struct hq_error err = {0};

    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    ASSERT_OK(fixture_backup(f, &fixture_first, with_tablespace, 2, &err), &err);
    a = new_attempt(f, &latest, false);
    ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, "no global/pg_control"));
    free_attempt(a);
}

/*
 * Whichever call fails: an error, and a directory that no server takes for a whole one; or a whole
 * restore, where the call was one for WAL that wal-get can fetch itself.
 */
static void
pg_control_comes_last(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    uint64_t failures = 0, in_a_row = 0;

    for (uint64_t n = 1; in_a_row < 10; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};
        struct hq_error err = {0};
        int failed;

        hq_memory_set_faults(f->store, &faults);
        failed = run(a, &err);
        hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
        in_a_row = failed == 0 ? in_a_row + 1 : 0;
        if (failed == 0) {
            check_cluster(a);
        } else {
            failures++;
            assert_int_equal(err.code, HQ_E_TRANSIENT);
            assert_non_null(strstr(err.message, "restore to "));
            assert_false(exists(a, "global/pg_control"));
        }
        assert_false(exists(a, ".hq-restore-wal"));
        remove_data(a);
    }
    assert_true(failures > 3);
    free_attempt(a);
}

static void
stop_early(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    ((struct attempt *)context)->stop = 1;
}

static void
a_stopped_restore_is_not_a_whole_one(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_error err = {0};

    a->options.stop = &a->stop;
    a->stop = 1;
    ASSERT_CODE(run(a, &err), &err, HQ_E_INTERRUPTED);
    assert_non_null(strstr(err.hint, "run the same command again"));
    assert_false(exists(a, "global/pg_control"));
    remove_data(a);
    a->stop = 0;
    a->options.workers = 1;
    a->options.progress = stop_early;
    /* One batch holds all of this cluster: it ends whole, or it ends as stopped. */
    if (run(a, &err) != 0) {
        assert_int_equal(err.code, HQ_E_INTERRUPTED);
        assert_false(exists(a, "global/pg_control"));
    }
    free_attempt(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_cluster_comes_back),
        FIXTURE_TEST(an_empty_directory_is_accepted),
        FIXTURE_TEST(nothing_is_overwritten),
        FIXTURE_TEST(tablespaces_go_where_they_are_mapped),
        FIXTURE_TEST(tablespaces_are_not_overwritten_either),
        FIXTURE_TEST(entries_outside_are_refused),
        FIXTURE_TEST(without_pg_control_there_is_no_cluster),
        FIXTURE_TEST(pg_control_comes_last),
        FIXTURE_TEST(a_stopped_restore_is_not_a_whole_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
