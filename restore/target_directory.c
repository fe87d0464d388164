#include "target_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"

static int
refuse_contents(const char *path, const char *found, struct hq_error *err)
{
    if (strcmp(found, "postmaster.pid") == 0) {
        hq_fail(err, HQ_E_BUSY, "%s: a server runs there, or died there (postmaster.pid)", path);
        return hq_error_hint(err, "restore to another directory; never over a running server");
    }
    hq_fail(err, HQ_E_EXISTS, "%s is not empty (it holds %s)", path, found);
    return hq_error_hint(err, "give a new directory, or move the old one away: nothing is "
                              "overwritten");
}

static int
check_empty(const char *path, struct hq_error *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char found[256] = "";

    if (dir == NULL)
        return errno == ENOTDIR ? hq_fail(err, HQ_E_EXISTS, "%s is not a directory", path)
                                : hq_fail_sys(err, errno, "open directory %s", path);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* postmaster.pid is the one to name, wherever it stands in the directory. */
        if (found[0] == '\0' || strcmp(entry->d_name, "postmaster.pid") == 0)
            snprintf(found, sizeof found, "%s", entry->d_name);
    }
    closedir(dir);
    return found[0] == '\0' ? 0 : refuse_contents(path, found, err);
}

static int
parse_owner(struct layout *layout, const char *text, struct hq_error *err)
{
    HQ_FREE char *user = strdup(text);
    char *group = user != NULL ? strchr(user, ':') : NULL;
    const struct passwd *pw;
    const struct group *gr;

    if (user == NULL)
        return hq_fail(err, HQ_E_NOMEM, "owner");
    if (group != NULL)
        *group++ = '\0';
    pw = getpwnam(user);
    if (pw == NULL)
        return hq_fail(err, HQ_E_USAGE, "--owner %s: no such user here", user);
    layout->uid = pw->pw_uid;
    layout->gid = pw->pw_gid;
    if (group == NULL)
        return 0;
    gr = getgrnam(group);
    if (gr == NULL)
        return hq_fail(err, HQ_E_USAGE, "--owner: no group %s here", group);
    layout->gid = gr->gr_gid;
    return 0;
}

static int
decide_owner(struct layout *layout, struct hq_error *err)
{
    struct stat st;

    layout->uid = (uid_t)-1;
    layout->gid = (gid_t)-1;
    layout->server_uid = (uid_t)-1;
    layout->server_gid = (gid_t)-1;
    layout->chown = geteuid() == 0;
    if (layout->options->owner != NULL) {
        if (!layout->chown)
            return hq_fail(err, HQ_E_USAGE, "--owner needs root");
        return parse_owner(layout, layout->options->owner, err);
    }
    if (layout->chown && stat(layout->directory, &st) == 0 && st.st_uid != 0) {
        layout->uid = st.st_uid;
        layout->gid = st.st_gid;
    }
    return 0;
}

static int
prepare_one(struct layout *layout, const char *path, struct hq_error *err)
{
    struct stat st;

    if (lstat(path, &st) == 0) {
        if (check_empty(path, err) != 0)
            return -1;
    } else if (errno != ENOENT) {
        return hq_fail_sys(err, errno, "look at %s", path);
    } else if (hq_io_make_dirs(path, 0700, err) != 0) {
        return -1;
    }
    if (chmod(path, 0700) != 0)
        return hq_fail_sys(err, errno, "set the mode of %s", path);
    return layout_own(layout, path, err);
}

/* Two that are empty may still be one: the files of both would lie in each other's way. */
static int
check_distinct(const struct layout *layout, size_t count, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;
    const char *location = layout_tablespace(layout, root->tablespaces[count].oid);
    struct stat mine, other;

    if (stat(location, &mine) != 0)
        return hq_fail_sys(err, errno, "look at %s", location);
    for (size_t i = 0; i <= count; i++) {
        const char *path =
            i == count ? layout->directory : layout_tablespace(layout, root->tablespaces[i].oid);

        if (stat(path, &other) != 0)
            return hq_fail_sys(err, errno, "look at %s", path);
        if (mine.st_dev == other.st_dev && mine.st_ino == other.st_ino)
            return hq_fail(err, HQ_E_USAGE, "%s is %s", location,
                           i == count ? "the data directory" : "another tablespace's too");
    }
    return 0;
}

int
target_prepare(struct layout *layout, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;

    if (decide_owner(layout, err) != 0 || prepare_one(layout, layout->directory, err) != 0)
        return -1;
    for (size_t i = 0; i < root->tablespace_count; i++) {
        const char *location = layout_tablespace(layout, root->tablespaces[i].oid);

        if (location[0] != '/')
            return hq_fail(err, HQ_E_USAGE, "tablespace %u: %s is not an absolute path",
                           root->tablespaces[i].oid, location);
        if (prepare_one(layout, location, err) != 0 || check_distinct(layout, i, err) != 0) {
            hq_error_prefix(err, "tablespace %u", root->tablespaces[i].oid);
            err->hint[0] = '\0'; /* moving a live tablespace away is the wrong advice */
            return hq_error_hint(err, "give it another place with --tablespace-map %u=/new/path",
                                 root->tablespaces[i].oid);
        }
    }
    return 0;
}

static int
sync_filesystem(const char *path, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return hq_fail_sys(err, errno, "open %s", path);
    /* One call instead of an fsync a file; it reports write errors since Linux 5.8. */
    if (syncfs(fd) != 0)
        return hq_fail_sys(err, errno, "make %s durable", path);
    return 0;
}

int
target_sync(const struct layout *layout, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;

    if (sync_filesystem(layout->directory, err) != 0)
        return -1;
    for (size_t i = 0; i < root->tablespace_count; i++)
        if (sync_filesystem(layout_tablespace(layout, root->tablespaces[i].oid), err) != 0)
            return -1;
    return 0;
}
