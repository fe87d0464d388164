/* List: the tree in the order of whole names, as a flat store has it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "posix_internal.h"

/* Where a listing is. `path` is the name of the entry looked at, from the root. */
struct walk {
    const char *prefix;
    hq_store_list_fn *each;
    void *context;
    bool stopped;                      /* by `each`: the error is the user's */
    char path[HQ_OBJECT_NAME_MAX + 2]; /* a directory's with a slash at its end */
};

/*
 * The entries of one directory. A directory's name ends in '/', so that sorting by bytes puts "a.b"
 * before "a/" and "a/" before "a0": each subtree then stands where a flat store has its objects.
 */
struct entries {
    char **name;
    size_t count;
    size_t capacity;
};

static void
entries_clear(struct entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->name[i]);
    free(e->name);
}

static int
entries_add(struct entries *e, const char *name, bool directory, struct hq_error *err)
{
    if (e->count == e->capacity) {
        size_t capacity = e->capacity == 0 ? 64 : e->capacity * 2;
        char **grown = reallocarray(e->name, capacity, sizeof *grown);
        if (grown == NULL)
            return hq_fail(err, HQ_E_NOMEM, "%zu names", capacity);
        e->name = grown;
        e->capacity = capacity;
    }
    size_t len = strlen(name);
    char *copy = malloc(len + 2);
    if (copy == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a name");
    memcpy(copy, name, len);
    strcpy(copy + len, directory ? "/" : "");
    e->name[e->count++] = copy;
    return 0;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether objects below or at @p path can begin with the prefix. */
static bool
wanted(const struct walk *walk)
{
    size_t path_len = strlen(walk->path);
    size_t prefix_len = strlen(walk->prefix);
    bool directory = path_len > 0 && walk->path[path_len - 1] == '/';
    size_t common = directory && path_len < prefix_len ? path_len : prefix_len;

    return strncmp(walk->path, walk->prefix, common) == 0;
}

/* The type of a directory's entry; DT_UNKNOWN also for one that is gone. */
static unsigned char
type_of(int dir_fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    /* Some file systems don't say. */
    if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

/* Put @p name after the first @p base bytes of the path; false if it makes no object's name. */
static bool
append(struct walk *walk, size_t base, const char *name, bool directory)
{
    size_t len = strlen(name);

    if (base + len > HQ_OBJECT_NAME_MAX)
        return false;
    memcpy(walk->path + base, name, len + 1);
    if (!hq_store_name_legal(walk->path))
        return false;
    strcpy(walk->path + base + len, directory ? "/" : "");
    return true;
}

static int
read_entries(struct walk *walk, size_t base, DIR *dir, struct entries *out, struct hq_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? 0 : hq_fail_sys(err, errno, "read the directory");
        unsigned char type = type_of(dirfd(dir), entry);
        if (type != DT_DIR && type != DT_REG)
            continue;
        if (!append(walk, base, entry->d_name, type == DT_DIR) || !wanted(walk))
            continue;
        if (entries_add(out, entry->d_name, type == DT_DIR, err) != 0)
            return -1;
    }
}

static int
list_file(struct walk *walk, int dir_fd, const char *leaf, struct hq_error *err)
{
    struct hq_object_info info = {0};
    struct stat st;

    if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
        /* Deleted since the directory was read. */
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "stat %s", walk->path);
    if (!S_ISREG(st.st_mode))
        return 0;
    strcpy(info.name, walk->path);
    info.size = (uint64_t)st.st_size;
    info.modified_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
    walk->stopped = walk->each(&info, walk->context, err) != 0;
    return walk->stopped ? -1 : 0;
}

static int list_directory(struct walk *walk, int fd, size_t base, struct hq_error *err);

static int
list_entry(struct walk *walk, int dir_fd, size_t base, const char *name, struct hq_error *err)
{
    size_t len = strlen(name);
    char part[HQ_OBJECT_PART_MAX + 1];

    memcpy(walk->path + base, name, len + 1);
    if (name[len - 1] != '/')
        return list_file(walk, dir_fd, name, err);
    /* Without the slash, with which the kernel would follow a link. */
    memcpy(part, name, len - 1);
    part[len - 1] = '\0';
    int fd = hq_posix_enter(dir_fd, part, err);
    return fd < 0 ? -1 : list_directory(walk, fd, base + len, err);
}

/*
 * List what is below @p fd, which is closed here; its path has @p base bytes. A name has at most
 * 256 parts, which bounds the depth and the descriptors open at once.
 */
static int
list_directory(struct walk *walk, int fd, size_t base, struct hq_error *err)
{
    HQ_AUTO(entries_clear)
    struct entries found = {0};
    DIR *dir = fdopendir(fd);
    int rc;

    if (dir == NULL) {
        rc = hq_fail_sys(err, errno, "open the directory");
        (void)close(fd);
        return rc;
    }
    rc = read_entries(walk, base, dir, &found, err);
    if (rc == 0 && found.count > 1)
        qsort(found.name, found.count, sizeof *found.name, compare_names);
    for (size_t i = 0; rc == 0 && i < found.count; i++) {
        /* A file replaced while the directory is read may come twice. */
        if (i > 0 && strcmp(found.name[i - 1], found.name[i]) == 0)
            continue;
        rc = list_entry(walk, dirfd(dir), base, found.name[i], err);
    }
    (void)closedir(dir);
    return rc;
}

int
hq_posix_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
              struct hq_error *err)
{
    const struct hq_posix *posix = (const struct hq_posix *)store;
    struct walk walk = {.prefix = prefix, .each = each, .context = context};
    /* Not a duplicate of root_fd: threads would share its position. */
    int fd = openat(posix->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return hq_fail_sys(err, errno, "list %s: open the repository's directory", prefix);
    if (list_directory(&walk, fd, 0, err) == 0)
        return 0;
    return walk.stopped ? -1 : hq_error_prefix(err, "list %s", prefix);
}
