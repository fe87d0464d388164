#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "index_map_internal.h"
#include "index_records.h"
#include "repository_fixture.h"

struct seen {
    size_t packs;
    size_t chunks;
    struct hq_id last;
};

static int
count_pack(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    struct seen *seen = context;

    (void)err;
    seen->packs++;
    seen->chunks += pack->count;
    seen->last = pack->id;
    return 0;
}

static int
refuse_pack(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    (void)pack;
    (void)context;
    return hq_fail(err, HQ_E_INTERRUPTED, "enough");
}

/* Store two packs and their index. */
static struct hq_id
store_packs(struct fixture *f, struct hq_pack *packs[2], char name[HQ_OBJECT_NAME_MAX + 1])
{
    struct hq_error err = {0};
    struct hq_id id;

    packs[0] = small_pack(f, HQ_PACK_DATA, 1);
    packs[1] = small_pack(f, HQ_PACK_METADATA, 1);
    put_pack(f, packs[0]);
    put_pack(f, packs[1]);
    ASSERT_OK(hq_index_write(&f->writer, packs, 2, &id, &err), &err);
    hq_index_name(&id, name);
    return id;
}

static void
free_packs(struct hq_pack *packs[2])
{
    hq_pack_free(packs[0]);
    hq_pack_free(packs[1]);
}

static void
indexes_round_trip(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_pack *packs[2];
    struct seen seen = {0};

    (void)store_packs(f, packs, name);
    ASSERT_OK(hq_index_read(&f->writer, name, count_pack, &seen, &err), &err);
    assert_int_equal(seen.packs, 2);
    assert_int_equal(seen.chunks, 2 * SMALL_CHUNKS);
    assert_memory_equal(&seen.last, &packs[1]->id, sizeof seen.last);
    ASSERT_CODE(hq_index_read(&f->writer, name, refuse_pack, NULL, &err), &err, HQ_E_INTERRUPTED);
    ASSERT_CODE(hq_index_read(&f->writer, "index/zz", count_pack, &seen, &err), &err, HQ_E_USAGE);
    free_packs(packs);
}

static void
assert_finds(const struct hq_index_map *map, const struct hq_pack *pack)
{
    for (uint32_t i = 0; i < pack->count; i++) {
        struct hq_place place;
        struct hq_error err = {0};

        ASSERT_OK(hq_index_map_find(map, &pack->entries[i].id, &place, &err), &err);
        assert_memory_equal(&place.pack, &pack->id, sizeof place.pack);
        assert_int_equal(place.frame, i);
        assert_int_equal(place.type, pack->type);
        assert_memory_equal(&place.entry.id, &pack->entries[i].id, sizeof place.entry.id);
        assert_int_equal(place.entry.offset, pack->entries[i].offset);
        assert_int_equal(place.entry.stored, pack->entries[i].stored);
        assert_int_equal(place.entry.raw, pack->entries[i].raw);
        assert_int_equal(place.entry.kind, pack->entries[i].kind);
        assert_int_equal(place.entry.codec, pack->entries[i].codec);
    }
}

static void
map_finds_chunks(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_id absent = {{1}};
    struct hq_pack *packs[2];
    struct hq_index_map *map = hq_index_map_load(&f->writer, NULL, &err);
    struct hq_place place;

    assert_non_null(map);
    assert_int_equal(hq_index_map_chunks(map), 0);
    ASSERT_CODE(hq_index_map_find(map, &absent, &place, &err), &err, HQ_E_MISSING);
    hq_index_map_free(map);
    (void)store_packs(f, packs, name);
    /* What else lies there is nobody's business. */
    ASSERT_OK(hq_store_put_bytes(f->store, "index/readme", "x", 1, &err), &err);
    map = hq_index_map_load(&f->writer, NULL, &err);
    assert_non_null(map);
    assert_int_equal(hq_index_map_chunks(map), 2 * SMALL_CHUNKS);
    assert_finds(map, packs[0]);
    assert_finds(map, packs[1]);
    ASSERT_CODE(hq_index_map_find(map, &absent, &place, &err), &err, HQ_E_MISSING);
    hq_index_map_free(map);
    free_packs(packs);
}

