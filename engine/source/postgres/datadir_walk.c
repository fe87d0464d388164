#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "datadir.h"
#include "datadir_list.h"
#include "datadir_names.h"
#include "repository/manifest.h"

/*
 * PostgreSQL's own directories are four deep; what somebody put beside them is not, but each level
 * costs a descriptor. A tablespace is created directory first, then link, and dropped the other way
 * round, with moments between: SPACE_TRIES.
 */
enum {
    DEPTH_MAX = 100,
    SPACE_TRIES = 5,
    SPACE_TRY_AGAIN_MS = 200,
    VERSION_SUMMARIES = 17
};

/* What kind of directory is being walked. */
enum place {
    PLACE_OTHER,
    PLACE_TOP,
    PLACE_BASE,     /* base, or PG_15_202209061 of a tablespace: directories of databases */
    PLACE_DATABASE, /* relation files */
    PLACE_SPACES    /* pg_tblspc: links to tablespaces */
};

struct walk {
    const struct hq_datadir *directory;
    hq_datadir_visit *visit;
    void *context;
    bool warn;
    unsigned depth;
    size_t len;
    char path[HQ_PATH_BYTES_MAX + 1];
};

static int walk_directory(struct walk *w, int fd, enum place place, struct hq_error *err);

static int
fail_access(const struct walk *w, const char *what, struct hq_error *err)
{
    hq_fail_sys(err, errno, "%s %s/%s", what, w->directory->path, w->path);
    if (err->code == HQ_E_REFUSED)
        hq_error_hint(err, "run this program as the user who owns the data directory; or, where "
                           "initdb --allow-group-access made it, in that group");
    return -1;
}

/* Make "path/name" the path; the caller sets the length back to what it was. */
static int
push(struct walk *w, const char *name, size_t len, struct hq_error *err)
{
    int used = snprintf(w->path + w->len, sizeof w->path - w->len, "%s%.*s", w->len > 0 ? "/" : "",
                        (int)len, name);

    if (used < 0 || (size_t)used >= sizeof w->path - w->len) {
        w->path[w->len] = '\0';
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: a path of more than %d bytes", w->path,
                       HQ_PATH_BYTES_MAX);
    }
    w->len += (size_t)used;
    return 0;
}

static void
pop(struct walk *w, size_t len)
{
    w->len = len;
    w->path[len] = '\0';
}

static bool
vanished(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* Files of an unlogged relation are made anew from its init fork when the server starts. */
static bool
is_unlogged(const struct datadir_list *l, const char *name)
{
    char init[80];
    size_t digits;
    int len;

    if (!hq_datadir_fork(name, &digits) || digits > 20)
        return false;
    len = snprintf(init, sizeof init, "%.*s_init", (int)digits, name);
    return datadir_list_find(l, init, (size_t)len) != SIZE_MAX;
}

static bool
is_left_out(const struct walk *w, const struct datadir_list *l, const char *name, enum place place)
{
    if (hq_datadir_skips(name) || strcmp(w->path, "global/pg_control") == 0)
        return true;
    return place == PLACE_DATABASE && (hq_datadir_temporary(name) || is_unlogged(l, name));
}

/* A directory that may be a link in the server's, and is none in the backup. */
static void
make_directory(const struct walk *w, struct stat *status)
{
    if (S_ISDIR(status->st_mode))
        return;
    status->st_mode = S_IFDIR | 0700 | (w->directory->status.st_mode & 0050);
}

static int
visit_link(struct walk *w, struct hq_datadir_item *item, struct hq_error *err)
{
    char target[HQ_PATH_BYTES_MAX + 1];
    ssize_t len = readlinkat(item->directory_fd, item->name, target, sizeof target);

    if (len < 0)
        return vanished(errno) || errno == EINVAL ? 0 : fail_access(w, "read", err);
    if (len == 0 || (size_t)len >= sizeof target)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: a link of more than %d bytes", w->path,
                       HQ_PATH_BYTES_MAX);
    target[len] = '\0';
    if (target[0] != '/')
        return hq_fail(err, HQ_E_CORRUPT, "%s: a tablespace at \"%s\", not an absolute path",
                       w->path, target);
    item->kind = HQ_DATADIR_LINK;
    item->target = target;
    return w->visit(item, w->context, err) != 0 ? -1 : 1;
}

