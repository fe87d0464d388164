/* From an object's name to the directory that holds it, without following links. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "posix_internal.h"

/* Why a directory could not be opened: a link and a file both give ENOTDIR. */
static int
fail_enter(int dir_fd, const char *part, int why, struct hq_error *err)
{
    struct stat st;

    if (why != ENOTDIR && why != ELOOP)
        return hq_fail_sys(err, why, "directory %s", part);
    if (fstatat(dir_fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        hq_fail(err, HQ_E_REFUSED, "%s is a symbolic link", part);
        return hq_error_hint(err, "links inside a repository are not followed; use a bind mount");
    }
    return hq_fail(err, HQ_E_EXISTS, "%s is no directory", part);
}

int
hq_posix_enter(int dir_fd, const char *part, struct hq_error *err)
{
    int fd = openat(dir_fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 ? fd : fail_enter(dir_fd, part, errno, err);
}

static size_t
slot_of(const char *folder, size_t len)
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)folder[i]) * UINT32_C(16777619);
    return hash % HQ_POSIX_SYNCED_SLOTS;
}

static bool
is_synced(struct hq_posix *posix, const char *folder, size_t len)
{
    pthread_mutex_lock(&posix->lock);
    const char *known = posix->synced[slot_of(folder, len)];
    bool same = known != NULL && strlen(known) == len && memcmp(known, folder, len) == 0;
    pthread_mutex_unlock(&posix->lock);
    return same;
}

static void
set_synced(struct hq_posix *posix, const char *folder, size_t len)
{
    char **slot = &posix->synced[slot_of(folder, len)];

    pthread_mutex_lock(&posix->lock);
    free(*slot);
    *slot = strndup(folder, len); /* without memory it is only forgotten */
    pthread_mutex_unlock(&posix->lock);
}

/*
 * One step down, making the directory if it is missing. It is made durable in its parent also when
 * it was there: another thread or process may have made it a moment ago and not synced it yet, and
 * this put must not return 0 on the strength of that.
 */
static int
make_and_enter(int dir_fd, const char *part, bool synced, struct hq_error *err)
{
    int fd = hq_posix_enter(dir_fd, part, err);

    if (fd < 0 && err->code != HQ_E_MISSING)
        return -1;
    if (fd < 0) {
        if (mkdirat(dir_fd, part, 0700) != 0 && errno != EEXIST)
            return hq_fail_sys(err, errno, "make directory %s", part);
        if ((fd = hq_posix_enter(dir_fd, part, err)) < 0)
            return -1;
        synced = false;
    }
    if (!synced && fsync(dir_fd) != 0) {
        int why = errno;
        (void)close(fd);
        return hq_fail_sys(err, why, "fsync the directory above %s", part);
    }
    return fd;
}

int
hq_posix_open_folder(struct hq_posix *posix, const char *name, bool create, int *dir_fd,
                     const char **leaf, struct hq_error *err)
{
    const char *slash = strrchr(name, '/');
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - name);
    bool synced = create && is_synced(posix, name, folder_len);
    HQ_CLOSE int fd = fcntl(posix->root_fd, F_DUPFD_CLOEXEC, 0);
    char part[HQ_OBJECT_PART_MAX + 1];
    const char *at = name;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open the repository's directory");
    for (size_t len; at[len = strcspn(at, "/")] == '/'; at += len + 1) {
        memcpy(part, at, len);
        part[len] = '\0';
        int next = create ? make_and_enter(fd, part, synced, err) : hq_posix_enter(fd, part, err);
        if (next < 0)
            return -1;
        (void)close(fd);
        fd = next;
    }
    if (create && !synced)
        set_synced(posix, name, folder_len);
    *leaf = at;
    *dir_fd = fd;
    fd = -1;
    return 0;
}
