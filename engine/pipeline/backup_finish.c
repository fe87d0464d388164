#include <stdlib.h>
#include <string.h>

#include "backup_writer_internal.h"
#include "base/cleanup.h"

/* Manifest streams are cut finer than files: an entry is some 100 bytes (docs/format.md §7). */
static const struct hq_chunking manifest_sizes = {
    .minimum = 16384, .average = 65536, .maximum = 262144};

static int
compare_paths(const void *a, const void *b)
{
    const struct record *const *x = a, *const *y = b;

    return strcmp((*x)->entry.path, (*y)->entry.path);
}

/* Store whole manifest chunks from the front of @p stream; with @p last, all of it. */
static int
cut_manifest(struct stage *stage, const struct hq_chunker *chunker, struct hq_buf *stream,
             bool last, struct hq_root *root, size_t *root_cap, struct hq_error *err)
{
    size_t consumed = 0;

    while (stream->len - consumed >= (last ? 1 : chunker->sizes.maximum)) {
        size_t len = hq_chunker_cut(chunker, stream->data + consumed, stream->len - consumed);
        void *chunks = root->chunks;

        if (array_grow(&chunks, root_cap, root->chunk_count, sizeof *root->chunks, err) != 0)
            return -1;
        root->chunks = chunks;
        if (stage_store(stage, HQ_CHUNK_MANIFEST, HQ_CONTENT_ANY, stream->data + consumed, len,
                        &root->chunks[root->chunk_count], err) != 0)
            return -1;
        root->chunk_count++;
        root->manifest_bytes += len;
        consumed += len;
    }
    if (consumed > 0)
        memmove(stream->data, stream->data + consumed, stream->len - consumed);
    stream->len -= consumed;
    return 0;
}

static int
write_manifest(struct hq_backup_writer *w, struct stage *stage, struct hq_root *root,
               struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf stream = {0};
    struct hq_chunker chunker;
    size_t root_cap = 0;

    hq_chunker_init(&chunker, w->options.repository->keyring, &manifest_sizes);
    if (w->record_count > 0)
        qsort(w->records, w->record_count, sizeof *w->records, compare_paths);
    for (size_t i = 0; i < w->record_count; i++) {
        if (hq_entry_encode(&w->records[i]->entry, &stream, err) != 0 ||
            cut_manifest(stage, &chunker, &stream, false, root, &root_cap, err) != 0)
            return -1;
        root->manifest_entries++;
    }
    if (cut_manifest(stage, &chunker, &stream, true, root, &root_cap, err) != 0)
        return -1;
    return stage_flush(stage, err);
}

int
hq_backup_writer_finish(struct hq_backup_writer *w, struct hq_root *root,
                        struct hq_backup_statistics *statistics, struct hq_error *err)
{
    hq_queue_close(w->jobs);
    writer_join_workers(w);
    if (writer_check(w, err) != 0 || write_manifest(w, &w->metadata, root, err) != 0)
        return -1;
    hq_queue_close(w->packs);
    writer_join_uploaders(w);
    if (writer_check(w, err) != 0 || writer_publish_index(w, 0, err) != 0)
        return -1;
    *statistics = w->statistics;
    root->files = w->statistics.files;
    root->bytes = w->statistics.bytes;
    root->pages = w->statistics.pages;
    root->damaged_pages = w->statistics.damaged_pages;
    root->new_bytes = w->statistics.new_bytes;
    root->stored_bytes = w->statistics.stored_bytes;
    return 0;
}
