#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "postgres/walscan.h"
#include "wal_maker.h"

enum {
    COMMIT = 0x00,
    PREPARE = 0x10,
    ABORT = 0x20,
    COMMIT_PREPARED = 0x30,
    ABORT_PREPARED = 0x40,
    ASSIGNMENT = 0x50,
    HAS_INFO = 0x80,
    FOUND_MAX = 256
};

struct found {
    uint64_t lsn[FOUND_MAX];
    int64_t time_us[FOUND_MAX];
    size_t count;
};

static void
note(void *context, uint64_t lsn, int64_t time_us)
{
    struct found *f = context;

    assert_true(f->count < FOUND_MAX);
    f->lsn[f->count] = lsn;
    f->time_us[f->count++] = time_us - HQ_POSTGRES_EPOCH_US;
}

static void
scan(const struct wal_maker *m, size_t piece, struct found *f)
{
    struct hq_error err = {0};
    struct hq_walscan *s = hq_walscan_new(MAKER_SEGMENT, &err);

    assert_non_null(s);
    f->count = 0;
    for (size_t at = 0; at < m->bytes.len; at += piece) {
        size_t n = piece < m->bytes.len - at ? piece : m->bytes.len - at;

        hq_walscan_feed(s, m->start + at, m->bytes.data + at, n, note, f);
    }
    hq_walscan_free(s);
}

/* Whatever pieces it comes in, these commits are found and no others. */
static void
expect(const struct wal_maker *m, const uint64_t *lsn, size_t count)
{
    static const size_t pieces[] = {1, 7, 24, 100, 8191, 8192, 100003, SIZE_MAX / 2};
    struct found f;

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        scan(m, pieces[i], &f);
        assert_int_equal(f.count, count);
        for (size_t k = 0; k < count; k++) {
            assert_int_equal(f.lsn[k], lsn[k]);
            assert_int_equal(f.time_us[k], 1000 + (int64_t)k);
        }
    }
}

static struct wal_maker
begin(uint64_t lsn)
{
    return (struct wal_maker){.start = lsn, .magic = 0xD110};
}

static void
test_kinds_of_records(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    uint64_t lsn[8];
    size_t n = 0;

    (void)state;
    maker_filler(&m, 50);
    lsn[n] = maker_commit(&m, COMMIT, 1000 + (int64_t)n, 0), n++;
    lsn[n] = maker_commit(&m, COMMIT | HAS_INFO, 1000 + (int64_t)n, 33), n++;
    lsn[n] = maker_commit(&m, ABORT, 1000 + (int64_t)n, 0), n++;
    maker_commit(&m, PREPARE, 5, 0);
    maker_commit(&m, ASSIGNMENT, 5, 0);
    lsn[n] = maker_commit(&m, COMMIT_PREPARED, 1000 + (int64_t)n, 4), n++;
    lsn[n] = maker_commit(&m, ABORT_PREPARED | HAS_INFO, 1000 + (int64_t)n, 4), n++;
    maker_record(&m, 2, COMMIT, "\xff\x08\1\2\3\4\5\6\7\10", 10);
    expect(&m, lsn, n);
    hq_buf_clear(&m.bytes);
}

/* Every place at which a record may be cut by the end of a page. */
static void
test_records_over_pages(void **state)
{
    (void)state;
    for (size_t left = 8; left <= 80; left += 8) {
        struct wal_maker m = begin(MAKER_SEGMENT);
        uint64_t lsn[3];

        lsn[0] = maker_commit(&m, COMMIT, 1000, 0);
        maker_fill_page(&m, left);
        lsn[1] = maker_commit(&m, COMMIT, 1001, 30);
        lsn[2] = maker_commit(&m, COMMIT, 1002, 0);
        expect(&m, lsn, 3);
        hq_buf_clear(&m.bytes);
    }
}