enum {
    MANY_PACKS = 40,
    PER_PACK = 2500,
    MAX_RAW = HQ_CHUNK_PAGE_MAP_MAX
};

static void
fill_pack(struct hq_pack *pack, uint32_t seed)
{
    hq_random(pack->id.bytes, HQ_ID_BYTES);
    for (uint32_t i = 0; i < pack->count; i++) {
        struct hq_pack_entry *e = &pack->entries[i];

        hq_random(e->id.bytes, HQ_ID_BYTES);
        /* Long runs of taken slots: some ids begin alike. */
        if (i % 16 == 0)
            memset(e->id.bytes, (int)(seed % 7), 8);
        *e = (struct hq_pack_entry){.id = e->id,
                                    .offset = i,
                                    .stored = seed * PER_PACK + i,
                                    .raw = MAX_RAW - i,
                                    .kind = HQ_CHUNK_PAGE_MAP,
                                    .codec = HQ_CODEC_ZSTD};
    }
}

/* Growing keeps every chunk, and the first copy of one that comes twice. */
static void
map_holds_many(void **state)
{
    struct hq_error err = {0};
    struct hq_index_map *map = hq_index_map_new(&err);
    struct hq_pack packs[MANY_PACKS] = {0}, again;

    (void)state;
    assert_non_null(map);
    for (uint32_t p = 0; p < MANY_PACKS; p++) {
        packs[p].type = HQ_PACK_METADATA;
        packs[p].count = p % 4 == 0 ? PER_PACK : 60;
        packs[p].entries = calloc(packs[p].count, sizeof *packs[p].entries);
        assert_non_null(packs[p].entries);
        fill_pack(&packs[p], p);
        ASSERT_OK(hq_index_map_add(map, &packs[p], &err), &err);
    }
    again = packs[0];
    memset(&again.id, 0xEE, sizeof again.id);
    ASSERT_OK(hq_index_map_add(map, &again, &err), &err);
    assert_int_equal(hq_index_map_chunks(map), MANY_PACKS / 4 * (PER_PACK + 3 * 60));
    assert_int_equal(hq_index_map_packs(map), MANY_PACKS + 1);
    for (uint32_t p = 0; p < MANY_PACKS; p++) {
        assert_finds(map, &packs[p]);
        free(packs[p].entries);
    }
    hq_index_map_free(map);
}

enum {
    FILED_PACKS = 30,
    PER_FILED_PACK = HQ_INDEX_RECORDS_KEPT / 10
};

/* More chunks than are kept in memory; those that come again are found in the file. */
static void
a_large_map_goes_on_in_a_file(void **state)
{
    struct hq_error err = {0};
    struct hq_index_map *map = hq_index_map_new(&err);
    struct hq_pack packs[FILED_PACKS] = {0};
    struct hq_place place;
    struct hq_id absent;

    (void)state;
    assert_non_null(map);
    for (uint32_t p = 0; p < FILED_PACKS; p++) {
        packs[p].type = HQ_PACK_METADATA;
        packs[p].count = PER_FILED_PACK;
        packs[p].entries = calloc(PER_FILED_PACK, sizeof *packs[p].entries);
        assert_non_null(packs[p].entries);
        fill_pack(&packs[p], p);
        for (uint32_t i = 0; i < PER_FILED_PACK; i++)
            hq_random(packs[p].entries[i].id.bytes, HQ_ID_BYTES);
        ASSERT_OK(hq_index_map_add(map, &packs[p], &err), &err);
    }
    ASSERT_OK(hq_index_map_add(map, &packs[0], &err), &err);
    assert_int_equal(hq_index_map_chunks(map), FILED_PACKS * PER_FILED_PACK);
    for (uint32_t p = 0; p < FILED_PACKS; p++) {
        assert_finds(map, &packs[p]);
        free(packs[p].entries);
    }
    hq_random(absent.bytes, HQ_ID_BYTES);
    ASSERT_CODE(hq_index_map_find(map, &absent, &place, &err), &err, HQ_E_MISSING);
    hq_index_map_free(map);
}

