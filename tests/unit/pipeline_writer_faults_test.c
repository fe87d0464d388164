/* Backups whose store fails: the next one must still be whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"

/* Whatever the catalog believes in must be in the store: else the next backup would refer to it. */
static void
assert_catalog_is_true(struct fixture *f, const struct fixture_file *files, size_t count)
{
    struct hq_chunk_ids *ids;
    struct hq_error err = {0};
    struct hq_index_map *map = hq_index_map_load(&f->repository, NULL, &err);

    assert_non_null(map);
    assert_non_null(ids = hq_chunk_ids_new(f->restore, &err));
    for (size_t i = 0; i < count; i++) {
        struct hq_object_info info;
        struct hq_place place;
        char name[HQ_OBJECT_NAME_MAX + 1];
        struct hq_id id;
        size_t size;
        HQ_FREE uint8_t *bytes = fixture_bytes(&files[i], &size);

        /* Files that are one chunk, so that the test knows the id. */
        hq_chunk_id(ids, HQ_CHUNK_DATA, bytes, size, &id);
        if (!hq_catalog_chunk_known(f->catalog, &id))
            continue;
        ASSERT_OK(hq_index_map_find(map, &id, &place, &err), &err);
        hq_pack_name(&place.pack, name);
        ASSERT_OK(hq_store_head(f->store, name, &info, &err), &err);
    }
    hq_chunk_ids_free(ids);
    hq_index_map_free(map);
}

static const struct fixture_file few[] = {
    {.path = "a", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 50000, .seed = 1},
    {.path = "b", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 40000, .seed = 2},
    {.path = "c", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 30000, .seed = 3},
    {.path = "r", .type = HQ_ENTRY_RELATION, .mode = 0600, .size = 70 * 8192, .seed = 4},
};

static void
restart_empty(struct fixture *f)
{
    struct hq_error err = {0};

    hq_memory_reset();
    hq_store_close(f->store);
    ASSERT_OK(hq_store_open(&f->options, &f->store, &err), &err);
    f->repository.store = f->writer.store = f->store;
    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->repository, &err), &err);
}

static void
fail_each_call(struct fixture *f, bool after_effect, bool for_ever)
{
    size_t failures = 0;

    for (uint64_t n = 1;; n++) {
        struct hq_memory_faults faults = {.fail_at = n,
                                          .fail_code = HQ_E_REFUSED,
                                          .after_effect = after_effect,
                                          .fail_for_ever = for_ever};
        struct hq_error err = {0};
        int failed;

        restart_empty(f);
        hq_memory_set_faults(f->store, &faults);
        failed = fixture_backup(f, &fixture_first, few, 4, &err);
        hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
        if (failed == 0)
            break;
        failures++;
        assert_int_equal(err.code, HQ_E_REFUSED);
        assert_true(n < 100);
        /* The root's own answer may be lost when it is there already; never before. */
        if (fixture_count(f, "backups/") > 0)
            assert_true(after_effect && fixture_count(f, "index/") == 1);
        assert_catalog_is_true(f, few, 3);
        /* And the next one is whole, whatever was left behind. */
        ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
        ASSERT_OK(fixture_backup(f, &fixture_first, few, 4, &err), &err);
    }
    /* Packs (at least one of data, one of metadata), the index, the root. */
    assert_true(failures >= 4);
    assert_int_equal(fixture_count(f, "backups/"), 1);
}

static void
a_failed_call_fails_the_backup(void **state)
{
    fail_each_call(*state, false, false);
}

static void
a_store_that_is_gone_fails_the_backup(void **state)
{
    fail_each_call(*state, false, true);
}

static void
a_lost_answer_fails_the_backup(void **state)
{
    fail_each_call(*state, true, false);
}

/* The source learns of an uploader's failure at its next call, not at the end. */
static void
failure_stops_the_source(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_NO_SPACE, .fail_for_ever = true};
    struct hq_backup_writer *w = fixture_writer(f);
    HQ_FREE uint8_t *bytes = malloc(1 << 20);
    struct hq_backup_statistics statistics;
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_error err = {0};
    int failed = 0;

    assert_non_null(bytes);
    hq_memory_set_faults(f->store, &faults);
    /* Two packs of 32 MiB fill before anything is put: more than enough follows. */
    for (uint32_t i = 0; failed == 0 && i < 200; i++) {
        char path[32];
        struct hq_entry entry = {.path = path, .type = HQ_ENTRY_FILE, .mode = 0600};
        const struct hq_backup_file_options options = {.entry = &entry};

        snprintf(path, sizeof path, "file-%03u", i);
        hq_random(bytes, 1 << 20);
        failed = hq_backup_writer_file_begin(w, &options, &err);
        if (failed == 0)
            failed = hq_backup_writer_data(w, bytes, 1 << 20, &err);
        if (failed == 0)
            failed = hq_backup_writer_file_end(w, &err);
    }
    ASSERT_CODE(failed, &err, HQ_E_NO_SPACE);
    hq_error_clear(&err);
    ASSERT_CODE(hq_backup_writer_finish(w, &root, &statistics, &err), &err, HQ_E_NO_SPACE);
    hq_backup_writer_free(w);
    hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
    assert_int_equal(fixture_count(f, ""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_failed_call_fails_the_backup),
        FIXTURE_TEST(a_store_that_is_gone_fails_the_backup),
        FIXTURE_TEST(a_lost_answer_fails_the_backup),
        FIXTURE_TEST(failure_stops_the_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
