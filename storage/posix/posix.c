/* Opening and closing a directory as a store. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "posix_internal.h"

/* A put writes all the time; what has not changed for so long belongs to a crashed one. */
#define STALE_US (INT64_C(24) * 3600 * 1000000)

static void
posix_close(struct hq_store *store)
{
    struct hq_posix *posix = (struct hq_posix *)store;

    for (size_t i = 0; i < HQ_POSIX_SYNCED_SLOTS; i++)
        free(posix->synced[i]);
    pthread_mutex_destroy(&posix->lock);
    (void)close(posix->root_fd);
    free(posix);
}

static int
posix_time(struct hq_store *store, int64_t *now_us, struct hq_error *err)
{
    (void)store;
    (void)err;
    *now_us = hq_clock_wall_us();
    return 0;
}

static int
posix_space(struct hq_store *store, uint64_t *free_bytes, uint64_t *all_bytes, struct hq_error *err)
{
    struct statvfs disk;

    if (fstatvfs(((struct hq_posix *)store)->root_fd, &disk) != 0)
        return hq_fail_sys(err, errno, "free space of %s", store->url);
    *free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    *all_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    return 0;
}

static const struct hq_store_operations operations = {
    .close = posix_close,
    .put = hq_posix_put,
    .get = hq_posix_get,
    .head = hq_posix_head,
    .list = hq_posix_list,
    .remove = hq_posix_remove,
    .time = posix_time,
    .space = posix_space,
};

static void
remove_if_stale(int tmp_fd, const char *name, int64_t now_us)
{
    struct stat st;

    if (fstatat(tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        now_us - (int64_t)st.st_mtim.tv_sec * 1000000 > STALE_US)
        (void)unlinkat(tmp_fd, name, 0);
}

/*
 * What crashed puts left. Failures are not reported: a repository mounted read-only, or owned by
 * somebody else, can still be restored from.
 */
static void
clean(int root_fd)
{
    int fd = openat(root_fd, HQ_POSIX_TMP, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL) {
        hq_auto_close(&fd);
        return;
    }
    int64_t now_us = hq_clock_wall_us();
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        remove_if_stale(fd, entry->d_name, now_us);
    (void)closedir(dir);
}

static int
open_root(const char *path, bool create, struct hq_error *err)
{
    if (create && hq_io_make_dirs(path, 0700, err) != 0)
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    if (errno == ENOTDIR)
        return hq_fail(err, HQ_E_CONFIG, "repository %s: not a directory", path);
    hq_fail_sys(err, errno, "repository %s", path);
    if (err->code == HQ_E_MISSING)
        hq_error_hint(err, "is its disk mounted, and is the path right? Only if there never was "
                           "one: `hq-backup init`");
    return -1;
}

int
hq_posix_open(const char *location, const struct hq_store_options *options, struct hq_store **out,
              struct hq_error *err)
{
    int fd = open_root(location, options->create, err);

    if (fd < 0)
        return -1;
    struct hq_posix *posix = calloc(1, sizeof *posix);
    if (posix == NULL || pthread_mutex_init(&posix->lock, NULL) != 0) {
        free(posix);
        (void)close(fd);
        return hq_fail(err, HQ_E_NOMEM, "repository %s", location);
    }
    posix->base.operations = &operations;
    posix->root_fd = fd;
    clean(fd);
    *out = &posix->base;
    return 0;
}