/* Where there is no room for the file: an error that says what to do, and nothing is lost. */
static void
without_a_place_for_the_file_it_says_so(void **state)
{
    struct hq_error err = {0};
    struct hq_index_map *map = hq_index_map_new(&err);
    struct hq_pack pack = {.type = HQ_PACK_METADATA, .count = HQ_INDEX_RECORDS_KEPT + 1};

    (void)state;
    assert_non_null(map);
    pack.entries = calloc(pack.count, sizeof *pack.entries);
    assert_non_null(pack.entries);
    fill_pack(&pack, 1);
    for (uint32_t i = 0; i < pack.count; i++)
        hq_random(pack.entries[i].id.bytes, HQ_ID_BYTES);
    assert_int_equal(setenv("TMPDIR", "/nonexistent", 1), 0);
    ASSERT_CODE(hq_index_map_add(map, &pack, &err), &err, HQ_E_SYS);
    assert_non_null(strstr(err.hint, "TMPDIR"));
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(hq_index_map_chunks(map), HQ_INDEX_RECORDS_KEPT);
    pack.count = HQ_INDEX_RECORDS_KEPT;
    assert_finds(map, &pack);
    free(pack.entries);
    hq_index_map_free(map);
}

static void
damaged_index_is_passed_over(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1], pack_name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_pack *packs[2];
    struct hq_index_map *map;
    struct hq_place place;
    uint64_t damaged = 9;

    (void)store_packs(f, packs, name);
    map = hq_index_map_load(&f->writer, &damaged, &err);
    assert_non_null(map);
    assert_int_equal(damaged, 0);
    hq_index_map_free(map);

    ASSERT_OK(hq_memory_damage(f->store, name, 100, 3, &err), &err);
    assert_null(hq_index_map_load(&f->writer, NULL, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, name));
    map = hq_index_map_load(&f->writer, &damaged, &err);
    assert_non_null(map);
    assert_int_equal(damaged, 1);
    assert_finds(map, packs[0]);
    assert_finds(map, packs[1]);
    hq_index_map_free(map);

    /* A pack whose directory is damaged as well is lost, and no other. */
    hq_pack_name(&packs[0]->id, pack_name);
    ASSERT_OK(hq_memory_damage(f->store, pack_name, packs[0]->size - 60, 0, &err), &err);
    map = hq_index_map_load(&f->writer, &damaged, &err);
    assert_non_null(map);
    assert_int_equal(damaged, 2);
    ASSERT_CODE(hq_index_map_find(map, &packs[0]->entries[0].id, &place, &err), &err, HQ_E_MISSING);
    assert_finds(map, packs[1]);
    hq_index_map_free(map);
    free_packs(packs);
}

/* Of two indexes one is damaged: only the packs that the other does not name are looked at. */
static void
named_packs_are_not_read_again(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1], pack_name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_pack *packs[2], *third = small_pack(f, HQ_PACK_DATA, 50);
    struct hq_index_map *map;
    uint64_t damaged;
    struct hq_id id;

    (void)store_packs(f, packs, name);
    put_pack(f, third);
    ASSERT_OK(hq_index_write(&f->writer, &third, 1, &id, &err), &err);
    ASSERT_OK(hq_memory_damage(f->store, name, 100, 3, &err), &err);
    /* The third pack's directory is damaged, and nobody needs it. */
    hq_pack_name(&third->id, pack_name);
    ASSERT_OK(hq_memory_damage(f->store, pack_name, third->size - 60, 0, &err), &err);
    map = hq_index_map_load(&f->writer, &damaged, &err);
    assert_non_null(map);
    assert_int_equal(damaged, 1);
    assert_finds(map, packs[0]);
    assert_finds(map, packs[1]);
    assert_finds(map, third);
    hq_index_map_free(map);
    hq_pack_free(third);
    free_packs(packs);
}

