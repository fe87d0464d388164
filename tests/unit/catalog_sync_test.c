#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/io.h"
#include "fixture.h"

/* All that follows from the repository, as text; packs by name, for their numbers mean nothing. */
static const char *const tables[] = {
    "SELECT name FROM indexes ORDER BY 1",
    "SELECT name, index_name, type, epoch, size, present FROM packs ORDER BY 1",
    ("SELECT hex(id), name, frame, offset, stored, raw, kind, codec FROM chunks"
     " JOIN packs ON number = pack ORDER BY 1, 2"),
    "SELECT * FROM backups ORDER BY name",
    "SELECT * FROM wal ORDER BY name",
    "SELECT repository_id FROM identity",
    "PRAGMA user_version",
};

static void
dump_table(sqlite3 *db, const char *sql, struct hq_buf *out)
{
    sqlite3_stmt *stmt;
    int row;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    while ((row = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            hq_buf_printf(out, "%s|", (const char *)sqlite3_column_text(stmt, i));
        hq_buf_put_u8(out, '\n');
    }
    assert_int_equal(row, SQLITE_DONE);
    sqlite3_finalize(stmt);
}

/* malloc()ed. */
static char *
dump(const struct fixture *f)
{
    struct hq_buf out = {0};
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->catalog_path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        dump_table(db, tables[i], &out);
    sqlite3_close(db);
    assert_non_null(hq_buf_text(&out));
    return (char *)out.data;
}

static int64_t
ask_number(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t answer;

    assert_int_equal(sqlite3_open(f->catalog_path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

static void
synchronise(struct fixture *f)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
}

static const struct fixture_backup second = {.id = "20260702T000000Z-00000002",
                                             .finished_us = FIXTURE_TIME_US + 90000000000,
                                             .timeline = 1,
                                             .start_lsn = 0x3000028,
                                             .stop_lsn = 0x3000100};

/* Backups, segments, parts and a history, all recorded as they came. */
static void
fill_repository(struct fixture *f)
{
    static const struct fixture_file more[] = {
        {.path = "more", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 400000, .seed = 99}};
    struct hq_error err = {0};

    fixture_backup_cluster(f, &fixture_first);
    ASSERT_OK(fixture_backup(f, &second, more, 1, &err), &err);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    (void)fixture_wal(f, 1, 0x2100000, 0x2100500, FIXTURE_TIME_US + 5);
    (void)fixture_wal(f, 2, 0x2100000, 0x2100800, 0);
    (void)fixture_history(f, 2, "1\t0/2100500\tno recovery target specified\n");
}

static void
assert_same(const struct fixture *f, const char *before)
{
    HQ_FREE char *now = dump(f);

    assert_string_equal(now, before);
}

static void
rebuilding_gives_what_adding_gave(void **state)
{
    struct fixture *f = *state;
    HQ_FREE char *added = NULL;
    struct hq_error err = {0};

    fill_repository(f);
    added = dump(f);
    assert_true(strlen(added) > 2000);
    synchronise(f);
    assert_same(f, added);
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
    assert_same(f, added);
    /* And with nothing to begin with. */
    hq_catalog_close(f->catalog);
    f->catalog = NULL;
    assert_int_equal(unlink(f->catalog_path), 0);
    fixture_reopen_catalog(f);
    synchronise(f);
    assert_same(f, added);
}

/* A sidecar's key is enough: it is the sidecar that keeps the catalog. */
static void
a_sidecars_key_is_enough(void **state)
{
    struct fixture *f = *state;
    HQ_FREE char *added = NULL;
    struct hq_error err = {0};

    fill_repository(f);
    added = dump(f);
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->writer, &err), &err);
    assert_same(f, added);
}

static void
what_is_gone_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const char *const kinds[] = {"wal/", "backups/", "index/"};
    struct hq_error err = {0};

    fill_repository(f);
    for (size_t i = 0; i < 3; i++) {
        HQ_FREE char *synchronised = NULL;
        char name[HQ_OBJECT_NAME_MAX + 1];

        fixture_object(f, kinds[i], 0, name);
        ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
        synchronise(f);
        synchronised = dump(f);
        assert_null(strstr(synchronised, name));
        ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
        assert_same(f, synchronised);
    }
    assert_int_equal(ask_number(f, "SELECT count(*) FROM indexes"), 1);
    assert_int_equal(ask_number(f, "SELECT count(*) FROM chunks WHERE pack NOT IN"
                                   " (SELECT number FROM packs)"),
                     0);
}

/* The chunk of a file that is one chunk. */
static bool
knows(struct fixture *f, const char *text)
{
    struct hq_error err = {0};
    struct hq_chunk_ids *ids = hq_chunk_ids_new(f->restore, &err);
    struct hq_id id;

    assert_non_null(ids);
    hq_chunk_id(ids, HQ_CHUNK_DATA, text, strlen(text), &id);
    hq_chunk_ids_free(ids);
    return hq_catalog_chunk_known(f->catalog, &id);
}

