/* WAL that is kept in memory until it is stored, and written past the page cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "spool_fixture.h"

enum {
    LARGE = 4 << 20
};

/* How the bytes come to the disk, by what there is when. */
enum way {
    THROUGH_MEMORY,
    WITHOUT_DIRECT, /* the file system refuses it from the first write on */
    DIRECT_REFUSED, /* in the middle */
};

/* Pieces that fit no block, synced here and there, with a rewind in between. */
static struct spool_file *
write_large(struct spool *spool, const struct spool_id *id, const uint8_t *bytes, enum way way)
{
    struct hq_error err = {0};
    struct spool_file *s;
    size_t at = 0, n;

    assert_int_equal(spool_file_create(spool, id, &s, &err), 0);
    if (way == WITHOUT_DIRECT && s->direct_fd >= 0) {
        assert_int_equal(close(s->direct_fd), 0);
        s->direct_fd = -1;
    }
    for (unsigned i = 1; at < LARGE; at += n, i++) {
        n = i % 5 == 0 ? 300 : i % 7 == 0 ? 2 << 20 : 90001;
        n = n < LARGE - at ? n : LARGE - at;
        if (way == DIRECT_REFUSED && i == 8 && s->direct_fd >= 0) {
            assert_int_equal(close(s->direct_fd), 0);
            s->direct_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        assert_int_equal(spool_file_write(s, bytes + at, n, &err), 0);
        if (i % 3 == 0 || at + n == LARGE)
            assert_int_equal(spool_file_sync(s, &err), 0);
        if (i == 10) {
            spool_file_rewind(s);
            at = (size_t)(spool_file_synced(s) - id->start) - n;
        }
    }
    assert_int_equal(spool_file_synced(s), id->start + LARGE);
    return s;
}

/* What memory has, the disk has: for who reads it back and for the next run. */
static void
check_large(struct fixture *f, struct spool_file *s, const uint8_t *bytes)
{
    struct hq_error err = {0};
    struct hq_buf out = {0};
    struct spool_files files;
    uint64_t start = spool_file_id(s)->start;

    if (spool_file_memory(s, start) != NULL)
        assert_memory_equal(spool_file_memory(s, start + 77), bytes + 77, LARGE - 77);
    assert_int_equal(spool_file_read(s, start + 5, start + LARGE, &out, &err), 0);
    assert_memory_equal(out.data, bytes + 5, LARGE - 5);
    spool_file_close(s);
    assert_int_equal(spool_recover(&f->spool, &files, &err), 0);
    assert_int_equal(files.count, 1);
    assert_int_equal(spool_file_synced(files.items[0]), start + LARGE);
    assert_null(spool_file_memory(files.items[0], start));
    spool_file_remove(files.items[0]);
    files.items[0] = NULL;
    spool_files_clear(&files);
    hq_buf_clear(&out);
}

static void
test_memory(void **state)
{
    static uint8_t bytes[LARGE];
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_id id = first;

    id.segment_size = LARGE;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 2654435761U >> 13);
    f->spool.memory = spool_memory_new(LARGE, &err);
    assert_non_null(f->spool.memory);
    for (enum way way = THROUGH_MEMORY; way <= DIRECT_REFUSED; way++) {
        struct spool_file *s = write_large(&f->spool, &id, bytes, way), *another;

        assert_non_null(spool_file_memory(s, id.start));
        /* For a second one there is no memory left: it does without. */
        id.start += LARGE;
        another = write_large(&f->spool, &id, bytes, way);
        assert_null(spool_file_memory(another, id.start));
        spool_file_remove(another);
        id.start -= LARGE;
        check_large(f, s, bytes);
    }
    spool_memory_free(f->spool.memory);
    f->spool.memory = NULL;
}

/* Where the disk is full nothing is taken, and what was there stays. */
static void
test_memory_full(void **state)
{
    static uint8_t bytes[SEGMENT];
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s;
    int real;

    f->spool.memory = spool_memory_new(SEGMENT, &err);
    assert_non_null(f->spool.memory);
    s = create(f, &first);
    append(s, "abcdef");
    assert_int_equal(spool_file_sync(s, &err), 0);
    if (s->direct_fd >= 0)
        assert_int_equal(close(s->direct_fd), 0);
    real = s->fd;
    s->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    s->direct_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (s->fd < 0 || s->direct_fd < 0)
        skip();
    assert_int_equal(spool_file_write(s, bytes, SEGMENT - 6, &err), 0);
    assert_int_equal(spool_file_sync(s, &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    assert_non_null(strstr(err.hint, "make room"));
    assert_int_equal(spool_file_written(s), first.start + 6);
    assert_int_equal(close(s->fd), 0);
    s->fd = real;
    append(s, "gh");
    hq_error_clear(&err);
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 0, 8, "abcdefgh");
    spool_file_remove(s);
    spool_memory_free(f->spool.memory);
    f->spool.memory = NULL;
}

static void
test_memory_limit(void **state)
{
    struct hq_error err = {0};
    struct spool_memory *m = spool_memory_new(3 * SEGMENT, &err);
    uint8_t *a, *b, *c;

    (void)state;
    assert_non_null(m);
    a = spool_memory_take(m, SEGMENT);
    b = spool_memory_take(m, 2 * SEGMENT);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % SPOOL_BLOCK_BYTES, 0);
    assert_int_equal((uintptr_t)b % SPOOL_BLOCK_BYTES, 0);
    assert_null(spool_memory_take(m, SEGMENT));
    spool_memory_give(m, a, SEGMENT);
    assert_null(spool_memory_take(m, 2 * SEGMENT));
    a = spool_memory_take(m, SEGMENT);
    assert_non_null(a);
    spool_memory_give(m, b, 2 * SEGMENT);
    b = spool_memory_take(m, SEGMENT);
    c = spool_memory_take(m, SEGMENT);
    assert_non_null(b);
    assert_non_null(c);
    spool_memory_give(m, c, SEGMENT);
    assert_ptr_equal(spool_memory_take(m, SEGMENT), c);
    spool_memory_give(m, a, SEGMENT);
    spool_memory_give(m, b, SEGMENT);
    spool_memory_give(m, c, SEGMENT);
    assert_null(spool_memory_take(m, 4 * SEGMENT));
    spool_memory_free(m);
    spool_memory_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_memory),
        SPOOL_TEST(test_memory_full),
        cmocka_unit_test(test_memory_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
