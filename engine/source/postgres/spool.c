#include "spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "repository/wal.h"

static const char header_magic[8] = "HQSPOOL1";

enum {
    HEADER_CHECKED = SPOOL_HEADER_BYTES - 8,
    MARK_CHECKED = 16,
    MARKS_FIRST = 64
};

uint64_t
spool_area(const struct spool_id *id)
{
    return id->kind == SPOOL_HISTORY ? SPOOL_HISTORY_MAX : id->segment_size;
}

char *
spool_path(const struct spool *spool, const struct spool_id *id, struct hq_error *err)
{
    char file[32], name[HQ_CLUSTER_NAME_MAX + 80];

    if (id->kind == SPOOL_HISTORY)
        snprintf(file, sizeof file, "%08" PRIX32 ".history", id->timeline);
    else
        hq_wal_file_name(id->timeline, id->start, id->segment_size, file);
    snprintf(name, sizeof name, "%s.%016" PRIX64 ".%s.spool", spool->cluster, id->system_identifier,
             file);
    return hq_path_join(spool->directory, name, err);
}

uint64_t
spool_hash(const struct spool_file *f, const void *data, size_t len)
{
    return XXH3_64bits_withSeed(data, len, f->seed);
}

void
spool_encode_header(const struct spool_file *f, uint8_t out[SPOOL_HEADER_BYTES])
{
    memset(out, 0, SPOOL_HEADER_BYTES);
    memcpy(out, header_magic, sizeof header_magic);
    hq_set_u32(out + 8, (uint32_t)f->id.kind);
    hq_set_u32(out + 12, f->id.timeline);
    hq_set_u64(out + 16, f->id.start);
    hq_set_u64(out + 24, f->id.system_identifier);
    hq_set_u32(out + 32, f->id.segment_size);
    hq_set_u64(out + 40, f->seed);
    hq_set_u64(out + HEADER_CHECKED, XXH3_64bits(out, HEADER_CHECKED));
}

static bool
id_plausible(const struct spool_id *id)
{
    uint32_t size = id->segment_size;

    if (id->timeline == 0)
        return false;
    if (id->kind == SPOOL_HISTORY)
        return id->start == 0 && size == 0;
    return id->kind == SPOOL_WAL && size >= UINT32_C(1) << 20 && size <= UINT32_C(1) << 30 &&
           (size & (size - 1)) == 0 && id->start % size == 0;
}

bool
spool_decode_header(const uint8_t in[SPOOL_HEADER_BYTES], struct spool_id *id, uint64_t *seed)
{
    if (memcmp(in, header_magic, sizeof header_magic) != 0 ||
        hq_get_u64(in + HEADER_CHECKED) != XXH3_64bits(in, HEADER_CHECKED))
        return false;
    *id = (struct spool_id){.kind = (enum spool_kind)hq_get_u32(in + 8),
                            .timeline = hq_get_u32(in + 12),
                            .start = hq_get_u64(in + 16),
                            .system_identifier = hq_get_u64(in + 24),
                            .segment_size = hq_get_u32(in + 32)};
    *seed = hq_get_u64(in + 40);
    return id_plausible(id);
}

/* Its place is part of the check: a mark of another round of this file is none. */
void
spool_encode_mark(const struct spool_file *f, size_t index, const struct spool_mark *mark,
                  uint8_t out[SPOOL_MARK_BYTES])
{
    hq_set_u64(out, mark->end);
    hq_set_u64(out + 8, mark->hash);
    hq_set_u64(out + MARK_CHECKED, XXH3_64bits_withSeed(out, MARK_CHECKED, f->seed + index));
}

bool
spool_decode_mark(const struct spool_file *f, size_t index, const uint8_t in[SPOOL_MARK_BYTES],
                  struct spool_mark *mark)
{
    *mark = (struct spool_mark){hq_get_u64(in), hq_get_u64(in + 8)};
    return hq_get_u64(in + MARK_CHECKED) == XXH3_64bits_withSeed(in, MARK_CHECKED, f->seed + index);
}

