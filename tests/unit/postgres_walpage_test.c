#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "postgres/walpage.h"

static void
put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void
make_page(uint8_t page[HQ_WAL_LONG_PAGE_BYTES])
{
    memset(page, 0, HQ_WAL_LONG_PAGE_BYTES);
    put_u16(page, 0xD110);
    put_u16(page + 2, 0x0003); /* long, and the rest of a record */
    hq_set_u32(page + 4, 7);
    hq_set_u64(page + 8, UINT64_C(0x203000000));
    hq_set_u64(page + 24, UINT64_C(7312345678901234567));
    hq_set_u32(page + 32, 16 << 20);
    hq_set_u32(page + 36, 8192);
}

static void
decodes(void **state)
{
    uint8_t bytes[HQ_WAL_LONG_PAGE_BYTES];
    struct hq_wal_page page;
    struct hq_error err = {0};

    (void)state;
    make_page(bytes);
    assert_int_equal(hq_wal_page_decode(bytes, sizeof bytes, &page, &err), 0);
    assert_int_equal(page.timeline, 7);
    assert_true(page.lsn == UINT64_C(0x203000000));
    assert_true(page.system_identifier == UINT64_C(7312345678901234567));
    assert_int_equal(page.segment_size, 16 << 20);
    assert_int_equal(page.block_size, 8192);
}

static void
every_version(void **state)
{
    static const unsigned magics[] = {0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};
    uint8_t bytes[HQ_WAL_LONG_PAGE_BYTES];
    struct hq_wal_page page;
    struct hq_error err = {0};

    (void)state;
    make_page(bytes);
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        put_u16(bytes, magics[i]);
        assert_int_equal(hq_wal_page_decode(bytes, sizeof bytes, &page, &err), 0);
    }
    put_u16(bytes, 0xD1FF);
    assert_int_equal(hq_wal_page_decode(bytes, sizeof bytes, &page, &err), -1);
    assert_int_equal(err.code, HQ_E_UNSUPPORTED);
}

static void
what_is_no_page(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } cases[] = {
        {0, 0},          {0, 0x0003D210}, {0, 0x0001D110}, /* a short header */
        {0, 0x0013D110},                                   /* a flag that is none */
        {4, 0},          {8, 0x3000100},                   /* not a segment's start */
        {32, 0},         {32, 1 << 19},   {32, 3 << 20},   {32, UINT32_C(1) << 31},
        {36, 0},         {36, 512},       {36, 8191},      {36, 1 << 17},
    };
    uint8_t bytes[HQ_WAL_LONG_PAGE_BYTES];
    struct hq_wal_page page;
    struct hq_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_page(bytes);
        hq_set_u32(bytes + cases[i].offset, cases[i].value);
        if (hq_wal_page_decode(bytes, sizeof bytes, &page, &err) == 0)
            fail_msg("case %zu", i);
        assert_int_equal(err.code, HQ_E_CORRUPT);
    }
    make_page(bytes);
    hq_set_u64(bytes + 24, 0);
    assert_int_equal(hq_wal_page_decode(bytes, sizeof bytes, &page, &err), -1);
    for (size_t len = 0; len < sizeof bytes; len++)
        assert_int_equal(hq_wal_page_decode(bytes, len, &page, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(every_version),
        cmocka_unit_test(what_is_no_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
