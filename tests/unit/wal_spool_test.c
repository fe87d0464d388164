/* The files of a spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool_fixture.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_write_and_read),
        SPOOL_TEST(test_rewind),
        SPOOL_TEST(test_damage_is_seen),
        SPOOL_TEST(test_full_segment),
        SPOOL_TEST(test_create_replaces),
        SPOOL_TEST(test_trouble),
        SPOOL_TEST(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