static const struct fixture_file one_chunk[] = {
    {.path = "a", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "one chunk"}};

static void
chunks_of_a_missing_pack_are_unknown(void **state)
{
    struct fixture *f = *state;
    struct hq_buf kept[2] = {0};
    char names[2][HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    assert_false(knows(f, "one chunk"));
    ASSERT_OK(fixture_backup(f, &fixture_first, one_chunk, 1, &err), &err);
    assert_true(knows(f, "one chunk"));
    for (size_t i = 0; i < 2; i++) {
        fixture_object(f, "packs/", i, names[i]);
        ASSERT_OK(hq_store_get_all(f->store, names[i], 1 << 20, &kept[i], &err), &err);
        ASSERT_OK(hq_store_delete(f->store, names[i], &err), &err);
        ASSERT_OK(hq_store_put_bytes(f->store, names[i], "shorter", 7, &err), &err);
    }
    synchronise(f);
    assert_false(knows(f, "one chunk"));
    for (size_t i = 0; i < 2; i++)
        ASSERT_OK(hq_store_delete(f->store, names[i], &err), &err);
    synchronise(f);
    assert_false(knows(f, "one chunk"));
    /* Somebody brings them back. */
    for (size_t i = 0; i < 2; i++)
        ASSERT_OK(hq_store_put_bytes(f->store, names[i], kept[i].data, kept[i].len, &err), &err);
    synchronise(f);
    assert_true(knows(f, "one chunk"));
    hq_buf_clear(&kept[0]);
    hq_buf_clear(&kept[1]);
}

static void
the_next_backup_stores_lost_chunks_again(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    ASSERT_OK(fixture_backup(f, &fixture_first, one_chunk, 1, &err), &err);
    while (fixture_count(f, "packs/") > 0) {
        fixture_object(f, "packs/", 0, name);
        ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    }
    synchronise(f);
    ASSERT_OK(fixture_backup(f, &second, one_chunk, 1, &err), &err);
    assert_int_equal(fixture_count(f, "packs/"), 2);
    assert_true(knows(f, "one chunk"));
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
    assert_true(knows(f, "one chunk"));
}

/* One byte of each object in turn: the others are taken in, and the caller is not stopped. */
static void
damaged_objects_are_passed_over(void **state)
{
    struct fixture *f = *state;
    static const char *const kinds[] = {"index/", "backups/", "wal/"};
    static const char *const count_of[] = {
        "SELECT count(*) FROM indexes", "SELECT count(*) FROM backups", "SELECT count(*) FROM wal"};
    static const int64_t counts[] = {2, 2, 4};
    struct hq_error err = {0};

    fill_repository(f);
    for (size_t i = 0; i < 3; i++) {
        char name[HQ_OBJECT_NAME_MAX + 1];

        fixture_object(f, kinds[i], 0, name);
        ASSERT_OK(hq_memory_damage(f->store, name, 3, 1, &err), &err);
        ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
        assert_int_equal(ask_number(f, count_of[i]), counts[i] - 1);
        ASSERT_OK(hq_memory_damage(f->store, name, 3, 1, &err), &err);
        /* Once it is right again, a plain sync takes it in. */
        synchronise(f);
        assert_int_equal(ask_number(f, count_of[i]), counts[i]);
        ASSERT_OK(hq_memory_damage(f->store, name, 20, -1, &err), &err);
        ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
        assert_int_equal(ask_number(f, count_of[i]), counts[i] - 1);
    }
}

/* Names and headers must agree: WAL put under another name is not there under its own. */
static void
wal_under_a_false_name_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info = fixture_wal(f, 1, 0x2000000, 0x2000100, 5), elsewhere = info;
    struct hq_buf object = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    hq_wal_name(FIXTURE_CLUSTER, &info, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &object, &err), &err);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    elsewhere.start_lsn += 0x100;
    elsewhere.end_lsn += 0x100;
    hq_wal_name(FIXTURE_CLUSTER, &elsewhere, name);
    ASSERT_OK(hq_store_put_bytes(f->store, name, object.data, object.len, &err), &err);
    hq_buf_clear(&object);
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
    assert_int_equal(ask_number(f, "SELECT count(*) FROM wal"), 0);
}

static void
names_that_are_none_are_ignored(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "wal/main/nonsense",
        "wal/main/657aaba709c54b87/00000001/00000001000000000000000G",
        "wal/UPPER/657aaba709c54b87/00000002.history",
        "backups/main/nonsense",
        "backups/main/20260701T000000Z-00000001/deeper",
        "backups/main/20260701T000000Z-00000001.old",
        "packs/ab/nonsense",
        "somebody-else/file",
    };
    HQ_FREE char *added = NULL;
    struct hq_error err = {0};

    fill_repository(f);
    added = dump(f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ASSERT_OK(hq_store_put_bytes(f->store, names[i], "x", 1, &err), &err);
    synchronise(f);
    assert_same(f, added);
}

