#include <stdlib.h>

#include "backup_file.h"
#include "base/cleanup.h"
#include "inheritance.h"

/*
 * Joining fragments: new chunks and those of the parent that are still in use are numbered anew,
 * in the order in which the file uses them first, and so are the chunks of page sums behind them.
 */
struct joining {
    struct hq_page_map map;
    struct hq_page_sums own; /* sums of this backup's chunks; count 0: none */
    uint32_t own_number;
    uint32_t *chunk_of; /* of a parent's chunk: its number + 1 here */
    uint32_t *sums_of;  /* of a parent's chunk of sums: the same */
    uint32_t first_sum; /* of the next new chunk */
};

static void
joining_clear(struct joining *j)
{
    hq_page_map_clear(&j->map);
    free(j->chunk_of);
    free(j->sums_of);
}

static int
compare_fragments(const void *a, const void *b)
{
    const struct fragment *x = *(const struct fragment *const *)a;
    const struct fragment *y = *(const struct fragment *const *)b;

    return (x->first_block > y->first_block) - (x->first_block < y->first_block);
}

/* The file's fragments that have blocks, in order; their number is @p count. */
static struct fragment **
sort_fragments(const struct hq_backup_file *file, size_t *count, struct hq_error *err)
{
    struct fragment **sorted;

    *count = 0;
    for (const struct fragment *f = file->fragments; f != NULL; f = f->next)
        *count += f->blocks > 0;
    sorted = calloc(*count + 1, sizeof(struct fragment *));
    if (sorted == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "%zu stretches of a file", *count);
        return NULL;
    }
    *count = 0;
    for (struct fragment *f = file->fragments; f != NULL; f = f->next)
        if (f->blocks > 0)
            sorted[(*count)++] = f;
    qsort(sorted, *count, sizeof(struct fragment *), compare_fragments);
    return sorted;
}

/* One chunk with the sums of all new pages of the file. */
static int
store_sums(struct hq_backup_file *file, struct fragment *const *fragments, size_t count,
           struct joining *j, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sums = {0};

    for (size_t i = 0; i < count; i++)
        hq_buf_put(&sums, fragments[i]->sums.data, fragments[i]->sums.len);
    if (hq_buf_check(&sums, "page sums", err) != 0)
        return -1;
    j->own.count = (uint32_t)(sums.len / sizeof(uint64_t));
    if (j->own.count == 0)
        return 0;
    if (writer_store_metadata(file->writer, HQ_CHUNK_PAGE_SUMS, sums.data, sums.len, &j->own.id,
                              err) != 0 ||
        hq_page_map_add_sums(&j->map, &j->own, err) != 0)
        return -1;
    j->own_number = j->map.sums_count - 1;
    return 0;
}

/* The parent's chunk @p number under the number it has here. */
static int
take_parents(struct joining *j, const struct hq_page_map *parent, uint32_t number, uint32_t *out,
             struct hq_error *err)
{
    struct hq_page_chunk chunk = parent->chunks[number];

    if (j->chunk_of[number] == 0) {
        if (chunk.sums != HQ_PAGE_SUMS_NONE) {
            uint32_t *here = &j->sums_of[chunk.sums];

            if (*here == 0) {
                if (hq_page_map_add_sums(&j->map, &parent->sums[chunk.sums], err) != 0)
                    return -1;
                *here = j->map.sums_count;
            }
            chunk.sums = *here - 1;
        }
        if (hq_page_map_add_chunk(&j->map, &chunk, err) != 0)
            return -1;
        j->chunk_of[number] = j->map.chunk_count;
    }
    *out = j->chunk_of[number] - 1;
    return 0;
}

static int
join_fragment(const struct hq_backup_file *file, struct joining *j, const struct fragment *f,
              struct hq_error *err)
{
    uint32_t base = j->map.chunk_count;

