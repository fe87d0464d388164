#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"

/* The directory that holds @p path's last component, as a new string; "." for a bare name. */
static char *
parent_of(const char *path, struct hq_error *err)
{
    size_t len = strlen(path);
    char *parent;

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    parent = len > 0 ? strndup(path, len) : strdup(".");
    if (parent == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "directory of %s", path);
    return parent;
}

int
hq_io_sync_dir(const char *path, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return hq_fail_sys(err, errno, "open directory %s", path);
    /* EINVAL: a file system that has no such operation (some network and FUSE ones). */
    if (fsync(fd) != 0 && errno != EINVAL)
        return hq_fail_sys(err, errno, "fsync directory %s", path);
    return 0;
}

/* Write the temporary file; its content is durable when this returns 0. Closes @p fd. */
static int
fill_temporary(int fd, const char *path, const void *data, size_t len, mode_t mode,
               struct hq_error *err)
{
    int rc = hq_io_write(fd, data, len, path, err);

    if (rc == 0 && fchmod(fd, mode) != 0)
        rc = hq_fail_sys(err, errno, "chmod %s", path);
    /* Before the name: a file system may make the rename durable ahead of the bytes. */
    if (rc == 0 && fsync(fd) != 0)
        rc = hq_fail_sys(err, errno, "fsync %s", path);
    if (close(fd) != 0 && rc == 0)
        rc = hq_fail_sys(err, errno, "close %s", path);
    return rc;
}

/* Give the temporary file its name; on failure it is still there. */
static int
publish(const char *temporary, const char *path, bool replace, struct hq_error *err)
{
    if (replace) {
        if (rename(temporary, path) != 0)
            return hq_fail_sys(err, errno, "rename %s to %s", temporary, path);
        return 0;
    }
    /* link() refuses an existing name atomically, on NFS too. */
    if (link(temporary, path) != 0)
        return hq_fail_sys(err, errno, "create %s", path);
    (void)unlink(temporary);
    return 0;
}

static int
put_file(const char *path, const void *data, size_t len, mode_t mode, bool replace,
         struct hq_error *err)
{
    HQ_FREE char *parent = parent_of(path, err);
    HQ_FREE char *temporary = NULL;
    int fd;

    if (parent == NULL)
        return -1;
    temporary = hq_path_join(parent, HQ_IO_TEMPORARY_PREFIX "XXXXXX", err);
    if (temporary == NULL)
        return -1;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return hq_fail_sys(err, errno, "create a file in %s for %s", parent, path);
    if (fill_temporary(fd, path, data, len, mode, err) != 0) {
        (void)unlink(temporary);
        return -1;
    }
    HQ_CRASH_POINT("io.replace.written");
    if (publish(temporary, path, replace, err) != 0) {
        (void)unlink(temporary);
        return -1;
    }
    HQ_CRASH_POINT("io.replace.named");
    return hq_io_sync_dir(parent, err);
}

int
hq_io_replace(const char *path, const void *data, size_t len, mode_t mode, struct hq_error *err)
{
    return put_file(path, data, len, mode, true, err);
}

int
hq_io_create(const char *path, const void *data, size_t len, mode_t mode, struct hq_error *err)
{
    return put_file(path, data, len, mode, false, err);
}

static bool
is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One directory, durable in its parent if it is new. */
static int
make_dir(const char *path, mode_t mode, struct hq_error *err)
{
    HQ_FREE char *parent = NULL;

    if (mkdir(path, mode) != 0) {
        int why = errno;

        /* Somebody else may have made it since; and what exists need not be ours to make. */
        if (is_directory(path))
            return 0;
        return hq_fail_sys(err, why == EEXIST ? ENOTDIR : why, "mkdir %s", path);
    }
    parent = parent_of(path, err);
    if (parent == NULL)
        return -1;
    return hq_io_sync_dir(parent, err);
}

int
hq_io_make_dirs(const char *path, mode_t mode, struct hq_error *err)
{
    HQ_FREE char *part = NULL;

    if (is_directory(path))
        return 0;
    part = strdup(path);
    if (part == NULL)
        return hq_fail(err, HQ_E_NOMEM, "mkdir %s", path);
    for (char *at = part; *at != '\0'; at++) {
        if (*at != '/' || at == part)
            continue;
        *at = '\0';
        if (!is_directory(part) && make_dir(part, mode, err) != 0)
            return -1;
        *at = '/';
    }
    return make_dir(part, mode, err);
}