/* @return 1 a directory, or link to one, was visited, so that what is below may follow; 0; -1. */
static int
visit_name(struct walk *w, int fd, const char *name, enum place place, struct hq_error *err)
{
    struct hq_datadir_item item = {.path = w->path, .directory_fd = fd, .name = name};
    bool wal = place == PLACE_TOP && strcmp(name, "pg_wal") == 0;
    uint32_t oid;

    if (fstatat(fd, name, &item.status, AT_SYMLINK_NOFOLLOW) != 0)
        return vanished(errno) ? 0 : fail_access(w, "look at", err);
    if (wal || hq_datadir_empties(name))
        make_directory(w, &item.status);
    if (place == PLACE_SPACES && S_ISLNK(item.status.st_mode) && hq_datadir_oid(name, &oid))
        return visit_link(w, &item, err);
    if (!S_ISDIR(item.status.st_mode) && !S_ISREG(item.status.st_mode)) {
        if (w->warn)
            hq_log(HQ_LOG_WARNING, "neither file nor directory: it is not in the backup",
                   HQ_F_TEXT("path", w->path));
        return 0;
    }
    item.kind = S_ISDIR(item.status.st_mode) ? HQ_DATADIR_DIRECTORY : HQ_DATADIR_FILE;
    if (w->visit(&item, w->context, err) != 0)
        return -1;
    return item.kind == HQ_DATADIR_DIRECTORY && !hq_datadir_empties(name);
}

/* What the server needs in pg_wal to start, whatever is in it. */
static int
visit_below_wal(struct walk *w, int fd, struct hq_error *err)
{
    static const char *const names[] = {"archive_status", "summaries"};
    size_t count = w->directory->major >= VERSION_SUMMARIES ? 2 : 1;
    struct hq_datadir_item item = {
        .path = w->path, .kind = HQ_DATADIR_DIRECTORY, .directory_fd = fd};
    size_t len = w->len;

    if (fstatat(fd, "pg_wal", &item.status, AT_SYMLINK_NOFOLLOW) != 0)
        return vanished(errno) ? 0 : fail_access(w, "look at", err);
    make_directory(w, &item.status);
    for (size_t i = 0; i < count; i++) {
        item.name = names[i];
        if (push(w, names[i], strlen(names[i]), err) != 0 || w->visit(&item, w->context, err) != 0)
            return -1;
        pop(w, len);
    }
    return 0;
}

/*
 * Open the place that pg_tblspc/<oid> leads to and, in it, the directory of this version.
 * @return 1; 0: the tablespace was dropped; -1.
 */
static int
open_tablespace(const struct walk *w, int fd, const char *oid, int *place_fd, int *version_fd,
                struct hq_error *err)
{
    const char *version = w->directory->version_directory;
    struct stat status;

