/* The bytes of a new object into its file: past the page cache where that can be. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "posix_internal.h"

enum {
    COPY_BUFFER = 1 << 20,
    COPY_RANGE_MAX = 1 << 30,
    /* Below it the page cache is cheaper than waiting for the disk twice, for bytes and for fsync.
     */
    DIRECT_MIN = 1 << 20,
    DIRECT_PIECE = 8 << 20
};

/* Copy through memory from @p done on; what ends early is the caller's fault. */
static int
copy_by_reading(const struct hq_body *body, uint64_t done, int fd, struct hq_error *err)
{
    HQ_FREE uint8_t *buffer = hq_memory(COPY_BUFFER);

    if (buffer == NULL)
        return hq_fail(err, HQ_E_NOMEM, "buffer");
    while (done < body->size) {
        uint64_t left = body->size - done;
        size_t want = left < COPY_BUFFER ? (size_t)left : COPY_BUFFER;
        size_t got;
        if (hq_io_pread(body->fd, buffer, want, done, &got, "body", err) != 0)
            return -1;
        if (got < want)
            return hq_fail(err, HQ_E_USAGE, "the file sent has %llu bytes, not %llu",
                           (unsigned long long)(done + got), (unsigned long long)body->size);
        if (hq_io_write(fd, buffer, got, HQ_POSIX_TMP, err) != 0)
            return -1;
        done += got;
    }
    return 0;
}

/*
 * Let the kernel copy, or share extents. Where it can't (other file system, odd file), or says the
 * source ended, reading does the rest and finds the true reason.
 */
static int
copy_file(const struct hq_body *body, int fd, struct hq_error *err)
{
    uint64_t done = 0;

    while (done < body->size) {
        uint64_t left = body->size - done;
        loff_t from = (loff_t)done;
        ssize_t n = copy_file_range(body->fd, &from, fd, NULL,
                                    left < COPY_RANGE_MAX ? (size_t)left : COPY_RANGE_MAX, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return copy_by_reading(body, done, fd, err);
        done += (uint64_t)n;
    }
    return 0;
}

/* Whether the file now goes past the page cache, or no longer does. */
static bool
set_direct(int fd, bool direct)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/*
 * Whole blocks past the page cache: the kernel neither copies them nor gives up the database's
 * pages for what nobody is going to read. A file system that can't says so at once or at the first
 * write, with an error that a second way of writing either shows again or does not have.
 * @return how many bytes are written.
 */
static size_t
write_direct(int fd, const uint8_t *data, size_t size)
{
    size_t whole = size - size % HQ_MEMORY_ALIGNMENT, done = 0;
    struct hq_error ignored;

    if (size < DIRECT_MIN || (uintptr_t)data % HQ_MEMORY_ALIGNMENT != 0 || !set_direct(fd, true))
        return 0;
    while (done < whole) {
        size_t piece = whole - done < DIRECT_PIECE ? whole - done : DIRECT_PIECE;

        if (hq_io_pwrite(fd, data + done, piece, done, HQ_POSIX_TMP, &ignored) != 0)
            break;
        done += piece;
    }
    return set_direct(fd, false) ? done : 0;
}

static int
write_memory(int fd, const uint8_t *data, size_t size, struct hq_error *err)
{
    size_t done = write_direct(fd, data, size);

    return hq_io_pwrite(fd, data + done, size - done, done, HQ_POSIX_TMP, err);
}

int
hq_posix_write(int fd, const struct hq_body *body, struct hq_error *err)
{
    return body->data != NULL ? write_memory(fd, body->data, body->size, err)
                              : copy_file(body, fd, err);
}
