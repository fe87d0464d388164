/*
 * What an incremental base backup sends in place of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "incremental_file.h"
#include "incremental_maker.h"

/* What a sink was told, a letter a block: s same, z zeros, else the first byte of its content. */
struct told {
    char blocks[BLOCKS_MAX + 1];
    uint32_t count, announced, named, within;
    bool begun;
};

static int
told_begin(void *context, uint32_t blocks, uint32_t named, struct hq_error *err)
{
    struct told *t = context;

    (void)err;
    assert_false(t->begun);
    t->begun = true;
    t->announced = blocks;
    t->named = named;
    return 0;
}

static void
tell(struct told *t, char what, uint32_t count)
{
    assert_true(t->begun && t->within == 0 && count > 0 && count <= BLOCKS_MAX - t->count);
    memset(t->blocks + t->count, what, count);
    t->count += count;
}

static int
told_same(void *context, uint32_t count, struct hq_error *err)
{
    (void)err;
    tell(context, 's', count);
    return 0;
}

static int
told_zeros(void *context, uint32_t count, struct hq_error *err)
{
    (void)err;
    tell(context, 'z', count);
    return 0;
}

static int
told_data(void *context, const uint8_t *bytes, size_t len, struct hq_error *err)
{
    struct told *t = context;

    (void)err;
    assert_true(len > 0 && t->within + len <= BLOCK);
    if (t->within == 0)
        tell(t, (char)bytes[0], 1);
    t->within = (uint32_t)((t->within + len) % BLOCK);
    return 0;
}

static int
read_pieces(const struct hq_buf *bytes, uint64_t size, size_t step, struct told *t,
            struct hq_error *err)
{
    const struct incremental_sink sink = {told_begin, told_same, told_zeros, told_data, t};
    HQ_AUTO(incremental_file_clear)
    struct incremental_file f = {
        .block_size = BLOCK, .blocks_max = BLOCKS_MAX, .size = size, .sink = &sink};

    *t = (struct told){.count = 0};
    for (size_t at = 0; at < bytes->len; at += step)
        if (incremental_file_put(&f, bytes->data + at,
                                 bytes->len - at < step ? bytes->len - at : step, err) != 0)
            return -1;
    return incremental_file_end(&f, err);
}

static void
expect(uint32_t truncation, const uint32_t *numbers, uint32_t count, const char *blocks)
{
    static const size_t steps[] = {1, 7, BLOCK, 3 * BLOCK, 100000};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf bytes = {0};
        struct hq_error err = {0};
        struct told t;

        make(&bytes, truncation, numbers, count);
        assert_int_equal(read_pieces(&bytes, bytes.len, steps[i], &t, &err), 0);
        assert_string_equal(t.blocks, blocks);
        assert_int_equal(t.announced, strlen(blocks));
        assert_int_equal(t.named, count);
        assert_int_equal(t.within, 0);
    }
}

static void
blocks_come_in_order(void **state)
{
    static const uint32_t some[] = {0, 1, 5, 7}, late[] = {2, 9}, last[] = {BLOCKS_MAX - 1};
    static const uint32_t many[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

    (void)state;
    expect(10, some, 4, "ABsssCsDss");
    expect(10, some, 0, "ssssssssss");
    expect(0, some, 0, "");
    expect(2, some, 2, "AB");
    /* From the truncation length on nothing is as it was. */
    expect(4, late, 2, "ssAszzzzzB");
    expect(0, late, 1, "zzA");
    expect(BLOCKS_MAX, last, 1, "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssA");
    /* 125 numbers would still fit into one block of header. */
    expect(BLOCKS_MAX, many, BLOCKS_MAX,
           "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\x7f\x80");
}

static void
expect_refusal(struct hq_buf *bytes, uint64_t size, const char *why)
{
    static const size_t steps[] = {1, 100000};

    for (size_t i = 0; i < 2; i++) {
        struct hq_error err = {0};
        struct told t;

        assert_int_equal(read_pieces(bytes, size, steps[i], &t, &err), -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
        if (strstr(err.message, why) == NULL)
            fail_msg("%s, not %s", err.message, why);
    }
    hq_buf_clear(bytes);
}

static void
hostile_files_are_refused(void **state)
{
    static const uint32_t twice[] = {3, 3}, down[] = {3, 2}, far[] = {BLOCKS_MAX}, good[] = {1, 4};
    struct hq_buf b = {0};

    (void)state;
    make(&b, 9, good, 2);
    b.data[0] ^= 1;
    expect_refusal(&b, b.len, "does not begin");
    make(&b, 9, twice, 2);
    expect_refusal(&b, b.len, "do not ascend");
    make(&b, 9, down, 2);
    expect_refusal(&b, b.len, "do not ascend");
    make(&b, 9, far, 1);
    expect_refusal(&b, b.len, "behind the largest");
    make(&b, BLOCKS_MAX + 1, good, 2);
    expect_refusal(&b, b.len, "more blocks");
    make(&b, 9, good, 2);
    memset(b.data + 4, 0xFF, 4); /* 2^32 - 1 blocks */
    expect_refusal(&b, b.len, "more blocks");
    make(&b, 9, good, 2);
    expect_refusal(&b, b.len + 1, "size is not");
    make(&b, 9, good, 2);
    b.len -= BLOCK;
    expect_refusal(&b, b.len, "size is not");
    make(&b, 9, good, 2);
    b.len--;
    expect_refusal(&b, b.len + 1, "too early");
    make(&b, 9, good, 2);
    hq_buf_put_u8(&b, 1);
    expect_refusal(&b, b.len - 1, "behind its last block");
    make(&b, 9, good, 0);
    hq_buf_put_u8(&b, 1);
    expect_refusal(&b, b.len - 1, "behind its last block");
    make(&b, 9, good, 0);
    b.len = 11;
    expect_refusal(&b, 12, "too early");
    b.len = 0;
    expect_refusal(&b, 0, "too early");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order),
        cmocka_unit_test(hostile_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