struct spool_file *
spool_file_new(const struct spool_id *id, char *path, struct hq_error *err)
{
    struct spool_file *f = calloc(1, sizeof *f);
    XXH3_state_t *hash = XXH3_createState();

    if (f == NULL || hash == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "spool file %s", path);
        (void)XXH3_freeState(hash);
        free(f);
        free(path);
        return NULL;
    }
    f->id = *id;
    f->fd = -1;
    f->path = path;
    f->synced = f->written = id->start;
    f->hash = hash;
    (void)pthread_mutex_init(&f->lock, NULL);
    return f;
}

void
spool_file_close(struct spool_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
    (void)XXH3_freeState(f->hash);
    (void)pthread_mutex_destroy(&f->lock);
    free(f->marks);
    free(f->path);
    free(f);
}

void
spool_file_unlink(const struct spool_file *f)
{
    HQ_CRASH_POINT("wal.spool.before-remove");
    /* What stays is stored again by the next start. */
    if (unlink(f->path) != 0)
        hq_log(HQ_LOG_WARNING, "a spool file that is stored can't be removed",
               HQ_F_TEXT("file", f->path), HQ_F_I64("errno", errno));
}

void
spool_file_remove(struct spool_file *f)
{
    if (f == NULL)
        return;
    spool_file_unlink(f);
    spool_file_close(f);
}

int
spool_prepare(const struct spool *spool, struct hq_error *err)
{
    if (hq_io_make_dirs(spool->directory, 0700, err) != 0)
        return hq_error_prefix(err, "spool");
    return 0;
}

static int
begin_file(struct spool_file *f, struct hq_error *err)
{
    uint8_t header[SPOOL_HEADER_BYTES];

    f->fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return hq_fail_sys(err, errno, "create spool file %s", f->path);
    hq_random(&f->seed, sizeof f->seed);
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
    spool_encode_header(f, header);
    return hq_io_pwrite(f->fd, header, sizeof header, spool_area(&f->id), f->path, err);
}

static int
explain_full(struct hq_error *err)
{
    if (err->code == HQ_E_NO_SPACE)
        hq_error_hint(err, "make room in the spool's file system; until then WAL stays on the "
                           "server");
    return hq_error_prefix(err, "spool");
}

int
spool_file_create(const struct spool *spool, const struct spool_id *id, struct spool_file **out,
                  struct hq_error *err)
{
    char *path = spool_path(spool, id, err);

    *out = NULL;
    if (path == NULL)
        return -1;
    *out = spool_file_new(id, path, err);
    if (*out == NULL)
        return -1;
    if (begin_file(*out, err) == 0)
        return 0;
    spool_file_remove(*out);
    *out = NULL;
    return explain_full(err);
}

const struct spool_id *
spool_file_id(const struct spool_file *f)
{
    return &f->id;
}

uint64_t
spool_file_synced(const struct spool_file *f)
{
    return f->synced;
}

uint64_t
spool_file_written(const struct spool_file *f)
{
    return f->written;
}

