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

#include "archiver_internal.h"
#include "base/io.h"

enum {
    SEGMENT = 1 << 20
};

struct fixture {
    char directory[64], spool[80];
    struct hq_archiver a;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    snprintf(f->directory, sizeof f->directory, "/tmp/hq-spool-test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->spool, sizeof f->spool, "%s/a/b", f->directory);
    f->a.options.cluster = "main";
    f->a.options.spool_directory = f->spool;
    f->a.system.wal_segment_size = SEGMENT;
    f->a.start.timeline = 3;
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

static bool
there(const struct fixture *f, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", f->spool, name);
    return access(path, F_OK) == 0;
}

static void
put_file(const struct fixture *f, const char *name)
{
    char path[256];
    struct hq_error err;

    snprintf(path, sizeof path, "%s/%s", f->spool, name);
    assert_int_equal(hq_io_create(path, "x", 1, 0600, &err), 0);
}

static void
test_write_and_read(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_buf out = {0};
    struct segment *s;
    struct stat status;

    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    s = segment_open(&f->a, UINT64_C(0x123400000), &err);
    assert_non_null(s);
    assert_true(there(f, "main.000000030000000100000234.spool"));
    assert_int_equal(fstat(s->fd, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(s->end - s->start, SEGMENT);

    assert_int_equal(segment_write(s, (const uint8_t *)"abcdef", 6, &err), 0);
    s->received += 6;
    assert_int_equal(segment_write(s, (const uint8_t *)"gh", 2, &err), 0);
    s->received += 2;
    assert_int_equal(segment_sync(s, &err), 0);
    assert_int_equal(segment_read(s, s->start + 2, s->start + 8, &out, &err), 0);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.data, "cdefgh", 6);
    /* What was read before is replaced. */
    assert_int_equal(segment_read(s, s->start, s->start + 1, &out, &err), 0);
    assert_int_equal(out.len, 1);
    assert_memory_equal(out.data, "a", 1);

    segment_drop(s);
    assert_false(there(f, "main.000000030000000100000234.spool"));
    segment_drop(NULL);
    hq_buf_clear(&out);
}

/* A file that somebody cut must not go into the repository as if it were WAL. */
static void
test_cut_file(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_buf out = {0};
    struct segment *s;

    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    s = segment_open(&f->a, SEGMENT, &err);
    assert_non_null(s);
    assert_int_equal(segment_write(s, (const uint8_t *)"abcdef", 6, &err), 0);
    assert_int_equal(ftruncate(s->fd, 3), 0);
    assert_int_equal(segment_read(s, s->start, s->start + 6, &out, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    segment_drop(s);
    hq_buf_clear(&out);
}

static void
test_prepare_removes_own_files_only(void **state)
{
    static const char *const others[] = {
        "main.000000030000000100000234",         "main.000000030000000100000234.spool.old",
        "main.00000003000000010000023.spool",    "main.00000003000000010000023g.spool",
        "main2.000000030000000100000234.spool",  "mai.000000030000000100000234.spool",
        "main.x.000000030000000100000234.spool", "notes",
    };
    struct fixture *f = *state;
    struct hq_error err = {0};

    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    put_file(f, "main.000000030000000100000234.spool");
    put_file(f, "main.0000000A00000001000002FF.spool");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_file(f, others[i]);
    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    assert_false(there(f, "main.000000030000000100000234.spool"));
    assert_false(there(f, "main.0000000A00000001000002FF.spool"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(there(f, others[i]));
}

/* A file of an earlier run is written anew; a link that somebody left is not followed. */
static void
test_open_replaces(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct segment *s;
    struct stat status;
    char path[256];

    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    put_file(f, "main.000000030000000000000001.spool");
    s = segment_open(&f->a, SEGMENT, &err);
    assert_non_null(s);
    assert_int_equal(fstat(s->fd, &status), 0);
    assert_int_equal(status.st_size, 0);
    segment_drop(s);

    snprintf(path, sizeof path, "%s/main.000000030000000000000001.spool", f->spool);
    assert_int_equal(symlink("/tmp/hq-spool-test-elsewhere", path), 0);
    assert_null(segment_open(&f->a, SEGMENT, &err));
    assert_int_not_equal(err.code, HQ_E_OK);
    assert_int_equal(access("/tmp/hq-spool-test-elsewhere", F_OK), -1);
}

static void
test_trouble(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct rlimit old, small = {.rlim_cur = 4096};
    struct segment *s;
    uint8_t bytes[8192] = {0};

    /* A file where a directory should be. */
    assert_int_equal(spool_prepare(f->spool, "main", &err), 0);
    put_file(f, "file");
    assert_int_equal(chdir(f->spool), 0);
    assert_int_equal(spool_prepare("file/spool", "main", &err), -1);
    assert_int_equal(chdir("/"), 0);

    s = segment_open(&f->a, SEGMENT, &err);
    assert_non_null(s);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(segment_write(s, bytes, sizeof bytes, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(err.code, HQ_E_SYS);
    segment_drop(s);
}

/* NO_SPACE, with what to do: it is tried again when there is room. */
static void
test_full(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct segment s = {.fd = open("/dev/full", O_WRONLY | O_CLOEXEC), .path = f->spool};

    if (s.fd < 0)
        skip();
    assert_int_equal(segment_write(&s, (const uint8_t *)"a", 1, &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    assert_true(hq_code_retryable(err.code));
    assert_non_null(strstr(err.hint, "make room"));
    assert_int_equal(close(s.fd), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prepare_removes_own_files_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
