#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "layout.h"

/* One request reads neighbours: over gaps up to this, and up to this much at once. */
enum {
    GAP_BYTES = 128 << 10,
    RANGE_BYTES = 4 << 20
};

/*
 * Workers take batches of wanted chunks, neighbours in one pack, from `next` on. The first failure
 * is kept and ends all of them.
 */
struct fetch {
    const struct hq_repository *repository;
    struct layout *layout;
    struct hq_chunk_ids *ids;
    struct hq_restore_result *result;
    pthread_mutex_t lock;
    size_t next;
    uint64_t done_bytes;
    bool failed;
    struct hq_error failure;
};

struct worker {
    struct fetch *f;
    struct hq_compressor *codec;
    struct hq_id pack; /**< that key is of */
    struct hq_pack_key key;
    bool has_key;
    struct hq_buf stored, raw;
    uint32_t file; /**< that fd is of */
    int fd;
};

static void
fail(struct fetch *f, const struct hq_error *why)
{
    pthread_mutex_lock(&f->lock);
    if (!f->failed)
        f->failure = *why;
    f->failed = true;
    pthread_mutex_unlock(&f->lock);
}

/* @return chunks in the batch that begins at *first; 0: nothing left, or somebody failed. */
static size_t
take_batch(struct fetch *f, size_t *first)
{
    const struct layout *l = f->layout;
    size_t count = 0;

    pthread_mutex_lock(&f->lock);
    if (l->options->stop != NULL && *l->options->stop && !f->failed) {
        hq_fail(&f->failure, HQ_E_INTERRUPTED, "restore stopped");
        f->failed = true;
    }
    *first = f->next;
    while (!f->failed && f->next < l->wanted_count) {
        const struct hq_place *p = &l->wanted[f->next].place, *start = &l->wanted[*first].place;

        if (count > 0) {
            const struct hq_place *last = &l->wanted[f->next - 1].place;
            uint64_t last_end = (uint64_t)last->entry.offset + last->entry.stored;

            if (hq_id_compare(&p->pack, &start->pack) != 0 ||
                p->entry.offset > last_end + GAP_BYTES ||
                (uint64_t)p->entry.offset + p->entry.stored - start->entry.offset > RANGE_BYTES)
                break;
        }
        f->next++;
        count++;
    }
    pthread_mutex_unlock(&f->lock);
    return count;
}

static int
lose(struct fetch *f, const struct wanted *w, struct hq_error *err)
{
    const struct layout *l = f->layout;
    const struct use *first = &l->uses[w->first_use];
    struct hq_error why = *err;
    int result = 0;

    if (!l->options->allow_damaged || (why.code != HQ_E_CORRUPT && why.code != HQ_E_MISSING))
        return hq_error_prefix(err, "%s", l->files[first->file].path);
    hq_error_clear(err);
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; result == 0 && i < w->uses; i++)
        result = l->lose(l->lose_context, l->files[first[i].file].path, first[i].offset,
                         first[i].length, &why, err);
    pthread_mutex_unlock(&f->lock);
    return result;
}

static int
open_pack(struct worker *k, const struct hq_id *pack, const char *name, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};

    if (k->has_key && hq_id_compare(&k->pack, pack) == 0)
        return 0;
    k->has_key = false;
    if (hq_store_get(k->f->repository->store, name, 0, HQ_PACK_HEADER_BYTES, &header, err) != 0)
        return -1;
    if (hq_pack_key_open(k->f->repository, header.data, &k->key, err) != 0)
        return hq_error_prefix(err, "%s", name);
    k->pack = *pack;
    k->has_key = true;
    return 0;
}