static void
one_clusters_sync_leaves_the_others(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    fill_repository(f);
    fixture_object(f, "backups/main/", 0, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, "mai", &err), &err);
    assert_int_equal(ask_number(f, "SELECT count(*) FROM backups"), 2);
    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, "main", &err), &err);
    assert_int_equal(ask_number(f, "SELECT count(*) FROM backups"), 1);
}

/* Whichever call of the store fails, the sync says so and the next one makes it whole. */
static void
a_failed_sync_is_made_good_by_the_next(void **state)
{
    struct fixture *f = *state;
    HQ_FREE char *added = NULL;
    struct hq_error err = {0};
    uint64_t n = 1;

    fill_repository(f);
    added = dump(f);
    for (;; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};
        int failed;

        hq_memory_set_faults(f->store, &faults);
        hq_error_clear(&err);
        failed = hq_catalog_rebuild(f->catalog, &f->repository, &err);
        hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
        if (failed == 0)
            break;
        assert_int_equal(err.code, HQ_E_TRANSIENT);
        assert_non_null(strstr(err.message, "bring the catalog up to date"));
        synchronise(f);
        assert_same(f, added);
    }
    assert_same(f, added);
    assert_true(n > 10); /* four listings, two indexes, two roots, four WAL objects */
}

static void
run_sql(const struct fixture *f, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->catalog_path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* A statement that fails within a transaction: nothing of it happens, and the handle goes on. */
static void
a_failed_transaction_leaves_nothing_open(void **state)
{
    struct fixture *f = *state;
    static const char *const events[] = {"DELETE ON backups", "DELETE ON packs",
                                         "INSERT ON chunks"};
    HQ_FREE char *added = NULL;

    fill_repository(f);
    added = dump(f);
    for (size_t i = 0; i < 3; i++) {
        struct hq_error err = {0};
        char sql[160];

        snprintf(sql, sizeof sql,
                 "CREATE TRIGGER refuse BEFORE %s BEGIN SELECT RAISE(ABORT, 'refused'); END",
                 events[i]);
        run_sql(f, sql);
        ASSERT_CODE(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err, HQ_E_SYS);
        if (i < 2)
            assert_same(f, added);
        run_sql(f, "DROP TRIGGER refuse");
        ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
        assert_same(f, added);
    }
}

struct adder {
    struct fixture *f;
    atomic_bool done;
    atomic_uint added, missing;
};

/* The archiver: objects appear in the store, then in the catalog, and must stay there. */
static void *
add_wal(void *context)
{
    struct adder *a = context;
    sqlite3 *db;
    sqlite3_stmt *count;

    if (sqlite3_open(a->f->catalog_path, &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT count(*) FROM wal", -1, &count, NULL) != SQLITE_OK)
        return NULL;
    for (unsigned i = 0; i < 300; i++) {
        (void)fixture_wal(a->f, 1, 0x2000000 + i * 256, 0x2000000 + (i + 1) * 256, 0);
        a->added++;
        if (sqlite3_step(count) != SQLITE_ROW || sqlite3_column_int(count, 0) != (int)i + 1)
            a->missing++;
        sqlite3_reset(count);
    }
    sqlite3_finalize(count);
    sqlite3_close(db);
    a->done = true;
    return NULL;
}

static void
what_is_added_during_a_sync_is_kept(void **state)
{
    struct fixture *f = *state;
    struct adder adder = {.f = f};
    pthread_t thread;
    unsigned rounds = 0;

    assert_int_equal(pthread_create(&thread, NULL, add_wal, &adder), 0);
    do
        synchronise(f);
    while (!adder.done && ++rounds < 100000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(adder.added, 300);
    assert_int_equal(adder.missing, 0);
    assert_true(rounds > 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(rebuilding_gives_what_adding_gave),
        FIXTURE_TEST(a_sidecars_key_is_enough),
        FIXTURE_TEST(what_is_gone_is_forgotten),
        FIXTURE_TEST(chunks_of_a_missing_pack_are_unknown),
        FIXTURE_TEST(the_next_backup_stores_lost_chunks_again),
        FIXTURE_TEST(damaged_objects_are_passed_over),
        FIXTURE_TEST(wal_under_a_false_name_is_passed_over),
        FIXTURE_TEST(names_that_are_none_are_ignored),
        FIXTURE_TEST(one_clusters_sync_leaves_the_others),
        FIXTURE_TEST(a_failed_sync_is_made_good_by_the_next),
        FIXTURE_TEST(a_failed_transaction_leaves_nothing_open),
        FIXTURE_TEST(what_is_added_during_a_sync_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
