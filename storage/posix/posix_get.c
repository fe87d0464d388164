/* Reading: head and get. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "posix_internal.h"

/* Where a folder should be is an object: then nothing is below it, and that is no failure. */
static int
open_folder(struct hq_posix *posix, const char *name, int *dir_fd, const char **leaf,
            struct hq_error *err)
{
    if (hq_posix_open_folder(posix, name, false, dir_fd, leaf, err) == 0)
        return 0;
    if (err->code == HQ_E_EXISTS)
        err->code = HQ_E_MISSING;
    return -1;
}

/* Only regular files are objects; a link or device in their place is somebody's mischief. */
static int
check_kind(const struct stat *st, struct hq_error *err)
{
    if (S_ISREG(st->st_mode))
        return 0;
    if (S_ISDIR(st->st_mode))
        return hq_fail(err, HQ_E_MISSING, "no such object, but others below this name");
    return hq_fail(err, HQ_E_REFUSED, "not a regular file");
}

static int
stat_object(struct hq_posix *posix, const char *name, struct stat *st, struct hq_error *err)
{
    HQ_CLOSE int dir_fd = -1;
    const char *leaf;

    if (open_folder(posix, name, &dir_fd, &leaf, err) != 0)
        return -1;
    if (fstatat(dir_fd, leaf, st, AT_SYMLINK_NOFOLLOW) != 0)
        return hq_fail_sys(err, errno, "stat");
    return check_kind(st, err);
}

int
hq_posix_head(struct hq_store *store, const char *name, struct hq_object_info *out,
              struct hq_error *err)
{
    struct stat st;

    if (stat_object((struct hq_posix *)store, name, &st, err) != 0)
        return hq_error_prefix(err, "head %s", name);
    strcpy(out->name, name);
    out->size = (uint64_t)st.st_size;
    out->modified_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    return 0;
}

static int
open_object(struct hq_posix *posix, const char *name, struct stat *st, struct hq_error *err)
{
    HQ_CLOSE int dir_fd = -1;
    const char *leaf;

    if (open_folder(posix, name, &dir_fd, &leaf, err) != 0)
        return -1;
    /* Without O_NONBLOCK a FIFO in the object's place would hang us. */
    HQ_CLOSE int fd = openat(dir_fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return hq_fail(err, HQ_E_REFUSED, "is a symbolic link, which is not followed");
    if (fd < 0)
        return hq_fail_sys(err, errno, "open");
    if (fstat(fd, st) != 0)
        return hq_fail_sys(err, errno, "stat");
    if (check_kind(st, err) != 0)
        return -1;
    int object = fd;
    fd = -1;
    return object;
}

static int
read_range(int fd, uint64_t size, uint64_t offset, uint64_t length, struct hq_buf *out,
           struct hq_error *err)
{
    size_t got = 0;

    /* First the size, then the memory: the length may come from damaged or hostile bytes. */
    if (offset <= size && length <= size - offset) {
        if (hq_buf_reserve(out, length, err) != 0)
            return -1;
        uint8_t *to = hq_buf_grow(out, length);
        if (to == NULL)
            return hq_buf_check(out, "object", err);
        if (hq_io_pread(fd, to, length, offset, &got, "object", err) != 0)
            return -1;
    }
    if (got < length)
        return hq_fail(err, HQ_E_CORRUPT, "truncated: %llu bytes, wanted %llu + %llu",
                       (unsigned long long)size, (unsigned long long)offset,
                       (unsigned long long)length);
    return 0;
}

int
hq_posix_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
             struct hq_buf *out, struct hq_error *err)
{
    struct stat st;
    HQ_CLOSE int fd = open_object((struct hq_posix *)store, name, &st, err);

    if (fd < 0 || read_range(fd, (uint64_t)st.st_size, offset, length, out, err) != 0)
        return hq_error_prefix(err, "get %s", name);
    return 0;
}
