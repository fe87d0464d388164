#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backup_file.h"
#include "base/cleanup.h"
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

void
job_free(void *item)
{
    struct job *job = item;

    hq_buf_clear(&job->bytes);
    free(job->skips);
    free(job);
}

/* Give @p bytes, and all that is to be skipped, to a worker; the caller's are empty then. */
static int
send(struct hq_backup_writer *w, struct hq_buf *bytes, uint32_t number, struct hq_error *err)
{
    struct job *job = malloc(sizeof *job);

    if (job == NULL)
        return hq_fail(err, HQ_E_NOMEM, "job");
    *job = (struct job){.file = w->open,
                        .number = number,
                        .bytes = *bytes,
                        .skips = w->skips,
                        .skip_count = w->skip_count};
    *bytes = (struct hq_buf){0};
    w->skips = NULL;
    w->skip_count = w->skip_cap = 0;
    hq_backup_file_hold(w->open);
    if (hq_queue_push(w->jobs, job) != HQ_QUEUE_OK) {
        job_free(job);
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
    HQ_AUTO(hq_buf_clear)
    struct hq_buf chunk = {0};
    uint32_t number;
    int failed;

    hq_buf_put(&chunk, bytes, len);
    if (hq_buf_check(&chunk, "chunk", err) != 0)
        return -1;
    pthread_mutex_lock(&w->lock);
    number = (uint32_t)w->open->record->ref_count;
    failed = record_add_ref(w->open->record, (uint32_t)len, &unknown, err);
    pthread_mutex_unlock(&w->lock);
    if (failed != 0 || send(w, &chunk, number, err) != 0)
        return -1;
    *consumed += len;
    return 0;
}

/* Send the chunks that later bytes can't change, with @p last all. */
static int
send_chunks(struct hq_backup_writer *w, bool last, struct hq_error *err)
{
    size_t enough = last ? 1 : w->chunker.sizes.maximum, consumed = 0;

    while (w->pending.len - consumed >= enough)
        if (send_chunk(w, &consumed, err) != 0)
            return -1;
    if (consumed > 0)
        memmove(w->pending.data, w->pending.data + consumed, w->pending.len - consumed);
    w->pending.len -= consumed;
    return 0;
}

static size_t
stretch_bytes(const struct hq_backup_writer *w)
{
    return (size_t)STRETCH_BLOCKS * w->open->block_size;
}

/* The worker gets the very memory that the bytes were gathered in. */
static int
send_stretch(struct hq_backup_writer *w, struct hq_error *err)
{
    uint32_t begin = w->stretch_block;

    w->stretch_block += (uint32_t)(w->pending.len / w->open->block_size);
    for (size_t i = 0; i < w->skip_count; i++)
        w->stretch_block += w->skips[i].count;
    return send(w, &w->pending, begin, err);
}

/* A stretch goes as soon as it is complete: less than one is ever pending. */
static int
take_pages(struct hq_backup_writer *w, const uint8_t *data, size_t len, struct hq_error *err)
{
    size_t taken;

    for (; len > 0; data += taken, len -= taken) {
        size_t room = stretch_bytes(w) - w->pending.len;

        taken = len < room ? len : room;
        if (w->pending.data == NULL &&
            writer_take_spare(w, stretch_bytes(w), &w->pending, err) != 0)
            return -1;
        hq_buf_put(&w->pending, data, taken);
        if (hq_buf_check(&w->pending, w->open->record->entry.path, err) != 0)
            return -1;
        w->received += taken;
        if (w->pending.len == stretch_bytes(w) && send_stretch(w, err) != 0)
            return -1;
    }
    return 0;
}

int
hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                      struct hq_error *err)
{
    assert(w->open != NULL);
    if (is_relation(w))
        return take_pages(w, data, len, err);
    hq_buf_put(&w->pending, data, len);
    if (hq_buf_check(&w->pending, w->open->record->entry.path, err) != 0)
        return -1;
    w->received += len;
    return send_chunks(w, false, err);
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

static int
send_rest(struct hq_backup_writer *w, struct hq_error *err)
{
    if (!is_relation(w))
        return send_chunks(w, true, err);
    return w->pending.len > 0 || w->skip_count > 0 ? send_stretch(w, err) : 0;
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
    if (send_rest(w, err) != 0)
        return -1;
    file->bytes = w->received;
    w->open = NULL;
    return hq_backup_file_release(file, err);
}