/* A recovered file is opened only when more is to be written: there may be thousands. */
static int
open_for_writing(struct spool_file *f, struct hq_error *err)
{
    if (f->fd < 0)
        f->fd = open(f->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return f->fd >= 0 ? 0 : hq_fail_sys(err, errno, "open spool file %s", f->path);
}

int
spool_file_write(struct spool_file *f, const void *data, size_t len, struct hq_error *err)
{
    uint64_t offset = f->written - f->id.start;

    if (len > spool_area(&f->id) - offset)
        return hq_fail(err, HQ_E_USAGE, "spool file %s: more than fits in", f->path);
    if (open_for_writing(f, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.spool.before-write");
    if (hq_io_pwrite(f->fd, data, len, offset, f->path, err) != 0)
        return explain_full(err);
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

static int
make_durable(struct spool_file *f, const uint8_t mark[SPOOL_MARK_BYTES], struct hq_error *err)
{
    uint64_t offset = spool_area(&f->id) + SPOOL_HEADER_BYTES + f->count * SPOOL_MARK_BYTES;

    if (hq_io_pwrite(f->fd, mark, SPOOL_MARK_BYTES, offset, f->path, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.spool.before-sync");
    if (fdatasync(f->fd) != 0)
        return hq_fail_sys(err, errno, "sync spool file %s", f->path);
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
    if (make_durable(f, bytes, err) != 0 || spool_add_mark(f, &mark, err) != 0) {
        /* The kernel may have called the pages clean: only what is written anew is believed. */
        spool_file_rewind(f);
        return explain_full(err);
    }
    HQ_CRASH_POINT("wal.spool.after-sync");
    f->synced = f->written;
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
    if (f->id.kind == SPOOL_WAL && f->synced == f->id.start + spool_area(&f->id)) {
        (void)close(f->fd); /* synced: nothing is left for it to fail by */
        f->fd = -1;
    }
    return 0;
}

void
spool_file_rewind(struct spool_file *f)
{
    f->written = f->synced;
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
}

/* The marks that vouch for [from, to): [first, last]. @return false when none ends at @p to. */
static bool
find_marks(const struct spool_file *f, uint64_t from, uint64_t to, size_t *first, size_t *last)
{
    size_t i = 0;

    while (i < f->count && f->marks[i].end <= from)
        i++;
    *first = i;
    while (i < f->count && f->marks[i].end < to)
        i++;
    *last = i;
    return i < f->count && f->marks[i].end == to;
}

/* A copy, because the array may be moved by the thread that adds to it. */
static int
copy_marks(struct spool_file *f, uint64_t from, uint64_t to, struct spool_mark **out, size_t *count,
           uint64_t *begin, struct hq_error *err)
{
    size_t first, last;
    int failed = 0;

    pthread_mutex_lock(&f->lock);
    if (!find_marks(f, from, to, &first, &last)) {
        failed = hq_fail(err, HQ_E_CORRUPT, "spool file %s: nothing was synced up to %" PRIX64,
                         f->path, to);
    } else {
        *count = last - first + 1;
        *begin = first > 0 ? f->marks[first - 1].end : f->id.start;
        *out = reallocarray(NULL, *count, sizeof **out);
        if (*out == NULL)
            failed = hq_fail(err, HQ_E_NOMEM, "marks of %s", f->path);
        else
            memcpy(*out, f->marks + first, *count * sizeof **out);
    }
    pthread_mutex_unlock(&f->lock);
    return failed;
}

static int
check_marks(const struct spool_file *f, const struct spool_mark *marks, size_t count,
            const uint8_t *data, uint64_t begin, struct hq_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)(marks[i].end - begin);

        if (spool_hash(f, data, len) != marks[i].hash)
            return hq_fail(err, HQ_E_CORRUPT,
                           "spool file %s is damaged between offsets %" PRIu64 " and %" PRIu64,
                           f->path, begin - f->id.start, marks[i].end - f->id.start);
        data += len;
        begin = marks[i].end;
    }
    return 0;
}

int
spool_file_read(struct spool_file *f, uint64_t from, uint64_t to, struct hq_buf *out,
                struct hq_error *err)
{
    HQ_CLOSE int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    HQ_FREE struct spool_mark *marks = NULL;
    size_t count = 0, len, got;
    uint64_t begin = from;

    out->len = 0;
    if (fd < 0)
        return errno == ENOENT ? hq_fail(err, HQ_E_CORRUPT, "spool file %s is gone", f->path)
                               : hq_fail_sys(err, errno, "open spool file %s", f->path);
    if (copy_marks(f, from, to, &marks, &count, &begin, err) != 0)
        return -1;
    len = (size_t)(to - begin);
    if (hq_buf_reserve(out, len, err) != 0 ||
        hq_io_pread(fd, hq_buf_grow(out, len), len, begin - f->id.start, &got, f->path, err) != 0)
        return -1;
    if (got != len)
        return hq_fail(err, HQ_E_CORRUPT, "spool file %s is shorter than what was written",
                       f->path);
    if (check_marks(f, marks, count, out->data, begin, err) != 0)
        return -1;
    if (from > begin) {
        memmove(out->data, out->data + (from - begin), (size_t)(to - from));
        out->len = (size_t)(to - from);
    }
    return 0;
}
