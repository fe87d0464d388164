#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "restore_recovery.h"
#include "wal_prefetch.h"

enum {
    PATIENCE_MS = 20000
};

static struct recovery
prepare_prefetch(struct fixture *f, char folder[PATH_MAX])
{
    struct recovery r = prepare(f);
    char made[160];

    snprintf(made, sizeof made, "%s/" WAL_PREFETCH_FOLDER, f->directory);
    assert_int_equal(mkdir(made, 0700), 0);
    assert_true(wal_prefetch_folder(r.settings, folder));
    return r;
}

/* Until the fetcher has put @p name there, and is done with it. */
static void
await(const char *folder, const char *name)
{
    char path[PATH_MAX], mark[PATH_MAX];

    assert_true(wal_prefetch_path(folder, name, "", path));
    assert_true(wal_prefetch_path(folder, name, WAL_PREFETCH_FETCHING, mark));
    for (int ms = 0; access(path, F_OK) != 0 || access(mark, F_OK) == 0; ms += 10) {
        assert_true(ms < PATIENCE_MS);
        (void)hq_clock_sleep_ms(10, NULL);
    }
}

/* The fetcher is a child of this process: it must end, and with 0. */
static void
await_end(const char *folder)
{
    int status;

    assert_true(wait(&status) > 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(wal_prefetch_runs(folder));
}

static void
delete_wal(struct fixture *f)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    while (fixture_count(f, "wal/") > 0) {
        fixture_object(f, "wal/", 0, name);
        ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    }
}

/* The fetcher has the store as it was when it began: what comes after the first is its work. */
static void
what_comes_next_is_fetched_ahead(void **state)
{
    char folder[PATH_MAX];
    struct recovery r = prepare_prefetch(*state, folder);
    struct hq_error err = {0};

    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    assert_wal(&r, 1, SEGMENT(0), FIXTURE_SEGMENT);
    await(folder, "000000010000000000000021");
    await(folder, "000000020000000000000022");
    assert_true(wal_prefetch_runs(folder));
    delete_wal(r.f);
    ASSERT_OK(get(&r, "000000010000000000000021", &err), &err);
    assert_wal(&r, 1, SEGMENT(1), FIXTURE_SEGMENT);
    ASSERT_OK(get(&r, "000000020000000000000022", &err), &err);
    assert_wal(&r, 2, SEGMENT(2), 0x700);
    /* It has asked for the last one: nothing is left to do. */
    await_end(folder);
    /* The server goes back: what was taken is gone from here, and now from the store. */
    ASSERT_CODE(get(&r, "000000010000000000000021", &err), &err, HQ_E_CORRUPT);
    assert_int_equal(unlink(r.settings), 0);
    await_end(folder);
}

static void
a_fetcher_ends_with_its_recovery(void **state)
{
    char folder[PATH_MAX];
    struct recovery r = prepare_prefetch(*state, folder);
    struct hq_error err = {0};

    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    await(folder, "000000010000000000000021");
    assert_int_equal(unlink(r.settings), 0);
    await_end(folder);
}

/* A power cut on a disk that lies may leave a part under the name of a whole. */
static void
a_torn_file_is_not_taken(void **state)
{
    static const size_t sizes[] = {0, 1000, FIXTURE_SEGMENT - 1, FIXTURE_SEGMENT + 8192};
    char folder[PATH_MAX], path[PATH_MAX], destination[128];
    struct recovery r = prepare_prefetch(*state, folder);
    HQ_FREE uint8_t *junk = calloc(1, FIXTURE_SEGMENT + 8192);
    struct hq_error err = {0};

    assert_non_null(junk);
    snprintf(destination, sizeof destination, "%s/taken", r.f->directory);
    assert_true(wal_prefetch_path(folder, "000000010000000000000021", "", path));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ASSERT_OK(hq_io_replace(path, junk, sizes[i], 0600, &err), &err);
        assert_false(wal_prefetch_take(folder, "000000010000000000000021", destination));
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(destination, F_OK), -1);
    }
    /* Nor is what is no file at all. */
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_false(wal_prefetch_take(folder, "000000010000000000000021", destination));
    assert_int_equal(access(destination, F_OK), -1);
}

/* Nobody is at it, whatever the mark says; and a mark alone is no reason to wait for ever. */
static void
a_mark_without_a_fetcher_is_ignored(void **state)
{
    char folder[PATH_MAX], mark[PATH_MAX];
    struct recovery r = prepare_prefetch(*state, folder);
    struct hq_error err = {0};

    assert_true(wal_prefetch_path(folder, "000000010000000000000021", ".fetching", mark));
    ASSERT_OK(hq_io_create(mark, "", 0, 0600, &err), &err);
    assert_false(wal_prefetch_take(folder, "000000010000000000000021", r.destination));
    /* The fetcher that starts now removes it. */
    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    await(folder, "000000010000000000000021");
    await(folder, "000000020000000000000022");
    assert_int_equal(access(mark, F_OK), -1);
    assert_int_equal(unlink(r.settings), 0);
    await_end(folder);
}

static void
what_it_cannot_fetch_is_left_to_wal_get(void **state)
{
    char folder[PATH_MAX], name[HQ_OBJECT_NAME_MAX + 1];
    struct recovery r = prepare_prefetch(*state, folder);
    struct hq_error err = {0};

    snprintf(name, sizeof name, "wal/" FIXTURE_CLUSTER "/%016llx/00000001/000000010000000000000021",
             (unsigned long long)FIXTURE_SYSTEM);
    ASSERT_OK(hq_memory_damage(r.f->store, name, HQ_WAL_HEADER_BYTES + 10, 0, &err), &err);
    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    await(folder, "000000020000000000000022");
    ASSERT_CODE(get(&r, "000000010000000000000021", &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(hq_memory_damage(r.f->store, name, HQ_WAL_HEADER_BYTES + 10, 0, &err), &err);
    ASSERT_OK(get(&r, "000000010000000000000021", &err), &err);
    assert_int_equal(unlink(r.settings), 0);
    await_end(folder);
}

static void
what_was_asked_for_is_read_back(void **state)
{
    char folder[PATH_MAX], asked[WAL_FILE_NAME_MAX], path[PATH_MAX];

    (void)prepare_prefetch(*state, folder);
    assert_false(wal_prefetch_asked(folder, asked));
    wal_prefetch_ask(folder, "000000010000000000000020");
    assert_true(wal_prefetch_asked(folder, asked));
    assert_string_equal(asked, "000000010000000000000020");
    /* A crash between the two steps of the replacement. */
    assert_true(wal_prefetch_path(folder, "asked", ".new", path));
    assert_int_equal(symlink("left", path), 0);
    wal_prefetch_ask(folder, "000000010000000000000021");
    assert_true(wal_prefetch_asked(folder, asked));
    assert_string_equal(asked, "000000010000000000000021");
    wal_prefetch_ask(folder, "0000000100000000000000210000000000000000000000000000000000");
    assert_false(wal_prefetch_asked(folder, asked));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_comes_next_is_fetched_ahead),
        FIXTURE_TEST(a_fetcher_ends_with_its_recovery),
        FIXTURE_TEST(a_torn_file_is_not_taken),
        FIXTURE_TEST(a_mark_without_a_fetcher_is_ignored),
        FIXTURE_TEST(what_it_cannot_fetch_is_left_to_wal_get),
        FIXTURE_TEST(what_was_asked_for_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
