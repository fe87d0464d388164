#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backup_file.h"
#include "inheritance.h"

/*
 * One stream of bytes, cut for the workers: a relation file into stretches of pages, of which each
 * is worked on as a whole; a plain file into chunks, which no cut within a stretch would give.
 */
enum {
    STRETCH_BLOCKS = 4 * HQ_PAGES_PER_CHUNK
};

int
hq_backup_writer_file_begin(struct hq_backup_writer *w,
                            const struct hq_backup_file_options *options, struct hq_error *err)
{
    assert(w->open == NULL);
    if (hq_backup_file_new(w, options, &w->open, err) != 0)
        return -1;
    w->received = 0;
    w->pending.len = 0;
    w->skip_count = 0;
    w->stretch_block = 0;
    return 0;
}

static bool
is_relation(const struct hq_backup_writer *w)
{
    return w->open->record->entry.type == HQ_ENTRY_RELATION;
}

/* Give the first @p len pending bytes, and all that is to be skipped, to a worker. */
static int
send(struct hq_backup_writer *w, const uint8_t *bytes, size_t len, uint32_t number,
     struct hq_error *err)
{
    size_t skips_bytes = w->skip_count * sizeof w->skips[0];
    struct job *job = malloc(sizeof *job + skips_bytes + len);
    uint8_t *copy;

    if (job == NULL)
        return hq_fail(err, HQ_E_NOMEM, "job of %zu bytes", len);
    copy = (uint8_t *)job + sizeof *job + skips_bytes;
    *job = (struct job){
        .file = w->open, .number = number, .len = len, .bytes = copy, .skip_count = w->skip_count};
    if (skips_bytes > 0)
        memcpy(job->skips, w->skips, skips_bytes);
    if (len > 0)
        memcpy(copy, bytes, len);
    w->skip_count = 0;
    hq_backup_file_hold(w->open);
    if (hq_queue_push(w->jobs, job) != HQ_QUEUE_OK) {
        free(job);
        return writer_check(w, err) != 0 ? -1 : hq_fail(err, HQ_E_INTERNAL, "workers have ended");
    }
    return 0;
}

/* The id follows from a worker: here is its place. */
static int
send_chunk(struct hq_backup_writer *w, size_t *consumed, struct hq_error *err)
{
    static const struct hq_id unknown;
    const uint8_t *bytes = w->pending.data + *consumed;
    size_t len = hq_chunker_cut(&w->chunker, bytes, w->pending.len - *consumed);
    uint32_t number;
    int failed;

    pthread_mutex_lock(&w->lock);
    number = (uint32_t)w->open->record->ref_count;
    failed = record_add_ref(w->open->record, (uint32_t)len, &unknown, err);
    pthread_mutex_unlock(&w->lock);
    if (failed != 0 || send(w, bytes, len, number, err) != 0)
        return -1;
    *consumed += len;
    return 0;
}

static size_t
stretch_bytes(const struct hq_backup_writer *w)
{
    return (size_t)STRETCH_BLOCKS * w->open->block_size;
}

/* Skips are noted while less than a stretch is pending: they are all of this one. */
static int
send_stretch(struct hq_backup_writer *w, size_t *consumed, struct hq_error *err)
{
    size_t left = w->pending.len - *consumed;
    size_t len = left < stretch_bytes(w) ? left : stretch_bytes(w);
    uint32_t blocks = (uint32_t)(len / w->open->block_size);

    for (size_t i = 0; i < w->skip_count; i++)
        blocks += w->skips[i].count;
    if (send(w, w->pending.data + *consumed, len, w->stretch_block, err) != 0)
        return -1;
    w->stretch_block += blocks;
    *consumed += len;
    return 0;
}

/* Send what can be sent: with @p last everything, else only what later bytes can't change. */
static int
drain(struct hq_backup_writer *w, bool last, struct hq_error *err)
{
    size_t enough = is_relation(w) ? stretch_bytes(w) : w->chunker.sizes.maximum;
    size_t consumed = 0;

    while (w->pending.len - consumed >= (last ? 1 : enough) || (last && w->skip_count > 0))
        if ((is_relation(w) ? send_stretch : send_chunk)(w, &consumed, err) != 0)
            return -1;
    if (consumed > 0)
        memmove(w->pending.data, w->pending.data + consumed, w->pending.len - consumed);
    w->pending.len -= consumed;
    return 0;
}

int
hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                      struct hq_error *err)
{
    assert(w->open != NULL);
    hq_buf_put(&w->pending, data, len);
    if (hq_buf_check(&w->pending, w->open->record->entry.path, err) != 0)
        return -1;
    w->received += len;
    return drain(w, false, err);
}

int
hq_backup_writer_skip(struct hq_backup_writer *w, uint32_t count, struct hq_error *err)
{
    const struct inheritance *inheritance = w->open->inheritance;
    uint32_t block_size = w->open->block_size;
    void *skips = w->skips;

    assert(is_relation(w) && w->pending.len % block_size == 0);
    if (count == 0)
        return 1;
    if (inheritance == NULL ||
        inheritance_reach(inheritance, (uint32_t)(w->received / block_size), count) < count)
        return 0;
    if (array_grow(&skips, &w->skip_cap, w->skip_count, sizeof w->skips[0], err) != 0)
        return -1;
    w->skips = skips;
    w->skips[w->skip_count++] =
        (struct skip){.after = (uint32_t)(w->pending.len / block_size), .count = count};
    w->received += (uint64_t)count * block_size;
    return 1;
}

int
hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err)
{
    struct hq_backup_file *file = w->open;
    const struct hq_entry *entry = &file->record->entry;

    if (is_relation(w) && w->received != entry->size)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %llu bytes were announced and %llu came",
                       entry->path, (unsigned long long)entry->size,
                       (unsigned long long)w->received);
    if (drain(w, true, err) != 0)
        return -1;
    file->bytes = w->received;
    w->open = NULL;
    return hq_backup_file_release(file, err);
}