    if (f->first_block > j->map.blocks &&
        hq_page_map_add_run(&j->map, f->first_block - j->map.blocks, HQ_PAGE_RUN_ZERO, 0, err) != 0)
        return -1;
    for (size_t i = 0; i < f->chunk_count; i++) {
        struct hq_page_chunk chunk = f->chunks[i];

        chunk.sums = j->own_number;
        chunk.first_sum = j->first_sum;
        j->first_sum += chunk.pages;
        if (hq_page_map_add_chunk(&j->map, &chunk, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < f->run_count; i++) {
        const struct hq_page_run *run = &f->runs[i];
        uint32_t chunk = base + run->chunk;

        if (run->chunk == HQ_PAGE_RUN_ZERO)
            chunk = HQ_PAGE_RUN_ZERO;
        else if ((run->chunk & PARENT_CHUNK) != 0 &&
                 take_parents(j, &file->inheritance->map, run->chunk & ~PARENT_CHUNK, &chunk,
                              err) != 0)
            return -1;
        if (hq_page_map_add_run(&j->map, run->length, chunk, run->slot, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < f->damaged_count; i++)
        if (record_add_damaged(file->record, f->damaged[i], err) != 0)
            return -1;
    return 0;
}

static int
prepare(const struct hq_backup_file *file, struct joining *j, struct hq_error *err)
{
    const struct hq_page_map *parent = file->inheritance != NULL ? &file->inheritance->map : NULL;

    j->map.block_size = file->block_size;
    j->chunk_of = calloc((parent != NULL ? parent->chunk_count : 0) + 1, sizeof *j->chunk_of);
    j->sums_of = calloc((parent != NULL ? parent->sums_count : 0) + 1, sizeof *j->sums_of);
    if (j->chunk_of == NULL || j->sums_of == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map");
    return 0;
}

static int
store_map(struct hq_backup_file *file, const struct hq_page_map *map, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf encoded = {0};
    struct hq_entry *entry = &file->record->entry;

    entry->size = (uint64_t)map->blocks * map->block_size;
    if (map->blocks == 0) {
        entry->type = HQ_ENTRY_FILE; /* an empty file has no pages to map */
        return 0;
    }
    if (hq_page_map_encode(map, &encoded, err) != 0)
        return -1;
    entry->page_map.raw = (uint32_t)encoded.len;
    return writer_store_metadata(file->writer, HQ_CHUNK_PAGE_MAP, encoded.data, encoded.len,
                                 &entry->page_map.id, err);
}

static int
finish_relation(struct hq_backup_file *file, struct hq_error *err)
{
    HQ_AUTO(joining_clear)
    struct joining j = {0};
    size_t count = 0;
    HQ_FREE struct fragment **fragments = sort_fragments(file, &count, err);

    if (fragments == NULL || prepare(file, &j, err) != 0 ||
        store_sums(file, fragments, count, &j, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (join_fragment(file, &j, fragments[i], err) != 0)
            return -1;
    return store_map(file, &j.map, err);
}

static void
count_file(struct hq_backup_file *file)
{
    struct hq_backup_writer *w = file->writer;
    const struct record *record = file->record;

    pthread_mutex_lock(&w->lock);
    w->statistics.files++;
    w->statistics.bytes += record->entry.size;
    if (record->entry.type == HQ_ENTRY_RELATION)
        w->statistics.pages += record->entry.size / file->block_size;
    w->statistics.damaged_pages += record->damaged_count;
    for (const struct fragment *f = file->fragments; f != NULL; f = f->next)
        w->statistics.inherited_pages += f->inherited;
    pthread_mutex_unlock(&w->lock);
}

int
file_finish(struct hq_backup_file *file, struct hq_error *err)
{
    if (writer_check(file->writer, err) != 0)
        return -1;
    if (file->record->entry.type == HQ_ENTRY_RELATION) {
        if (finish_relation(file, err) != 0)
            return -1;
    } else {
        file->record->entry.size = file->bytes;
    }
    record_close(file->record);
    count_file(file);
    return 0;
}
