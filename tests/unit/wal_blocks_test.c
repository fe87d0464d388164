#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blockchange.h"
#include "chain.h"
#include "record.h"
#include "wal_maker.h"

enum {
    RMGR_HEAP = 10
};

static const struct hq_relation_fork table = {1663, 5, 16384, HQ_FORK_MAIN};

/* What a chain tells a set. */
struct watch {
    struct blockset set;
    uint64_t lost_at;
    const char *why;
    size_t records;
};

static size_t
wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    return blockchange_wanted(header, total);
}

static const char *
take(void *context, const struct walchain_record *r)
{
    struct watch *w = context;

    w->records++;
    return blockchange_take(&w->set, r);
}

static void
lost(void *context, uint64_t lsn, const char *why)
{
    struct watch *w = context;

    w->lost_at = lsn;
    w->why = why;
    blockset_empty(&w->set);
}

static const struct walchain_user user = {wanted, take, lost};

static void
feed(struct walchain *c, const struct wal_maker *m, size_t piece, struct watch *w)
{
    for (size_t at = 0; at < m->bytes.len; at += piece) {
        size_t n = piece < m->bytes.len - at ? piece : m->bytes.len - at;

        walchain_feed(c, m->start + at, m->bytes.data + at, n, &user, w);
    }
}

static struct watch
watch_in_pieces(const struct wal_maker *m, size_t piece)
{
    struct walchain *c = walchain_new(MAKER_SEGMENT, BLOCKCHANGE_RECORD_MAX);
    struct watch w = {.set = {.memory_max = (size_t)64 << 20}};

    assert_non_null(c);
    c->check_crc = true;
    feed(c, m, piece, &w);
    assert_true(c->since == 0 || w.why != NULL || c->since == m->start);
    free(c);
    return w;
}

static struct watch
watch(const struct wal_maker *m)
{
    return watch_in_pieces(m, SIZE_MAX / 2);
}

static bool
has_block(const struct watch *w, const struct hq_relation_fork *fork, uint32_t block)
{
    uint32_t r = blockset_find_relation(&w->set, fork);
    const struct blockset_area *a;

    if (r == BLOCKSET_NONE)
        return false;
    a = blockset_find_area(&w->set, r, block / BLOCKSET_AREA);
    return a != NULL && (a->bits[block % BLOCKSET_AREA / 64] >> block % 64 & 1) != 0;
}

static uint32_t
limit_of(const struct watch *w, const struct hq_relation_fork *fork)
{
    uint32_t r = blockset_find_relation(&w->set, fork);

    return r != BLOCKSET_NONE ? w->set.relations[r].limit : BLOCKSET_NO_LIMIT;
}

static struct wal_maker
begin(uint64_t lsn, uint16_t magic)
{
    return (struct wal_maker){.start = lsn, .magic = magic};
}

static void
end(struct wal_maker *m, struct watch *w)
{
    hq_buf_clear(&m->bytes);
    blockset_clear(&w->set);
}

static void
put_relation(struct hq_buf *b, const struct hq_relation_fork *f)
{
    hq_buf_put_u32(b, f->tablespace);
    hq_buf_put_u32(b, f->database);
    hq_buf_put_u32(b, f->relation);
}

/* A block's header without an image, @p len bytes of data. */
static void
put_block(struct hq_buf *b, uint8_t id, const struct hq_relation_fork *f, uint32_t block,
          uint16_t len)
{
    hq_buf_put_u8(b, id);
    hq_buf_put_u8(b, (uint8_t)(f->fork | (len > 0 ? 0x20 : 0)));
    hq_buf_put_u16(b, len);
    put_relation(b, f);
    hq_buf_put_u32(b, block);
}

static void
put_main(struct hq_buf *b, const struct hq_buf *data)
{
    hq_buf_put_u8(b, 254);
    hq_buf_put_u32(b, (uint32_t)data->len);
    hq_buf_put(b, data->data, data->len);
}

static void
change_block(struct wal_maker *m, const struct hq_relation_fork *f, uint32_t block)
{
    struct hq_buf b = {0};

    put_block(&b, 0, f, block, 40);
    hq_buf_put(&b, "\xff\x03", 2);
    hq_buf_put_zero(&b, 43);
    maker_record(m, RMGR_HEAP, 0, b.data, b.len);
    hq_buf_clear(&b);
}

