#include "target_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "held.h"
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
    p->items[p->count++] = hash_of(entry->path, kind);
    return 0;
}

static int
compare_paths(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct target_path));
}

void
target_paths_sort(struct target_paths *p)
{
    if (p->count > 0)
        qsort(p->items, p->count, sizeof *p->items, compare_paths);
}

/** A walk through one tree: the data directory, or a tablespace. */
struct walk {
    const struct target_paths *paths;
    const struct target_visitor *visitor;
    size_t place;
    bool top;                         /**< at the names of the tree's own directory */
    bool inner;                       /**< below what the backup does not have */
    char path[HQ_PATH_BYTES_MAX + 2]; /**< of the manifest, as far as the walk is */
};

static bool
is_known(const struct walk *w, enum kind kind)
{
    /* Some are there under another name until the end. */
    const char *held = w->place == 0 && kind == KIND_FILE ? held_of(w->path) : NULL;
    struct target_path key = hash_of(held != NULL ? held : w->path, kind);

    return !w->inner && w->paths->count > 0 &&
           bsearch(&key, w->paths->items, w->paths->count, sizeof key, compare_paths) != NULL;
}

static int walk_directory(struct walk *w, int parent, const char *name, const char *full,
                          struct hq_error *err);

static enum kind
kind_of(const struct stat *st)
{
    return S_ISDIR(st->st_mode)   ? KIND_DIRECTORY
           : S_ISREG(st->st_mode) ? KIND_FILE
           : S_ISLNK(st->st_mode) ? KIND_LINK
                                  : KIND_OTHER;
}

static int
descend(struct walk *w, const struct target_found *found, bool inner, struct hq_error *err)
{
    const struct walk before = {.top = w->top, .inner = w->inner};
    int failed;

    w->top = false;
    w->inner = inner;
    failed = walk_directory(w, dirfd(found->dir), found->name, found->full, err);
    w->top = before.top;
    w->inner = before.inner;
    return failed;
}

/* What the restore itself put into the data directory. */
static bool
is_own(const struct target_found *found)
{
    return marker_is(found->name) ||
           (strcmp(found->name, HELD_CONF) == 0 && held_is_notice(found->full));
}

static int
visit(struct walk *w, const struct target_found *found, struct hq_error *err)
{
    const struct target_visitor *v = w->visitor;
    enum kind kind = kind_of(found->st);

    if (is_known(w, kind)) {
        if (v->known != NULL && v->known(found, v->context, err) != 0)
            return -1;
        return kind == KIND_DIRECTORY ? descend(w, found, false, err) : 0;
    }
    if (w->top && (w->place > 0 || is_own(found)))
        return 0;
    if (v->extra(found, v->context, err) != 0)
        return -1;
    return kind == KIND_DIRECTORY && v->into_extras ? descend(w, found, true, err) : 0;
}

/* One name in @p dir, whose path of the manifest is in w->path. */
static int
look_at(struct walk *w, DIR *dir, const char *name, const char *parent, struct hq_error *err)
{
    HQ_FREE char *full = hq_path_join(parent, name, err);
    struct stat st;
    const struct target_found found = {
        .place = w->place, .dir = dir, .name = name, .full = full, .st = &st, .inner = w->inner};

    if (full == NULL)
        return -1;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "look at %s", full);
    return visit(w, &found, err);
}

static int
walk_names(struct walk *w, DIR *dir, const char *full, struct hq_error *err)
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
        failed = look_at(w, dir, entry->d_name, full, err);
        w->path[len] = '\0';
        if (failed != 0)
            return -1;
    }
    return errno != 0 ? hq_fail_sys(err, errno, "read directory %s", full) : 0;
}

static int
walk_directory(struct walk *w, int parent, const char *name, const char *full, struct hq_error *err)
{
    /* The top may be a link of the administrator's; below it nothing may. */
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (w->top ? 0 : O_NOFOLLOW));
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int failed;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (dir == NULL) {
        hq_fail_sys(err, errno, "open directory %s", full);
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    failed = walk_names(w, dir, full, err);
    closedir(dir);
    return failed;
}

int
target_walk(const struct layout *layout, const struct target_paths *paths,
            const struct target_visitor *visitor, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;
    struct walk w = {.paths = paths, .visitor = visitor, .top = true};

    if (walk_directory(&w, AT_FDCWD, layout->directory, layout->directory, err) != 0)
        return -1;
    for (w.place = 1; w.place <= root->tablespace_count; w.place++) {
        uint32_t oid = root->tablespaces[w.place - 1].oid;
        const char *location = layout_tablespace(layout, oid);

        snprintf(w.path, sizeof w.path, "pg_tblspc/%u", oid);
        if (walk_directory(&w, AT_FDCWD, location, location, err) != 0)
            return -1;
    }
    return 0;
}
