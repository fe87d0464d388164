#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository/chunk_reader.h"
#include "restore_attempt.h"

struct find {
    struct attempt *a;
    const char *path;
    size_t chunk; /* of the file, or of its page map */
    bool page_map;
    struct hq_chunk_reader *reader;
    struct hq_place place;
    bool found;
};

static int
find_chunk(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct find *find = context;
    struct hq_page_map map = {0};
    struct hq_id id;

    if (strcmp(entry->path, find->path) != 0)
        return 0;
    if (entry->type == HQ_ENTRY_RELATION && !find->page_map) {
        if (hq_page_map_read(find->reader, entry, &map, err) != 0)
            return -1;
        id = map.chunks[find->chunk].id;
        hq_page_map_clear(&map);
    } else {
        id = find->page_map ? entry->page_map.id : entry->chunks[find->chunk].id;
    }
    find->found = true;
    return hq_index_map_find(find->a->plan.index, &id, &find->place, err);
}

/* Flip a bit in the frame of a chunk of @p path. */
static void
damage_chunk(struct attempt *a, const char *path, size_t chunk, bool page_map)
{
    struct find find = {.a = a, .path = path, .chunk = chunk, .page_map = page_map};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    find.reader = hq_chunk_reader_of_index(&a->f->repository, a->plan.index, &err);
    assert_non_null(find.reader);
    ASSERT_OK(hq_manifest_read(find.reader, &a->plan.root, find_chunk, &find, &err), &err);
    hq_chunk_reader_free(find.reader);
    assert_true(find.found);
    hq_pack_name(&find.place.pack, name);
    ASSERT_OK(hq_memory_damage(a->f->store, name,
                               find.place.entry.offset + find.place.entry.stored / 2, 3, &err),
              &err);
}

static void
damaged_chunks_are_the_only_losses(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    struct hq_error err = {0};

    damage_chunk(a, "big", 1, false);
    damage_chunk(a, "base/1/1259", 1, false);
    damage_chunk(a, "PG_VERSION", 0, false);
    ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
    assert_false(exists(a, "global/pg_control"));
    remove_data(a);
    free_attempt(a);
    a = new_attempt(f, &latest, true);
    ASSERT_CODE(run(a, &err), &err, HQ_E_PARTIAL);
    assert_int_equal(a->result.losses, a->losses);
    /* Of the second 64 pages nine or so are zeros, which divide what is lost. */
    assert_in_range(a->losses, 2 + 9, 2 + 11);
    for (uint64_t i = 0; i < a->losses; i++) {
        const struct loss *loss = &a->lost[i];

        assert_int_equal(loss->code, HQ_E_CORRUPT);
        if (strcmp(loss->path, "base/1/1259") == 0)
            assert_in_range(loss->offset, 64 * FIXTURE_BLOCK, 128 * FIXTURE_BLOCK - 1);
    }
    check_cluster(a);
    assert_true(is_lost(a, "PG_VERSION", 0));
    assert_true(exists(a, "global/pg_control"));
    free_attempt(a);
}

static void
a_damaged_page_map_loses_its_file(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    struct hq_error err = {0};

    damage_chunk(a, "base/1/1259", 0, true);
    free_attempt(a);
    a = new_attempt(f, &latest, true);
    ASSERT_CODE(run(a, &err), &err, HQ_E_PARTIAL);
    assert_int_equal(a->losses, 1);
    assert_string_equal(a->lost[0].path, "base/1/1259");
    assert_int_equal(a->lost[0].length, 150 * FIXTURE_BLOCK);
    check_cluster(a);
    free_attempt(a);
}

static void
what_no_server_can_do_without_is_never_allowed(void **state)
{
    struct fixture *f = *state;
    static const char *const vital[] = {"global/pg_control", "backup_label"};
    struct attempt *a;
    struct hq_error err = {0};

    free_attempt(prepare(f));
    for (size_t i = 0; i < 2; i++) {
        a = new_attempt(f, &latest, true);
        damage_chunk(a, vital[i], 0, false);
        ASSERT_CODE(run(a, &err), &err, HQ_E_CORRUPT);
        assert_non_null(strstr(err.message, vital[i]));
        assert_false(exists(a, "global/pg_control"));
        remove_data(a);
        damage_chunk(a, vital[i], 0, false);
        free_attempt(a);
    }
}

