#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "fixture.h"

static void
write_text(const char *path, const void *data, size_t len)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_io_replace(path, data, len, 0600, &err), &err);
}

/* Run @p sql on the file itself, as somebody else's program. */
static void
run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static int64_t
ask_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t answer;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

/* Files beside the catalog that were set aside; journals are not counted. */
static size_t
set_aside(const struct fixture *f, char path[512])
{
    DIR *dir = opendir(f->directory);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (strstr(entry->d_name, "catalog.damaged-") == NULL ||
            strcmp(entry->d_name + len - 4, "-wal") == 0 ||
            strcmp(entry->d_name + len - 4, "-shm") == 0)
            continue;
        snprintf(path, 512, "%s/%s", f->directory, entry->d_name);
        count++;
    }
    closedir(dir);
    return count;
}

static void
close_catalog(struct fixture *f)
{
    hq_catalog_close(f->catalog);
    f->catalog = NULL;
}

/* Whether it has never been synchronised. */
static bool
is_new(const struct fixture *f)
{
    return ask_number(f->catalog_path, "SELECT synchronised FROM identity") == 0;
}

static void
a_new_one_is_new_once(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    assert_true(is_new(f));
    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
    assert_false(is_new(f));
    fixture_reopen_catalog(f);
    assert_false(is_new(f));
}

/* A program that died before its first sync leaves a catalog that is as good as new. */
static void
a_new_one_stays_new_until_synchronised(void **state)
{
    struct fixture *f = *state;

    fixture_reopen_catalog(f);
    assert_true(is_new(f));
}

static void
a_file_that_is_no_catalog_is_set_aside(void **state)
{
    struct fixture *f = *state;
    static const char junk[] = "this is not a database, however long one looks at it .........";
    char aside[512];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf kept = {0};
    struct hq_error err = {0};

    close_catalog(f);
    write_text(f->catalog_path, junk, sizeof junk);
    fixture_reopen_catalog(f);
    assert_true(is_new(f));
    assert_int_equal(set_aside(f, aside), 1);
    ASSERT_OK(hq_io_read_file(aside, 4096, &kept, &err), &err);
    assert_int_equal(kept.len, sizeof junk);
    assert_memory_equal(kept.data, junk, sizeof junk);
}

/* Page by page: opening either finds the damage or the page held nothing that matters. */
static void
a_damaged_page_never_fails_opening(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf whole = {0};
    struct hq_error err = {0};
    size_t aside = 0;
    char path[512];

    for (uint64_t i = 0; i < 200; i++)
        (void)fixture_wal(f, 1, i * 65536, i * 65536 + 100, 0);
    close_catalog(f);
    ASSERT_OK(hq_io_read_file(f->catalog_path, 64 << 20, &whole, &err), &err);
    assert_true(whole.len >= 8 * 4096);
    for (size_t page = 0; page < whole.len / 4096; page++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf damaged = {0};

        hq_buf_put(&damaged, whole.data, whole.len);
        memset(damaged.data + page * 4096, 0xa5, 4096);
        write_text(f->catalog_path, damaged.data, damaged.len);
        fixture_reopen_catalog(f);
        aside += is_new(f);
        ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
        assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM wal"), 200);
        close_catalog(f);
        while (set_aside(f, path) > 0)
            assert_int_equal(unlink(path), 0);
    }
    assert_true(aside >= whole.len / 4096 / 2);
}

static void
a_truncated_one_is_set_aside(void **state)
{
    struct fixture *f = *state;
    char aside[512];

    for (uint64_t i = 0; i < 200; i++)
        (void)fixture_wal(f, 1, i * 65536, i * 65536 + 100, 0);
    close_catalog(f);
    assert_int_equal(truncate(f->catalog_path, 3 * 4096 + 5), 0);
    fixture_reopen_catalog(f);
    assert_true(is_new(f));
    assert_int_equal(set_aside(f, aside), 1);
}

