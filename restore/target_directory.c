#include "target_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "held.h"
#include "target_room.h"
#include "target_state.h"

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
set_modes(struct layout *layout, const char *path, bool fresh, struct hq_error *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return hq_fail_sys(err, errno, "look at %s", path);
    /* PostgreSQL takes 0700 and 0750, and a server that was there has chosen. */
    if ((fresh || (st.st_mode & 07777 & ~0750U) != 0) && chmod(path, 0700) != 0)
        return hq_fail_sys(err, errno, "set the mode of %s", path);
    return layout_own(layout, path, err);
}

/* One that has contents is checked by target_state.c, and stays as it is until the backup fits. */
static int
make_one(struct layout *layout, const char *path, bool fresh, struct hq_error *err)
{
    if (hq_io_make_dirs(path, 0700, err) != 0)
        return -1;
    return fresh ? set_modes(layout, path, true, err) : 0;
}

/* A lock on the directory itself leaves nothing behind. */
static int
take_lock(struct layout *layout, int how, struct hq_error *err)
{
    layout->lock = open(layout->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layout->lock < 0)
        return errno == ENOTDIR
                   ? hq_fail(err, HQ_E_EXISTS, "%s is not a directory", layout->directory)
                   : hq_fail_sys(err, errno, "open directory %s", layout->directory);
    if (flock(layout->lock, how | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return hq_fail_sys(err, errno, "lock %s", layout->directory);
    return hq_fail(err, HQ_E_BUSY, "another restore to %s, or a plan of one, is under way",
                   layout->directory);
}

/* Two that are empty may still be one: the files of both would lie in each other's way. */
static int
check_distinct(const struct layout *layout, size_t count, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;
    const char *location = layout_tablespace(layout, root->tablespaces[count].oid);
    struct stat mine, other;

    if (stat(location, &mine) != 0)
        return layout->look != NULL ? 0 : hq_fail_sys(err, errno, "look at %s", location);
    for (size_t i = 0; i <= count; i++) {
        const char *path =
            i == count ? layout->directory : layout_tablespace(layout, root->tablespaces[i].oid);

        if (stat(path, &other) != 0) {
            if (layout->look != NULL)
                continue; /* not made yet */
            return hq_fail_sys(err, errno, "look at %s", path);
        }
        if (mine.st_dev == other.st_dev && mine.st_ino == other.st_ino)
            return hq_fail(err, HQ_E_USAGE, "%s is %s", location,
                           i == count ? "the data directory" : "another tablespace's too");
    }
    return 0;
}

static int
prepare_tablespace(struct layout *layout, const struct marker *marker, size_t number,
                   struct hq_error *err)
{
    const struct hq_tablespace *t = &layout->plan->root.tablespaces[number];
    const char *location = layout_tablespace(layout, t->oid);
    int there;

    if (location[0] != '/')
        return hq_fail(err, HQ_E_USAGE, "tablespace %u: %s is not an absolute path", t->oid,
                       location);
    there = target_check_tablespace(layout, marker, t->oid, location, err);
    if (there >= 0 && (layout->look != NULL || make_one(layout, location, there == 0, err) == 0) &&
        check_distinct(layout, number, err) == 0)
        return 0;
    hq_error_prefix(err, "tablespace %u", t->oid);
    err->hint[0] = '\0'; /* moving a live tablespace away is the wrong advice */
    return hq_error_hint(err, "give it another place with --tablespace-map %u=/new/path", t->oid);
}

/* The data directory and the tablespaces', so far as they may be had. */
static int
take_places(struct layout *layout, struct marker *marker, struct hq_error *err)
{
    int there;

    if (hq_io_make_dirs(layout->directory, 0700, err) != 0 || take_lock(layout, LOCK_EX, err) != 0)
        return -1;
    there = target_check_directory(layout, marker, err);
    if (there < 0 || make_one(layout, layout->directory, there == 0, err) != 0)
        return -1;
    layout->keep = there == 1;
    for (size_t i = 0; i < layout->plan->root.tablespace_count; i++)
        if (prepare_tablespace(layout, marker, i, err) != 0)
            return -1;
    return 0;
}

static int
settle_places(struct layout *layout, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;

    if (set_modes(layout, layout->directory, false, err) != 0)
        return -1;
    for (size_t i = 0; i < root->tablespace_count; i++)
        if (set_modes(layout, layout_tablespace(layout, root->tablespaces[i].oid), false, err) != 0)
            return -1;
    return 0;
}

int
target_prepare(struct layout *layout, const struct target_paths *paths, struct hq_error *err)
{
    HQ_AUTO(marker_clear)
    struct marker marker = {0};
    struct stat st;

    if (stat(layout->directory, &st) == 0 && !S_ISDIR(st.st_mode))
        return hq_fail(err, HQ_E_EXISTS, "%s is not a directory", layout->directory);
    if (decide_owner(layout, err) != 0 || take_places(layout, &marker, err) != 0 ||
        target_check_room(layout, paths, err) != 0 || settle_places(layout, err) != 0 ||
        marker_write(layout, "", err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.marker-written");
    return held_take(layout, err);
}

int
target_look(struct layout *layout, struct hq_error *err)
{
    HQ_AUTO(marker_clear)
    struct marker marker = {0};
    struct stat st;
    int there = 0;

    layout->chown = geteuid() == 0;
    if (stat(layout->directory, &st) == 0) {
        if (take_lock(layout, LOCK_SH, err) != 0)
            return -1;
        there = target_check_directory(layout, &marker, err);
    } else if (errno != ENOENT) {
        return hq_fail_sys(err, errno, "look at %s", layout->directory);
    }
    if (there < 0)
        return -1;
    layout->keep = there == 1;
    for (size_t i = 0; i < layout->plan->root.tablespace_count; i++)
        if (prepare_tablespace(layout, &marker, i, err) != 0)
            return -1;
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