/* Every form of a block's header, and others around them, in each version. */
static void
check_headers(uint16_t magic, uint8_t image_info, bool hole_length)
{
    static const struct hq_relation_fork index = {1700, 5, 16400, HQ_FORK_MAIN};
    static const struct hq_relation_fork init = {1700, 5, 16400, HQ_FORK_INIT};
    static const struct hq_relation_fork map = {1700, 5, 16400, HQ_FORK_VM};
    struct wal_maker m = begin(MAKER_SEGMENT, magic);
    struct hq_buf b = {0};
    struct watch w;

    put_block(&b, 0, &table, 700, 0);
    hq_buf_put(&b, "\2\x30\x0a\0", 4); /* block 2 with 10 bytes and an image */
    hq_buf_put(&b, "\x50\0\x20\0", 4); /* of 80 bytes */
    hq_buf_put_u8(&b, image_info);
    if (hole_length)
        hq_buf_put_u16(&b, 8112);
    put_relation(&b, &index);
    hq_buf_put_u32(&b, 4000000000u);
    hq_buf_put(&b, "\3\x83\0\0", 4); /* the same relation's init fork */
    hq_buf_put_u32(&b, 1);
    put_block(&b, 32, &map, 9, 0);
    hq_buf_put(&b, "\xfd\1\0", 3);
    hq_buf_put(&b, "\xfc\1\0\0\0", 5);
    hq_buf_put(&b, "\xff\x09", 2);
    hq_buf_put_zero(&b, 10 + 80 + 9);
    maker_record(&m, RMGR_HEAP, 0, b.data, b.len);
    w = watch(&m);
    assert_null(w.why);
    assert_true(has_block(&w, &table, 700) && has_block(&w, &index, 4000000000u) &&
                has_block(&w, &init, 1));
    assert_false(has_block(&w, &table, 699) || has_block(&w, &map, 9));
    assert_int_equal(w.set.relation_count, 3);
    hq_buf_clear(&b);
    end(&m, &w);
}

static void
test_headers(void **state)
{
    (void)state;
    check_headers(0xD10D, 0x01 | 0x02, true);
    check_headers(0xD10D, 0x01 | 0x04, false);
    check_headers(0xD10D, 0x02, false);
    check_headers(0xD110, 0x01 | 0x02, false);
    check_headers(0xD110, 0x01 | 0x04, true);
    check_headers(0xD113, 0x01 | 0x08, true);
    check_headers(0xD116, 0x01 | 0x10, true);
    check_headers(0xD118, 0x01, false);
    check_headers(0xD118, 0x10, false);
}

/* Whatever is not understood ends what is known; nothing is guessed. */
static void
check_refused(const struct hq_buf *body, uint8_t rmgr, uint8_t info)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD110);
    struct watch w;

    change_block(&m, &table, 1);
    maker_record(&m, rmgr, info, body->data, body->len);
    change_block(&m, &table, 2);
    w = watch(&m);
    assert_non_null(w.why);
    assert_int_equal(w.set.relation_count, 0);
    end(&m, &w);
}

static void
check_refused_bytes(const char *bytes, size_t len, uint8_t rmgr, uint8_t info)
{
    struct hq_buf b = {0};

    hq_buf_put(&b, bytes, len);
    check_refused(&b, rmgr, info);
    hq_buf_clear(&b);
}

