#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository/pagemap.h"
#include "repository_fixture.h"

static void
put_run(struct hq_page_map *map, uint32_t length, uint32_t chunk, uint32_t slot)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_page_map_add_run(map, length, chunk, slot, &err), &err);
}

static const struct hq_page_chunk first = {.id = {{1}}, .pages = 30, .sums = 0, .first_sum = 70};
static const struct hq_page_chunk second = {.id = {{2}}, .pages = 64, .sums = HQ_PAGE_SUMS_NONE};

/* 100 blocks: 20 of chunk 0, 30 zeros, 40 of chunk 1 in two stretches, 10 of chunk 0. */
static struct hq_page_map
sample_map(void)
{
    struct hq_page_map map = {.block_size = 8192};
    const struct hq_page_sums sums = {.id = {{3}}, .count = 100};
    struct hq_error err = {0};

    ASSERT_OK(hq_page_map_add_sums(&map, &sums, &err), &err);
    ASSERT_OK(hq_page_map_add_chunk(&map, &first, &err), &err);
    ASSERT_OK(hq_page_map_add_chunk(&map, &second, &err), &err);
    put_run(&map, 15, 0, 0);
    put_run(&map, 5, 0, 15); /* continues */
    put_run(&map, 10, HQ_PAGE_RUN_ZERO, 0);
    put_run(&map, 20, HQ_PAGE_RUN_ZERO, 0); /* continues */
    put_run(&map, 30, 1, 34);
    put_run(&map, 10, 1, 0); /* does not */
    put_run(&map, 10, 0, 20);
    return map;
}

static void
maps_round_trip(void **state)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = sample_map(), back = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, again = {0};
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(map.blocks, 100);
    assert_int_equal(map.run_count, 5);
    ASSERT_OK(hq_page_map_encode(&map, &bytes, &err), &err);
    assert_int_equal(bytes.len, 24 + 2 * 44 + 5 * 12 + 36);
    ASSERT_OK(hq_page_map_decode(bytes.data, bytes.len, &back, &err), &err);
    assert_int_equal(back.block_size, 8192);
    assert_int_equal(back.blocks, 100);
    assert_int_equal(back.runs[2].slot, 34);
    assert_int_equal(back.chunks[0].first_sum, 70);
    assert_int_equal(back.sums[0].count, 100);
    ASSERT_OK(hq_page_map_encode(&back, &again, &err), &err);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.data, bytes.data, bytes.len);
    /* A decoded map can be continued, and decoding into one forgets what it held. */
    put_run(&back, 1, 0, 0);
    ASSERT_OK(hq_page_map_decode(bytes.data, bytes.len, &back, &err), &err);
    assert_int_equal(back.blocks, 100);
}

/* A file that was never written to: no chunk at all. */
static void
zeros_need_no_chunk(void **state)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {.block_size = 512}, back = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_error err = {0};

    (void)state;
    put_run(&map, 7, HQ_PAGE_RUN_ZERO, 0);
    ASSERT_OK(hq_page_map_encode(&map, &bytes, &err), &err);
    ASSERT_OK(hq_page_map_decode(bytes.data, bytes.len, &back, &err), &err);
    assert_int_equal(back.blocks, 7);
    assert_int_equal(back.chunk_count, 0);
    /* Blocks without a run. */
    hq_set_u32(bytes.data + 16, 0);
    ASSERT_CODE(hq_page_map_decode(bytes.data, 24, &back, &err), &err, HQ_E_CORRUPT);
}

