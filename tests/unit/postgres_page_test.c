#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/io.h"
#include "postgres/page.h"

enum {
    BLOCK = 8192
};

/* Pages that PostgreSQL 15.20 wrote: all zeros but for these bytes. */
struct known {
    uint32_t block;
    uint16_t checksum;
    uint64_t lsn;
    const char *head, *tail; /* head at 0 */
    size_t tail_at, fill_at, fill_len;
};

static const struct known known[] = {
    /* a table's page with one row */
    {0, 14877, 0x17D6FA8, "00000000a86f7d011d3a04001c00d81f0020042000000000d89f42",
     "e002000000000000000000000000000001000100020b180013636865636b73756d00000000000000", 8152, 0,
     0},
    /* block 2 of a table, one row with 7000 times 'a' */
    {2, 49862, 0x17DF470, "0000000070f47d01c6c204001c00880400200420000000008884e836",
     "e302000000000000000000000000020001000100020b1800706d0000", 1160, 1188, 7000},
    /* a B-tree's root */
    {1, 45598, 0x17D4BE8, "00000000e84b7d011eb200001c00d81ff01f042000000000d89f3000d89f30",
     "0100184013636865636b73756d0000000000000000000000000000000000000003000000", 8156, 0, 0},
};

static void
make_page(const struct known *k, uint8_t *page)
{
    memset(page, 0, BLOCK);
    assert_int_equal(hq_hex_decode(k->head, strlen(k->head), page, strlen(k->head) / 2), 0);
    assert_int_equal(
        hq_hex_decode(k->tail, strlen(k->tail), page + k->tail_at, strlen(k->tail) / 2), 0);
    memset(page + k->fill_at, 'a', k->fill_len);
}

static void
test_known_pages(void **state)
{
    uint8_t page[BLOCK];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        make_page(&known[i], page);
        assert_int_equal(hq_page_checksum(page, BLOCK, known[i].block), known[i].checksum);
        assert_true(hq_page_checksum_valid(page, BLOCK, known[i].block));
        assert_false(hq_page_checksum_valid(page, BLOCK, known[i].block + 1));
        assert_int_equal(hq_page_lsn(page), known[i].lsn);
        assert_false(hq_page_is_zero(page, BLOCK));
        /* The last of them is of an index. */
        assert_int_equal(hq_page_is_index(page, BLOCK), i + 1 == sizeof known / sizeof known[0]);
    }
}

static void
test_every_byte_counts(void **state)
{
    uint8_t page[BLOCK];

    (void)state;
    make_page(&known[1], page);
    for (size_t i = 0; i < BLOCK; i++) {
        page[i] ^= 0x10;
        assert_false(hq_page_checksum_valid(page, BLOCK, known[1].block));
        page[i] ^= 0x10;
    }
}

static void
test_zero_pages(void **state)
{
    uint8_t page[BLOCK] = {0};

    (void)state;
    assert_true(hq_page_is_zero(page, BLOCK));
    assert_true(hq_page_checksum_valid(page, BLOCK, 7));
    for (size_t at = 0; at < BLOCK; at += 1365) {
        page[at] = 1;
        assert_false(hq_page_is_zero(page, BLOCK));
        assert_false(hq_page_checksum_valid(page, BLOCK, 7));
        page[at] = 0;
    }
    page[BLOCK - 1] = 1;
    assert_false(hq_page_is_zero(page, BLOCK));
}

/* Damaged, and written before or since the backup began. */
static void
test_start_lsn_decides(void **state)
{
    uint8_t page[BLOCK];

    (void)state;
    make_page(&known[1], page);
    assert_false(hq_page_damaged(page, BLOCK, known[1].block, UINT64_MAX));
    page[BLOCK - 1] = 1;
    assert_true(hq_page_damaged(page, BLOCK, known[1].block, UINT64_MAX));
    assert_true(hq_page_damaged(page, BLOCK, known[1].block, known[1].lsn + 1));
    /* A page of exactly the start LSN was written after the checkpoint's redo point. */
    assert_false(hq_page_damaged(page, BLOCK, known[1].block, known[1].lsn));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_pages),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_zero_pages),
        cmocka_unit_test(test_start_lsn_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
