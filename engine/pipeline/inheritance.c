#include "inheritance.h"

#include <stdlib.h>

#include "parent_internal.h"

void
inheritance_free(struct inheritance *i)
{
    if (i == NULL)
        return;
    hq_page_map_clear(&i->map);
    free(i->begins);
    free(i->usable);
    free(i);
}

/* Which chunks are worth it, and there. */
static void
judge_chunks(struct inheritance *i, const struct hq_backup_parent *parent, uint32_t *live)
{
    for (uint32_t r = 0; r < i->map.run_count; r++)
        if (i->map.runs[r].chunk != HQ_PAGE_RUN_ZERO)
            live[i->map.runs[r].chunk] += i->map.runs[r].length;
    for (uint32_t c = 0; c < i->map.chunk_count; c++)
        i->usable[c] = live[c] * LIVE_SHARE >= i->map.chunks[c].pages &&
                       parent_has_chunk(parent, &i->map.chunks[c].id);
}

static int
index_map(struct inheritance *i, const struct hq_backup_parent *parent, struct hq_error *err)
{
    uint32_t *live = calloc((size_t)i->map.chunk_count + 1, sizeof *live);
    uint32_t block = 0;

    i->begins = calloc((size_t)i->map.run_count + 1, sizeof *i->begins);
    i->usable = calloc((size_t)i->map.chunk_count + 1, sizeof *i->usable);
    if (live == NULL || i->begins == NULL || i->usable == NULL) {
        free(live);
        return hq_fail(err, HQ_E_NOMEM, "page map of %u runs", i->map.run_count);
    }
    judge_chunks(i, parent, live);
    free(live);
    for (uint32_t r = 0; r < i->map.run_count; r++) {
        i->begins[r] = block;
        block += i->map.runs[r].length;
    }
    return 0;
}

int
inheritance_new(struct hq_backup_parent *parent, const struct hq_entry *entry, uint32_t block_size,
                struct inheritance **out, struct hq_error *err)
{
    const struct hq_parent_file *file = hq_backup_parent_find(parent, entry->path);
    struct inheritance *i;

    *out = NULL;
    if (file == NULL || file->type != HQ_ENTRY_RELATION)
        return 0;
    i = calloc(1, sizeof *i);
    if (i == NULL)
        return hq_fail(err, HQ_E_NOMEM, "parent's page map");
    if (parent_read_map(parent, entry->path, file, &i->map, err) != 0 ||
        index_map(i, parent, err) != 0) {
        inheritance_free(i);
        return -1;
    }
    if (i->map.block_size == block_size)
        *out = i;
    else
        inheritance_free(i);
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
