#include "inheritance.h"

#include <stdlib.h>

#include "base/log.h"
#include "parent_internal.h"

void
inheritance_free(struct inheritance *i)
{
    if (i == NULL)
        return;
    free(i->begins);
    free(i->usable);
    for (uint32_t n = 0; i->sums != NULL && n < i->map.sums_count; n++)
        hq_buf_clear(&i->sums[n]);
    free(i->sums);
    hq_page_map_clear(&i->map);
    free(i);
}

/* Which chunks are worth it, and there. */
static void
judge_chunks(struct inheritance *i, const struct hq_backup_parent *parent, bool unread,
             uint32_t *live)
{
    for (uint32_t r = 0; r < i->map.run_count; r++)
        if (i->map.runs[r].chunk != HQ_PAGE_RUN_ZERO)
            live[i->map.runs[r].chunk] += i->map.runs[r].length;
    for (uint32_t c = 0; c < i->map.chunk_count; c++)
        i->usable[c] = (unread || live[c] * LIVE_SHARE >= i->map.chunks[c].pages) &&
                       parent_has_chunk(parent, &i->map.chunks[c].id);
}

static int
index_map(struct inheritance *i, const struct hq_backup_parent *parent, bool unread,
          struct hq_error *err)
{
    uint32_t *live = calloc((size_t)i->map.chunk_count + 1, sizeof *live);
    uint32_t block = 0;

    i->begins = calloc((size_t)i->map.run_count + 1, sizeof *i->begins);
    i->usable = calloc((size_t)i->map.chunk_count + 1, sizeof *i->usable);
    if (live == NULL || i->begins == NULL || i->usable == NULL) {
        free(live);
        return hq_fail(err, HQ_E_NOMEM, "page map of %u runs", i->map.run_count);
    }
    judge_chunks(i, parent, unread, live);
    free(live);
    for (uint32_t r = 0; r < i->map.run_count; r++) {
        i->begins[r] = block;
        block += i->map.runs[r].length;
    }
    return 0;
}

static bool
is_damage(const struct hq_error *err)
{
    return err->code == HQ_E_MISSING || err->code == HQ_E_CORRUPT;
}

/* Sums that are lost are lost for the new backup as well: its map must not name them. */
static int
read_sums(struct inheritance *i, struct hq_backup_parent *parent, struct hq_error *err)
{
    i->sums = calloc((size_t)i->map.sums_count + 1, sizeof *i->sums);
    if (i->sums == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%u chunks of page sums", i->map.sums_count);
    for (uint32_t n = 0; n < i->map.sums_count; n++) {
        if (parent_read_sums(parent, &i->map.sums[n], &i->sums[n], err) == 0)
            continue;
        if (!is_damage(err))
            return -1;
        hq_error_clear(err);
        hq_buf_clear(&i->sums[n]);
    }
    for (uint32_t c = 0; c < i->map.chunk_count; c++) {
        struct hq_page_chunk *chunk = &i->map.chunks[c];

        if (chunk->sums != HQ_PAGE_SUMS_NONE && i->sums[chunk->sums].len == 0) {
            chunk->sums = HQ_PAGE_SUMS_NONE;
            chunk->first_sum = 0;
        }
    }
    return 0;
}

static int
load(struct inheritance *i, struct hq_backup_parent *parent,
     const struct hq_backup_file_options *options, const struct hq_parent_file *file,
     struct hq_error *err)
{
    if (parent_read_map(parent, options->entry->path, file, &i->map, err) != 0 ||
        read_sums(i, parent, err) != 0)
        return -1;
    return index_map(i, parent, options->unread, err);
}

int
inheritance_new(struct hq_backup_parent *parent, const struct hq_backup_file_options *options,
                struct inheritance **out, struct hq_error *err)
{
    const struct hq_parent_file *file = hq_backup_parent_find(parent, options->entry->path);
    struct inheritance *i;

    *out = NULL;
    if (file == NULL || file->type != HQ_ENTRY_RELATION)
        return 0;
    i = calloc(1, sizeof *i);
    if (i == NULL)
        return hq_fail(err, HQ_E_NOMEM, "parent's page map");
    if (load(i, parent, options, file, err) == 0 && i->map.block_size == options->block_size) {
        *out = i;
        return 0;
    }
    inheritance_free(i);
    if (err->code != HQ_E_OK && !is_damage(err))
        return -1;
    if (err->code != HQ_E_OK)
        hq_log_error(HQ_LOG_WARNING, "the file is read and stored as a whole", err);
    hq_error_clear(err);
    return 0;
}

/* The run that holds @p block, from the cursor on; a cursor that is past it begins anew. */
static bool
seek(const struct inheritance *i, struct inheritance_cursor *cursor, uint32_t block)
{
    uint32_t low = cursor->run, high = i->map.run_count;

    if (block >= i->map.blocks)
        return false;
    if (low < high && i->begins[low] > block)
        low = 0;
    /* Neighbours first: that is how files are read. */
    for (int near = 0; near < 2; near++, low++)
        if (block < i->begins[low] + i->map.runs[low].length) {
            cursor->run = low;
            return true;
        }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (i->begins[middle] <= block)
            low = middle;
        else
            high = middle;
    }
    cursor->run = low;
    return true;
}

bool
inheritance_find(const struct inheritance *i, struct inheritance_cursor *cursor, uint32_t block,
                 uint32_t *chunk, uint32_t *slot)
{
    const struct hq_page_run *run;

    if (!seek(i, cursor, block))
        return false;
    run = &i->map.runs[cursor->run];
    *chunk = run->chunk;
    *slot = run->chunk == HQ_PAGE_RUN_ZERO ? 0 : run->slot + (block - i->begins[cursor->run]);
    return run->chunk == HQ_PAGE_RUN_ZERO || i->usable[run->chunk];
}

uint32_t
inheritance_run_left(const struct inheritance *i, const struct inheritance_cursor *cursor,
                     uint32_t block)
{
    return i->begins[cursor->run] + i->map.runs[cursor->run].length - block;
}

uint32_t
inheritance_reach(const struct inheritance *i, uint32_t block, uint32_t count)
{
    struct inheritance_cursor cursor = {0};
    uint32_t chunk, slot, at = block;

    while (at - block < count && inheritance_find(i, &cursor, at, &chunk, &slot))
        at += inheritance_run_left(i, &cursor, at);
    return at - block < count ? at - block : count;
}

bool
inheritance_sum_is(const struct inheritance *i, uint32_t chunk, uint32_t slot, uint64_t sum)
{
    const struct hq_page_chunk *of = &i->map.chunks[chunk];

    return of->sums != HQ_PAGE_SUMS_NONE &&
           hq_get_u64(i->sums[of->sums].data + sizeof sum * (of->first_sum + slot)) == sum;
}