static void
another_repositorys_is_set_aside(void **state)
{
    struct fixture *f = *state;
    const uint8_t other[16] = {1, 2, 3};
    struct hq_catalog *c;
    struct hq_error err = {0};
    char aside[512];

    fixture_backup_cluster(f, &fixture_first);
    close_catalog(f);
    ASSERT_OK(hq_catalog_open(f->catalog_path, other, &c, &err), &err);
    assert_true(is_new(f));
    hq_catalog_close(c);
    assert_int_equal(set_aside(f, aside), 1);
    assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM chunks"), 0);
    assert_int_equal(ask_number(aside, "SELECT count(*) FROM backups"), 1);
}

static void
a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hq_catalog *c;
    struct hq_error err = {0};
    char aside[512], sql[64];
    int64_t known;

    close_catalog(f);
    known = ask_number(f->catalog_path, "PRAGMA user_version");
    run_sql(f->catalog_path, "PRAGMA user_version = 99");
    ASSERT_CODE(hq_catalog_open(f->catalog_path, hq_keyring_repository_id(f->restore), &c, &err),
                &err, HQ_E_UNSUPPORTED);
    assert_null(c);
    assert_non_null(strstr(err.hint, "catalog rebuild"));
    assert_int_equal(set_aside(f, aside), 0);
    assert_int_equal(ask_number(f->catalog_path, "PRAGMA user_version"), 99);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)known);
    run_sql(f->catalog_path, sql);
    fixture_reopen_catalog(f);
}

/* What the first schema's program left, with what it knew. */
static void
an_older_schema_is_migrated(void **state)
{
    struct fixture *f = *state;
    int64_t newest;

    fixture_backup_cluster(f, &fixture_first);
    close_catalog(f);
    newest = ask_number(f->catalog_path, "PRAGMA user_version");
    assert_true(newest >= 2);
    run_sql(f->catalog_path, "ALTER TABLE identity DROP COLUMN synchronised;"
                             "ALTER TABLE wal DROP COLUMN parent;"
                             "ALTER TABLE wal DROP COLUMN begin_lsn; DROP TABLE audit;"
                             "DROP TRIGGER pack_missing; DROP TRIGGER pack_forgotten;"
                             "ALTER TABLE identity DROP COLUMN losses; DROP TABLE notes;"
                             "PRAGMA user_version = 1");
    fixture_reopen_catalog(f);
    assert_int_equal(ask_number(f->catalog_path, "PRAGMA user_version"), newest);
    assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM backups"), 1);
    assert_true(is_new(f));
}

static void
a_place_that_can_not_be_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hq_catalog *c;
    struct hq_error err = {0};
    char path[512];

    snprintf(path, sizeof path, "%s/missing/catalog", f->directory);
    ASSERT_CODE(hq_catalog_open(path, hq_keyring_repository_id(f->restore), &c, &err), &err,
                HQ_E_REFUSED);
    assert_null(c);
    hq_error_clear(&err);
    ASSERT_CODE(hq_catalog_open(f->directory, hq_keyring_repository_id(f->restore), &c, &err), &err,
                HQ_E_REFUSED);
}

/* When the last job of that kind was done well; 0: never. */
static int64_t
last_success(const struct fixture *f, const char *cluster, const char *kind)
{
    char sql[160];

    snprintf(sql, sizeof sql,
             "SELECT coalesce(max(ended), 0) FROM jobs WHERE cluster = '%s' AND kind = '%s' AND "
             "code = 0",
             cluster, kind);
    return ask_number(f->catalog_path, sql);
}

