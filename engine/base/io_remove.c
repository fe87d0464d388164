#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

static int remove_dir(int parent_fd, const char *name, const char *path, struct hq_error *err);

static int
remove_entry(int parent_fd, const char *name, const char *parent_path, struct hq_error *err)
{
    HQ_FREE char *path = NULL;
    int why;

    if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    why = errno;
    path = hq_path_join(parent_path, name, err);
    if (path == NULL)
        return -1;
    if (why != EISDIR)
        return hq_fail_sys(err, why, "remove %s", path);
    return remove_dir(parent_fd, name, path, err);
}

/* Remove what is in @p dir. A file system may skip entries while others go: until none is seen. */
static int
empty_dir(DIR *dir, const char *path, struct hq_error *err)
{
    size_t seen;

    do {
        const struct dirent *entry;

        seen = 0;
        rewinddir(dir);
        while (errno = 0, (entry = readdir(dir)) != NULL) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            if (remove_entry(dirfd(dir), entry->d_name, path, err) != 0)
                return -1;
            seen++;
        }
        if (errno != 0)
            return hq_fail_sys(err, errno, "read directory %s", path);
    } while (seen > 0);
    return 0;
}

static int
remove_dir(int parent_fd, const char *name, const char *path, struct hq_error *err)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir;
    int rc;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open directory %s", path);
    dir = fdopendir(fd);
    if (dir == NULL) {
        rc = hq_fail_sys(err, errno, "open directory %s", path);
        (void)close(fd);
        return rc;
    }
    rc = empty_dir(dir, path, err);
    (void)closedir(dir);
    if (rc == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) != 0)
        rc = hq_fail_sys(err, errno, "remove %s", path);
    return rc;
}

int
hq_io_remove_tree(const char *path, struct hq_error *err)
{
    HQ_FREE char *name = strdup(path);
    size_t len = strlen(path);

    if (name == NULL)
        return hq_fail(err, HQ_E_NOMEM, "remove %s", path);
    /* A slash at the end would make the kernel follow a link. */
    while (len > 1 && name[len - 1] == '/')
        name[--len] = '\0';
    if (unlinkat(AT_FDCWD, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return hq_fail_sys(err, errno, "remove %s", name);
    return remove_dir(AT_FDCWD, name, name, err);
}
