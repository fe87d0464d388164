#include <stdlib.h>
#include <string.h>

#include "lane_internal.h"
#include "postgres/page.h"

int
lane_flush_pages(struct hq_backup_lane *lane, struct hq_error *err)
{
    struct gather *g = &lane->gather;
    struct fragment *fragment = lane->fragment;
    uint32_t block_size = lane->file->block_size, count = g->count;
    struct hq_id id;

    if (count == 0)
        return 0;
    g->count = 0;
    if (stage_store(&lane->stage, HQ_CHUNK_PAGES,
                    hq_page_is_index(g->pages, block_size) ? HQ_CONTENT_INDEX : HQ_CONTENT_ANY,
                    g->pages, (size_t)count * block_size, &id, err) != 0)
        return hq_error_prefix(err, "%s", lane->file->record->entry.path);
    for (uint32_t i = 0; i < count; i++)
        hq_buf_put_u64(&fragment->sums, hq_page_sum(lane->writer->ids,
                                                    g->pages + (size_t)i * block_size, block_size));
    if (hq_buf_check(&fragment->sums, "page sums", err) != 0)
        return -1;
    return fragment_add_chunk(fragment, &id, count, err);
}

static int
make_room(struct hq_backup_lane *lane, struct hq_error *err)
{
    struct gather *g = &lane->gather;
    size_t wanted = (size_t)HQ_PAGES_PER_CHUNK * lane->file->block_size;

    if (wanted <= g->copy_bytes)
        return 0;
    free(g->copy);
    g->copy_bytes = 0;
    if ((g->copy = hq_memory(wanted)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "room for %zu bytes of pages", wanted);
    g->copy_bytes = wanted;
    return 0;
}

/* Own what is gathered, when the caller's memory goes away or the next page lies elsewhere. */
static int
settle(struct hq_backup_lane *lane, struct hq_error *err)
{
    struct gather *g = &lane->gather;

    if (g->count == 0 || g->pages == g->copy)
        return 0;
    if (make_room(lane, err) != 0)
        return -1;
    memcpy(g->copy, g->pages, (size_t)g->count * lane->file->block_size);
    g->pages = g->copy;
    return 0;
}

static int
gather_page(struct hq_backup_lane *lane, const uint8_t *page, struct hq_error *err)
{
    struct gather *g = &lane->gather;
    uint32_t block_size = lane->file->block_size;

    if (g->count == 0) {
        g->pages = page;
    } else if (page != g->pages + (size_t)g->count * block_size) {
        if (settle(lane, err) != 0)
            return -1;
        memcpy(g->copy + (size_t)g->count * block_size, page, block_size);
    }
    if (fragment_add_run(lane->fragment, 1, (uint32_t)lane->fragment->chunk_count, g->count, err) !=
        0)
        return -1;
    return ++g->count == HQ_PAGES_PER_CHUNK ? lane_flush_pages(lane, err) : 0;
}

/* By its LSN, and where that does not say all by its content: see pipeline/parent.h. */
static bool
is_parents(struct hq_backup_lane *lane, const uint8_t *page, uint32_t *chunk, uint32_t *slot)
{
    const struct hq_backup_file *file = lane->file;
    uint64_t lsn = hq_page_lsn(page);

    if (file->inheritance == NULL || lsn < file->inherit_from || lsn >= file->inherit_to ||
        !inheritance_find(file->inheritance, &lane->cursor, lane->next_block, chunk, slot) ||
        *chunk == HQ_PAGE_RUN_ZERO)
        return false;
    return !file->flags_unlogged || !hq_page_all_visible(page) ||
           inheritance_sum_is(file->inheritance, *chunk, *slot,
                              hq_page_sum(lane->writer->ids, page, file->block_size));
}

/* Whether the page is the parent's; then it is taken over. 1, 0, or -1. */
static int
inherit_page(struct hq_backup_lane *lane, const uint8_t *page, struct hq_error *err)
{
    uint32_t chunk, slot;

    if (!is_parents(lane, page, &chunk, &slot))
        return 0;
    if (fragment_add_run(lane->fragment, 1, chunk | PARENT_CHUNK, slot, err) != 0)
        return -1;
    lane->fragment->inherited++;
    return 1;
}

static int
note_damage(struct hq_backup_lane *lane, struct hq_error *err)
{
    struct fragment *f = lane->fragment;
    void *damaged = f->damaged;

    if (array_grow(&damaged, &f->damaged_cap, f->damaged_count, sizeof *f->damaged, err) != 0)
        return -1;
    f->damaged = damaged;
    f->damaged[f->damaged_count++] = lane->next_block;
    return 0;
}

/*
 * Of a file that is stored anew, chunks begin at multiples of 64 blocks, so that an untouched group
 * gives the same chunk in every backup that reads it, whoever made it.
 */
static bool
ends_group(const struct hq_backup_lane *lane)
{
    return lane->file->inheritance == NULL && (lane->next_block + 1) % HQ_PAGES_PER_CHUNK == 0;
}

static int
take_page(struct hq_backup_lane *lane, const uint8_t *page, bool damaged, struct hq_error *err)
{
    int inherited = 0;

    if (damaged && note_damage(lane, err) != 0)
        return -1;
    if (hq_page_is_zero(page, lane->file->block_size)) {
        if (fragment_add_run(lane->fragment, 1, HQ_PAGE_RUN_ZERO, 0, err) != 0)
            return -1;
    } else {
        if (!damaged && (inherited = inherit_page(lane, page, err)) < 0)
            return -1;
        if (inherited == 0 && gather_page(lane, page, err) != 0)
            return -1;
    }
    if (ends_group(lane) && lane_flush_pages(lane, err) != 0)
        return -1;
    lane->next_block++;
    return 0;
}

int
hq_backup_lane_pages(struct hq_backup_lane *lane, const uint8_t *pages, uint32_t count,
                     const bool *damaged, struct hq_error *err)
{
    uint32_t block_size = lane->file->block_size;

    for (uint32_t i = 0; i < count; i++)
        if (take_page(lane, pages + (size_t)i * block_size, damaged != NULL && damaged[i], err) !=
            0)
            return -1;
    return settle(lane, err);
}

int
hq_backup_lane_skip(struct hq_backup_lane *lane, uint32_t count, struct hq_error *err)
{
    const struct inheritance *parent = lane->file->inheritance;

    for (uint32_t taken; count > 0; count -= taken, lane->next_block += taken) {
        uint32_t chunk, slot, left;

        if (parent == NULL ||
            !inheritance_find(parent, &lane->cursor, lane->next_block, &chunk, &slot))
            return hq_fail(err, HQ_E_INTERNAL, "block %u was skipped and is not the parent's",
                           lane->next_block);
        if (chunk != HQ_PAGE_RUN_ZERO)
            chunk |= PARENT_CHUNK;
        left = inheritance_run_left(parent, &lane->cursor, lane->next_block);
        taken = count < left ? count : left;
        if (fragment_add_run(lane->fragment, taken, chunk, slot, err) != 0)
            return -1;
        lane->fragment->inherited += taken;
    }
    return 0;
}