/* The pack is gone after the plan was made, or cut short: its beginning may still be read. */
static void
a_lost_pack_is_all_that_is_lost(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_file bulk[] = {
        {.path = "bulk", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 2000000, .seed = 77}};
    struct fixture_file files[32];
    struct hq_object_info info;
    struct attempt *a;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    /* A first backup stores `bulk` in a data pack of its own, which the second refers to. */
    f->workers = 1;
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    ASSERT_OK(fixture_backup(f, &fixture_first, bulk, 1, &err), &err);
    fixture_object(f, "packs/", 0, name);
    ASSERT_OK(hq_store_head(f->store, name, &info, &err), &err);
    if (info.size < 500000)
        fixture_object(f, "packs/", 1, name);
    ASSERT_OK(hq_store_head(f->store, name, &info, &err), &err);
    memcpy(files, fixture_cluster, fixture_cluster_count * sizeof files[0]);
    files[fixture_cluster_count] = bulk[0];
    ASSERT_OK(fixture_backup(f, &fixture_first, files, fixture_cluster_count + 1, &err), &err);
    a = new_attempt(f, &latest, true);
    ASSERT_OK(hq_memory_damage(f->store, name, info.size / 2, -1, &err), &err);
    ASSERT_CODE(run(a, &err), &err, HQ_E_PARTIAL);
    assert_false(is_lost(a, "bulk", 0));
    assert_true(is_lost(a, "bulk", 1999999));
    check_cluster(a);
    check_content(a, &bulk[0]);
    remove_data(a);
    free_attempt(a);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    a = new_attempt(f, &latest, true);
    assert_true(a->plan.missing_chunks > 0);
    assert_string_equal(a->plan.first_missing, "bulk");
    ASSERT_CODE(run(a, &err), &err, HQ_E_PARTIAL);
    for (uint64_t i = 0; i < a->losses; i++)
        assert_string_equal(a->lost[i].path, "bulk");
    check_cluster(a);
    check_content(a, &bulk[0]);
    free_attempt(a);
}

/* What is lost is zeros, also where the file held something else. */
static void
losses_of_a_kept_file_are_zeros(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_error err = {0};

    ASSERT_OK(run(a, &err), &err);
    damage_chunk(a, "big", 1, false);
    damage_chunk(a, "base/1/1259", 1, false);
    free_attempt(a);
    a = new_attempt(*state, &latest, true);
    a->options.delta = true;
    set_system(a, FIXTURE_SYSTEM);
    (void)!run(a, &err);
    assert_false(is_lost(a, "big", 700000)); /* nothing of it is needed */
    free_attempt(a);
    a = new_attempt(*state, &latest, true);
    a->options.delta = true;
    set_system(a, FIXTURE_SYSTEM);
    put(a, "big", 0, "damage", 6);
    for (uint64_t at = 65536; at < 1500000; at += 65536)
        put(a, "big", at, "damage", 6);
    put(a, "base/1/1259", 70 * FIXTURE_BLOCK + 7, "damage", 6);
    ASSERT_CODE(run(a, &err), &err, HQ_E_PARTIAL);
    check_cluster(a);
    assert_false(is_lost(a, "big", 0));
    assert_true(is_lost(a, "base/1/1259", 70 * FIXTURE_BLOCK + 7));
    assert_true(a->losses >= 2);
    free_attempt(a);
}

/* The index is gone, and what it named is found by the packs' directories. */
static void
a_lost_index_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct attempt *a;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    free_attempt(prepare(f));
    fixture_object(f, "index/", 0, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    a = new_attempt(f, &latest, true);
    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    free_attempt(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(damaged_chunks_are_the_only_losses),
        FIXTURE_TEST(a_damaged_page_map_loses_its_file),
        FIXTURE_TEST(what_no_server_can_do_without_is_never_allowed),
        FIXTURE_TEST(a_lost_pack_is_all_that_is_lost),
        FIXTURE_TEST(losses_of_a_kept_file_are_zeros),
        FIXTURE_TEST(a_lost_index_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