/* 1,048,576 entries fit, one more does not; neither writer nor reader takes it. */
static void
too_many_entries_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hq_pack *small = small_pack(f, HQ_PACK_DATA, 1);
    struct hq_pack big = {.type = HQ_PACK_DATA, .epoch = 1, .count = 1 << 20};
    struct hq_pack *const packs[] = {&big, small};
    struct hq_pack_entry entry = {.stored = 16, .kind = HQ_CHUNK_DATA};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {0};
    struct hq_error err = {0};
    struct seen seen = {0};
    struct hq_id id;

    big.entries = calloc(big.count, sizeof *big.entries);
    assert_non_null(big.entries);
    ASSERT_CODE(hq_index_write(&f->writer, packs, 2, &id, &err), &err, HQ_E_USAGE);
    free(big.entries);
    big.size = (uint32_t)(128 + big.count * 16 + hq_pack_tail_bytes(big.count));
    hq_buf_put(&body, big.id.bytes, HQ_ID_BYTES);
    hq_buf_put_u32(&body, big.size);
    hq_buf_put_u32(&body, HQ_PACK_DATA);
    hq_buf_put_u32(&body, 1);
    hq_buf_put_u32(&body, big.count);
    for (uint32_t i = 0; i < big.count; i++) {
        entry.offset = 128 + 16 * i;
        hq_pack_entries_encode(&entry, 1, &body);
    }
    ASSERT_OK(hq_index_decode(body.data, body.len, count_pack, &seen, &err), &err);
    assert_int_equal(seen.chunks, 1 << 20);
    hq_buf_put(&body, small->id.bytes, HQ_ID_BYTES);
    hq_buf_put_u32(&body, small->size);
    hq_buf_put_u32(&body, HQ_PACK_DATA);
    hq_buf_put_u32(&body, 2);
    hq_buf_put_u32(&body, small->count);
    hq_pack_entries_encode(small->entries, small->count, &body);
    ASSERT_CODE(hq_index_decode(body.data, body.len, count_pack, &seen, &err), &err, HQ_E_CORRUPT);
    hq_pack_free(small);
}

static void
lost_index_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_pack *packs[2];
    struct hq_index_map *map;
    struct hq_place place;

    (void)store_packs(f, packs, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    ASSERT_OK(hq_store_put_bytes(f->store, "packs/ab/readme", "x", 1, &err), &err);
    ASSERT_OK(hq_store_put_bytes(f->store, "packs/zz/" HQ_VECTOR_BIND, "x", 1, &err), &err);
    map = hq_index_map_load(&f->writer, NULL, &err);
    assert_non_null(map);
    ASSERT_CODE(hq_index_map_find(map, &packs[0]->entries[0].id, &place, &err), &err, HQ_E_MISSING);
    ASSERT_OK(hq_index_map_add_unnamed(&f->writer, map, NULL, &err), &err);
    assert_finds(map, packs[0]);
    assert_finds(map, packs[1]);
    hq_index_map_free(map);
    free_packs(packs);
}

/* An index under another index's name, and one of another region. */
static void
indexes_stay_where_they_are(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char name[HQ_OBJECT_NAME_MAX + 1], moved[HQ_OBJECT_NAME_MAX + 1];
    struct hq_keyring *elsewhere = keyring_of_region("DE");
    struct hq_repository there = {.store = f->store, .keyring = elsewhere};
    struct hq_id id = {{7}};
    struct hq_error err = {0};
    struct hq_pack *packs[2];
    struct seen seen = {0};

    (void)store_packs(f, packs, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &bytes, &err), &err);
    hq_index_name(&id, moved);
    ASSERT_OK(hq_store_put_bytes(f->store, moved, bytes.data, bytes.len, &err), &err);
    ASSERT_CODE(hq_index_read(&f->writer, moved, count_pack, &seen, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_index_read(&there, name, count_pack, &seen, &err), &err, HQ_E_CORRUPT);
    assert_int_equal(seen.packs, 0);
    hq_keyring_free(elsewhere);
    free_packs(packs);
}

/* The opened body of an index of @p pack. */
static struct hq_buf
body_of(struct fixture *f, struct hq_pack *pack)
{
    struct hq_buf sealed = {0}, body = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_id id;

    ASSERT_OK(hq_index_write(&f->writer, &pack, 1, &id, &err), &err);
    hq_index_name(&id, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &sealed, &err), &err);
    ASSERT_OK(
        hq_object_open(&f->writer, HQ_OBJECT_INDEX, "index", sealed.data, sealed.len, &body, &err),
        &err);
    hq_buf_clear(&sealed);
    return body;
}

