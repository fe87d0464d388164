#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "layout.h"

int
entry_make_directory(const struct layout *layout, const struct hq_entry *entry,
                     struct hq_error *err)
{
    HQ_FREE char *path = layout_path(layout, entry->path, err);

    if (path == NULL)
        return -1;
    if (mkdir(path, entry->mode & 07777) != 0 && errno != EEXIST)
        return hq_fail_sys(err, errno, "make directory %s", path);
    /* The umask must not take away what the server's group access needs. */
    if (chmod(path, entry->mode & 07777) != 0)
        return hq_fail_sys(err, errno, "set the mode of %s", path);
    return layout_own_entry(layout, entry, path, err);
}

static bool
leads_to(const char *path, const char *location)
{
    char target[HQ_PATH_BYTES_MAX + 1];
    ssize_t len = readlink(path, target, sizeof target);

    return len >= 0 && (size_t)len == strlen(location) &&
           memcmp(target, location, (size_t)len) == 0;
}

int
entry_make_link(const struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(layout->directory, entry->path, err);
    const char *location, *rest;
    uint32_t oid;

    if (path == NULL)
        return -1;
    rest = layout_tablespace_of(entry->path, &oid);
    if (rest == NULL || *rest != '\0')
        return hq_fail(err, HQ_E_CORRUPT, "%s: a link that is not a tablespace's", entry->path);
    location = layout_tablespace(layout, oid);
    if (location == NULL)
        return hq_fail(err, HQ_E_CORRUPT, "%s: the backup has no tablespace %u", entry->path, oid);
    if (layout->keep && !leads_to(path, location) && unlink(path) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", path);
    if (symlink(location, path) != 0 && !(layout->keep && errno == EEXIST))
        return hq_fail_sys(err, errno, "make link %s", path);
    return layout_own_entry(layout, entry, path, err);
}

/*
 * A file that is there is kept, to be compared. One with a second name is not: what that is of
 * would be written over too. @return 1: kept and of the right size; 0: there is none any more.
 */
static int
keep_file(const struct hq_entry *entry, const char *path, mode_t mode, struct hq_error *err)
{
    HQ_CLOSE int fd = -1;
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "look at %s", path);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        if (unlink(path) != 0)
            return hq_fail_sys(err, errno, "remove %s", path);
        return 0;
    }
    if ((st.st_mode & 07777) != mode && chmod(path, mode) != 0)
        return hq_fail_sys(err, errno, "set the mode of %s", path);
    if ((uint64_t)st.st_size == entry->size)
        return 1;
    fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)entry->size) != 0)
        return hq_fail_sys(err, errno, "set the size of %s", path);
    return 1;
}

static int
create_file(const struct hq_entry *entry, const char *path, mode_t mode, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return hq_fail_sys(err, errno, "create %s", path);
    if (ftruncate(fd, (off_t)entry->size) != 0 || fchmod(fd, mode) != 0)
        return hq_fail_sys(err, errno, "size and mode of %s", path);
    return 0;
}

int
entry_make_file(const struct layout *layout, const struct hq_entry *entry, const char *path,
                bool *kept, struct hq_error *err)
{
    HQ_FREE char *full = layout_path(layout, path, err);
    mode_t mode = (entry->mode & 07777) | S_IWUSR; /* protect() makes it exact */
    int there = 0;

    if (full == NULL)
        return -1;
    if (layout->keep && (there = keep_file(entry, full, mode, err)) < 0)
        return -1;
    *kept = there == 1;
    if (there == 0 && create_file(entry, full, mode, err) != 0)
        return -1;
    return layout_own_entry(layout, entry, full, err);
}

void
target_fd_close(struct target_fd *t)
{
    if (t->fd >= 0)
        (void)close(t->fd); /* nothing is lost here: syncfs at the end reports what is */
    t->fd = -1;
}

int
target_fd_open(struct target_fd *t, const struct layout *layout, uint32_t file, int flags,
               struct hq_error *err)
{
    HQ_FREE char *full = NULL;

    if (t->fd >= 0 && t->file == file)
        return 0;
    target_fd_close(t);
    full = layout_path(layout, layout->window.files[file].path, err);
    if (full == NULL)
        return -1;
    t->fd = open(full, flags | O_NOFOLLOW | O_CLOEXEC);
    if (t->fd < 0)
        return hq_fail_sys(err, errno, "open %s", full);
    t->file = file;
    return 0;
}
