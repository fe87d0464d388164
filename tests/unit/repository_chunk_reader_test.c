/* What reading metadata chunks costs in requests, in the orders in which backups want them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository/chunk_reader.h"
#include "repository_fixture.h"

enum {
    PACKS = 40,
    LARGE_PACKS = 5,
    LARGE_CHUNKS = 24,
    LARGE_BYTES = 1 << 20 /* a relation file of 1 GiB has so many page sums */
};

/* Chunk @p chunk of pack @p pack: incompressible, as ids and sums are. */
static void
large_bytes(uint32_t pack, uint32_t chunk, uint8_t out[LARGE_BYTES])
{
    uint64_t x = (uint64_t)pack * LARGE_CHUNKS + chunk + 1;

    for (size_t i = 0; i < LARGE_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
}

static struct hq_pack *
large_pack(struct fixture *f, uint32_t number, struct hq_id ids[LARGE_CHUNKS])
{
    struct hq_error err = {0};
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_METADATA, &err);
    static uint8_t raw[LARGE_BYTES];
    struct hq_pack *pack = NULL;

    assert_non_null(w);
    for (uint32_t i = 0; i < LARGE_CHUNKS; i++) {
        large_bytes(number, i, raw);
        ids[i] = add_chunk(f, w, HQ_CHUNK_PAGE_SUMS, raw, sizeof raw);
    }
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    return pack;
}

static void
publish(struct fixture *f, struct hq_pack *pack)
{
    struct hq_error err = {0};
    struct hq_id index;

    put_pack(f, pack);
    ASSERT_OK(hq_index_write(&f->writer, &pack, 1, &index, &err), &err);
}

struct reading {
    struct hq_index_map *map;
    struct hq_chunk_reader *reader;
    struct hq_buf out;
    uint64_t calls; /* of the store, before */
};

static struct reading
begin(struct fixture *f)
{
    struct hq_error err = {0};
    struct reading r = {0};

    assert_non_null(r.map = hq_index_map_load(&f->repository, NULL, &err));
    assert_non_null(r.reader = hq_chunk_reader_of_index(&f->repository, r.map, &err));
    r.calls = hq_memory_calls(f->store);
    return r;
}

static void
check_small(struct reading *r, const struct hq_id *id, uint32_t seed)
{
    struct hq_error err = {0};
    uint8_t expected[SMALL_BYTES];

    fill(expected, sizeof expected, seed);
    ASSERT_OK(hq_chunk_read(r->reader, id, HQ_CHUNK_MANIFEST, SMALL_BYTES, &r->out, &err), &err);
    assert_memory_equal(r->out.data, expected, sizeof expected);
}

static void
check_large(struct reading *r, const struct hq_id *id, uint32_t pack, uint32_t chunk)
{
    struct hq_error err = {0};
    static uint8_t expected[LARGE_BYTES];

    large_bytes(pack, chunk, expected);
    ASSERT_OK(hq_chunk_read(r->reader, id, HQ_CHUNK_PAGE_SUMS, LARGE_BYTES, &r->out, &err), &err);
    assert_memory_equal(r->out.data, expected, sizeof expected);
}

/* @return the calls that it took. */
static uint64_t
end(struct fixture *f, struct reading *r)
{
    hq_chunk_reader_free(r->reader);
    hq_index_map_free(r->map);
    hq_buf_clear(&r->out);
    return hq_memory_calls(f->store) - r->calls;
}