/* Over many pages, and over the end of a segment, whose first page has the longer header. */
static void
test_long_records(void **state)
{
    struct wal_maker m = begin(2 * MAKER_SEGMENT);
    uint64_t lsn[3];

    (void)state;
    lsn[0] = maker_commit(&m, COMMIT, 1000, 0);
    maker_filler(&m, 100000);
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    maker_filler(&m, MAKER_SEGMENT);
    lsn[2] = maker_commit(&m, COMMIT, 1002, 0);
    expect(&m, lsn, 3);
    hq_buf_clear(&m.bytes);
}

/* Of a commit whose main data is long the first bytes are enough. */
static void
test_long_commit(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    struct hq_buf body = {0};
    uint64_t lsn[2];

    (void)state;
    hq_buf_put_u8(&body, 254);
    hq_buf_put_u32(&body, 50000);
    hq_buf_put_u64(&body, 1000);
    hq_buf_put_zero(&body, 50000 - 8);
    lsn[0] = maker_record(&m, 1, COMMIT | HAS_INFO, body.data, body.len);
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    expect(&m, lsn, 2);
    hq_buf_clear(&body);
    hq_buf_clear(&m.bytes);
}

/* Headers that come before that of the main data, of the version that @p magic says. */
static void
check_headers(uint16_t magic, uint8_t image_info, bool hole_length)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    struct hq_buf body = {0};
    uint64_t lsn[2];

    m.magic = magic;
    hq_buf_put(&body, "\0\x30\4\0", 4);   /* block 0, with an image and 4 bytes */
    hq_buf_put(&body, "\x10\0\x20\0", 4); /* image of 16 bytes, its hole */
    hq_buf_put_u8(&body, image_info);
    if (hole_length)
        hq_buf_put_u16(&body, 100);
    hq_buf_put_zero(&body, 12 + 4);     /* relation, block number */
    hq_buf_put(&body, "\1\x80\0\0", 4); /* block 1 of the same relation */
    hq_buf_put_zero(&body, 4);
    hq_buf_put(&body, "\xfd\1\0", 3);     /* origin */
    hq_buf_put(&body, "\xfc\1\0\0\0", 5); /* top transaction */
    hq_buf_put(&body, "\xff\x09", 2);
    hq_buf_put_zero(&body, 16 + 4); /* what belongs to the blocks */
    hq_buf_put_u64(&body, 1000);
    hq_buf_put_u8(&body, 0);
    lsn[0] = maker_record(&m, 1, COMMIT, body.data, body.len);
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    expect(&m, lsn, 2);
    hq_buf_clear(&body);
    hq_buf_clear(&m.bytes);
}

static void
test_headers(void **state)
{
    (void)state;
    check_headers(0xD10D, 0x01 | 0x02, true);
    check_headers(0xD10D, 0x01 | 0x04, false);
    check_headers(0xD110, 0x01 | 0x02, false);
    check_headers(0xD113, 0x01 | 0x04, true);
    check_headers(0xD116, 0x01 | 0x08, true);
    check_headers(0xD118, 0x01 | 0x10, true);
    check_headers(0xD118, 0x10, false);
}

/* What comes first is the end of a record that nobody saw begin. */
static void
test_begins_within_record(void **state)
{
    struct wal_maker m = begin(3 * MAKER_SEGMENT);
    uint64_t lsn[2];
    uint8_t rest[20000] = {0};

    (void)state;
    maker_page(&m, sizeof rest, 0);
    maker_spread(&m, rest, sizeof rest);
    m.previous = 3 * MAKER_SEGMENT - 400;
    lsn[0] = maker_commit(&m, COMMIT, 1000, 0);
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    expect(&m, lsn, 2);
    hq_buf_clear(&m.bytes);
}

/* After a segment that was ended early, and after a record that a crash cut off. */
static void
test_begins_again(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    uint64_t lsn[3];
    uint8_t cut[24] = {0};

    (void)state;
    lsn[0] = maker_commit(&m, COMMIT, 1000, 0);
    while (maker_lsn(&m) % MAKER_SEGMENT != 0) {
        if (maker_lsn(&m) % MAKER_PAGE == 0)
            maker_page(&m, 0, 0);
        hq_buf_put_zero(&m.bytes, MAKER_PAGE - maker_lsn(&m) % MAKER_PAGE);
    }
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    maker_fill_page(&m, sizeof cut);
    hq_set_u32(cut, 500);
    hq_set_u64(cut + 8, m.previous);
    cut[17] = 1; /* would be a commit, with a time in its next page */
    hq_buf_put(&m.bytes, cut, sizeof cut);
    maker_page(&m, 0, 8);
    lsn[2] = maker_commit(&m, COMMIT, 1002, 0);
    expect(&m, lsn, 3);
    hq_buf_clear(&m.bytes);
}

