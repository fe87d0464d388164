/* Reading a file in pieces: pages verified, torn ones again, holes, files that shrink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "files_read.h"
#include "postgres/page.h"

enum {
    BLOCK = 8192,
    BLOCKS = 130, /* more than one piece */
    TORN = 9
};

struct fixture {
    FILE *stream;
    struct files_file file;
    struct files_piece piece;
};

/* The linker leads files_read's waiting here: nothing waits, and what is being written gets whole.
 */
static unsigned waits;
static const struct fixture *being_written;
bool __wrap_hq_clock_sleep_ms(int64_t ms, const atomic_int *stop);

static void
make_page(uint8_t page[BLOCK], uint32_t number, uint64_t lsn)
{
    uint16_t sum;

    memset(page, (int)number & 0xFF, BLOCK);
    hq_set_u32(page, (uint32_t)(lsn >> 32));
    hq_set_u32(page + 4, (uint32_t)lsn);
    sum = hq_page_checksum(page, BLOCK, number);
    page[8] = (uint8_t)sum;
    page[9] = (uint8_t)(sum >> 8);
}

static void
put(const struct fixture *f, uint32_t block, const uint8_t *page)
{
    assert_int_equal(pwrite(f->file.fd, page, BLOCK, (off_t)block * BLOCK), BLOCK);
}

bool
__wrap_hq_clock_sleep_ms(int64_t ms, const atomic_int *stop)
{
    uint8_t page[BLOCK];

    assert_true(ms > 0);
    assert_null(stop);
    waits++;
    if (being_written != NULL) {
        make_page(page, 131072 + TORN, 20);
        put(being_written, TORN, page);
    }
    return true;
}

static void
set_up(struct fixture *f)
{
    struct hq_error err = {0};
    uint8_t page[BLOCK];

    waits = 0;
    being_written = NULL;
    *f = (struct fixture){.stream = tmpfile()};
    assert_non_null(f->stream);
    f->file = (struct files_file){.fd = fileno(f->stream),
                                  .path = "base/1/2.1",
                                  .size = (uint64_t)BLOCKS * BLOCK,
                                  .relation = true,
                                  .verify = true,
                                  .block_size = BLOCK,
                                  .first_block = 131072,
                                  .start_lsn = 1000};
    assert_int_equal(files_piece_init(&f->piece, &err), 0);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        make_page(page, 131072 + i, 10 + i);
        put(f, i, page);
    }
}

static void
tear_down(struct fixture *f)
{
    fclose(f->stream);
    files_piece_clear(&f->piece);
}

static void
read_at(struct fixture *f, uint64_t offset)
{
    struct hq_error err = {0};
    uint64_t left = f->file.size - offset;
    size_t len = left < FILES_PIECE_BYTES ? (size_t)left : FILES_PIECE_BYTES;

    if (files_read(&f->file, offset, len, &f->piece, &err) != 0)
        fail_msg("%s", err.message);
}

static size_t
damaged(const struct fixture *f)
{
    size_t count = 0;

    for (size_t i = 0; i < FILES_PIECE_BLOCKS_MAX; i++)
        count += f->piece.damaged[i];
    return count;
}

static void
test_pieces(void **state)
{
    struct fixture f;
    uint8_t page[BLOCK];

    (void)state;
    set_up(&f);
    read_at(&f, 0);
    assert_int_equal(f.piece.len, FILES_PIECE_BYTES);
    assert_false(f.piece.ended);
    assert_int_equal(damaged(&f), 0);
    make_page(page, 131072 + 127, 10 + 127);
    assert_memory_equal(f.piece.bytes + 127 * BLOCK, page, BLOCK);
    read_at(&f, FILES_PIECE_BYTES);
    assert_int_equal(f.piece.len, 2 * BLOCK);
    assert_int_equal(damaged(&f), 0);
    tear_down(&f);
}

