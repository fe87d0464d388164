#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "spool_fixture.h"

const struct spool_id first = {.kind = SPOOL_WAL,
                               .system_identifier = 0x1234,
                               .timeline = 3,
                               .segment_size = SEGMENT,
                               .start = UINT64_C(0x123400000)};

int
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

int
teardown(void **state)
{
    struct fixture *f = *state;
    struct hq_error err;

    assert_int_equal(hq_io_remove_tree(f->directory, &err), 0);
    free(f);
    return 0;
}

void
path_of(const struct fixture *f, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", f->path, name);
}

bool
there(const struct fixture *f, const char *name)
{
    char path[256];

    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

void
put_file(const struct fixture *f, const char *name)
{
    char path[256];
    struct hq_error err;

    path_of(f, name, path);
    assert_int_equal(hq_io_create(path, "x", 1, 0600, &err), 0);
}

void
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

void
append(struct spool_file *s, const char *text)
{
    struct hq_error err = {0};

    assert_int_equal(spool_file_write(s, text, strlen(text), &err), 0);
}

struct spool_file *
create(struct fixture *f, const struct spool_id *id)
{
    struct hq_error err = {0};
    struct spool_file *s;

    assert_int_equal(spool_file_create(&f->spool, id, &s, &err), 0);
    return s;
}

struct spool_file *
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

void
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

struct spool_files
recover(struct fixture *f)
{
    struct hq_error err = {0};
    struct spool_files files;

    assert_int_equal(spool_recover(&f->spool, &files, &err), 0);
    return files;
}
