/* Put: a temporary file, made durable, renamed into place, made durable there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "posix_internal.h"

enum {
    NAME_TRIES = 16
};

/* A file on its way in. `name` is "" once there is nothing left to remove. */
struct temporary {
    int tmp_fd; /* the directory */
    int fd;
    char name[17];
};

/* Random names, because several hosts may share the directory: process ids would collide. */
static int
temporary_create(struct temporary *t, struct hq_error *err)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        uint64_t number;
        if (getrandom(&number, sizeof number, 0) != sizeof number)
            return hq_fail_sys(err, errno, "getrandom");
        (void)snprintf(t->name, sizeof t->name, "%016llx", (unsigned long long)number);
        t->fd = openat(t->tmp_fd, t->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (t->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    t->name[0] = '\0';
    return hq_fail_sys(err, errno, "create a file in " HQ_POSIX_TMP);
}

static int
temporary_open(struct hq_posix *posix, struct temporary *t, struct hq_error *err)
{
    const char *leaf;

    if (hq_posix_open_folder(posix, HQ_POSIX_TMP "/", true, &t->tmp_fd, &leaf, err) != 0)
        return -1;
    return temporary_create(t, err);
}

static void
temporary_drop(struct temporary *t)
{
    hq_auto_close(&t->fd);
    if (t->name[0] != '\0')
        (void)unlinkat(t->tmp_fd, t->name, 0);
    hq_auto_close(&t->tmp_fd);
}

static int
write_body(struct temporary *t, const struct hq_body *body, struct hq_error *err)
{
    if (hq_posix_write(t->fd, body, err) != 0)
        return -1;
    /* Before the rename: else a power cut may leave the name on an empty file. */
    if (fsync(t->fd) != 0)
        return hq_fail_sys(err, errno, "fsync");
    int fd = t->fd;
    t->fd = -1;
    return close(fd) == 0 ? 0 : hq_fail_sys(err, errno, "close");
}

static int
commit(struct temporary *t, int dir_fd, const char *leaf, struct hq_error *err)
{
    HQ_CRASH_POINT("posix.put.before-rename");
    if (renameat(t->tmp_fd, t->name, dir_fd, leaf) != 0)
        return errno == EISDIR ? hq_fail(err, HQ_E_EXISTS, "other objects are below this name")
                               : hq_fail_sys(err, errno, "rename");
    t->name[0] = '\0';
    HQ_CRASH_POINT("posix.put.after-rename");
    /* The rename is only in memory until its directory is written. */
    return fsync(dir_fd) == 0 ? 0 : hq_fail_sys(err, errno, "fsync its directory");
}

int
hq_posix_put(struct hq_store *store, const char *name, const struct hq_body *body,
             struct hq_error *err)
{
    struct hq_posix *posix = (struct hq_posix *)store;
    struct temporary t = {.tmp_fd = -1, .fd = -1};
    HQ_CLOSE int dir_fd = -1;
    const char *leaf;

    int rc = hq_posix_open_folder(posix, name, true, &dir_fd, &leaf, err);
    if (rc == 0)
        rc = temporary_open(posix, &t, err);
    if (rc == 0)
        rc = write_body(&t, body, err);
    if (rc == 0)
        rc = commit(&t, dir_fd, leaf, err);
    temporary_drop(&t);
    if (rc == 0)
        return 0;
    /* Callers take MISSING for "no such object"; here somebody removed the directory under us. */
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_SYS;
    if (err->code == HQ_E_NO_SPACE)
        hq_error_hint(err, "the repository's file system is full: make it larger or make room in "
                           "it, but never by removing files of the repository");
    return hq_error_prefix(err, "put %s", name);
}
