#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/io.h"
#include "page_check.h"
#include "postgres/page.h"

enum {
    BLOCK = 8192,
    DAMAGED_MAX = 8
};

/* The writer as far as page_check.c knows it: it counts. */
struct hq_backup_writer {
    uint32_t damaged[DAMAGED_MAX];
    size_t count;
    bool fail;
};

int
hq_backup_writer_damaged(struct hq_backup_writer *w, uint32_t block, struct hq_error *err)
{
    if (w->fail)
        return hq_fail(err, HQ_E_NO_SPACE, "full");
    assert_true(w->count < DAMAGED_MAX);
    w->damaged[w->count++] = block;
    return 0;
}

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

/* Three pages: good, damaged and old, damaged and written since the backup began. */
static void
make_file(uint8_t *file)
{
    make_page(&known[2], file);
    make_page(&known[1], file + BLOCK);
    make_page(&known[1], file + 2 * BLOCK);
    file[2 * BLOCK - 1] = 1;
    file[3 * BLOCK - 1] = 1;
    file[2 * BLOCK + 6] = 0x7E; /* of the LSN: 0/17EF470 */
}

static void
test_pieces(void **state)
{
    static const size_t steps[] = {1, 7, 512, 8191, 8192, 8193, 20000, 3 * BLOCK};
    static uint8_t file[3 * BLOCK], partial[BLOCK];
    struct hq_error err = {0};

    (void)state;
    make_file(file);
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        struct hq_backup_writer w = {.count = 0};
        struct hq_page_check c = {
            .block_size = BLOCK, .first_block = 1, .start_lsn = 0x17DF471, .partial = partial};

        for (size_t at = 0; at < sizeof file; at += steps[s]) {
            size_t len = sizeof file - at < steps[s] ? sizeof file - at : steps[s];

            assert_int_equal(hq_page_check_feed(&c, file + at, len, &w, &err), 0);
        }
        assert_int_equal(w.count, 1);
        assert_int_equal(w.damaged[0], 1);
        assert_int_equal(c.block, 3);
        assert_int_equal(c.have, 0);
    }
}

static void
test_start_lsn_decides(void **state)
{
    static uint8_t file[3 * BLOCK], partial[BLOCK];
    struct hq_backup_writer w = {.count = 0};
    struct hq_page_check c = {.block_size = BLOCK, .first_block = 1, .partial = partial};
    struct hq_error err = {0};

    (void)state;
    make_file(file);
    /* A page of exactly the start LSN was written after the checkpoint's redo point. */
    c.start_lsn = known[1].lsn;
    assert_int_equal(hq_page_check_feed(&c, file, sizeof file, &w, &err), 0);
    assert_int_equal(w.count, 0);
    c.block = 0;
    c.start_lsn = UINT64_MAX;
    assert_int_equal(hq_page_check_feed(&c, file, sizeof file, &w, &err), 0);
    assert_int_equal(w.count, 2);
    /* The writer's failure ends it, whether a page came in one piece or in two. */
    w.fail = true;
    c.block = 0;
    assert_int_equal(hq_page_check_feed(&c, file, sizeof file, &w, &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    c.block = 0;
    assert_int_equal(hq_page_check_feed(&c, file + BLOCK, 100, &w, &err), 0);
    assert_int_equal(hq_page_check_feed(&c, file + BLOCK + 100, BLOCK, &w, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_pages),       cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_zero_pages),        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_start_lsn_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
