#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "repository/wal.h"

#define SPOOL_SUFFIX ".spool"

struct segment *
segment_open(struct hq_archiver *a, uint32_t timeline, uint64_t start, struct hq_error *err)
{
    struct segment *s = calloc(1, sizeof *s);
    char name[HQ_CLUSTER_NAME_MAX + 64], file[25];

    if (s == NULL) {
        hq_fail(err, HQ_E_NOMEM, "segment");
        return NULL;
    }
    *s = (struct segment){
        .timeline = timeline, .start = start, .received = start, .stored = start, .fd = -1};
    hq_wal_file_name(timeline, start, a->system.wal_segment_size, file);
    snprintf(name, sizeof name, "%s.%s%s", a->cluster, file, SPOOL_SUFFIX);
    s->path = hq_path_join(a->spool, name, err);
    if (s->path != NULL) {
        s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->fd < 0)
            hq_fail_sys(err, errno, "create spool file %s", s->path);
    }
    if (s->fd < 0) {
        segment_drop(s);
        return NULL;
    }
    return s;
}

int
segment_write(struct segment *s, uint64_t lsn, const uint8_t *data, size_t len,
              struct hq_error *err)
{
    if (hq_io_pwrite(s->fd, data, len, lsn - s->start, s->path, err) != 0)
        return err->code == HQ_E_NO_SPACE
                   ? hq_error_hint(err, "make room in the spool's file system: WAL stays on the "
                                        "server meanwhile")
                   : -1;
    return 0;
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
    uint8_t *room;

    out->len = 0;
    room = hq_buf_grow(out, len);
    if (room == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%zu bytes of WAL", len);
    if (hq_io_pread(s->fd, room, len, from - s->start, &got, s->path, err) != 0)
        return -1;
    return got == len ? 0 : hq_fail(err, HQ_E_CORRUPT, "spool file %s is too short", s->path);
}

void
segment_drop(struct segment *s)
{
    if (s == NULL)
        return;
    if (s->fd >= 0) {
        (void)close(s->fd);
        (void)unlink(s->path); /* what stays behind is removed by the next start */
    }
    free(s->path);
    free(s);
}

int
spool_clean(struct hq_archiver *a, struct hq_error *err)
{
    size_t prefix = strlen(a->cluster);
    struct dirent *entry;
    DIR *dir;

    if (hq_io_make_dirs(a->spool, 0700, err) != 0)
        return -1;
    dir = opendir(a->spool);
    if (dir == NULL)
        return hq_fail_sys(err, errno, "open spool %s", a->spool);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > prefix + strlen(SPOOL_SUFFIX) &&
            strncmp(entry->d_name, a->cluster, prefix) == 0 && entry->d_name[prefix] == '.' &&
            strcmp(entry->d_name + len - strlen(SPOOL_SUFFIX), SPOOL_SUFFIX) == 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return 0;
}
