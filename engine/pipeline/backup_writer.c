#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backup_file.h"

static void
drop_pack(void *pack)
{
    hq_pack_free(pack);
}

void
writer_fail(struct hq_backup_writer *w, const struct hq_error *why)
{
    pthread_mutex_lock(&w->lock);
    if (!w->failed) {
        w->failed = true;
        w->failure = *why;
    }
    pthread_mutex_unlock(&w->lock);
    hq_queue_abort(w->jobs, why);
    hq_queue_abort(w->packs, why);
}

int
writer_check(struct hq_backup_writer *w, struct hq_error *err)
{
    bool failed;

    pthread_mutex_lock(&w->lock);
    failed = w->failed;
    if (failed)
        *err = w->failure;
    pthread_mutex_unlock(&w->lock);
    return failed ? -1 : 0;
}

static int
start_threads(struct hq_backup_writer *w, struct hq_error *err)
{
    const struct hq_backup_writer_options *o = &w->options;
    int rc = 0;

    w->threads = calloc(o->workers + o->uploaders, sizeof *w->threads);
    if (w->threads == NULL)
        return hq_fail(err, HQ_E_NOMEM, "threads of a backup");
    for (; rc == 0 && w->workers_running < o->workers; w->workers_running += rc == 0)
        rc = pthread_create(&w->threads[w->workers_running], NULL, writer_work, w);
    for (; rc == 0 && w->uploaders_running < o->uploaders; w->uploaders_running += rc == 0)
        rc = pthread_create(&w->threads[o->workers + w->uploaders_running], NULL, writer_upload, w);
    return rc == 0 ? 0 : hq_fail_sys(err, rc, "start a thread of the backup");
}

int
hq_backup_writer_new(const struct hq_backup_writer_options *options, struct hq_backup_writer **out,
                     struct hq_error *err)
{
    struct hq_backup_writer *w = calloc(1, sizeof *w);

    assert(options->uploaders >= 1);
    *out = NULL;
    if (w == NULL)
        return hq_fail(err, HQ_E_NOMEM, "backup writer");
    w->options = *options;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->metadata_lock, NULL);
    pthread_mutex_init(&w->index_lock, NULL);
    hq_chunker_init(&w->chunker, options->repository->keyring, &options->repository->chunking);
    /* Those that wait, one with each worker, and the one that is being filled. */
    w->spare_max = 3 * (size_t)options->workers + 2;
    w->spares = calloc(w->spare_max, sizeof *w->spares);
    if (w->spares == NULL)
        hq_fail(err, HQ_E_NOMEM, "backup writer");
    if (w->spares == NULL ||
        (w->ids = hq_chunk_ids_new(options->repository->keyring, err)) == NULL ||
        (w->jobs = hq_queue_new(2 * (size_t)options->workers + 1, job_free, err)) == NULL ||
        (w->packs = hq_queue_new(1, drop_pack, err)) == NULL ||
        stage_init(&w->metadata, w, HQ_PACK_METADATA, err) != 0 || start_threads(w, err) != 0) {
        hq_backup_writer_free(w);
        return -1;
    }
    *out = w;
    return 0;
}

void
writer_join_workers(struct hq_backup_writer *w)
{
    for (; w->workers_running > 0; w->workers_running--)
        pthread_join(w->threads[w->workers_running - 1], NULL);
}

void
writer_join_uploaders(struct hq_backup_writer *w)
{
    for (; w->uploaders_running > 0; w->uploaders_running--)
        pthread_join(w->threads[w->options.workers + w->uploaders_running - 1], NULL);
}

void
hq_backup_writer_free(struct hq_backup_writer *w)
{
    struct hq_error why = {0};

    if (w == NULL)
        return;
    hq_fail(&why, HQ_E_INTERRUPTED, "backup abandoned");
    if (w->jobs != NULL)
        hq_queue_abort(w->jobs, &why);
    if (w->packs != NULL)
        hq_queue_abort(w->packs, &why);
    writer_join_workers(w);
    writer_join_uploaders(w);
    hq_queue_free(w->jobs);
    hq_queue_free(w->packs);
    free(w->threads);
    for (size_t i = 0; i < w->published_count; i++)
        hq_pack_free(w->published[i]);
    free(w->published);
    while (w->files != NULL)
        file_free(w->files);
    for (size_t i = 0; i < w->record_count; i++)
        record_free(w->records[i]);
    free(w->records);
    id_set_clear(&w->stored);
    hq_buf_clear(&w->pending);
    for (size_t i = 0; i < w->spare_count; i++)
        hq_buf_clear(&w->spares[i]);
    free(w->spares);
    free(w->skips);
    stage_clear(&w->metadata);
    hq_chunk_ids_free(w->ids);
    pthread_mutex_destroy(&w->index_lock);
    pthread_mutex_destroy(&w->metadata_lock);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void
writer_give_spare(struct hq_backup_writer *w, struct hq_buf *b)
{
    pthread_mutex_lock(&w->lock);
    if (b->data != NULL && w->spare_count < w->spare_max) {
        b->len = 0;
        w->spares[w->spare_count++] = *b;
        *b = (struct hq_buf){0};
    }
    pthread_mutex_unlock(&w->lock);
    hq_buf_clear(b);
}

int
writer_take_spare(struct hq_backup_writer *w, size_t bytes, struct hq_buf *b, struct hq_error *err)
{
    pthread_mutex_lock(&w->lock);
    if (w->spare_count > 0)
        *b = w->spares[--w->spare_count];
    pthread_mutex_unlock(&w->lock);
    return hq_buf_reserve(b, bytes, err);
}

int
writer_add_record(struct hq_backup_writer *w, struct record *record, struct hq_error *err)
{
    void *records;
    int failed;

    pthread_mutex_lock(&w->lock);
    records = w->records;
    failed = array_grow(&records, &w->record_cap, w->record_count, sizeof(struct record *), err);
    w->records = records;
    if (failed == 0)
        w->records[w->record_count++] = record;
    pthread_mutex_unlock(&w->lock);
    if (failed != 0)
        record_free(record);
    return failed;
}

int
hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                       struct hq_error *err)
{
    struct record *record;

    assert(entry->type == HQ_ENTRY_DIRECTORY || entry->type == HQ_ENTRY_SYMLINK);
    if (writer_check(w, err) != 0 || (record = record_new(entry, err)) == NULL)
        return -1;
    return writer_add_record(w, record, err);
}

int
writer_store_metadata(struct hq_backup_writer *w, enum hq_chunk_kind kind, const void *raw,
                      size_t len, struct hq_id *id, struct hq_error *err)
{
    int failed;

    pthread_mutex_lock(&w->metadata_lock);
    failed = stage_store(&w->metadata, kind, HQ_CONTENT_ANY, raw, len, id, err);
    pthread_mutex_unlock(&w->metadata_lock);
    return failed;
}
