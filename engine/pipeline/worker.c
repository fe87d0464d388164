#include <stdlib.h>

#include "backup_writer_internal.h"
#include "base/crashpoint.h"

/* The id goes where the source thread left a place for it. */
static void
deliver(struct hq_backup_writer *w, const struct job *job, const struct hq_id *id)
{
    pthread_mutex_lock(&w->lock);
    if (job->kind == HQ_CHUNK_PAGES)
        job->record->map.chunks[job->number].id = *id;
    else
        job->record->refs[job->number].id = *id;
    pthread_mutex_unlock(&w->lock);
}

static int
work(struct hq_backup_writer *w, struct stage *stage, struct hq_error *err)
{
    enum hq_queue_result got;
    void *item;

    while ((got = hq_queue_pop(w->jobs, &item)) == HQ_QUEUE_OK) {
        struct job *job = item;
        struct hq_id id;
        int failed = stage_store(stage, job->kind, job->bytes, job->len, &id, err);

        if (failed == 0)
            deliver(w, job, &id);
        else
            hq_error_prefix(err, "%s", job->record->entry.path);
        free(job);
        if (failed != 0)
            return -1;
    }
    /* An aborted queue means that somebody else's failure is the one to report. */
    return got == HQ_QUEUE_END ? stage_flush(stage, err) : 0;
}

void *
writer_work(void *writer)
{
    struct hq_backup_writer *w = writer;
    struct hq_error err = {0};
    struct stage stage = {0};

    if (stage_init(&stage, w, HQ_PACK_DATA, &err) != 0 || work(w, &stage, &err) != 0)
        writer_fail(w, &err);
    stage_clear(&stage);
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
        }
    }
    return NULL;
}
