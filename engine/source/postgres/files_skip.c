#include <inttypes.h>

#include "base/io.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "files_copy_internal.h"
#include "postgres/page.h"

/*
 * Fewer blocks than SKIP_MIN are read along with their neighbours. One in SAMPLE_EVERY stretches of
 * unread blocks is looked into: enough that a summary which is wrong by rule, and not by one bit,
 * is found out by the first backups that use it.
 */
enum {
    SKIP_MIN = 16,
    SAMPLE_EVERY = 8,
    BLOCK_SIZE_MAX = 32768
};

uint32_t
files_unchanged(const struct files_source *source, uint32_t block, uint32_t end)
{
    uint32_t first = source->file.first_block, at = block;
    uint32_t changed = hq_wal_summary_next(&source->changes, first + block, first + end) - first;

    if (changed - block < SKIP_MIN)
        return 0;
    while (at < changed && hq_backup_file_inheritable(source->into, at))
        at++;
    return at - block < SKIP_MIN ? 0 : at - block;
}

uint32_t
files_changed(const struct files_source *source, uint32_t block, uint32_t end)
{
    uint32_t at = block + 1;

    while (at < end && files_unchanged(source, at, end) == 0)
        at++;
    return at - block;
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
    uint32_t random[2], at;
    size_t got = 0;

    hq_random(random, sizeof random);
    if (random[0] % SAMPLE_EVERY != 0)
        return 0;
    at = block + random[1] % count;
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