    for (int i = 0; i < SPACE_TRIES; i++) {
        if (i > 0)
            (void)hq_clock_sleep_ms(SPACE_TRY_AGAIN_MS, NULL);
        if (fstatat(fd, oid, &status, AT_SYMLINK_NOFOLLOW) != 0)
            return vanished(errno) ? 0 : fail_access(w, "look at", err);
        *place_fd = openat(fd, oid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*place_fd < 0 && errno != ENOENT)
            return fail_access(w, "open", err);
        if (*place_fd < 0)
            continue;
        *version_fd = openat(*place_fd, version, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (*version_fd >= 0)
            return 1;
        if (errno != ENOENT)
            return fail_access(w, "open the version's directory in", err);
        (void)close(*place_fd);
        *place_fd = -1;
    }
    hq_fail(err, HQ_E_MISSING, "%s/%s: there is no %s where it leads to", w->directory->path,
            w->path, version);
    return hq_error_hint(err, "mount each tablespace here under the path it has on the server "
                              "(\\db in psql lists them)");
}

static int
walk_tablespace(struct walk *w, int fd, const char *oid, struct hq_error *err)
{
    HQ_CLOSE int place_fd = -1;
    HQ_CLOSE int version_fd = -1;
    const char *version = w->directory->version_directory;
    struct hq_datadir_item item = {.path = w->path, .kind = HQ_DATADIR_DIRECTORY, .name = version};
    int there = open_tablespace(w, fd, oid, &place_fd, &version_fd, err);

    if (there <= 0)
        return there;
    item.directory_fd = place_fd;
    if (push(w, version, strlen(version), err) != 0)
        return -1;
    if (fstat(version_fd, &item.status) != 0)
        return fail_access(w, "look at", err);
    if (w->visit(&item, w->context, err) != 0)
        return -1;
    return walk_directory(w, version_fd, PLACE_BASE, err);
}

static enum place
place_below(enum place place, const char *name)
{
    if (place == PLACE_TOP && strcmp(name, "base") == 0)
        return PLACE_BASE;
    if (place == PLACE_TOP && strcmp(name, "pg_tblspc") == 0)
        return PLACE_SPACES;
    if (place == PLACE_BASE && name[strspn(name, "0123456789")] == '\0')
        return PLACE_DATABASE;
    return PLACE_OTHER;
}

/* Walk what is below the directory @p name, which was visited. */
static int
walk_below(struct walk *w, int parent_fd, const char *name, enum place place, struct hq_error *err)
{
    HQ_CLOSE int fd = -1;
    uint32_t oid;

    if (place == PLACE_TOP && strcmp(name, "pg_wal") == 0)
        return visit_below_wal(w, parent_fd, err);
    if (place == PLACE_SPACES && hq_datadir_oid(name, &oid))
        return walk_tablespace(w, parent_fd, name, err);
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return vanished(errno) ? 0 : fail_access(w, "open", err);
    return walk_directory(w, fd, place_below(place, name), err);
}

/* Item @p index: itself, or what is below it (see datadir_list.h). */
static int
walk_item(struct walk *w, int fd, struct datadir_list *l, size_t index, enum place place,
          struct hq_error *err)
{
    const char *name = datadir_list_name(l, index);
    size_t len = strlen(name), before = w->len;
    bool below = name[len - 1] == '/';
    int rc;

    if (below)
        len--;
    if (push(w, name, len, err) != 0)
        return -1;
    if (below) {
        size_t self = datadir_list_find(l, name, len);

        rc = self != SIZE_MAX && l->items[self].entered
                 ? walk_below(w, fd, datadir_list_name(l, self), place, err)
                 : 0;
    } else if (is_left_out(w, l, name, place)) {
        rc = 0;
    } else {
        rc = visit_name(w, fd, name, place, err);
        l->items[index].entered = rc > 0;
    }
    pop(w, before);
    return rc < 0 ? -1 : 0;
}

static int
walk_directory(struct walk *w, int fd, enum place place, struct hq_error *err)
{
    HQ_AUTO(datadir_list_clear)
    struct datadir_list list = {0};

    if (w->depth == DEPTH_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: more than %d directories deep", w->path,
                       DEPTH_MAX);
    /* pg_wal may be a link, and is walked all the same. */
    if (datadir_list_read(fd, place == PLACE_SPACES || place == PLACE_TOP, &list, err) != 0)
        return hq_error_prefix(err, "%s/%s", w->directory->path, w->path);
    w->depth++;
    for (size_t i = 0; i < list.count; i++) {
        if (walk_item(w, fd, &list, i, place, err) != 0)
            return -1;
    }
    w->depth--;
    return 0;
}

int
hq_datadir_walk(const struct hq_datadir *d, bool warn, hq_datadir_visit *visit, void *context,
                struct hq_error *err)
{
    struct walk *w = calloc(1, sizeof *w);
    int rc;

    if (w == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a walk");
    w->directory = d;
    w->visit = visit;
    w->context = context;
    w->warn = warn;
    rc = walk_directory(w, d->fd, PLACE_TOP, err);
    free(w);
    return rc;
}