static int
open_file(struct worker *k, uint32_t file, const char **path, struct hq_error *err)
{
    HQ_FREE char *full = NULL;

    *path = k->f->layout->files[file].path;
    if (k->fd >= 0 && k->file == file)
        return 0;
    if (k->fd >= 0)
        (void)close(k->fd); /* nothing is lost here: syncfs at the end reports what is */
    k->fd = -1;
    full = layout_path(k->f->layout, *path, err);
    if (full == NULL)
        return -1;
    k->fd = open(full, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (k->fd < 0)
        return hq_fail_sys(err, errno, "open %s", full);
    k->file = file;
    return 0;
}

static int
write_uses(struct worker *k, const struct wanted *w, struct hq_error *err)
{
    const struct layout *l = k->f->layout;

    for (uint32_t i = 0; i < w->uses; i++) {
        const struct use *use = &l->uses[w->first_use + i];
        const char *path;

        if (open_file(k, use->file, &path, err) != 0 ||
            hq_io_pwrite(k->fd, k->raw.data + use->from, use->length, use->offset, path, err) != 0)
            return -1;
    }
    return 0;
}

static void
report(struct fetch *f, const struct wanted *w)
{
    const struct layout *l = f->layout;

    pthread_mutex_lock(&f->lock);
    f->done_bytes += w->place.entry.raw;
    f->result->fetched_bytes += w->place.entry.stored;
    if (l->options->progress != NULL)
        l->options->progress(l->options->context, f->done_bytes, l->bytes);
    pthread_mutex_unlock(&f->lock);
}

/* Open the frame of @p w, whose bytes lie in k->stored from @p base on, and write it. */
static int
restore_chunk(struct worker *k, const struct wanted *w, uint32_t base, const char *name,
              struct hq_error *err)
{
    const struct hq_place *p = &w->place;

    if (hq_pack_frame_open(k->f->repository, k->f->ids, &k->key, p->frame, &p->entry,
                           k->stored.data + (p->entry.offset - base), k->codec, &k->raw,
                           err) != 0) {
        hq_error_prefix(err, "%s", name);
        return lose(k->f, w, err);
    }
    if (write_uses(k, w, err) != 0)
        return -1;
    report(k->f, w);
    return 0;
}

static int
fetch_range(struct worker *k, const struct wanted *w, size_t count, const char *name,
            struct hq_error *err)
{
    const struct hq_pack_entry *last = &w[count - 1].place.entry;
    uint32_t base = w->place.entry.offset;

    k->stored.len = 0;
    if (open_pack(k, &w->place.pack, name, err) != 0)
        return -1;
    return hq_store_get(k->f->repository->store, name, base,
                        (uint64_t)last->offset + last->stored - base, &k->stored, err);
}

static int
restore_batch(struct worker *k, const struct wanted *w, size_t count, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_pack_name(&w->place.pack, name);
    if (fetch_range(k, w, count, name, err) != 0) {
        if (count == 1 || (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING))
            return lose(k->f, w, err);
        /* Of a truncated pack the beginning may still be whole: one by one. */
        hq_error_clear(err);
        for (size_t i = 0; i < count; i++)
            if (restore_batch(k, w + i, 1, err) != 0)
                return -1;
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        if (restore_chunk(k, w + i, w->place.entry.offset, name, err) != 0)
            return -1;
    return 0;
}

static void *
run_worker(void *context)
{
    struct fetch *f = context;
    struct worker k = {.f = f, .fd = -1};
    struct hq_error err = {0};
    size_t first, count;

    k.codec = hq_compressor_new(1, &err);
    if (k.codec == NULL)
        fail(f, &err);
    while ((count = take_batch(f, &first)) > 0)
        if (restore_batch(&k, &f->layout->wanted[first], count, &err) != 0)
            fail(f, &err);
    if (k.fd >= 0)
        (void)close(k.fd);
    hq_key_wipe(&k.key.frame_key);
    hq_buf_clear(&k.stored);
    hq_buf_clear(&k.raw);
    hq_compressor_free(k.codec);
    return NULL;
}

static int
run_workers(struct fetch *f, unsigned wanted, struct hq_error *err)
{
    pthread_t *threads = calloc(wanted, sizeof *threads);
    unsigned running = 0;
    int rc = 0;

    if (threads == NULL)
        return hq_fail(err, HQ_E_NOMEM, "threads of a restore");
    for (; rc == 0 && running < wanted; running += rc == 0)
        rc = pthread_create(&threads[running], NULL, run_worker, f);
    if (rc != 0) {
        hq_fail_sys(err, rc, "start a thread of the restore");
        fail(f, err);
    }
    while (running > 0)
        pthread_join(threads[--running], NULL);
    free(threads);
    if (f->failed)
        *err = f->failure;
    return f->failed ? -1 : 0;
}

int
fetch_all(const struct hq_repository *repository, struct layout *layout,
          struct hq_restore_result *result, struct hq_error *err)
{
    struct fetch f = {.repository = repository, .layout = layout, .result = result};
    int failed;

    f.ids = hq_chunk_ids_new(repository->keyring, err);
    if (f.ids == NULL)
        return -1;
    pthread_mutex_init(&f.lock, NULL);
    failed = run_workers(&f, layout->options->workers, err);
    pthread_mutex_destroy(&f.lock);
    hq_chunk_ids_free(f.ids);
    return failed;
}
