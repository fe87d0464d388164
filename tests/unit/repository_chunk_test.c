#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/io.h"
#include "repository_fixture.h"

static void
knows_kinds(void **state)
{
    (void)state;
    assert_int_equal(hq_chunk_raw_max(0), 0);
    assert_int_equal(hq_chunk_raw_max(HQ_CHUNK_DATA), 4 << 20);
    assert_int_equal(hq_chunk_raw_max(HQ_CHUNK_PAGES), 2 << 20);
    assert_int_equal(hq_chunk_raw_max(HQ_CHUNK_MANIFEST), 4 << 20);
    assert_int_equal(hq_chunk_raw_max(HQ_CHUNK_PAGE_MAP), 64 << 20);
    assert_int_equal(hq_chunk_raw_max(HQ_CHUNK_PAGE_SUMS), 8 << 20);
    assert_int_equal(hq_chunk_raw_max(6), 0);
    assert_int_equal(hq_chunk_raw_max(UINT32_MAX), 0);
}

/* The same bytes have another id for each kind, and the one of kind 1 is H of the fixed key. */
static void
ids_have_a_domain(void **state)
{
    struct fixture *f = *state;
    struct hq_id id[4], expected;
    struct hq_key key;

    for (int kind = 1; kind <= 4; kind++)
        hq_chunk_id(f->ids, (enum hq_chunk_kind)kind, "abc", 3, &id[kind - 1]);
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < a; b++)
            assert_memory_not_equal(id[a].bytes, id[b].bytes, HQ_ID_BYTES);
    assert_int_equal(hq_hex_decode(HQ_VECTOR_CHUNK_DATA_KEY, 64, key.bytes, 32), 0);
    hq_hash(&key, "abc", 3, &expected);
    assert_memory_equal(id[0].bytes, expected.bytes, HQ_ID_BYTES);
}

static void
check_round_trip(struct fixture *f, const uint8_t *raw, size_t len, enum hq_codec expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0}, back = {0};
    struct hq_error err = {0};
    enum hq_codec codec;

    ASSERT_OK(hq_compress(f->compressor, HQ_CONTENT_ANY, raw, len, &frame, &codec, &err), &err);
    assert_int_equal(codec, expected);
    assert_true(frame.len <= len);
    ASSERT_OK(hq_decompress(f->compressor, codec, frame.data, frame.len, len, &back, &err), &err);
    assert_int_equal(back.len, len);
    if (len > 0)
        assert_memory_equal(back.data, raw, len);
}

static void
compression_round_trips(void **state)
{
    struct fixture *f = *state;
    static uint8_t raw[300000];

    check_round_trip(f, raw, 0, HQ_CODEC_NONE);
    check_round_trip(f, raw, 1, HQ_CODEC_NONE);
    check_round_trip(f, raw, sizeof raw, HQ_CODEC_ZSTD);
    fill(raw, sizeof raw, 7);
    check_round_trip(f, raw, sizeof raw, HQ_CODEC_ZSTD);
    hq_random(raw, sizeof raw);
    check_round_trip(f, raw, sizeof raw, HQ_CODEC_NONE);
}

static size_t
compressed_len(int level, enum hq_content content, const void *raw, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0}, back = {0};
    struct hq_error err = {0};
    struct hq_compressor *c = hq_compressor_new(level, &err);
    enum hq_codec codec;
    size_t got;

    assert_non_null(c);
    /* What was compressed before leaves nothing behind. */
    ASSERT_OK(
        hq_compress(c, HQ_CONTENT_RECORDS, "aaaaaaaaaaaaaaaaaaaaaaaa", 24, &frame, &codec, &err),
        &err);
    ASSERT_OK(hq_compress(c, content, raw, len, &frame, &codec, &err), &err);
    ASSERT_OK(hq_decompress(c, codec, frame.data, frame.len, len, &back, &err), &err);
    assert_memory_equal(back.data, raw, len);
    got = frame.len;
    hq_compressor_free(c);
    return got;
}

/* A B-tree over a counter: six bytes of row address, two of size, eight of key; last ones first. */
static void
fill_index(uint8_t *raw, size_t len)
{
    for (size_t i = 0; i + 16 <= len; i += 16) {
        uint64_t key = (len - i) / 16;

        hq_set_u32(raw + i, (uint32_t)(key / 61) << 16);
        hq_set_u32(raw + i + 4, (uint32_t)(key % 61 + 1) | 16U << 16);
        hq_set_u64(raw + i + 8, key);
    }
}