static void
test_refused_headers(void **state)
{
    struct hq_buf b = {0};

    (void)state;
    check_refused_bytes("\x21\0\0\0", 4, RMGR_HEAP, 0); /* block id 33 */
    check_refused_bytes("\xc8\0\0\0", 4, RMGR_HEAP, 0); /* an id nobody knows */
    check_refused_bytes("\xff\x05"
                        "1234",
                        6, RMGR_HEAP, 0); /* a byte is missing */
    check_refused_bytes("\xff\x05"
                        "123456",
                        8, RMGR_HEAP, 0);                       /* one is left */
    check_refused_bytes("\0\x80\0\0\1\0\0\0", 8, RMGR_HEAP, 0); /* the same as nothing */
    check_refused_bytes("\0\x80\0", 3, RMGR_HEAP, 0);
    put_block(&b, 1, &table, 7, 0);
    put_block(&b, 1, &table, 8, 0); /* an id twice */
    check_refused(&b, RMGR_HEAP, 0);
    hq_buf_clear(&b);
    put_block(&b, 1, &(struct hq_relation_fork){1, 2, 3, 4}, 8, 0); /* a fork that there is not */
    check_refused(&b, RMGR_HEAP, 0);
    hq_buf_clear(&b);
    put_block(&b, 0, &table, 7, 3);
    b.data[1] = 0; /* data, and none */
    hq_buf_put_zero(&b, 3);
    check_refused(&b, RMGR_HEAP, 0);
    hq_buf_clear(&b);
}

/* Files that change without a block being named. */
static uint64_t
operation(struct wal_maker *m, uint8_t rmgr, uint8_t info, const uint32_t *numbers, size_t count)
{
    struct hq_buf data = {0}, body = {0};
    uint64_t lsn;

    for (size_t i = 0; i < count; i++)
        hq_buf_put_u32(&data, numbers[i]);
    put_main(&body, &data);
    lsn = maker_record(m, rmgr, info, body.data, body.len);
    hq_buf_clear(&data);
    hq_buf_clear(&body);
    return lsn;
}
#define OPERATION(m, rmgr, info, ...)                                                              \
    operation(m, rmgr, info, (const uint32_t[]){__VA_ARGS__},                                      \
              sizeof(const uint32_t[]){__VA_ARGS__} / sizeof(uint32_t))

static void
test_files(void **state)
{
    static const struct hq_relation_fork a = {1663, 5, 100, 0}, b = {1663, 5, 101, 0},
                                         c = {1663, 5, 102, HQ_FORK_INIT}, d = {1663, 5, 103, 0};
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD116);
    struct watch w;

    (void)state;
    OPERATION(&m, 2, 0x11, 1663, 5, 100, 0); /* created; a lower bit says nothing here */
    OPERATION(&m, 2, 0x10, 1663, 5, 102, 3);
    OPERATION(&m, 2, 0x20, 50, 1663, 5, 101, 7); /* truncated, twice */
    OPERATION(&m, 2, 0x20, 70, 1663, 5, 101, 1);
    OPERATION(&m, 2, 0x20, 1, 1663, 5, 103, 6); /* its maps only */
    w = watch(&m);
    assert_null(w.why);
    assert_int_equal(limit_of(&w, &a), 0);
    assert_int_equal(limit_of(&w, &b), 50);
    assert_int_equal(limit_of(&w, &c), 0);
    assert_int_equal(limit_of(&w, &d), BLOCKSET_NO_LIMIT);
    end(&m, &w);
}

static void
test_databases(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD10D);
    struct watch w;

    (void)state;
    OPERATION(&m, 4, 0x00, 20, 1663, 1, 1663);
    OPERATION(&m, 4, 0x10, 21, 2, 1663, 1700);
    OPERATION(&m, 5, 0x10, 1800);
    OPERATION(&m, 5, 0x00, 1900, 0x2F2F2F2F);
    w = watch(&m);
    assert_null(w.why);
    assert_true(blockset_has_database(&w.set, 1663, 20));
    assert_true(blockset_has_database(&w.set, 1663, 21));
    assert_true(blockset_has_database(&w.set, 1700, 21));
    assert_true(blockset_has_database(&w.set, 1800, 77));
    assert_false(blockset_has_database(&w.set, 1700, 20));
    assert_false(blockset_has_database(&w.set, 1900, 20));
    end(&m, &w);
    m = begin(MAKER_SEGMENT, 0xD113);
    OPERATION(&m, 4, 0x00, 20, 1663, 1, 1663);
    OPERATION(&m, 4, 0x10, 21, 1663);
    OPERATION(&m, 4, 0x20, 22, 1, 1700);
    w = watch(&m);
    assert_null(w.why);
    assert_true(blockset_has_database(&w.set, 1663, 20));
    assert_true(blockset_has_database(&w.set, 1663, 21));
    assert_true(blockset_has_database(&w.set, 1700, 22));
    end(&m, &w);
}

