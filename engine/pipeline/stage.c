#include "stage.h"

#include "backup_writer_internal.h"

int
stage_init(struct stage *s, struct hq_backup_writer *w, enum hq_pack_type type,
           struct hq_error *err)
{
    *s = (struct stage){.writer = w, .type = type};
    s->compressor = hq_compressor_new(w->options.compression_level, err);
    return s->compressor == NULL ? -1 : 0;
}

void
stage_clear(struct stage *s)
{
    hq_pack_writer_free(s->pack);
    hq_compressor_free(s->compressor);
    hq_buf_clear(&s->frame);
    *s = (struct stage){0};
}

/*
 * Whether somebody has to store the chunk: 1 yes, and it is the caller now; 0 no. The catalog is
 * asked first and outside the lock; of two threads with the same new chunk one gets the 1.
 */
static int
claim(struct hq_backup_writer *w, const struct hq_id *id, size_t raw_len, struct hq_error *err)
{
    int is_new;

    if (hq_catalog_chunk_known(w->options.catalog, id))
        return 0;
    pthread_mutex_lock(&w->lock);
    is_new = id_set_add(&w->stored, id, err);
    if (is_new == 1)
        w->statistics.new_bytes += raw_len;
    pthread_mutex_unlock(&w->lock);
    return is_new;
}

static int
add_frame(struct stage *s, enum hq_chunk_kind kind, enum hq_codec codec, size_t raw_len,
          const struct hq_id *id, struct hq_error *err)
{
    if (s->pack == NULL) {
        s->pack = hq_pack_writer_new(s->writer->options.repository, s->type, err);
        if (s->pack == NULL)
            return -1;
    }
    if (hq_pack_writer_add(s->pack, id, kind, codec, (uint32_t)raw_len, s->frame.data, s->frame.len,
                           err) != 0)
        return -1;
    if (hq_pack_writer_size(s->pack) >= HQ_PACK_TARGET_BYTES ||
        hq_pack_writer_count(s->pack) == HQ_PACK_FRAMES_MAX)
        return stage_flush(s, err);
    return 0;
}

int
stage_store(struct stage *s, enum hq_chunk_kind kind, enum hq_content content, const void *raw,
            size_t len, struct hq_id *id, struct hq_error *err)
{
    const struct hq_chunk_ids *ids = s->writer->ids;
    enum hq_codec codec;
    int claimed;

    /* Pages are known by their frame, everything else by its plaintext: docs/format.md §5. */
    if (kind != HQ_CHUNK_PAGES) {
        hq_chunk_id(ids, kind, raw, len, id);
        claimed = claim(s->writer, id, len, err);
        if (claimed <= 0)
            return claimed;
    }
    if (hq_compress(s->compressor, content, raw, len, &s->frame, &codec, err) != 0)
        return -1;
    if (kind == HQ_CHUNK_PAGES) {
        hq_chunk_id(ids, kind, s->frame.data, s->frame.len, id);
        claimed = claim(s->writer, id, len, err);
        if (claimed <= 0)
            return claimed;
    }
    return add_frame(s, kind, codec, len, id, err);
}

int
stage_flush(struct stage *s, struct hq_error *err)
{
    struct hq_pack_writer *writer = s->pack;
    struct hq_pack *pack;

    if (writer == NULL)
        return 0;
    s->pack = NULL;
    if (hq_pack_writer_finish(writer, &pack, err) != 0)
        return -1;
    if (hq_queue_push(s->writer->packs, pack) != HQ_QUEUE_OK) {
        hq_pack_free(pack);
        return writer_check(s->writer, err) != 0
                   ? -1
                   : hq_fail(err, HQ_E_INTERNAL, "pack finished after the uploaders ended");
    }
    return 0;
}
