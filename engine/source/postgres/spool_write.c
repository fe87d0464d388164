#include "spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/crashpoint.h"
#include "base/io.h"
#include "base/log.h"

enum {
    MARKS_FIRST = 64,
    /* Memory is handed to the kernel in such pieces, so that a sync finds little left to write. */
    HAND_OVER_BYTES = 1 << 20,
    /* Less than this is faster through the page cache: one write for it and its mark. */
    DIRECT_MIN_BYTES = 256 << 10
};

int
spool_explain_full(struct hq_error *err)
{
    if (err->code == HQ_E_NO_SPACE)
        hq_error_hint(err, "make room in the spool's file system; until then WAL stays on the "
                           "server");
    return hq_error_prefix(err, "spool");
}

/* A recovered file is opened only when more is to be written: there may be thousands. */
static int
open_for_writing(struct spool_file *f, struct hq_error *err)
{
    if (f->fd < 0)
        f->fd = open(f->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return f->fd >= 0 ? 0 : hq_fail_sys(err, errno, "open spool file %s", f->path);
}

/* Hand [from, to) of what is in memory to the kernel, for its page cache. */
static int
write_cached(const struct spool_file *f, uint64_t from, uint64_t to, struct hq_error *err)
{
    uint64_t offset = from - f->id.start;

    if (from >= to)
        return 0;
    return hq_io_pwrite(f->fd, f->memory + offset, (size_t)(to - from), offset, f->path, err);
}

/* The same past it. What a file system refuses is not tried again. */
static int
write_direct(struct spool_file *f, uint64_t from, uint64_t to, struct hq_error *err)
{
    uint64_t offset = from - f->id.start;

    if (hq_io_pwrite(f->direct_fd, f->memory + offset, (size_t)(to - from), offset, f->path, err) ==
        0)
        return 0;
    if (err->code == HQ_E_NO_SPACE || err->code == HQ_E_NOMEM)
        return -1;
    hq_error_clear(err);
    (void)close(f->direct_fd);
    f->direct_fd = -1;
    return write_cached(f, from, to, err);
}

/*
 * Hand what is in memory up to @p to over. Whole blocks go past the page cache, whose copying costs
 * more than all else here, unless they are few; a block that is handed over in pieces is the page
 * cache's alone.
 */
static int
hand_over(struct spool_file *f, uint64_t to, struct hq_error *err)
{
    uint64_t from = f->handed;
    uint64_t first = (from + SPOOL_BLOCK_BYTES - 1) / SPOOL_BLOCK_BYTES * SPOOL_BLOCK_BYTES;
    uint64_t last = to / SPOOL_BLOCK_BYTES * SPOOL_BLOCK_BYTES;

    if (f->memory == NULL || from >= to)
        return 0;
    if (f->direct_fd < 0 || last < first + DIRECT_MIN_BYTES)
        first = last = to;
    if (write_cached(f, from, first, err) != 0 ||
        (first < last && write_direct(f, first, last, err) != 0) ||
        write_cached(f, last, to, err) != 0)
        return spool_explain_full(err);
    f->handed = to;
    return 0;
}

/* All but the last block, to which more may come. */
static int
hand_over_most(struct spool_file *f, struct hq_error *err)
{
    return hand_over(f, f->written / SPOOL_BLOCK_BYTES * SPOOL_BLOCK_BYTES, err);
}

int
spool_file_write(struct spool_file *f, const void *data, size_t len, struct hq_error *err)
{
    uint64_t offset = f->written - f->id.start;

    if (len > spool_area(&f->id) - offset)
        return hq_fail(err, HQ_E_USAGE, "spool file %s: more than fits in", f->path);
    /* Before anything of @p data is taken: a failure leaves the file as it was. */
    if (open_for_writing(f, err) != 0 ||
        (f->written - f->handed >= HAND_OVER_BYTES && hand_over_most(f, err) != 0))
        return -1;
    HQ_CRASH_POINT("wal.spool.before-write");
    if (f->memory == NULL) {
        if (hq_io_pwrite(f->fd, data, len, offset, f->path, err) != 0)
            return spool_explain_full(err);
        f->handed = f->written + len;
    } else {
        memcpy(f->memory + offset, data, len);
    }
    HQ_CRASH_POINT("wal.spool.after-write");
    (void)XXH3_64bits_update(f->hash, data, len);
    f->written += len;
    return 0;
}

int
spool_add_mark(struct spool_file *f, const struct spool_mark *mark, struct hq_error *err)
{
    int failed = 0;

    pthread_mutex_lock(&f->lock);
    if (f->count == f->cap) {
        size_t cap = f->cap == 0 ? MARKS_FIRST : f->cap * 2;
        struct spool_mark *marks = reallocarray(f->marks, cap, sizeof *marks);

        if (marks == NULL)
            failed = hq_fail(err, HQ_E_NOMEM, "marks of %s", f->path);
        else
            f->marks = marks, f->cap = cap;
    }
    if (failed == 0)
        f->marks[f->count++] = *mark;
    pthread_mutex_unlock(&f->lock);
    return failed;
}

/* The directory's entry is part of what is durable. */
static int
sync_name(struct spool_file *f, struct hq_error *err)
{
    char *slash = strrchr(f->path, '/');
    int failed;

    if (f->listed || slash == NULL)
        return 0;
    *slash = '\0';
    failed = hq_io_sync_dir(f->path, err);
    *slash = '/';
    f->listed = failed == 0;
    return failed;
}

/*
 * What no disk took can still be read back until the next boot, and so could a mark that vouches
 * for it: after a death of this process alone it would be believed.
 */
static int
fail_sync(struct spool_file *f, uint64_t mark_offset, struct hq_error *err)
{
    static const uint8_t no_mark[SPOOL_MARK_BYTES];
    struct hq_error ignored = {0};

    hq_fail_sys(err, errno, "sync spool file %s", f->path);
    if (hq_io_pwrite(f->fd, no_mark, sizeof no_mark, mark_offset, f->path, &ignored) != 0)
        hq_log_error(HQ_LOG_WARNING, "a spool file's mark can't be taken back", &ignored);
    return -1;
}

static int
make_durable(struct spool_file *f, const uint8_t mark[SPOOL_MARK_BYTES], struct hq_error *err)
{
    uint64_t offset = spool_area(&f->id) + SPOOL_HEADER_BYTES + f->count * SPOOL_MARK_BYTES;

    if (hq_io_pwrite(f->fd, mark, SPOOL_MARK_BYTES, offset, f->path, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.spool.before-sync");
    if (fdatasync(f->fd) != 0)
        return fail_sync(f, offset, err);
    return sync_name(f, err);
}

int
spool_file_sync(struct spool_file *f, struct hq_error *err)
{
    struct spool_mark mark = {f->written, XXH3_64bits_digest(f->hash)};
    uint8_t bytes[SPOOL_MARK_BYTES];

    if (f->written == f->synced)
        return 0;
    spool_encode_mark(f, f->count, &mark, bytes);
    if (hand_over(f, f->written, err) != 0 || make_durable(f, bytes, err) != 0 ||
        spool_add_mark(f, &mark, err) != 0) {
        /* The kernel may have called the pages clean: only what is written anew is believed. */
        spool_file_rewind(f);
        return spool_explain_full(err);
    }
    HQ_CRASH_POINT("wal.spool.after-sync");
    f->synced = f->written;
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
    if (f->id.kind == SPOOL_WAL && f->synced == f->id.start + spool_area(&f->id)) {
        (void)close(f->fd); /* synced: nothing is left for it to fail by */
        if (f->direct_fd >= 0)
            (void)close(f->direct_fd);
        f->fd = f->direct_fd = -1;
    }
    return 0;
}

void
spool_file_rewind(struct spool_file *f)
{
    f->written = f->handed = f->synced;
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
}
