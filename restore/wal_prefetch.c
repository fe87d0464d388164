#include "wal_prefetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "wal_object.h"

enum {
    WAIT_MS = 3,
    SEGMENT_MIN = 1 << 20,
    SEGMENT_MAX = 1 << 30
};

bool
wal_prefetch_folder(const char *settings, char out[PATH_MAX])
{
    const char *slash = strrchr(settings, '/');
    char folder[PATH_MAX];
    struct stat st;

    if (snprintf(folder, sizeof folder, "%.*s/" WAL_PREFETCH_FOLDER,
                 slash != NULL ? (int)(slash - settings) : 1,
                 slash != NULL ? settings : ".") >= (int)sizeof folder ||
        realpath(folder, out) == NULL)
        return false;
    return stat(out, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
wal_prefetch_path(const char *folder, const char *name, const char *suffix, char out[PATH_MAX])
{
    return snprintf(out, PATH_MAX, "%s/%s%s", folder, name, suffix) < PATH_MAX;
}

/* A link's text is replaced as a whole, and costs no fsync: nothing is lost with it. */
void
wal_prefetch_ask(const char *folder, const char *segment)
{
    char path[PATH_MAX], fresh[PATH_MAX];

    if (!wal_prefetch_path(folder, "asked", "", path) ||
        !wal_prefetch_path(folder, "asked", ".new", fresh))
        return;
    if (symlink(segment, fresh) != 0 &&
        (errno != EEXIST || unlink(fresh) != 0 || symlink(segment, fresh) != 0))
        return;
    if (rename(fresh, path) != 0)
        (void)unlink(fresh);
}

uint64_t
wal_prefetch_asked(const char *folder, char out[WAL_FILE_NAME_MAX])
{
    char path[PATH_MAX];
    struct stat st;
    ssize_t len;

    if (!wal_prefetch_path(folder, "asked", "", path) || lstat(path, &st) != 0)
        return 0;
    len = readlink(path, out, WAL_FILE_NAME_MAX - 1);
    if (len < 0)
        return 0;
    out[len] = '\0';
    if (!wal_is_segment(out))
        return 0;
    /* A link of its own each time: another inode, or the same number at a later time. */
    return ((uint64_t)st.st_ino << 40 ^ (uint64_t)st.st_ctim.tv_sec << 30 ^
            (uint64_t)st.st_ctim.tv_nsec) |
           1;
}

bool
wal_prefetch_runs(const char *folder)
{
    char path[PATH_MAX];
    struct hq_error err = {0};
    int fd;

    if (!wal_prefetch_path(folder, WAL_PREFETCH_LOCK, "", path))
        return false;
    fd = hq_io_lock(path, &err);
    if (fd >= 0)
        (void)close(fd);
    return fd < 0 && err.code == HQ_E_BUSY;
}

/* A whole segment by the look of it: a torn one would have another size. */
static bool
is_whole(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= SEGMENT_MIN &&
           st.st_size <= SEGMENT_MAX && (st.st_size & (st.st_size - 1)) == 0;
}

/* pg_wal may be a link to another file system. */
static bool
copy(const char *path, const char *destination)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_error err = {0};

    return hq_io_read_file(path, SEGMENT_MAX, &bytes, &err) == 0 &&
           wal_put_file(destination, &bytes, &err) == 0;
}

static bool
move(const char *path, const char *destination)
{
    if (!is_whole(path)) {
        (void)unlink(path);
        return false;
    }
    /* No fsync: the server makes durable what it keeps, and asks again for what it does not. */
    if (rename(path, destination) == 0)
        return true;
    if (errno != EXDEV || !copy(path, destination))
        return false;
    (void)unlink(path);
    return true;
}

bool
wal_prefetch_take(const char *folder, const char *segment, const char *destination)
{
    char path[PATH_MAX], fetching[PATH_MAX];

    if (!wal_prefetch_path(folder, segment, "", path) ||
        !wal_prefetch_path(folder, segment, WAL_PREFETCH_FETCHING, fetching))
        return false;
    for (;;) {
        /* Asked before looking for the segment: it appears before this goes. */
        bool wait = access(fetching, F_OK) == 0;

        if (access(path, F_OK) == 0)
            return move(path, destination);
        if (!wait || !wal_prefetch_runs(folder))
            return false;
        (void)hq_clock_sleep_ms(WAIT_MS, NULL);
    }
}

int
wal_prefetch_put(const char *folder, const char *segment, const struct hq_buf *bytes,
                 struct hq_error *err)
{
    char path[PATH_MAX];

    if (!wal_prefetch_path(folder, segment, "", path))
        return hq_fail(err, HQ_E_SYS, "%s/%s: the path is too long", folder, segment);
    return wal_put_file(path, bytes, err);
}