/* Where something is wrong nothing is found until the next page that begins a record. */
static void
check_damage(size_t offset, uint8_t value, bool first_lost)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    uint64_t lsn[3];
    struct found f;

    lsn[0] = maker_commit(&m, COMMIT, 1000, 0);
    lsn[1] = maker_commit(&m, COMMIT, 1001, 0);
    maker_fill_page(&m, 0);
    lsn[2] = maker_commit(&m, COMMIT, 1002, 0);
    m.bytes.data[offset] ^= value;
    scan(&m, 1000, &f);
    assert_int_equal(f.count, first_lost ? 1 : 2);
    assert_int_equal(f.lsn[f.count - 1], lsn[2]);
    if (!first_lost)
        assert_int_equal(f.lsn[0], lsn[0]);
    hq_buf_clear(&m.bytes);
}

static void
test_damage(void **state)
{
    /* 40: the first record; it has 34 bytes, so 80 is the second. */
    (void)state;
    check_damage(0, 1, true);             /* magic */
    check_damage(3, 0x80, true);          /* flags */
    check_damage(2, 2, true);             /* no long header */
    check_damage(9, 1, true);             /* address */
    check_damage(32, 1, true);            /* segment size */
    check_damage(36, 1, true);            /* block size */
    check_damage(40, 34 ^ 23, true);      /* record shorter than its header */
    check_damage(43, 0x80, true);         /* longer than any */
    check_damage(80 + 8, 1, false);       /* the record before is another */
    check_damage(80 + 24, 1, false);      /* no header of main data */
    check_damage(80 + 25, 8 ^ 7, false);  /* too little of it */
    check_damage(80 + 25, 8 ^ 80, false); /* more than the record has */
    check_damage(80 + 33, 0x80, false);   /* a time long before 1970 */
}

/* The page goes on with a record, but not with as much as is left of this one: it is another. */
static void
test_other_rest(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    struct found f;
    uint64_t lsn;

    (void)state;
    maker_fill_page(&m, 32);
    maker_commit(&m, COMMIT, 1000, 100);
    lsn = maker_commit(&m, COMMIT, 1001, 0);
    scan(&m, 500, &f);
    assert_int_equal(f.count, 2);
    /* 24 + 2 + 8 + 100 bytes, 32 of them on the page before: 102. With 103 the next one is the
     * same. */
    assert_int_equal(m.bytes.data[MAKER_PAGE + 16], 102);
    m.bytes.data[MAKER_PAGE + 16] = 103;
    scan(&m, 500, &f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.lsn[0], lsn);
    hq_buf_clear(&m.bytes);
}

/* A jump starts afresh: in the middle of a page nothing can be made of its rest. */
static void
test_jump(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT);
    struct hq_error err = {0};
    struct hq_walscan *s = hq_walscan_new(MAKER_SEGMENT, &err);
    struct found f = {.count = 0};
    uint64_t lsn;

    (void)state;
    maker_commit(&m, COMMIT, 1000, 0);
    maker_fill_page(&m, 0);
    lsn = maker_commit(&m, COMMIT, 1001, 0);
    hq_walscan_feed(s, m.start + 40, m.bytes.data + 40, m.bytes.len - 40, note, &f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.lsn[0], lsn);
    hq_walscan_feed(s, m.start, m.bytes.data, m.bytes.len, note, &f);
    assert_int_equal(f.count, 3);
    hq_walscan_free(s);
    hq_buf_clear(&m.bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_of_records),
        cmocka_unit_test(test_records_over_pages),
        cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_long_commit),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_begins_within_record),
        cmocka_unit_test(test_begins_again),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_other_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