static void
jobs_are_remembered(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0}, why = {0};
    int64_t first, second, third, ended;

    ended = last_success(f, "main", "backup");
    assert_int_equal(ended, 0);
    ASSERT_OK(hq_catalog_job_begin(f->catalog, "main", "backup", &first, &err), &err);
    ASSERT_OK(hq_catalog_job_begin(f->catalog, "main", "backup", &second, &err), &err);
    ASSERT_OK(hq_catalog_job_begin(f->catalog, "other", "backup", &third, &err), &err);
    assert_true(first != second && second != third);
    /* Begun is not done, and failed is not either. */
    ended = last_success(f, "main", "backup");
    assert_int_equal(ended, 0);
    (void)hq_fail(&why, HQ_E_TRANSIENT, "it's \"over\"; DROP TABLE jobs");
    ASSERT_OK(hq_catalog_job_end(f->catalog, first, "", &why, &err), &err);
    ended = last_success(f, "main", "backup");
    assert_int_equal(ended, 0);
    ASSERT_OK(hq_catalog_job_end(f->catalog, second, "20260701T000000Z-00000001", NULL, &err),
              &err);
    fixture_reopen_catalog(f);
    ended = last_success(f, "main", "backup");
    assert_true(ended > FIXTURE_TIME_US - INT64_C(86400000000) * 365);
    ended = last_success(f, "main", "verify");
    assert_int_equal(ended, 0);
    ended = last_success(f, "other", "backup");
    assert_int_equal(ended, 0);
    /* A rebuild is about the repository: what was done here stays known. */
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
    assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM jobs"), 3);
}

enum {
    PROCESSES = 3,
    ROUNDS = 20
};

/* A process of its own: its exit status is all it tells. */
static void
use_catalog(const struct fixture *f, int process)
{
    struct hq_wal_info info = {.type = HQ_WAL_SEGMENT,
                               .system_identifier = FIXTURE_SYSTEM,
                               .timeline = (uint32_t)process + 1,
                               .segment_size = FIXTURE_SEGMENT,
                               .raw_len = FIXTURE_SEGMENT};
    struct hq_catalog *c;
    struct hq_error err = {0};
    int64_t job;

    if (hq_catalog_open(f->catalog_path, hq_keyring_repository_id(f->restore), &c, &err) != 0)
        goto failed;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        info.start_lsn = i * FIXTURE_SEGMENT;
        info.end_lsn = info.start_lsn + FIXTURE_SEGMENT;
        if (hq_catalog_add_wal(c, FIXTURE_CLUSTER, &info, &err) != 0 ||
            hq_catalog_job_begin(c, FIXTURE_CLUSTER, "backup", &job, &err) != 0 ||
            hq_catalog_job_end(c, job, "", NULL, &err) != 0)
            goto failed;
    }
    hq_catalog_close(c);
    _exit(0);

failed:
    fprintf(stderr, "process %d: %s\n", process, err.message);
    _exit(1);
}

static void
run_processes(const struct fixture *f)
{
    pid_t children[PROCESSES];

    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            use_catalog(f, i);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Also the first opening: all find nothing and one makes it. */
static void
processes_share_one(void **state)
{
    struct fixture *f = *state;
    char aside[512];

    close_catalog(f);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(unlink(f->catalog_path), 0);
        run_processes(f);
        assert_int_equal(set_aside(f, aside), 0);
        assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM wal"),
                         PROCESSES * ROUNDS);
        assert_int_equal(
            ask_number(f->catalog_path, "SELECT count(*) FROM jobs WHERE code = 0 AND ended > 0"),
            PROCESSES * ROUNDS);
        assert_int_equal(ask_number(f->catalog_path, "SELECT count(*) FROM identity"), 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_new_one_is_new_once),
        FIXTURE_TEST(a_new_one_stays_new_until_synchronised),
        FIXTURE_TEST(a_file_that_is_no_catalog_is_set_aside),
        FIXTURE_TEST(a_damaged_page_never_fails_opening),
        FIXTURE_TEST(a_truncated_one_is_set_aside),
        FIXTURE_TEST(another_repositorys_is_set_aside),
        FIXTURE_TEST(a_newer_schema_is_refused),
        FIXTURE_TEST(an_older_schema_is_migrated),
        FIXTURE_TEST(a_place_that_can_not_be_is_refused),
        FIXTURE_TEST(jobs_are_remembered),
        FIXTURE_TEST(processes_share_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