static void
caller_keeps_the_limits(void **state)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {.block_size = 8192};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_page_chunk chunk = {.id = {{1}}, .sums = HQ_PAGE_SUMS_NONE};
    struct hq_page_sums sums = {.id = {{2}}};
    struct hq_error err = {0};

    (void)state;
    ASSERT_CODE(hq_page_map_encode(&map, &out, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_chunk(&map, &chunk, &err), &err, HQ_E_USAGE);
    chunk.pages = 65;
    ASSERT_CODE(hq_page_map_add_chunk(&map, &chunk, &err), &err, HQ_E_USAGE);
    chunk.pages = 64;
    chunk.sums = 0;
    ASSERT_CODE(hq_page_map_add_chunk(&map, &chunk, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_sums(&map, &sums, &err), &err, HQ_E_USAGE);
    sums.count = 63;
    ASSERT_OK(hq_page_map_add_sums(&map, &sums, &err), &err);
    ASSERT_CODE(hq_page_map_add_chunk(&map, &chunk, &err), &err, HQ_E_USAGE);
    chunk.sums = HQ_PAGE_SUMS_NONE;
    ASSERT_CODE(hq_page_map_add_run(&map, 1, 0, 0, &err), &err, HQ_E_USAGE);
    ASSERT_OK(hq_page_map_add_chunk(&map, &chunk, &err), &err);
    ASSERT_CODE(hq_page_map_add_run(&map, 0, 0, 0, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_run(&map, 1, 0, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_run(&map, 65, 0, 0, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_run(&map, 2, 0, UINT32_MAX, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_run(&map, 1, HQ_PAGE_RUN_ZERO, 1, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_page_map_add_run(&map, (1 << 20) + 1, HQ_PAGE_RUN_ZERO, 0, &err), &err,
                HQ_E_USAGE);
    ASSERT_OK(hq_page_map_add_run(&map, 1 << 20, HQ_PAGE_RUN_ZERO, 0, &err), &err);
    ASSERT_CODE(hq_page_map_add_run(&map, 1, 0, 0, &err), &err, HQ_E_USAGE);
    map.block_size = 8191;
    ASSERT_CODE(hq_page_map_encode(&map, &out, &err), &err, HQ_E_USAGE);
}

/* Every field of the sample map that section 11 says something about. */
static void
decoder_keeps_the_limits(void **state)
{
    enum {
        CHUNKS = 24,
        RUNS = CHUNKS + 2 * 44,
        SUMS = RUNS + 5 * 12
    };
    static const struct {
        size_t offset;
        uint32_t value;
        enum hq_code expected;
    } cases[] = {
        {0, 0, HQ_E_CORRUPT},
        {0, 1, HQ_E_CORRUPT},
        {0, 3, HQ_E_UNSUPPORTED},
        {0, 2 | 1 << 8, HQ_E_UNSUPPORTED},
        {0, 2 | 1 << 24, HQ_E_UNSUPPORTED},
        {4, 0, HQ_E_CORRUPT},
        {4, 256, HQ_E_CORRUPT},
        {4, 65536, HQ_E_CORRUPT},
        {4, 8193, HQ_E_CORRUPT},
        {8, 0, HQ_E_CORRUPT},
        {8, 99, HQ_E_CORRUPT},
        {8, 101, HQ_E_CORRUPT},
        {8, (1 << 20) + 1, HQ_E_CORRUPT},
        {12, 3, HQ_E_CORRUPT},
        {12, UINT32_MAX, HQ_E_CORRUPT},
        {16, 4, HQ_E_CORRUPT},
        {16, UINT32_MAX, HQ_E_CORRUPT},
        {20, 0, HQ_E_CORRUPT},
        {20, UINT32_MAX, HQ_E_CORRUPT},
        {CHUNKS + 32, 0, HQ_E_CORRUPT},
        {CHUNKS + 32, 65, HQ_E_CORRUPT},
        {CHUNKS + 32, 29, HQ_E_CORRUPT}, /* a run needs 30 */
        {CHUNKS + 36, 1, HQ_E_CORRUPT},
        {CHUNKS + 36, UINT32_MAX, HQ_E_CORRUPT}, /* none, and yet a place */
        {CHUNKS + 40, 71, HQ_E_CORRUPT},
        {CHUNKS + 40, UINT32_MAX, HQ_E_CORRUPT},
        {SUMS + 32, 99, HQ_E_CORRUPT},
        {SUMS + 32, 0, HQ_E_CORRUPT},
        {SUMS + 32, (1 << 20) + 1, HQ_E_CORRUPT},
        {RUNS, 0, HQ_E_CORRUPT},
        {RUNS, 31, HQ_E_CORRUPT},
        {RUNS, UINT32_MAX, HQ_E_CORRUPT},
        {RUNS + 4, 2, HQ_E_CORRUPT},
        {RUNS + 4, UINT32_MAX - 1, HQ_E_CORRUPT},
        {RUNS + 8, 11, HQ_E_CORRUPT},
        {RUNS + 8, UINT32_MAX, HQ_E_CORRUPT},
        {RUNS + 12 + 8, 1, HQ_E_CORRUPT}, /* zeros with a slot */
    };
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = sample_map(), back = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_error err = {0};

    (void)state;
    ASSERT_OK(hq_page_map_encode(&map, &bytes, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t before = hq_get_u32(bytes.data + cases[i].offset);

        hq_set_u32(bytes.data + cases[i].offset, cases[i].value);
        if (hq_page_map_decode(bytes.data, bytes.len, &back, &err) == 0 ||
            err.code != cases[i].expected)
            fail_msg("offset %zu = %u: %s", cases[i].offset, cases[i].value, err.message);
        assert_null(back.runs);
        hq_set_u32(bytes.data + cases[i].offset, before);
    }
    for (size_t cut = 0; cut < bytes.len; cut++)
        ASSERT_CODE(hq_page_map_decode(bytes.data, cut, &back, &err), &err, HQ_E_CORRUPT);
    hq_buf_put_u8(&bytes, 0);
    ASSERT_CODE(hq_page_map_decode(bytes.data, bytes.len, &back, &err), &err, HQ_E_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_round_trip),
        cmocka_unit_test(zeros_need_no_chunk),
        cmocka_unit_test(caller_keeps_the_limits),
        cmocka_unit_test(decoder_keeps_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
