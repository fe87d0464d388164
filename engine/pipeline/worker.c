#include <stdlib.h>

#include "backup_file.h"
#include "base/crashpoint.h"
#include "lane_internal.h"
#include "postgres/page.h"

/* An index is published before the end as well, so that what must be remembered stays bounded. */
enum {
    INDEX_ENTRIES = 200000
};

/* The id goes where the source thread left a place for it. */
static int
store_chunk(struct hq_backup_lane *lane, const struct job *job, struct hq_error *err)
{
    struct hq_id id;

    if (stage_store(&lane->stage, HQ_CHUNK_DATA, HQ_CONTENT_ANY, job->bytes.data, job->bytes.len,
                    &id, err) != 0)
        return hq_error_prefix(err, "%s", job->file->record->entry.path);
    pthread_mutex_lock(&lane->writer->lock);
    job->file->record->refs[job->number].id = id;
    pthread_mutex_unlock(&lane->writer->lock);
    return hq_backup_file_release(job->file, err);
}

/* The stretch's pages [@p from, @p to), of which the first is @p block of the file. */
static int
store_pages(struct hq_backup_lane *lane, const struct job *job, uint32_t from, uint32_t to,
            uint32_t block, struct hq_error *err)
{
    const struct hq_backup_file *file = job->file;
    uint32_t size = file->block_size, count = to - from;
    const uint8_t *pages;
    bool *damaged;
    int failed;

    if (count == 0)
        return 0;
    pages = job->bytes.data + (size_t)from * size;
    damaged = calloc(count, sizeof *damaged);
    if (damaged == NULL)
        return hq_fail(err, HQ_E_NOMEM, "stretch of %u pages", count);
    for (uint32_t i = 0; file->verify_before > 0 && i < count; i++)
        damaged[i] = hq_page_damaged(pages + (size_t)i * size, size, file->first_block + block + i,
                                     file->verify_before);
    failed = hq_backup_lane_pages(lane, pages, count, damaged, err);
    free(damaged);
    return failed;
}

static int
store_stretch(struct hq_backup_lane *lane, const struct job *job, struct hq_error *err)
{
    uint32_t block = job->number, page = 0,
             end = (uint32_t)(job->bytes.len / job->file->block_size);

    if (hq_backup_lane_begin(lane, job->file, block, err) != 0)
        return -1;
    for (size_t i = 0; i < job->skip_count; i++) {
        const struct skip *skip = &job->skips[i];

        if (store_pages(lane, job, page, skip->after, block, err) != 0 ||
            hq_backup_lane_skip(lane, skip->count, err) != 0)
            return -1;
        block += skip->after - page + skip->count;
        page = skip->after;
    }
    if (store_pages(lane, job, page, end, block, err) != 0)
        return -1;
    return hq_backup_lane_end(lane, err);
}

static int
work(struct hq_backup_writer *w, struct hq_backup_lane *lane, struct hq_error *err)
{
    enum hq_queue_result got;
    void *item;

    while ((got = hq_queue_pop(w->jobs, &item)) == HQ_QUEUE_OK) {
        struct job *job = item;
        bool pages = job->file->record->entry.type == HQ_ENTRY_RELATION;
        int failed = (pages ? store_stretch : store_chunk)(lane, job, err);

        if (pages)
            writer_give_spare(w, &job->bytes);
        job_free(job);
        if (failed != 0)
            return -1;
    }
    /* An aborted queue means that somebody else's failure is the one to report. */
    return got == HQ_QUEUE_END ? hq_backup_lane_finish(lane, err) : 0;
}

void *
writer_work(void *writer)
{
    struct hq_backup_writer *w = writer;
    struct hq_error err = {0};
    struct hq_backup_lane *lane;

    if (hq_backup_lane_new(w, &lane, &err) != 0 || work(w, lane, &err) != 0)
        writer_fail(w, &err);
    hq_backup_lane_free(lane);
    return NULL;
}

/* Durable now: only from here on may an index name the pack. Its bytes are let go. */
static int
publish(struct hq_backup_writer *w, struct hq_pack *pack, struct hq_error *err)
{
    void *published;
    int result;

    hq_buf_clear(&pack->bytes);
    pthread_mutex_lock(&w->lock);
    published = w->published;
    result = array_grow(&published, &w->published_cap, w->published_count, sizeof(struct hq_pack *),
                        err);
    if (result == 0) {
        w->published = published;
        w->published[w->published_count++] = pack;
        w->published_entries += pack->count;
        w->statistics.packs++;
        w->statistics.stored_bytes += pack->size;
    }
    pthread_mutex_unlock(&w->lock);
    return result;
}

static int
upload(struct hq_backup_writer *w, struct hq_pack *pack, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_pack_name(&pack->id, name);
    HQ_CRASH_POINT("backup.pack.before-put");
    if (hq_store_put_bytes(w->options.repository->store, name, pack->bytes.data, pack->bytes.len,
                           err) != 0)
        return -1;
    HQ_CRASH_POINT("backup.pack.after-put");
    return publish(w, pack, err);
}

void *
writer_upload(void *writer)
{
    struct hq_backup_writer *w = writer;
    void *item;

    while (hq_queue_pop(w->packs, &item) == HQ_QUEUE_OK) {
        struct hq_error err = {0};

        if (upload(w, item, &err) != 0) {
            hq_pack_free(item);
            writer_fail(w, &err);
        } else if (writer_publish_index(w, INDEX_ENTRIES, &err) != 0) {
            writer_fail(w, &err);
        }
    }
    return NULL;
}
