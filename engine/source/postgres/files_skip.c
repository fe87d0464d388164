#include <fcntl.h>
#include <inttypes.h>
#include <xxhash.h>

#include "base/io.h"
#include "base/log.h"
#include "files_copy_internal.h"
#include "postgres/page.h"

/*
 * One in SAMPLE_EVERY stretches of unread blocks is looked into: enough that a summary which is
 * wrong by rule, and not by one bit, is found out by the first backups that use it.
 *
 * A disk brings blocks with a gap of less than GAP_MIN between them in one go, and the kernel is
 * asked for AHEAD bytes each time that half of what it was asked for is used up: often enough to
 * keep a disk busy, and not so often that the asking costs (it looks for every page in its cache).
 */
enum {
    SAMPLE_EVERY = 8,
    BLOCK_SIZE_MAX = 32768,
    GAP_MIN = 16,
    AHEAD = 8 << 20
};

uint32_t
files_unchanged(const struct files_source *source, uint32_t block, uint32_t end)
{
    uint32_t first = source->file.first_block, at = block;
    uint32_t changed = hq_wal_summary_next(&source->changes, first + block, first + end) - first;

    while (at < changed && hq_backup_file_inheritable(source->into, at))
        at++;
    return at - block;
}

uint32_t
files_changed(const struct files_source *source, uint32_t block, uint32_t end)
{
    uint32_t at = block + 1;

    while (at < end && files_unchanged(source, at, end) == 0)
        at++;
    return at - block;
}

static void
ask_for(const struct files_file *file, uint64_t from, uint64_t to)
{
    (void)posix_fadvise(file->fd, (off_t)from, (off_t)(to - from), POSIX_FADV_WILLNEED);
}

static void
ask_for_changed(const struct files_source *source, uint64_t from, uint64_t to)
{
    uint32_t size = source->file.block_size, first = source->file.first_block;
    uint32_t end = first + (uint32_t)(to / size);
    uint32_t at = hq_wal_summary_next(&source->changes, first + (uint32_t)(from / size), end);

    while (at < end) {
        uint32_t begin = at, last;

        do {
            last = at;
            at = hq_wal_summary_next(&source->changes, last + 1, end);
        } while (at < end && at - last <= GAP_MIN);
        ask_for(&source->file, (uint64_t)(begin - first) * size,
                (uint64_t)(last + 1 - first) * size);
    }
}

void
files_ahead(const struct files_source *source, uint64_t at, uint64_t end, uint64_t *asked)
{
    uint64_t from = *asked > at ? *asked : at, to = end - at < AHEAD ? end : at + AHEAD;

    if (from - at > AHEAD / 2 || from >= to)
        return;
    if (source->summarized)
        ask_for_changed(source, from, to);
    else
        ask_for(&source->file, from, to);
    *asked = to;
}

/* The parent has every change before its start, and WAL from this backup's start on is replayed. */
static bool
has_changed(const struct files_copy *c, const uint8_t *page)
{
    uint64_t lsn = hq_page_lsn(page);

    return lsn >= c->options.backup->parent_lsn && lsn < c->options.root->start_lsn;
}

int
files_sample(struct files_copy *c, const struct files_source *source, uint32_t block,
             uint32_t count, struct hq_error *err)
{
    const struct files_file *file = &source->file;
    uint8_t page[BLOCK_SIZE_MAX];
    uint64_t number = atomic_fetch_add(&c->sampled, 1);
    uint64_t random = XXH3_64bits_withSeed(&number, sizeof number, c->sample_seed);
    uint32_t at = block + (uint32_t)(random >> 32) % count;
    size_t got = 0;

    if ((uint32_t)random % SAMPLE_EVERY != 0)
        return 0;
    if (hq_io_pread(file->fd, page, file->block_size, (uint64_t)at * file->block_size, &got,
                    source->path, err) != 0)
        return -1;
    /* A page may be read in the middle of being written: its checksum tells, where it has one. */
    if (got < file->block_size || !has_changed(c, page) ||
        (file->verify && !hq_page_checksum_valid(page, file->block_size, file->first_block + at)))
        return 0;
    hq_log(HQ_LOG_ERROR, "a summary of WAL does not name a page that changed",
           HQ_F_TEXT("path", source->path), HQ_F_U64("block", at),
           HQ_F_LSN("lsn", hq_page_lsn(page)));
    atomic_store(&c->refuted, true);
    return 0;
}
