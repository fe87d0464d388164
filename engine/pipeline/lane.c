#include "pipeline/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lane_internal.h"

int
hq_backup_lane_new(struct hq_backup_writer *w, struct hq_backup_lane **out, struct hq_error *err)
{
    struct hq_backup_lane *lane = calloc(1, sizeof *lane);

    *out = NULL;
    if (lane == NULL)
        return hq_fail(err, HQ_E_NOMEM, "lane of a backup");
    lane->writer = w;
    if (stage_init(&lane->stage, w, HQ_PACK_DATA, err) != 0) {
        hq_backup_lane_free(lane);
        return -1;
    }
    *out = lane;
    return 0;
}

int
hq_backup_lane_finish(struct hq_backup_lane *lane, struct hq_error *err)
{
    return stage_flush(&lane->stage, err);
}

void
hq_backup_lane_free(struct hq_backup_lane *lane)
{
    if (lane == NULL)
        return;
    stage_clear(&lane->stage);
    fragment_free(lane->fragment);
    free(lane->gather.copy);
    hq_buf_clear(&lane->pending);
    free(lane);
}

int
hq_backup_lane_begin(struct hq_backup_lane *lane, struct hq_backup_file *file, uint32_t block,
                     struct hq_error *err)
{
    assert(lane->file == NULL);
    if (writer_check(lane->writer, err) != 0)
        return -1;
    if (file->record->entry.type == HQ_ENTRY_RELATION) {
        lane->fragment = fragment_new(block, err);
        if (lane->fragment == NULL)
            return -1;
    }
    lane->file = file;
    lane->next_block = block;
    lane->cursor = (struct inheritance_cursor){0};
    lane->pending.len = 0;
    return 0;
}

/* A plain file has one stretch: nobody else touches its record. */
int
lane_drain(struct hq_backup_lane *lane, bool last, struct hq_error *err)
{
    const struct hq_chunker *chunker = &lane->writer->chunker;
    size_t consumed = 0;

    while (lane->pending.len - consumed >= (last ? 1 : chunker->sizes.maximum)) {
        const uint8_t *bytes = lane->pending.data + consumed;
        size_t len = hq_chunker_cut(chunker, bytes, lane->pending.len - consumed);
        struct hq_id id;

        if (stage_store(&lane->stage, HQ_CHUNK_DATA, HQ_CONTENT_ANY, bytes, len, &id, err) != 0 ||
            record_add_ref(lane->file->record, (uint32_t)len, &id, err) != 0)
            return hq_error_prefix(err, "%s", lane->file->record->entry.path);
        consumed += len;
    }
    if (consumed > 0)
        memmove(lane->pending.data, lane->pending.data + consumed, lane->pending.len - consumed);
    lane->pending.len -= consumed;
    return 0;
}

int
hq_backup_lane_data(struct hq_backup_lane *lane, const void *data, size_t len, struct hq_error *err)
{
    hq_buf_put(&lane->pending, data, len);
    if (hq_buf_check(&lane->pending, lane->file->record->entry.path, err) != 0)
        return -1;
    lane->file->bytes += len;
    return lane_drain(lane, false, err);
}

int
hq_backup_lane_end(struct hq_backup_lane *lane, struct hq_error *err)
{
    struct hq_backup_file *file = lane->file;
    struct fragment *fragment = lane->fragment;

    if (fragment == NULL ? lane_drain(lane, true, err) != 0 : lane_flush_pages(lane, err) != 0)
        return -1;
    lane->file = NULL;
    lane->fragment = NULL;
    if (fragment != NULL) {
        pthread_mutex_lock(&lane->writer->lock);
        fragment->next = file->fragments;
        file->fragments = fragment;
        pthread_mutex_unlock(&lane->writer->lock);
    }
    return hq_backup_file_release(file, err);
}