static void
test_refused_operations(void **state)
{
    (void)state;
    check_refused_bytes("\xff\x04"
                        "1234",
                        6, 2, 0x10);
    check_refused_bytes("\xff\x10"
                        "123456789012\4\0\0\0",
                        18, 2, 0x10); /* a fork too many */
    check_refused_bytes("\xff\x04"
                        "1234",
                        6, 2, 0x30);
    check_refused_bytes("\xff\x0c"
                        "1234\2\0\0\0"
                        "5678",
                        14, 4, 0x20);
    check_refused_bytes("\xff\x08"
                        "12345678",
                        10, 4, 0x00);
    check_refused_bytes("\xff\x08"
                        "12345678",
                        10, 4, 0x40);
    check_refused_bytes("\xff\x03"
                        "123",
                        5, 5, 0x10);
}

/* Dropped by a commit and by an abort, one of them prepared, one of them long. */
static void
drop(struct wal_maker *m, uint8_t info, uint32_t first, uint32_t count, uint32_t later)
{
    struct hq_buf data = {0}, body = {0};

    hq_buf_put_u64(&data, 1000);
    hq_buf_put_u32(&data, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3);
    hq_buf_put_u64(&data, 5);
    hq_buf_put_u32(&data, 3); /* subtransactions */
    hq_buf_put_zero(&data, 12);
    hq_buf_put_u32(&data, count);
    for (uint32_t i = 0; i < count; i++)
        put_relation(&data, &(struct hq_relation_fork){1663, 5, first + i, 0});
    hq_buf_put_u32(&data, later);
    hq_buf_put_zero(&data, (size_t)16 * later);
    put_main(&body, &data);
    maker_record(m, 1, (uint8_t)(info | 0x80), body.data, body.len);
    hq_buf_clear(&data);
    hq_buf_clear(&body);
}

static void
test_transactions(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD118);
    struct watch w;

    (void)state;
    maker_commit(&m, 0x00, 1000, 0);
    drop(&m, 0x00, 200, 2, 0);
    drop(&m, 0x20, 300, 1, 2);
    drop(&m, 0x30, 400, 2000, 60000);
    maker_commit(&m, 0x10, 5, 0); /* a prepared one tells it when it ends */
    w = watch(&m);
    assert_null(w.why);
    for (uint32_t f = 0; f <= 3; f += 3) {
        assert_int_equal(limit_of(&w, &(struct hq_relation_fork){1663, 5, 200, f}), 0);
        assert_int_equal(limit_of(&w, &(struct hq_relation_fork){1663, 5, 201, f}), 0);
        assert_int_equal(limit_of(&w, &(struct hq_relation_fork){1663, 5, 300, f}), 0);
        assert_int_equal(limit_of(&w, &(struct hq_relation_fork){1663, 5, 2399, f}), 0);
    }
    assert_int_equal(w.set.relation_count, 2 * 2003);
    end(&m, &w);
    m = begin(MAKER_SEGMENT, 0xD118);
    drop(&m, 0x00, 400, 90000, 0); /* more than is kept of a record */
    w = watch(&m);
    assert_non_null(w.why);
    end(&m, &w);
}

static void
test_minimal_level(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD118);
    struct watch w;

    (void)state;
    OPERATION(&m, 0, 0x60, 100, 8, 10, 0, 64, 1, 0);
    w = watch(&m);
    assert_null(w.why);
    end(&m, &w);
    m = begin(MAKER_SEGMENT, 0xD118);
    OPERATION(&m, 0, 0x60, 100, 8, 0, 0, 64, 0, 0);
    w = watch(&m);
    assert_non_null(w.why);
    end(&m, &w);
}

