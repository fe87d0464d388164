#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"

/*
 * "<cluster>.<24 digits>.spool". A file lives as long as its segment is not whole in the store.
 * Nothing is read from one that an earlier run left behind: what the store lacks is still on the
 * server, which the slot sees to.
 */
#define SPOOL_SUFFIX ".spool"

enum {
    SEGMENT_NAME_LEN = 24
};

static int
open_spool_file(const struct hq_archiver *a, struct segment *s, struct hq_error *err)
{
    char file[SEGMENT_NAME_LEN + 1], name[HQ_CLUSTER_NAME_MAX + 64];

    hq_wal_file_name(s->timeline, s->start, a->system.wal_segment_size, file);
    snprintf(name, sizeof name, "%s.%s" SPOOL_SUFFIX, a->options.cluster, file);
    s->path = hq_path_join(a->options.spool_directory, name, err);
    if (s->path == NULL)
        return -1;
    s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return s->fd >= 0 ? 0 : hq_fail_sys(err, errno, "create spool file %s", s->path);
}

struct segment *
segment_open(struct hq_archiver *a, uint64_t start, struct hq_error *err)
{
    struct segment *s = calloc(1, sizeof *s);

    if (s == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "WAL segment");
        return NULL;
    }
    *s = (struct segment){.timeline = a->start.timeline,
                          .start = start,
                          .end = start + a->system.wal_segment_size,
                          .received = start,
                          .stored = start,
                          .scanned = start,
                          .fd = -1};
    if (open_spool_file(a, s, err) != 0) {
        segment_drop(s);
        return NULL;
    }
    return s;
}

int
segment_write(struct segment *s, const uint8_t *data, size_t len, struct hq_error *err)
{
    if (hq_io_pwrite(s->fd, data, len, s->received - s->start, s->path, err) == 0)
        return 0;
    if (err->code == HQ_E_NO_SPACE)
        hq_error_hint(err, "make room in the spool's file system; until then WAL stays on the "
                           "server");
    return hq_error_prefix(err, "spool");
}

int
segment_sync(struct segment *s, struct hq_error *err)
{
    return fdatasync(s->fd) == 0 ? 0 : hq_fail_sys(err, errno, "sync spool file %s", s->path);
}

int
segment_read(struct segment *s, uint64_t from, uint64_t to, struct hq_buf *out,
             struct hq_error *err)
{
    size_t len = (size_t)(to - from), got;

    out->len = 0;
    if (hq_buf_reserve(out, len, err) != 0)
        return -1;
    if (hq_io_pread(s->fd, hq_buf_grow(out, len), len, from - s->start, &got, s->path, err) != 0)
        return -1;
    if (got != len)
        return hq_fail(err, HQ_E_CORRUPT, "spool file %s is shorter than what was written",
                       s->path);
    return 0;
}

void
segment_drop(struct segment *s)
{
    if (s == NULL)
        return;
    if (s->fd >= 0) {
        HQ_CRASH_POINT("wal.spool.before-remove");
        (void)close(s->fd);
        (void)unlink(s->path); /* what stays is removed by the next start */
    }
    wal_parts_clear(&s->parts);
    free(s->path);
    free(s);
}

/* Another cluster's files may lie in the same directory, and its name may begin like this one's. */
static bool
is_spool_file(const char *name, const char *cluster)
{
    size_t len = strlen(cluster);

    if (strncmp(name, cluster, len) != 0 || name[len] != '.')
        return false;
    name += len + 1;
    return strspn(name, "0123456789ABCDEF") == SEGMENT_NAME_LEN &&
           strcmp(name + SEGMENT_NAME_LEN, SPOOL_SUFFIX) == 0;
}

int
spool_prepare(const char *directory, const char *cluster, struct hq_error *err)
{
    struct dirent *entry;
    int failed = 0;
    DIR *dir;

    if (hq_io_make_dirs(directory, 0700, err) != 0)
        return hq_error_prefix(err, "spool");
    dir = opendir(directory);
    if (dir == NULL)
        return hq_fail_sys(err, errno, "open spool %s", directory);
    while (failed == 0 && (entry = readdir(dir)) != NULL)
        if (is_spool_file(entry->d_name, cluster) && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            failed = hq_fail_sys(err, errno, "remove spool file %s/%s", directory, entry->d_name);
    (void)closedir(dir);
    return failed;
}