static void
content_decides_how_long_matches_are(void **state)
{
    static uint8_t index[1 << 19], text[1 << 19];
    static const char *const words[] = {"glucose in serum, ", "creatinine, ", "final, ",
                                        "Patient/"};
    size_t plain;

    (void)state;
    fill_index(index, sizeof index);
    for (size_t at = 0, i = 0; at < sizeof text; i++) {
        const char *word = words[(i * 2654435761U >> 7) % 4];

        for (; *word != '\0' && at < sizeof text; word++)
            text[at++] = (uint8_t)*word;
    }
    plain = compressed_len(1, HQ_CONTENT_ANY, index, sizeof index);
    assert_true(compressed_len(1, HQ_CONTENT_INDEX, index, sizeof index) < plain * 19 / 20);
    assert_true(compressed_len(1, HQ_CONTENT_RECORDS, index, sizeof index) < plain * 19 / 20);
    plain = compressed_len(1, HQ_CONTENT_ANY, text, sizeof text);
    assert_int_equal(compressed_len(1, HQ_CONTENT_INDEX, text, sizeof text), plain);
    /* Of a few pages zstd takes short matches by itself: none is to be lost by asking. */
    for (size_t pages = 1; pages <= 32; pages *= 2) {
        plain = compressed_len(1, HQ_CONTENT_ANY, text, pages * 8192);
        assert_int_equal(compressed_len(1, HQ_CONTENT_INDEX, text, pages * 8192), plain);
    }
    /* Other levels are zstd's. */
    plain = compressed_len(3, HQ_CONTENT_ANY, index, sizeof index);
    assert_int_equal(compressed_len(3, HQ_CONTENT_INDEX, index, sizeof index), plain);
    for (int content = HQ_CONTENT_ANY; content <= HQ_CONTENT_INDEX; content++)
        for (int level = 1; level <= 19; level += 3)
            for (size_t len = 1; len < 40000; len = 2 * len + 1)
                (void)compressed_len(level, (enum hq_content)content, index, len);
}

static void
refuses_wrong_lengths(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0}, out = {0};
    struct hq_error err = {0};
    enum hq_codec codec;
    uint8_t raw[1000] = {0};

    ASSERT_OK(hq_compress(f->compressor, HQ_CONTENT_ANY, raw, sizeof raw, &frame, &codec, &err),
              &err);
    for (size_t len = 0; len < 1100; len++)
        if (len != sizeof raw) {
            ASSERT_CODE(hq_decompress(f->compressor, codec, frame.data, frame.len, len, &out, &err),
                        &err, HQ_E_CORRUPT);
            assert_int_equal(out.len, 0);
        }
    for (size_t cut = 0; cut < frame.len; cut++)
        ASSERT_CODE(hq_decompress(f->compressor, codec, frame.data, cut, sizeof raw, &out, &err),
                    &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_decompress(f->compressor, HQ_CODEC_NONE, raw, 10, 11, &out, &err), &err,
                HQ_E_CORRUPT);
    ASSERT_CODE(hq_decompress(f->compressor, 2, frame.data, frame.len, sizeof raw, &out, &err),
                &err, HQ_E_UNSUPPORTED);
}

/* Two frames, a skippable frame in front, and a frame without its content size. */
static void
takes_one_frame_only(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0}, two = {0}, skip = {0}, out = {0};
    struct hq_error err = {0};
    enum hq_codec codec;
    uint8_t raw[500] = {0}, sizeless[600];
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t len;

    ASSERT_OK(hq_compress(f->compressor, HQ_CONTENT_ANY, raw, sizeof raw, &frame, &codec, &err),
              &err);
    hq_buf_put(&two, frame.data, frame.len);
    hq_buf_put(&two, frame.data, frame.len);
    ASSERT_CODE(
        hq_decompress(f->compressor, HQ_CODEC_ZSTD, two.data, two.len, 2 * sizeof raw, &out, &err),
        &err, HQ_E_CORRUPT);
    hq_buf_put_u32(&skip, ZSTD_MAGIC_SKIPPABLE_START);
    hq_buf_put_u32(&skip, 4);
    hq_buf_put_u32(&skip, 0);
    hq_buf_put(&skip, frame.data, frame.len);
    ASSERT_CODE(
        hq_decompress(f->compressor, HQ_CODEC_ZSTD, skip.data, skip.len, sizeof raw, &out, &err),
        &err, HQ_E_CORRUPT);
    assert_int_equal(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0)), 0);
    len = ZSTD_compress2(c, sizeless, sizeof sizeless, raw, sizeof raw);
    assert_int_equal(ZSTD_isError(len), 0);
    ZSTD_freeCCtx(c);
    ASSERT_OK(hq_decompress(f->compressor, HQ_CODEC_ZSTD, sizeless, len, sizeof raw, &out, &err),
              &err);
    ASSERT_CODE(
        hq_decompress(f->compressor, HQ_CODEC_ZSTD, sizeless, len, sizeof raw - 1, &out, &err),
        &err, HQ_E_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_kinds),
        FIXTURE_TEST(ids_have_a_domain),
        FIXTURE_TEST(compression_round_trips),
        FIXTURE_TEST(refuses_wrong_lengths),
        FIXTURE_TEST(takes_one_frame_only),
        cmocka_unit_test(content_decides_how_long_matches_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
