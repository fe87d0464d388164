#include "datadir_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of a directory are held in memory: some 16 bytes each for PostgreSQL's. */
enum {
    NAMES_MAX = 1 << 30
};

void
datadir_list_clear(struct datadir_list *l)
{
    hq_buf_clear(&l->names);
    free(l->items);
    *l = (struct datadir_list){0};
}

const char *
datadir_list_name(const struct datadir_list *l, size_t index)
{
    return (const char *)l->names.data + l->items[index].at;
}

static int
add(struct datadir_list *l, const char *name, bool below, struct hq_error *err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
        void *bigger = reallocarray(l->items, cap, sizeof l->items[0]);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "%zu names of a directory", cap);
        l->items = bigger;
        l->cap = cap;
    }
    l->items[l->count].at = (uint32_t)l->names.len;
    l->items[l->count++].entered = false;
    hq_buf_put(&l->names, name, strlen(name));
    if (below)
        hq_buf_put_u8(&l->names, '/');
    hq_buf_put_u8(&l->names, 0);
    return hq_buf_check(&l->names, "the names of one directory", err);
}

/* Not every file system says in its listing what a name is. */
static bool
is_directory(int fd, const struct dirent *entry, bool links)
{
    struct stat status;
    unsigned char type = entry->d_type;

    if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISLNK(status.st_mode) ? DT_LNK : DT_REG;
    return type == DT_DIR || (links && type == DT_LNK);
}

static int
read_names(DIR *dir, bool links, struct datadir_list *l, struct hq_error *err)
{
    const struct dirent *entry;

    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno != 0 ? hq_fail_sys(err, errno, "list it") : 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (add(l, entry->d_name, false, err) != 0 ||
            (is_directory(dirfd(dir), entry, links) && add(l, entry->d_name, true, err) != 0))
            return -1;
    }
}

static int
compare(const void *a, const void *b, void *names)
{
    const uint32_t *x = a, *y = b; /* `at` is the first member */

    return strcmp((const char *)names + *x, (const char *)names + *y);
}

int
datadir_list_read(int fd, bool links, struct datadir_list *out, struct hq_error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    int failed;

    *out = (struct datadir_list){.names = {.limit = NAMES_MAX}};
    if (dir == NULL) {
        failed = hq_fail_sys(err, errno, "open it");
        if (copy >= 0)
            (void)close(copy);
        return failed;
    }
    failed = read_names(dir, links, out, err);
    (void)closedir(dir);
    if (failed == 0 && out->count > 1)
        qsort_r(out->items, out->count, sizeof out->items[0], compare, out->names.data);
    if (failed != 0)
        datadir_list_clear(out);
    return failed;
}

size_t
datadir_list_find(const struct datadir_list *l, const char *name, size_t len)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *there = datadir_list_name(l, middle);
        int order = strncmp(there, name, len);

        if (order == 0 && there[len] != '\0')
            order = 1;
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