/* A chain of backups: each left a small pack, and the last one's manifest names chunks of all. */
static void
small_packs_are_read_once(void **state)
{
    struct fixture *f = *state;
    struct hq_id ids[PACKS][SMALL_CHUNKS];
    struct reading r;
    uint64_t one;

    for (uint32_t p = 0; p < PACKS; p++) {
        struct hq_pack *pack = small_pack(f, HQ_PACK_METADATA, 10 * p);

        for (uint32_t i = 0; i < SMALL_CHUNKS; i++)
            ids[p][i] = pack->entries[i].id;
        publish(f, pack);
        hq_pack_free(pack);
    }
    r = begin(f);
    check_small(&r, &ids[0][0], 0);
    one = end(f, &r);
    r = begin(f);
    for (uint32_t i = 0; i < SMALL_CHUNKS; i++)
        for (uint32_t p = 0; p < PACKS; p++)
            check_small(&r, &ids[p][i], 10 * p + i);
    assert_int_equal(end(f, &r), PACKS * one);
    /* What was let go of is read once more, and as a whole again. */
    r = begin(f);
    for (uint32_t turn = 0; turn < 3; turn++) {
        for (uint32_t p = 0; p < PACKS; p++)
            for (uint32_t i = 0; i < SMALL_CHUNKS; i++)
                check_small(&r, &ids[p][i], 10 * p + i);
        hq_chunk_reader_rest(r.reader);
    }
    assert_int_equal(end(f, &r), 3 * PACKS * one);
}

static void
put_large_packs(struct fixture *f, struct hq_id ids[LARGE_PACKS][LARGE_CHUNKS])
{
    for (uint32_t p = 0; p < LARGE_PACKS; p++) {
        struct hq_pack *pack = large_pack(f, p, ids[p]);

        publish(f, pack);
        hq_pack_free(pack);
    }
}

/* More than is kept: read in the order of the packs, and in turns. */
static void
large_packs_are_not_read_for_each_chunk(void **state)
{
    struct fixture *f = *state;
    struct hq_id ids[LARGE_PACKS][LARGE_CHUNKS];
    struct reading r;
    uint64_t one;

    put_large_packs(f, ids);
    r = begin(f);
    check_large(&r, &ids[0][0], 0, 0);
    one = end(f, &r);
    r = begin(f);
    for (uint32_t p = 0; p < LARGE_PACKS; p++)
        for (uint32_t c = 0; c < LARGE_CHUNKS; c++)
            check_large(&r, &ids[p][c], p, c);
    assert_int_equal(end(f, &r), LARGE_PACKS * one);
    r = begin(f);
    for (uint32_t c = 0; c < LARGE_CHUNKS; c++)
        for (uint32_t p = 0; p < LARGE_PACKS; p++)
            check_large(&r, &ids[p][c], p, c);
    assert_true(end(f, &r) < LARGE_PACKS * LARGE_CHUNKS);
}

/* What is read by the chunk is judged as what is read whole. */
static void
damage_behind_the_first_read_is_seen(void **state)
{
    struct fixture *f = *state;
    struct hq_id ids[LARGE_PACKS][LARGE_CHUNKS];
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct hq_place place;
    struct reading r;

    put_large_packs(f, ids);
    r = begin(f);
    for (uint32_t p = 0; p < LARGE_PACKS; p++)
        check_large(&r, &ids[p][0], p, 0);
    ASSERT_OK(hq_index_map_find(r.map, &ids[0][2], &place, &err), &err);
    hq_pack_name(&place.pack, name);
    ASSERT_OK(hq_memory_damage(f->store, name, place.entry.offset + 7, 3, &err), &err);
    check_large(&r, &ids[0][1], 0, 1);
    ASSERT_CODE(hq_chunk_read(r.reader, &ids[0][2], HQ_CHUNK_PAGE_SUMS, LARGE_BYTES, &r.out, &err),
                &err, HQ_E_CORRUPT);
    ASSERT_OK(hq_memory_damage(f->store, name, place.entry.offset, -1, &err), &err);
    check_large(&r, &ids[0][1], 0, 1);
    ASSERT_CODE(hq_chunk_read(r.reader, &ids[0][3], HQ_CHUNK_PAGE_SUMS, LARGE_BYTES, &r.out, &err),
                &err, HQ_E_CORRUPT);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    ASSERT_CODE(hq_chunk_read(r.reader, &ids[0][4], HQ_CHUNK_PAGE_SUMS, LARGE_BYTES, &r.out, &err),
                &err, HQ_E_MISSING);
    (void)end(f, &r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(small_packs_are_read_once),
        FIXTURE_TEST(large_packs_are_not_read_for_each_chunk),
        FIXTURE_TEST(damage_behind_the_first_read_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
