#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "spool_internal.h"

#define SPOOL_SUFFIX ".spool"

enum {
    FILES_MAX = 1 << 20,
    NAME_MAX_BYTES = 512
};

/* Another cluster's files may lie in the same directory, and its name may begin like this one's. */
static bool
is_spool_file(const char *name, const char *cluster)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = strlen(cluster), digit_count;

    if (strncmp(name, cluster, len) != 0 || name[len] != '.')
        return false;
    name += len + 1;
    if (strspn(name, digits) != 16 || name[16] != '.')
        return false;
    name += 17;
    digit_count = strspn(name, digits);
    return (digit_count == 24 && strcmp(name + 24, SPOOL_SUFFIX) == 0) ||
           (digit_count == 8 && strcmp(name + 8, ".history" SPOOL_SUFFIX) == 0);
}

/* Hash what lies between two marks. @return 1: it holds, 0: it does not, -1. */
static int
holds(const struct spool_file *f, uint64_t begin, const struct spool_mark *mark,
      struct hq_buf *buffer, struct hq_error *err)
{
    size_t len = (size_t)(mark->end - begin), got;

    buffer->len = 0;
    if (hq_buf_reserve(buffer, len, err) != 0 ||
        hq_io_pread(f->fd, hq_buf_grow(buffer, len), len, begin - f->id.start, &got, f->path,
                    err) != 0)
        return -1;
    return got == len && spool_hash(f, buffer->data, len) == mark->hash;
}

/* Take marks as long as they follow each other and hold. */
static int
read_marks(struct spool_file *f, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf buffer = {0};
    uint64_t area = spool_area(&f->id), limit = f->id.start + area;

    for (size_t i = 0; f->synced < limit; i++) {
        uint8_t bytes[SPOOL_MARK_BYTES];
        struct spool_mark mark;
        size_t got;
        int held;

        if (hq_io_pread(f->fd, bytes, sizeof bytes,
                        area + SPOOL_HEADER_BYTES + i * SPOOL_MARK_BYTES, &got, f->path, err) != 0)
            return -1;
        if (got != sizeof bytes || !spool_decode_mark(f, i, bytes, &mark) ||
            mark.end <= f->synced || mark.end > limit)
            return 0;
        held = holds(f, f->synced, &mark, &buffer, err);
        if (held <= 0)
            return held;
        if (spool_add_mark(f, &mark, err) != 0)
            return -1;
        f->synced = f->written = mark.end;
    }
    return 0;
}

/* Never delete what somebody may want to look at. */
static int
set_aside(const char *path, struct hq_error *err)
{
    char aside[4096];

    if (snprintf(aside, sizeof aside, "%s.damaged", path) >= (int)sizeof aside ||
        rename(path, aside) != 0)
        return hq_fail_sys(err, errno, "rename spool file %s", path);
    hq_log(HQ_LOG_ERROR, "a spool file is damaged and was set aside; its WAL is asked for again",
           HQ_F_TEXT("file", aside));
    return 0;
}

/* @return an open file whose header holds, or NULL: with an error, or without one for a wreck. */
static struct spool_file *
open_file(const struct spool *spool, const char *path, struct hq_error *err)
{
    uint8_t header[SPOOL_HEADER_BYTES];
    HQ_FREE char *expected = NULL;
    struct spool_file *f;
    struct spool_id id;
    uint64_t seed;
    struct stat status;
    size_t got = 0;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        (void)hq_fail_sys(err, errno, "open spool file %s", path);
        return NULL;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(fd);
        return NULL;
    }
    /* Where the header is depends on what it says: it is the same for all sizes but the place. */
    for (uint64_t area = SPOOL_HISTORY_MAX; area <= UINT64_C(1) << 30; area *= 2) {
        if (hq_io_pread(fd, header, sizeof header, area, &got, path, err) != 0)
            break;
        if (got != sizeof header || !spool_decode_header(header, &id, &seed) ||
            spool_area(&id) != area)
            continue;
        expected = spool_path(spool, &id, err);
        if (expected == NULL || strcmp(expected, path) != 0)
            break;
        f = spool_file_new(&id, expected, err);
        expected = NULL;
        if (f == NULL)
            break;
        f->fd = fd;
        f->seed = seed;
        f->listed = true;
        (void)XXH3_64bits_reset_withSeed(f->hash, seed);
        return f;
    }
    (void)close(fd);
    return NULL;
}