static void
test_damage(void **state)
{
    struct fixture f;
    uint8_t page[BLOCK], zero[BLOCK] = {0};

    (void)state;
    set_up(&f);
    make_page(page, 131072 + 5, 15);
    page[4000] ^= 1;
    put(&f, 5, page);
    put(&f, 6, zero);
    make_page(page, 7, 17); /* of another segment */
    put(&f, 7, page);
    make_page(page, 131072 + 129, 1000); /* as new as the backup: WAL has it in full */
    page[4000] ^= 1;
    put(&f, 129, page);
    read_at(&f, 0);
    assert_int_equal(damaged(&f), 2);
    assert_true(f.piece.damaged[5] && f.piece.damaged[7]);
    read_at(&f, FILES_PIECE_BYTES);
    assert_int_equal(damaged(&f), 0);
    f.file.verify = false;
    read_at(&f, 0);
    assert_int_equal(damaged(&f), 0);
    tear_down(&f);
}

/* The server writes the page while it is read: what comes of it is whole. */
static void
test_torn_page(void **state)
{
    struct fixture f;
    uint8_t page[BLOCK], half[BLOCK];

    (void)state;
    set_up(&f);
    make_page(page, 131072 + TORN, 20);
    memcpy(half, page, BLOCK);
    memset(half + 4096, 0, 4096);
    put(&f, TORN, half);
    being_written = &f;
    read_at(&f, 0);
    assert_int_equal(waits, 1);
    assert_int_equal(damaged(&f), 0);
    assert_memory_equal(f.piece.bytes + TORN * BLOCK, page, BLOCK);
    tear_down(&f);
}

/* Damage everywhere must not cost a wait for every page. */
static void
test_all_damaged(void **state)
{
    struct fixture f;
    uint8_t page[BLOCK];

    (void)state;
    set_up(&f);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        make_page(page, 131072 + i, 10 + i);
        page[4000] ^= 1;
        put(&f, i, page);
    }
    read_at(&f, 0);
    assert_int_equal(damaged(&f), FILES_PIECE_BYTES / BLOCK);
    assert_in_range(waits, 1, 10);
    tear_down(&f);
}

static void
test_shrunk(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    assert_int_equal(ftruncate(f.file.fd, 100 * BLOCK + 100), 0);
    read_at(&f, 0);
    assert_int_equal(f.piece.len, 100 * BLOCK);
    assert_true(f.piece.ended);
    read_at(&f, FILES_PIECE_BYTES);
    assert_int_equal(f.piece.len, 0);
    assert_true(f.piece.ended);
    /* What is no relation ends where it ends. */
    f.file.relation = f.file.verify = false;
    read_at(&f, 0);
    assert_int_equal(f.piece.len, 100 * BLOCK + 100);
    assert_true(f.piece.ended);
    tear_down(&f);
}

static void
test_holes(void **state)
{
    struct fixture f;
    const uint64_t size = UINT64_C(1) << 30;
    uint8_t page[BLOCK];
    uint32_t last = (uint32_t)(size / BLOCK) - 1;

    (void)state;
    set_up(&f);
    assert_int_equal(ftruncate(f.file.fd, (off_t)size), 0);
    f.file.size = size;
    f.file.sparse = true;
    make_page(page, 131072 + last, 30);
    put(&f, last, page);
    for (uint64_t at = 0; at < size; at += FILES_PIECE_BYTES) {
        read_at(&f, at);
        assert_int_equal(f.piece.len, FILES_PIECE_BYTES);
        assert_false(f.piece.ended);
        assert_int_equal(damaged(&f), 0);
        assert_int_equal(hq_page_is_zero(f.piece.bytes, BLOCK), at > FILES_PIECE_BYTES);
    }
    assert_memory_equal(f.piece.bytes + FILES_PIECE_BYTES - BLOCK, page, BLOCK);
    tear_down(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),    cmocka_unit_test(test_damage),
        cmocka_unit_test(test_torn_page), cmocka_unit_test(test_shrunk),
        cmocka_unit_test(test_holes),     cmocka_unit_test(test_all_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
