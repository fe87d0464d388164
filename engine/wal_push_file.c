#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "postgres/walpage.h"
#include "restore/wal_inventory.h"
#include "wal_push_internal.h"

enum {
    HISTORY_MAX = 1 << 20,
    SEGMENT_MAX = 1 << 30,
    HUGE_PAGE = 2 << 20
};

static int64_t
nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

struct wal_file_identity
wal_file_identify(const struct stat *st)
{
    return (struct wal_file_identity){.device = (uint64_t)st->st_dev,
                                      .inode = (uint64_t)st->st_ino,
                                      .size = (uint64_t)st->st_size,
                                      .changed_ns = nanoseconds(&st->st_ctim),
                                      .modified_ns = nanoseconds(&st->st_mtim)};
}

int
wal_file_directory(const char *path, struct hq_buf *out, struct hq_error *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        hq_buf_printf(out, ".");
    else
        hq_buf_printf(out, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return hq_buf_text(out) == NULL ? hq_buf_check(out, "directory", err) : 0;
}

void
wal_file_clear(struct wal_file *file)
{
    hq_buf_clear(&file->bytes);
    hq_buf_clear(&file->object);
}

/* Thousands of small pages for a segment's bytes cost a tenth of what storing it takes. */
static void
prefer_huge_pages(const struct hq_buf *b)
{
    uintptr_t start = ((uintptr_t)b->data + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)b->data + b->cap) / HUGE_PAGE * HUGE_PAGE;

    if (end > start)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
}

/* Its bytes, all of one moment: a file that changes under the reader is told from one that holds.
 */
static int
read_bytes(const char *path, uint64_t most, struct wal_file *out, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat before, after;
    struct wal_file_identity again;
    size_t got;
    uint8_t *to;

    if (fd < 0 || fstat(fd, &before) != 0)
        return hq_fail_sys(err, errno, "open %s", path);
    if (!S_ISREG(before.st_mode))
        return hq_fail(err, HQ_E_REFUSED, "%s is no regular file", path);
    if (before.st_size <= 0 || (uint64_t)before.st_size > most)
        return hq_fail(err, HQ_E_CORRUPT, "%s: a length of %lld bytes", path,
                       (long long)before.st_size);
    out->bytes.len = 0;
    if (out->bytes.cap < (size_t)before.st_size) {
        if (hq_buf_reserve(&out->bytes, (size_t)before.st_size, err) != 0)
            return -1;
        prefer_huge_pages(&out->bytes);
    }
    if ((to = hq_buf_grow(&out->bytes, (size_t)before.st_size)) == NULL)
        return hq_buf_check(&out->bytes, path, err);
    if (hq_io_pread(fd, to, (size_t)before.st_size, 0, &got, path, err) != 0)
        return -1;
    if (fstat(fd, &after) != 0)
        return hq_fail_sys(err, errno, "look at %s", path);
    out->identity = wal_file_identify(&before);
    again = wal_file_identify(&after);
    if (got != (size_t)before.st_size || memcmp(&again, &out->identity, sizeof again) != 0)
        return hq_fail(err, HQ_E_TRANSIENT, "%s changed while it was read", path);
    /* When the server wrote it last, by the server's clock. */
    out->info.sent_us = out->identity.modified_ns / 1000;
    return 0;
}

static int
check_page(const struct wal_file_name *name, const struct hq_wal_page *page, size_t len,
           struct hq_error *err)
{
    uint64_t lsn;

    if (len != page->segment_size) {
        hq_fail(err, HQ_E_CORRUPT, "%zu bytes, and its first page says %u", len,
                page->segment_size);
        return hq_error_hint(err, "a WAL segment that was cut short, or is being written still");
    }
    if (!wal_file_lsn(name, page->segment_size, &lsn) || lsn != page->lsn ||
        page->timeline > name->timeline)
        return hq_fail(err, HQ_E_CORRUPT,
                       "its first page is of timeline %" PRIu32 " at %X/%08X, not what its name "
                       "says",
                       page->timeline, (uint32_t)(page->lsn >> 32), (uint32_t)page->lsn);
    return 0;
}

static int
read_segment(const char *path, struct wal_file *out, struct hq_error *err)
{
    struct hq_wal_info *info = &out->info;
    struct hq_wal_page page;

    if (read_bytes(path, SEGMENT_MAX, out, err) != 0)
        return -1;
    if (hq_wal_page_decode(out->bytes.data, out->bytes.len, &page, err) != 0 ||
        check_page(&out->name, &page, out->bytes.len, err) != 0)
        return hq_error_prefix(err, "%s", path);
    info->type = HQ_WAL_SEGMENT;
    info->system_identifier = page.system_identifier;
    info->segment_size = info->raw_len = page.segment_size;
    info->start_lsn = page.lsn;
    if (out->name.kind == WAL_FILE_PARTIAL) {
        info->type = HQ_WAL_PART;
        if (wal_file_switch(path, &out->name, page.lsn, page.segment_size, &info->raw_len, err) !=
            0)
            return -1;
    }
    info->end_lsn = info->start_lsn + info->raw_len;
    return 0;
}

static int
read_history(const char *path, struct wal_file *out, struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path way = {0};

    if (read_bytes(path, HISTORY_MAX, out, err) != 0)
        return -1;
    if (hq_timeline_path_decode(out->name.timeline, (const char *)out->bytes.data, out->bytes.len,
                                &way, err) != 0 ||
        /* Into the header: who can't open the content must know what leads where. */
        hq_timeline_branch((const char *)out->bytes.data, out->bytes.len, &out->info.parent,
                           &out->info.begin_lsn, err) != 0)
        return hq_error_prefix(err, "%s", path);
    out->info.type = HQ_WAL_HISTORY;
    out->info.raw_len = (uint32_t)out->bytes.len;
    /* A history file does not say whose it is; the segments beside it do. */
    return wal_file_system(path, &out->info.system_identifier, err);
}

int
wal_file_read(const char *path, const struct wal_file_name *name, struct wal_file *out,
              struct hq_error *err)
{
    out->name = *name;
    out->info = (struct hq_wal_info){.timeline = name->timeline};
    return name->kind == WAL_FILE_HISTORY ? read_history(path, out, err)
                                          : read_segment(path, out, err);
}
