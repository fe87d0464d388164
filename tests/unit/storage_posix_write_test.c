/* Writing past the page cache, and what happens where that fails at some point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "outcome.h"
#include "posix_internal.h"

enum {
    SIZE = (20 << 20) + 4095 /* three direct writes and a tail */
};

/* How the writes past the page cache go from the one on that has the number `from`. */
enum trouble {
    NONE,
    NOT_SUPPORTED,
    DAMAGE, /* some bytes are written, and an error comes */
    FULL,
    SHORT,
    ODD_SHORT /* no whole block */
};

static enum trouble trouble;
static unsigned from, direct, cached;
static bool cached_fail;

ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);

static ssize_t
fail_with(int code)
{
    errno = code;
    return -1;
}

ssize_t
__wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if ((fcntl(fd, F_GETFL) & O_DIRECT) == 0) {
        cached++;
        return cached_fail ? fail_with(ENOSPC) : __real_pwrite(fd, data, len, offset);
    }
    if (((uintptr_t)data | len | (size_t)offset) % HQ_MEMORY_ALIGNMENT != 0)
        return fail_with(EINVAL);
    if (trouble == NONE || direct++ < from)
        return __real_pwrite(fd, data, len, offset);
    switch (trouble) {
    case DAMAGE:
        assert_int_equal(__real_pwrite(fd, (const uint8_t *)data + 4096, 4096, offset), 4096);
        return fail_with(EIO);
    case FULL:
        return fail_with(ENOSPC);
    case SHORT:
        return __real_pwrite(fd, data, 4096, offset);
    case ODD_SHORT:
        return __real_pwrite(fd, data, 4096, offset) == 4096 ? 1000 : -1;
    case NONE:
    case NOT_SUPPORTED:
        break;
    }
    return fail_with(EINVAL);
}

struct fixture {
    uint8_t *bytes;
    int fd;
};

static int
set_up(void **state)
{
    static struct fixture f;
    char path[] = "/tmp/hq-posix-write-XXXXXX";

    f.bytes = hq_memory(SIZE);
    f.fd = mkstemp(path);
    assert_non_null(f.bytes);
    assert_true(f.fd >= 0);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < SIZE; i++)
        f.bytes[i] = (uint8_t)(i * 31 >> 7);
    trouble = NONE;
    from = direct = cached = 0;
    cached_fail = false;
    *state = &f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    free(f->bytes);
    close(f->fd);
    return 0;
}

static void
check_written(const struct fixture *f)
{
    uint8_t *got = malloc(SIZE + 1);
    struct hq_error err = {0};
    size_t len;

    assert_non_null(got);
    assert_int_equal(fcntl(f->fd, F_GETFL) & O_DIRECT, 0);
    ASSERT_OK(hq_io_pread(f->fd, got, SIZE + 1, 0, &len, "file", &err), &err);
    assert_int_equal(len, SIZE);
    assert_memory_equal(got, f->bytes, SIZE);
    free(got);
}

static void
what_fails_goes_through_the_page_cache(void **state)
{
    struct fixture *f = *state;
    const struct hq_body body = {.data = f->bytes, .size = SIZE};
    struct hq_error err = {0};

    for (int kind = NONE; kind <= ODD_SHORT; kind++)
        for (from = 0; from < 3; from++) {
            trouble = (enum trouble)kind;
            direct = cached = 0;
            assert_int_equal(ftruncate(f->fd, 0), 0);
            ASSERT_OK(hq_posix_write(f->fd, &body, &err), &err);
            check_written(f);
        }
}

static void
what_fails_twice_is_told(void **state)
{
    struct fixture *f = *state;
    const struct hq_body body = {.data = f->bytes, .size = SIZE};

    cached_fail = true;
    for (int kind = NOT_SUPPORTED; kind <= FULL; kind++) {
        struct hq_error err = {0};

        trouble = (enum trouble)kind;
        direct = 0;
        assert_int_equal(ftruncate(f->fd, 0), 0);
        ASSERT_CODE(hq_posix_write(f->fd, &body, &err), &err, HQ_E_NO_SPACE);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fails_goes_through_the_page_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_twice_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
