#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backup_writer_internal.h"

static int
add_record(struct hq_backup_writer *w, const struct hq_entry *entry, struct hq_error *err)
{
    void *records = w->records;
    struct record *record;

    assert(w->open == NULL);
    if (writer_check(w, err) != 0 ||
        array_grow(&records, &w->record_cap, w->record_count, sizeof *w->records, err) != 0)
        return -1;
    w->records = records;
    record = record_new(entry, err);
    if (record == NULL)
        return -1;
    w->records[w->record_count++] = record;
    return 0;
}

int
hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                       struct hq_error *err)
{
    assert(entry->type == HQ_ENTRY_DIRECTORY || entry->type == HQ_ENTRY_SYMLINK);
    return add_record(w, entry, err);
}

int
hq_backup_writer_file_begin(struct hq_backup_writer *w, const struct hq_entry *entry,
                            uint32_t block_size, struct hq_error *err)
{
    assert(entry->type == HQ_ENTRY_FILE || (entry->type == HQ_ENTRY_RELATION && block_size > 0 &&
                                            entry->size > 0 && entry->size % block_size == 0));
    if (add_record(w, entry, err) != 0)
        return -1;
    w->open = w->records[w->record_count - 1];
    w->open->map.block_size = block_size;
    w->block_size = block_size;
    w->received = 0;
    w->pending.len = 0;
    return 0;
}

/* Give the first @p len pending bytes to a worker, as chunk @p number of the open file. */
static int
send(struct hq_backup_writer *w, enum hq_chunk_kind kind, const uint8_t *bytes, size_t len,
     uint32_t number, struct hq_error *err)
{
    struct job *job = malloc(sizeof *job + len);

    if (job == NULL)
        return hq_fail(err, HQ_E_NOMEM, "chunk of %zu bytes", len);
    *job = (struct job){.record = w->open, .number = number, .kind = kind, .len = len};
    memcpy(job->bytes, bytes, len);
    if (hq_queue_push(w->jobs, job) != HQ_QUEUE_OK) {
        free(job);
        return writer_check(w, err) != 0 ? -1 : hq_fail(err, HQ_E_INTERNAL, "workers have ended");
    }
    return 0;
}

/* Cut one chunk off the front of the pending bytes. */
static int
send_data_chunk(struct hq_backup_writer *w, size_t *consumed, struct hq_error *err)
{
    const uint8_t *bytes = w->pending.data + *consumed;
    size_t len = hq_chunker_cut(&w->chunker, bytes, w->pending.len - *consumed);
    uint32_t number;
    int failed;

    pthread_mutex_lock(&w->lock);
    failed = record_add_ref(w->open, (uint32_t)len, &number, err);
    pthread_mutex_unlock(&w->lock);
    if (failed != 0 || send(w, HQ_CHUNK_DATA, bytes, len, number, err) != 0)
        return -1;
    *consumed += len;
    return 0;
}

/*
 * One group of pages: blocks that lie in the same 64 of the file, so that an untouched group gives
 * the same chunk in every backup. Zero pages become runs without bytes.
 */
static bool
is_zero(const struct hq_backup_writer *w, const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, w->block_size - 1) == 0;
}

static int
map_pages(struct hq_backup_writer *w, const uint8_t *pages, uint32_t count, uint8_t *packed,
          uint32_t *kept, struct hq_error *err)
{
    struct hq_page_map *map = &w->open->map;
    uint32_t chunk = map->chunk_count, slot = 0;

    *kept = 0;
    for (uint32_t i = 0; i < count; i++)
        *kept += !is_zero(w, pages + (size_t)i * w->block_size);
    if (*kept > 0 &&
        hq_page_map_add_chunk(
            map, &(struct hq_page_chunk){.pages = *kept, .sums = HQ_PAGE_SUMS_NONE}, err) != 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *page = pages + (size_t)i * w->block_size;
        bool zero = is_zero(w, page);

        if (hq_page_map_add_run(map, 1, zero ? HQ_PAGE_RUN_ZERO : chunk, zero ? 0 : slot, err) != 0)
            return -1;
        if (!zero)
            memcpy(packed + (size_t)slot++ * w->block_size, page, w->block_size);
    }
    return 0;
}

static int
send_page_group(struct hq_backup_writer *w, size_t *consumed, struct hq_error *err)
{
    size_t left = w->pending.len - *consumed;
    size_t group = (size_t)HQ_PAGES_PER_CHUNK * w->block_size;
    size_t len = left < group ? left : group;
    struct hq_buf packed = {0};
    uint8_t *room = hq_buf_grow(&packed, len);
    uint32_t kept = 0, number = w->open->map.chunk_count;
    int failed;

    if (room == NULL)
        return hq_fail(err, HQ_E_NOMEM, "group of %zu bytes of pages", len);
    pthread_mutex_lock(&w->lock);
    failed = map_pages(w, w->pending.data + *consumed, (uint32_t)(len / w->block_size), room, &kept,
                       err);
    pthread_mutex_unlock(&w->lock);
    if (failed == 0 && kept > 0)
        failed = send(w, HQ_CHUNK_PAGES, room, (size_t)kept * w->block_size, number, err);
    hq_buf_clear(&packed);
    *consumed += len;
    return failed;
}

/* Send what can be sent: with @p last everything, else only what later bytes can't change. */
static int
drain(struct hq_backup_writer *w, bool last, struct hq_error *err)
{
    bool relation = w->open->entry.type == HQ_ENTRY_RELATION;
    size_t enough =
        relation ? (size_t)HQ_PAGES_PER_CHUNK * w->block_size : w->chunker.sizes.maximum;
    size_t consumed = 0;

    while (w->pending.len - consumed >= (last ? 1 : enough))
        if ((relation ? send_page_group : send_data_chunk)(w, &consumed, err) != 0)
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
    if (hq_buf_check(&w->pending, w->open->entry.path, err) != 0)
        return -1;
    w->received += len;
    return drain(w, false, err);
}

int
hq_backup_writer_damaged(struct hq_backup_writer *w, uint32_t block, struct hq_error *err)
{
    struct record *record = w->open;
    void *damaged = record->damaged;

    if (array_grow(&damaged, &record->damaged_cap, record->damaged_count, sizeof block, err) != 0)
        return -1;
    record->damaged = damaged;
    record->damaged[record->damaged_count++] = block;
    w->statistics.damaged_pages++;
    return 0;
}

int
hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err)
{
    struct record *record = w->open;
    bool relation = record->entry.type == HQ_ENTRY_RELATION;

    if (drain(w, true, err) != 0)
        return -1;
    if (relation && w->received != record->entry.size)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %llu bytes were announced and %llu came",
                       record->entry.path, (unsigned long long)record->entry.size,
                       (unsigned long long)w->received);
    record->entry.size = w->received;
    w->statistics.files++;
    w->statistics.bytes += w->received;
    w->statistics.pages += relation ? w->received / w->block_size : 0;
    w->open = NULL;
    return 0;
}
