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
    MARK_CHECKED = 16
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
    f->fd = f->direct_fd = -1;
    f->path = path;
    f->synced = f->handed = f->written = id->start;
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
    if (f->direct_fd >= 0)
        (void)close(f->direct_fd);
    if (f->memory != NULL)
        spool_memory_give(f->pool, f->memory, (size_t)spool_area(&f->id));
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

/* Memory to gather bytes in, and a descriptor that writes them past the page cache. */
static void
take_memory(struct spool_file *f, struct spool_memory *pool)
{
    if (pool == NULL || f->id.kind != SPOOL_WAL)
        return;
    f->pool = pool;
    f->memory = spool_memory_take(pool, (size_t)spool_area(&f->id));
    /* Where the file system can't, the page cache does. */
    if (f->memory != NULL)
        f->direct_fd = open(f->path, O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
}

static int
begin_file(struct spool_file *f, struct spool_memory *pool, struct hq_error *err)
{
    uint8_t header[SPOOL_HEADER_BYTES];

    f->fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return hq_fail_sys(err, errno, "create spool file %s", f->path);
    take_memory(f, pool);
    hq_random(&f->seed, sizeof f->seed);
    (void)XXH3_64bits_reset_withSeed(f->hash, f->seed);
    spool_encode_header(f, header);
    return hq_io_pwrite(f->fd, header, sizeof header, spool_area(&f->id), f->path, err);
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
    if (begin_file(*out, spool->memory, err) == 0)
        return 0;
    spool_file_remove(*out);
    *out = NULL;
    return spool_explain_full(err);
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