/* A bit that flips anywhere within a record is seen, whatever pieces it comes in. */
static void
test_flipped_bits(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD110);
    size_t from, to;

    (void)state;
    maker_fill_page(&m, 48);
    from = m.bytes.len;
    change_block(&m, &table, 1);
    to = m.bytes.len;
    change_block(&m, &table, 2);
    for (size_t at = from; at < to; at++) {
        struct watch w;

        if (m.start + at >= m.start + MAKER_PAGE && m.start + at < m.start + MAKER_PAGE + 24)
            continue; /* a page's header: not all of it matters */
        if (at - from == 18 || at - from == 19)
            continue; /* padding, which the CRC covers too */
        m.bytes.data[at] ^= 0x10;
        w = watch_in_pieces(&m, at % 2 == 0 ? 7 : SIZE_MAX / 2);
        m.bytes.data[at] ^= 0x10;
        assert_non_null(w.why);
        blockset_clear(&w.set);
    }
    hq_buf_clear(&m.bytes);
}

/* The chain goes on over a switch to the next segment and over a record that a crash cut off. */
static void
test_switch_and_crash(void **state)
{
    struct wal_maker m = begin(MAKER_SEGMENT, 0xD110);
    struct hq_buf cut = {0};
    struct watch w;

    (void)state;
    change_block(&m, &table, 1);
    maker_record(&m, 0, 0x40, "", 0);
    hq_buf_put_zero(&m.bytes, MAKER_SEGMENT - m.bytes.len % MAKER_SEGMENT);
    change_block(&m, &table, 2);
    maker_fill_page(&m, 24);
    hq_buf_put_u32(&cut, 500);
    hq_buf_put_u32(&cut, 7);
    hq_buf_put_u64(&cut, m.previous);
    hq_buf_put_zero(&cut, 8);
    hq_buf_put(&m.bytes, cut.data, cut.len);
    maker_page(&m, 0, 8);
    change_block(&m, &table, 3);
    for (size_t piece = 1; piece < SIZE_MAX / 64; piece = piece * 31 + 6) {
        w = watch_in_pieces(&m, piece);
        assert_null(w.why);
        assert_true(has_block(&w, &table, 1) && has_block(&w, &table, 2) &&
                    has_block(&w, &table, 3));
        blockset_clear(&w.set);
    }
    hq_buf_clear(&cut);
    hq_buf_clear(&m.bytes);
}

/* Left at the end of a segment, wherever that cuts a record, and gone on with by another. */
static void
test_saved_state(void **state)
{
    (void)state;
    for (size_t left = 0; left <= 96; left += 8) {
        struct wal_maker m = begin(MAKER_SEGMENT, 0xD110);
        struct walchain *a = walchain_new(MAKER_SEGMENT, BLOCKCHANGE_RECORD_MAX);
        struct walchain *b = walchain_new(MAKER_SEGMENT, BLOCKCHANGE_RECORD_MAX);
        struct watch w = {.set = {.memory_max = (size_t)64 << 20}};
        struct hq_buf saved = {0};
        struct hq_view view;

        assert_true(a != NULL && b != NULL);
        a->check_crc = b->check_crc = true;
        maker_fill_to(&m, 2 * MAKER_SEGMENT - 4000);
        maker_fill_page(&m, left);
        change_block(&m, &table, 1000);
        change_block(&m, &table, 1001);
        walchain_feed(a, m.start, m.bytes.data, MAKER_SEGMENT, &user, &w);
        assert_int_equal(a->since, m.start);
        walchain_save(a, &saved);
        view = hq_view_of(saved.data, saved.len);
        assert_true(walchain_restore(b, 2 * MAKER_SEGMENT, &view, &user, &w));
        walchain_feed(b, 2 * MAKER_SEGMENT, m.bytes.data + MAKER_SEGMENT,
                      m.bytes.len - MAKER_SEGMENT, &user, &w);
        assert_null(w.why);
        assert_true(has_block(&w, &table, 1000) && has_block(&w, &table, 1001));
        for (size_t cut = 0; cut < saved.len; cut++) {
            view = hq_view_of(saved.data, cut);
            assert_false(walchain_restore(b, 2 * MAKER_SEGMENT, &view, &user, &w));
            assert_int_equal(b->since, 0);
        }
        hq_buf_clear(&saved);
        end(&m, &w);
        free(a);
        free(b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refused_headers),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_refused_operations),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_minimal_level),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_switch_and_crash),
        cmocka_unit_test(test_saved_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
