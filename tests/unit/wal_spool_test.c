#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "spool_internal.h"

enum {
    SEGMENT = 1 << 20
};

struct fixture {
    char directory[64], path[80];
    struct spool spool;
};

static const struct spool_id first = {.kind = SPOOL_WAL,
                                      .system_identifier = 0x1234,
                                      .timeline = 3,
                                      .segment_size = SEGMENT,
                                      .start = UINT64_C(0x123400000)};
#define FIRST_NAME "main.0000000000001234.000000030000000100000234.spool"

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct hq_error err;

    assert_non_null(f);
    snprintf(f->directory, sizeof f->directory, "/tmp/hq-spool-test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/a/b", f->directory);
    f->spool = (struct spool){.directory = f->path, .cluster = "main"};
    assert_int_equal(spool_prepare(&f->spool, &err), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    struct hq_error err;

    assert_int_equal(hq_io_remove_tree(f->directory, &err), 0);
    free(f);
    return 0;
}

static void
path_of(const struct fixture *f, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", f->path, name);
}

static bool
there(const struct fixture *f, const char *name)
{
    char path[256];

    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

static void
put_file(const struct fixture *f, const char *name)
{
    char path[256];
    struct hq_error err;

    path_of(f, name, path);
    assert_int_equal(hq_io_create(path, "x", 1, 0600, &err), 0);
}

/* Change one byte of a file. */
static void
flip(const struct fixture *f, const char *name, off_t offset)
{
    char path[256];
    uint8_t byte;
    int fd;

    path_of(f, name, path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    assert_int_equal(close(fd), 0);
}

static void
append(struct spool_file *s, const char *text)
{
    struct hq_error err = {0};

    assert_int_equal(spool_file_write(s, text, strlen(text), &err), 0);
}

static struct spool_file *
create(struct fixture *f, const struct spool_id *id)
{
    struct hq_error err = {0};
    struct spool_file *s;

    assert_int_equal(spool_file_create(&f->spool, id, &s, &err), 0);
    return s;
}

/* "abcdef" and "gh", each synced, then "lost", which is not. */
static struct spool_file *
create_filled(struct fixture *f)
{
    struct hq_error err = {0};
    struct spool_file *s = create(f, &first);

    append(s, "abcdef");
    assert_int_equal(spool_file_sync(s, &err), 0);
    append(s, "gh");
    assert_int_equal(spool_file_sync(s, &err), 0);
    append(s, "lost");
    return s;
}

/* @p text: what is read; NULL: it is CORRUPT. */
static void
check_read(struct spool_file *s, uint64_t from, uint64_t to, const char *text)
{
    struct hq_error err = {0};
    struct hq_buf out = {0};
    int failed = spool_file_read(s, first.start + from, first.start + to, &out, &err);

    if (text == NULL) {
        assert_int_equal(failed, -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
    } else {
        assert_int_equal(failed, 0);
        assert_int_equal(out.len, strlen(text));
        assert_memory_equal(out.data, text, out.len);
    }
    hq_buf_clear(&out);
}

static struct spool_files
recover(struct fixture *f)
{
    struct hq_error err = {0};
    struct spool_files files;

    assert_int_equal(spool_recover(&f->spool, &files, &err), 0);
    return files;
}

static void
test_write_and_read(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s = create(f, &first);
    struct stat status;
    char path[256];

    assert_true(there(f, FIRST_NAME));
    path_of(f, FIRST_NAME, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    append(s, "abcdef");
    /* Not synced: nobody may have it. */
    check_read(s, 0, 6, NULL);
    assert_int_equal(spool_file_synced(s), first.start);
    assert_int_equal(spool_file_sync(s, &err), 0);
    assert_int_equal(spool_file_synced(s), first.start + 6);
    append(s, "gh");
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 0, 8, "abcdefgh");
    check_read(s, 2, 8, "cdefgh");
    check_read(s, 6, 8, "gh");
    check_read(s, 7, 8, "h");
    check_read(s, 0, 7, NULL);
    spool_file_remove(s);
    assert_false(there(f, FIRST_NAME));
    spool_file_remove(NULL);
    spool_file_close(NULL);
}

static void
test_rewind(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s = create_filled(f);

    spool_file_rewind(s);
    assert_int_equal(spool_file_written(s), first.start + 8);
    append(s, "ij");
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 0, 10, "abcdefghij");
    spool_file_close(s);
}

/* What was cut or changed must not go into the repository as if it were WAL. */
static void
test_damage_is_seen(void **state)
{
    struct fixture *f = *state;
    struct spool_file *s = create_filled(f);
    char path[256];

    flip(f, FIRST_NAME, 7);
    check_read(s, 0, 6, "abcdef");
    check_read(s, 0, 8, NULL);
    check_read(s, 6, 8, NULL);
    path_of(f, FIRST_NAME, path);
    assert_int_equal(truncate(path, 3), 0);
    check_read(s, 0, 6, NULL);
    assert_int_equal(unlink(path), 0);
    check_read(s, 0, 6, NULL);
    spool_file_close(s);
}

/* A whole segment is closed, and still read; more does not fit in. */
static void
test_full_segment(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s = create(f, &first);
    uint8_t *bytes = calloc(1, SEGMENT);
    struct hq_buf out = {0};

    assert_non_null(bytes);
    memset(bytes, 'x', SEGMENT);
    assert_int_equal(spool_file_write(s, bytes, SEGMENT, &err), 0);
    assert_int_equal(spool_file_sync(s, &err), 0);
    assert_int_equal(spool_file_write(s, bytes, 1, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(spool_file_read(s, first.start, first.start + SEGMENT, &out, &err), 0);
    assert_memory_equal(out.data, bytes, SEGMENT);
    hq_buf_clear(&out);
    free(bytes);
    spool_file_close(s);
}

/* After a crash: what was synced is there, and receiving goes on behind it. */
static void
test_recover(void **state)
{
    struct fixture *f = *state;
    struct spool_id second = first,
                    history = {.kind = SPOOL_HISTORY, .system_identifier = 0x1234, .timeline = 3};
    struct hq_error err = {0};
    struct spool_files files;
    struct spool_file *s;

    second.start += SEGMENT;
    s = create(f, &second);
    append(s, "second");
    assert_int_equal(spool_file_sync(s, &err), 0);
    spool_file_close(s);
    spool_file_close(create_filled(f));
    s = create(f, &history);
    append(s, "1\t0/1\tno reason\n");
    assert_int_equal(spool_file_sync(s, &err), 0);
    spool_file_close(s);

    files = recover(f);
    assert_int_equal(files.count, 3);
    assert_int_equal(spool_file_id(files.items[0])->kind, SPOOL_HISTORY);
    assert_int_equal(spool_file_synced(files.items[0]), 16);
    s = files.items[1];
    assert_int_equal(spool_file_id(s)->kind, SPOOL_WAL);
    assert_int_equal(spool_file_id(s)->system_identifier, first.system_identifier);
    assert_int_equal(spool_file_id(s)->timeline, first.timeline);
    assert_int_equal(spool_file_id(s)->segment_size, first.segment_size);
    assert_int_equal(spool_file_id(s)->start, first.start);
    assert_int_equal(spool_file_synced(s), first.start + 8);
    check_read(s, 0, 8, "abcdefgh");
    append(s, "ij");
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 6, 10, "ghij");
    assert_int_equal(spool_file_id(files.items[2])->start, second.start);
    spool_files_clear(&files);
    files = recover(f);
    assert_int_equal(spool_file_synced(files.items[1]), first.start + 10);
    spool_files_clear(&files);
}

/* Damage takes what comes behind it; before it nothing is lost. */
static void
test_recover_damaged(void **state)
{
    struct fixture *f = *state;
    struct spool_files files;

    spool_file_close(create_filled(f));
    flip(f, FIRST_NAME, 6);
    files = recover(f);
    assert_int_equal(files.count, 1);
    assert_int_equal(spool_file_synced(files.items[0]), first.start + 6);
    check_read(files.items[0], 0, 6, "abcdef");
    spool_files_clear(&files);
    /* The second mark. */
    flip(f, FIRST_NAME, 6);
    flip(f, FIRST_NAME, SEGMENT + 64 + 24 + 20);
    files = recover(f);
    assert_int_equal(spool_file_synced(files.items[0]), first.start + 6);
    spool_files_clear(&files);
    /* The first byte: nothing counts, which is told, and the file is kept for a look. */
    flip(f, FIRST_NAME, 0);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_true(files.damaged);
    assert_false(there(f, FIRST_NAME));
    assert_true(there(f, FIRST_NAME ".damaged"));
    spool_files_clear(&files);
}

static void
test_recover_wrecks(void **state)
{
    struct fixture *f = *state;
    struct spool_files files;
    char from[256], to[256];

    /* Without a header: set aside, for whoever wants to look. */
    spool_file_close(create_filled(f));
    flip(f, FIRST_NAME, SEGMENT + 20);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_false(there(f, FIRST_NAME));
    assert_true(there(f, FIRST_NAME ".damaged"));
    spool_files_clear(&files);
    /* Under another segment's name. */
    spool_file_close(create_filled(f));
    path_of(f, FIRST_NAME, from);
    path_of(f, "main.0000000000001234.000000030000000100000235.spool", to);
    assert_int_equal(rename(from, to), 0);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_true(there(f, "main.0000000000001234.000000030000000100000235.spool.damaged"));
    spool_files_clear(&files);
    /* Never synced, or died while it was made. */
    spool_file_close(create(f, &first));
    put_file(f, "main.0000000000001234.0000000300000001000002FF.spool");
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_false(there(f, FIRST_NAME));
    assert_false(there(f, "main.0000000000001234.0000000300000001000002FF.spool"));
    spool_files_clear(&files);
}

static void
test_recover_own_files_only(void **state)
{
    static const char *const others[] = {
        "main.0000000000001234.000000030000000100000234",
        "main.0000000000001234.000000030000000100000234.spool.old",
        "main.0000000000001234.00000003000000010000023.spool",
        "main.0000000000001234.00000003000000010000023g.spool",
        "main.000000000000123.000000030000000100000234.spool",
        "main2.0000000000001234.000000030000000100000234.spool",
        "mai.0000000000001234.000000030000000100000234.spool",
        "main.x.0000000000001234.000000030000000100000234.spool",
        "notes",
    };
    struct fixture *f = *state;
    struct spool_files files;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_file(f, others[i]);
    files = recover(f);
    assert_int_equal(files.count, 0);
    spool_files_clear(&files);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(there(f, others[i]));
}

/* A file of the same name is written anew; a link that somebody left is not followed. */
static void
test_create_replaces(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s;
    char path[256];

    spool_file_close(create_filled(f));
    s = create(f, &first);
    append(s, "new");
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 0, 3, "new");
    spool_file_remove(s);

    path_of(f, FIRST_NAME, path);
    assert_int_equal(symlink("/tmp/hq-spool-test-elsewhere", path), 0);
    assert_int_equal(spool_file_create(&f->spool, &first, &s, &err), -1);
    assert_null(s);
    assert_int_not_equal(err.code, HQ_E_OK);
    assert_int_equal(access("/tmp/hq-spool-test-elsewhere", F_OK), -1);
}

static void
test_trouble(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct rlimit old, small = {.rlim_cur = 4096};
    struct spool elsewhere = {.directory = "file/spool", .cluster = "main"};
    struct spool_file *s;
    uint8_t bytes[8192] = {0};

    /* A file where a directory should be. */
    put_file(f, "file");
    assert_int_equal(chdir(f->path), 0);
    assert_int_equal(spool_prepare(&elsewhere, &err), -1);
    assert_int_equal(chdir("/"), 0);

    s = create(f, &first);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(spool_file_write(s, bytes, sizeof bytes, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(err.code, HQ_E_SYS);
    spool_file_remove(s);
}

/* NO_SPACE, with what to do: it is tried again when there is room. */
static void
test_full(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct spool_file *s = create(f, &first);

    assert_int_equal(close(s->fd), 0);
    s->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (s->fd < 0)
        skip();
    assert_int_equal(spool_file_write(s, "a", 1, &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    assert_true(hq_code_retryable(err.code));
    assert_non_null(strstr(err.hint, "make room"));
    spool_file_close(s);
}

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
        cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rewind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover_wrecks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover_own_files_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_full, setup, teardown),
        cmocka_unit_test(test_memory_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