static void
body_keeps_the_limits(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        enum hq_code expected;
    } cases[] = {
        {35, 0xFF, HQ_E_CORRUPT},  /* size above 256 MiB */
        {32, 1, HQ_E_CORRUPT},     /* size that the frames don't reach */
        {36, 3, HQ_E_UNSUPPORTED}, /* type */
        {36, 2, HQ_E_CORRUPT},     /* data chunks in a metadata pack */
        {38, 1, HQ_E_UNSUPPORTED}, /* reserved */
        {44, 4, HQ_E_CORRUPT},     /* more frames than bytes */
        {44, 0, HQ_E_CORRUPT},     /* none */
        {47, 255, HQ_E_CORRUPT},   /* a multiple that wraps */
        {80, 129, HQ_E_CORRUPT},   /* first frame's offset */
        {92, 9, HQ_E_UNSUPPORTED}, /* its kind */
        {93, 9, HQ_E_UNSUPPORTED}, /* its codec */
        {94, 1, HQ_E_UNSUPPORTED}, /* reserved */
    };
    struct fixture *f = *state;
    struct hq_pack *pack = small_pack(f, HQ_PACK_DATA, 1);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = body_of(f, pack);
    struct hq_error err = {0};
    struct seen seen = {0};

    ASSERT_OK(hq_index_decode(body.data, body.len, count_pack, &seen, &err), &err);
    ASSERT_OK(hq_index_decode(NULL, 0, count_pack, &seen, &err), &err);
    assert_int_equal(seen.packs, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t before = body.data[cases[i].offset];

        body.data[cases[i].offset] = cases[i].value;
        if (hq_index_decode(body.data, body.len, count_pack, &seen, &err) == 0 ||
            err.code != cases[i].expected)
            fail_msg("byte %zu = %u: %s", cases[i].offset, cases[i].value, err.message);
        body.data[cases[i].offset] = before;
    }
    for (size_t cut = 1; cut < body.len; cut++)
        ASSERT_CODE(hq_index_decode(body.data, cut, count_pack, &seen, &err), &err, HQ_E_CORRUPT);
    assert_int_equal(seen.packs, 1);
    hq_pack_free(pack);
}

/* The store fails at every call in turn: never a map that is not whole, never a leak. */
static void
failures_of_the_store_are_passed_on(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_index_map *map = NULL;
    struct hq_error err = {0};
    struct hq_pack *packs[2];
    uint64_t damaged;
    int fired = 0;

    (void)store_packs(f, packs, name);
    ASSERT_OK(hq_memory_damage(f->store, name, 100, 3, &err), &err);
    for (uint64_t n = 1; map == NULL && n < 1000; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_REFUSED};

        hq_memory_set_faults(f->store, &faults);
        map = hq_index_map_load(&f->writer, &damaged, &err);
        if (map == NULL) {
            assert_int_equal(err.code, HQ_E_REFUSED);
            fired++;
        }
    }
    assert_non_null(map);
    assert_true(fired >= 6);
    assert_finds(map, packs[0]);
    hq_index_map_free(map);
    free_packs(packs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(indexes_round_trip),
        FIXTURE_TEST(map_finds_chunks),
        cmocka_unit_test(map_holds_many),
        cmocka_unit_test(a_large_map_goes_on_in_a_file),
        cmocka_unit_test(without_a_place_for_the_file_it_says_so),
        FIXTURE_TEST(damaged_index_is_passed_over),
        FIXTURE_TEST(named_packs_are_not_read_again),
        FIXTURE_TEST(too_many_entries_are_refused),
        FIXTURE_TEST(lost_index_is_made_up_for),
        FIXTURE_TEST(indexes_stay_where_they_are),
        FIXTURE_TEST(body_keeps_the_limits),
        FIXTURE_TEST(failures_of_the_store_are_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