/* Whether something was synced once, though nothing of it holds any more. */
static bool
had_marks(const struct spool_file *f, const char *path)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t offset = spool_area(&f->id) + SPOOL_HEADER_BYTES;
    uint8_t bytes[SPOOL_MARK_BYTES];
    struct hq_error ignored = {0};
    struct spool_mark mark;
    size_t got;

    for (size_t i = 0; fd >= 0; i++) {
        if (hq_io_pread(fd, bytes, sizeof bytes, offset + i * sizeof bytes, &got, path, &ignored) !=
                0 ||
            got != sizeof bytes)
            return false;
        if (spool_decode_mark(f, i, bytes, &mark))
            return true;
    }
    return true;
}

/* @p out NULL: nothing of it counts; *damaged: but it did once. */
static int
take_file(const struct spool *spool, const char *path, struct spool_file **out, bool *damaged,
          struct hq_error *err)
{
    struct stat status;

    *out = open_file(spool, path, err);
    if (*out == NULL) {
        if (err->code != HQ_E_OK)
            return -1;
        /* Died before the first sync: not even the header need be there. */
        if (lstat(path, &status) == 0 && status.st_size <= SPOOL_HISTORY_MAX)
            return unlink(path) == 0 ? 0 : hq_fail_sys(err, errno, "remove spool file %s", path);
        *damaged = true;
        return set_aside(path, err);
    }
    if (read_marks(*out, err) != 0) {
        spool_file_close(*out);
        *out = NULL;
        return -1;
    }
    (void)close((*out)->fd);
    (*out)->fd = -1;
    if ((*out)->synced > (*out)->id.start)
        return 0;
    if (had_marks(*out, path)) {
        *damaged = true;
        spool_file_close(*out);
        *out = NULL;
        return set_aside(path, err);
    }
    spool_file_remove(*out);
    *out = NULL;
    return 0;
}

static int
compare_files(const void *a, const void *b)
{
    const struct spool_id *x = &(*(struct spool_file *const *)a)->id;
    const struct spool_id *y = &(*(struct spool_file *const *)b)->id;

    if (x->system_identifier != y->system_identifier)
        return x->system_identifier < y->system_identifier ? -1 : 1;
    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind == SPOOL_HISTORY ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int
add_file(struct spool_files *files, struct spool_file *f, size_t *cap, struct hq_error *err)
{
    if (files->count == *cap) {
        size_t wanted = *cap == 0 ? 16 : *cap * 2;
        struct spool_file **items = reallocarray(files->items, wanted, sizeof(struct spool_file *));

        if (items == NULL || wanted > FILES_MAX) {
            spool_file_close(f);
            return hq_fail(err, HQ_E_NOMEM, "list of %zu spool files", wanted);
        }
        files->items = items;
        *cap = wanted;
    }
    files->items[files->count++] = f;
    return 0;
}

static int
scan_directory(const struct spool *spool, DIR *dir, struct spool_files *out, struct hq_error *err)
{
    struct dirent *entry;
    size_t cap = 0;

    while ((entry = readdir(dir)) != NULL) {
        struct spool_file *f = NULL;
        HQ_FREE char *path = NULL;

        if (strlen(entry->d_name) > NAME_MAX_BYTES || !is_spool_file(entry->d_name, spool->cluster))
            continue;
        path = hq_path_join(spool->directory, entry->d_name, err);
        if (path == NULL || take_file(spool, path, &f, &out->damaged, err) != 0 ||
            (f != NULL && add_file(out, f, &cap, err) != 0))
            return -1;
    }
    return 0;
}

int
spool_recover(const struct spool *spool, struct spool_files *out, struct hq_error *err)
{
    DIR *dir = opendir(spool->directory);
    int failed;

    *out = (struct spool_files){0};
    if (dir == NULL)
        return hq_fail_sys(err, errno, "open spool %s", spool->directory);
    failed = scan_directory(spool, dir, out, err);
    (void)closedir(dir);
    if (failed != 0)
        spool_files_clear(out);
    else if (out->count > 0)
        qsort(out->items, out->count, sizeof *out->items, compare_files);
    return failed;
}

void
spool_files_clear(struct spool_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        spool_file_close(files->items[i]);
    free(files->items);
    *files = (struct spool_files){0};
}
