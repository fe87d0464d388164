#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int
hq_io_write(int fd, const void *data, size_t len, const char *path, struct hq_error *err)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hq_fail_sys(err, n < 0 ? errno : EIO, "write %s", path);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Whether off_t can address all of [offset, offset + len). */
static bool
is_addressable(uint64_t offset, size_t len)
{
    uint64_t end;

    return !__builtin_add_overflow(offset, (uint64_t)len, &end) && end <= INT64_MAX;
}

int
hq_io_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *path,
             struct hq_error *err)
{
    const uint8_t *at = data;

    if (!is_addressable(offset, len))
        return hq_fail_sys(err, EFBIG, "write %s", path);
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hq_fail_sys(err, n < 0 ? errno : EIO, "write %s at %llu", path,
                               (unsigned long long)offset);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int
hq_io_pread(int fd, void *data, size_t len, uint64_t offset, size_t *got, const char *path,
            struct hq_error *err)
{
    uint8_t *to = data;

    *got = 0;
    if (!is_addressable(offset, len))
        return hq_fail_sys(err, EFBIG, "read %s", path);
    while (*got < len) {
        ssize_t n = pread(fd, to + *got, len - *got, (off_t)(offset + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hq_fail_sys(err, errno, "read %s at %llu", path,
                               (unsigned long long)(offset + *got));
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

static int
read_once(int fd, void *to, size_t len, size_t *got, const char *path, struct hq_error *err)
{
    ssize_t n;

    do
        n = read(fd, to, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return hq_fail_sys(err, errno, "read %s", path);
    *got = (size_t)n;
    return 0;
}

/* Append what @p fd has to the end. Its size is only a hint: files grow, and pipes have none. */
static int
read_to_end(int fd, size_t max, struct hq_buf *out, const char *path, struct hq_error *err)
{
    size_t left = max, got, room = 4096;
    struct stat st;
    uint8_t surplus;

    /*
     * Room for the whole file and the read that finds its end: this reads key files too, and
     * moving a buffer leaves copies of what it held.
     */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        room = (uint64_t)st.st_size < max ? (size_t)st.st_size + 1 : max;
    if (hq_buf_reserve(out, room < max ? room : max, err) != 0)
        return hq_error_prefix(err, "read %s", path);

    for (; left > 0; left -= got) {
        if (out->len == out->cap && hq_buf_reserve(out, 1, err) != 0)
            return hq_error_prefix(err, "read %s", path);
        room = out->cap - out->len;
        if (read_once(fd, out->data + out->len, room < left ? room : left, &got, path, err) != 0)
            return -1;
        if (got == 0)
            return 0;
        out->len += got;
    }
    if (read_once(fd, &surplus, 1, &got, path, err) != 0)
        return -1;
    if (got != 0)
        return hq_fail(err, HQ_E_CONFIG, "%s: more than %zu bytes", path, max);
    return 0;
}

int
hq_io_read_file(const char *path, size_t max, struct hq_buf *out, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const size_t start = out->len;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open %s", path);
    if (read_to_end(fd, max, out, path, err) != 0) {
        out->len = start;
        return -1;
    }
    return 0;
}

/* Whether @p path still names the file open as @p fd. */
static bool
is_same_file(int fd, const char *path)
{
    struct stat by_fd, by_path;

    return fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 && by_fd.st_dev == by_path.st_dev &&
           by_fd.st_ino == by_path.st_ino;
}

/* For whoever is refused the lock; without it the message says less, and that is all. */
static void
note_holder(int fd)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)len, 0);
}

static int
fail_held(int fd, const char *path, struct hq_error *err)
{
    char text[24];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    long holder;

    text[got > 0 ? got : 0] = '\0';
    holder = strtol(text, NULL, 10);
    if (holder > 0)
        return hq_fail(err, HQ_E_BUSY, "%s: process %ld holds the lock", path, holder);
    return hq_fail(err, HQ_E_BUSY, "%s: another process holds the lock", path);
}

int
hq_io_lock(const char *path, struct hq_error *err)
{
    /*
     * A holder may remove its lock file between our open and our lock: the lock would be on a
     * file nobody else can find. So look again, and start over on another file.
     */
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        int rc;

        if (fd < 0)
            return hq_fail_sys(err, errno, "open lock %s", path);
        do
            rc = flock(fd, LOCK_EX | LOCK_NB);
        while (rc != 0 && errno == EINTR);
        if (rc == 0 && is_same_file(fd, path)) {
            note_holder(fd);
            return fd;
        }
        if (rc != 0) {
            rc = errno == EWOULDBLOCK ? fail_held(fd, path, err)
                                      : hq_fail_sys(err, errno, "lock %s", path);
            (void)close(fd);
            return rc;
        }
        (void)close(fd);
    }
}
