#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "postgres/walsummary.h"
#include "summaryfile.h"

enum {
    /* More than bytes_max allows of files of the smallest size. */
    FILES_MAX = 1 << 22
};

struct listed {
    struct summaryfile file;
    uint64_t bytes;
};

struct listing {
    struct listed *items;
    size_t count, cap;
};

static void
listing_clear(struct listing *l)
{
    free(l->items);
}

static void
close_directory(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

static int
add(struct listing *l, const struct listed *item, struct hq_error *err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap > 0 ? l->cap * 2 : 256;
        struct listed *grown = cap <= FILES_MAX ? realloc(l->items, cap * sizeof *grown) : NULL;

        if (grown == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of WAL summaries");
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->count++] = *item;
    return 0;
}

static int
list(DIR *d, const char *directory, struct listing *out, struct hq_error *err)
{
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(d)) != NULL) {
        struct listed item;
        struct stat st;

        if (!summaryfile_parse_name(entry->d_name, &item.file) ||
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        item.bytes = (uint64_t)st.st_size;
        if (add(out, &item, err) != 0)
            return -1;
    }
    return errno == 0 ? 0 : hq_fail_sys(err, errno, "read directory %s", directory);
}

static int
compare_age(const void *a, const void *b)
{
    const struct summaryfile *x = &((const struct listed *)a)->file;
    const struct summaryfile *y = &((const struct listed *)b)->file;

    if (x->segment_lsn != y->segment_lsn)
        return x->segment_lsn < y->segment_lsn ? -1 : 1;
    return (x->timeline > y->timeline) - (x->timeline < y->timeline);
}

static int delete (DIR *d, const struct summaryfile *f, struct hq_error *err)
{
    char name[SUMMARYFILE_NAME_MAX];

    summaryfile_name(f, name);
    if (unlinkat(dirfd(d), name, 0) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove WAL summary %s", name);
    return 0;
}

int
hq_wal_summary_prune(const char *directory, const struct hq_wal_summary_keep *keep,
                     struct hq_error *err)
{
    HQ_AUTO(close_directory)
    DIR *d = opendir(directory);
    HQ_AUTO(listing_clear)
    struct listing l = {0};
    uint64_t bytes = 0;

    if (d == NULL)
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "open directory %s", directory);
    if (list(d, directory, &l, err) != 0)
        return -1;
    if (l.count > 0)
        qsort(l.items, l.count, sizeof *l.items, compare_age);
    for (size_t i = 0; i < l.count; i++)
        bytes += l.items[i].bytes;
    for (size_t i = 0; i < l.count; i++) {
        const struct summaryfile *f = &l.items[i].file;

        if (f->system_identifier == keep->system_identifier && bytes <= keep->bytes_max &&
            (f->segment_lsn >= keep->from_lsn ||
             keep->from_lsn - f->segment_lsn < keep->segment_size))
            continue;
        if (delete (d, f, err) != 0)
            return -1;
        bytes -= l.items[i].bytes;
    }
    return 0;
}
