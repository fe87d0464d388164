#include "target_extras.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "marker.h"

void
target_paths_clear(struct target_paths *p)
{
    free(p->items);
    *p = (struct target_paths){0};
}

enum kind {
    KIND_FILE = 'f',
    KIND_DIRECTORY = 'd',
    KIND_LINK = 'l',
    KIND_OTHER = 'o'
};

static struct target_path
hash_of(const char *path, enum kind kind)
{
    struct hq_hasher hasher;
    struct target_path out;
    uint8_t byte = (uint8_t)kind;
    struct hq_id id;

    hq_hasher_begin(&hasher, NULL);
    hq_hasher_add(&hasher, &byte, 1);
    hq_hasher_add(&hasher, path, strlen(path));
    hq_hasher_end(&hasher, &id);
    memcpy(out.bytes, id.bytes, sizeof out.bytes);
    return out;
}

int
target_paths_add(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct target_paths *p = context;
    enum kind kind = entry->type == HQ_ENTRY_DIRECTORY ? KIND_DIRECTORY
                     : entry->type == HQ_ENTRY_SYMLINK ? KIND_LINK
                                                       : KIND_FILE;

    if (p->count == p->cap) {
        size_t cap = p->cap + p->cap / 2 + 1024;
        void *items = reallocarray(p->items, cap, sizeof *p->items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu paths", cap);
        p->items = items;
        p->cap = cap;
    }
    /* pg_control is there under another name until the end. */
    p->items[p->count++] = strcmp(entry->path, CONTROL_PATH) == 0
                               ? hash_of(CONTROL_PATH HELD_SUFFIX, kind)
                               : hash_of(entry->path, kind);
    return 0;
}

static int
compare_paths(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct target_path));
}

/** A walk through one tree: the data directory, or a tablespace. */
struct walk {
    struct layout *layout;
    const struct target_paths *paths;
    bool spare_top;                   /**< what is unknown at the top is somebody else's */
    char path[HQ_PATH_BYTES_MAX + 2]; /**< of the manifest, as far as the walk is */
};

static bool
is_known(const struct walk *w, enum kind kind)
{
    struct target_path key = hash_of(w->path, kind);

    return w->paths->count > 0 &&
           bsearch(&key, w->paths->items, w->paths->count, sizeof key, compare_paths) != NULL;
}

static int
remove_extra(struct walk *w, DIR *dir, const char *name, const char *full, enum kind kind,
             struct hq_error *err)
{
    if (kind == KIND_DIRECTORY) {
        if (hq_io_remove_tree(full, err) != 0)
            return -1;
    } else if (unlinkat(dirfd(dir), name, 0) != 0 && errno != ENOENT) {
        return hq_fail_sys(err, errno, "remove %s", full);
    }
    w->layout->result->removed++;
    return 0;
}

static int walk_directory(struct walk *w, int parent, const char *name, const char *full, bool top,
                          struct hq_error *err);

static enum kind
kind_of(const struct stat *st)
{
    return S_ISDIR(st->st_mode)   ? KIND_DIRECTORY
           : S_ISREG(st->st_mode) ? KIND_FILE
           : S_ISLNK(st->st_mode) ? KIND_LINK
                                  : KIND_OTHER;
}

/* One name in @p dir, whose path of the manifest is in w->path. */
static int
look_at(struct walk *w, DIR *dir, const char *name, const char *parent, bool top,
        struct hq_error *err)
{
    HQ_FREE char *full = hq_path_join(parent, name, err);
    struct stat st;
    enum kind kind;

    if (full == NULL)
        return -1;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "look at %s", full);
    kind = kind_of(&st);
    if (is_known(w, kind))
        return kind == KIND_DIRECTORY ? walk_directory(w, dirfd(dir), name, full, false, err) : 0;
    if (top && (w->spare_top || marker_is(name)))
        return 0;
    return remove_extra(w, dir, name, full, kind, err);
}

static int
walk_names(struct walk *w, DIR *dir, const char *full, bool top, struct hq_error *err)
{
    size_t len = strlen(w->path);
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(dir)) != NULL) {
        int failed;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (len + 1 + strlen(entry->d_name) > HQ_PATH_BYTES_MAX)
            return hq_fail(err, HQ_E_UNSUPPORTED, "%s/%s: the path is too long", full,
                           entry->d_name);
        snprintf(w->path + len, sizeof w->path - len, "%s%s", len > 0 ? "/" : "", entry->d_name);
        failed = look_at(w, dir, entry->d_name, full, top, err);
        w->path[len] = '\0';
        if (failed != 0)
            return -1;
    }
    return errno != 0 ? hq_fail_sys(err, errno, "read directory %s", full) : 0;
}

static int
walk_directory(struct walk *w, int parent, const char *name, const char *full, bool top,
               struct hq_error *err)
{
    /* The top may be a link of the administrator's; below it nothing may. */
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (top ? 0 : O_NOFOLLOW));
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int failed;

    if (dir == NULL) {
        hq_fail_sys(err, errno, "open directory %s", full);
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    failed = walk_names(w, dir, full, top, err);
    closedir(dir);
    return failed;
}

int
target_remove_extras(struct layout *layout, struct target_paths *paths, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;
    struct walk w = {.layout = layout, .paths = paths};

    if (paths->count > 0)
        qsort(paths->items, paths->count, sizeof *paths->items, compare_paths);
    if (walk_directory(&w, AT_FDCWD, layout->directory, layout->directory, true, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.extras-removed");
    w.spare_top = true;
    for (size_t i = 0; i < root->tablespace_count; i++) {
        const char *location = layout_tablespace(layout, root->tablespaces[i].oid);

        snprintf(w.path, sizeof w.path, "pg_tblspc/%u", root->tablespaces[i].oid);
        if (walk_directory(&w, AT_FDCWD, location, location, true, err) != 0)
            return -1;
    }
    return 0;
}
