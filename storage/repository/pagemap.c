#include "pagemap_internal.h"

#include <stdlib.h>

void
hq_page_map_clear(struct hq_page_map *map)
{
    free(map->chunks);
    free(map->runs);
    free(map->sums);
    *map = (struct hq_page_map){.block_size = map->block_size};
}

/* Room for one more item in an array of @p size byte items; doubles. */
static int
make_room(void **items, uint32_t count, uint32_t *cap, size_t size, struct hq_error *err)
{
    uint32_t more = *cap == 0 ? 8 : *cap * 2;
    void *moved;

    if (count < *cap)
        return 0;
    if ((moved = reallocarray(*items, more, size)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map of %u items", more);
    *items = moved;
    *cap = more;
    return 0;
}

int
page_map_check_sums(const struct hq_page_sums *sums, enum hq_code code, struct hq_error *err)
{
    if (sums->count < 1 || sums->count > PAGE_MAP_BLOCKS_MAX)
        return hq_fail(err, code, "page map: %u page sums", sums->count);
    return 0;
}

int
page_map_check_chunk(const struct hq_page_map *map, const struct hq_page_chunk *chunk,
                     enum hq_code code, struct hq_error *err)
{
    if (chunk->pages < 1 || chunk->pages > HQ_PAGES_PER_CHUNK)
        return hq_fail(err, code, "page map: a chunk of %u pages", chunk->pages);
    if (chunk->sums == HQ_PAGE_SUMS_NONE) {
        if (chunk->first_sum != 0)
            return hq_fail(err, code, "page map: no page sums, from place %u", chunk->first_sum);
        return 0;
    }
    if (chunk->sums >= map->sums_count)
        return hq_fail(err, code, "page map: page sums %u of %u", chunk->sums, map->sums_count);
    if ((uint64_t)chunk->first_sum + chunk->pages > map->sums[chunk->sums].count)
        return hq_fail(err, code, "page map: page sums %u to %llu of %u", chunk->first_sum,
                       (unsigned long long)chunk->first_sum + chunk->pages,
                       map->sums[chunk->sums].count);
    return 0;
}

int
page_map_check_run(const struct hq_page_map *map, const struct hq_page_run *run, enum hq_code code,
                   struct hq_error *err)
{
    if (run->length < 1 || run->length > PAGE_MAP_BLOCKS_MAX - map->blocks)
        return hq_fail(err, code, "page map: run of %u blocks after %u", run->length, map->blocks);
    if (run->chunk == HQ_PAGE_RUN_ZERO) {
        if (run->slot != 0)
            return hq_fail(err, code, "page map: zero pages with slot %u", run->slot);
        return 0;
    }
    if (run->chunk >= map->chunk_count)
        return hq_fail(err, code, "page map: chunk %u of %u", run->chunk, map->chunk_count);
    if ((uint64_t)run->slot + run->length > map->chunks[run->chunk].pages)
        return hq_fail(err, code, "page map: slots %u to %llu of a chunk of %u pages", run->slot,
                       (unsigned long long)run->slot + run->length, map->chunks[run->chunk].pages);
    return 0;
}

int
hq_page_map_add_sums(struct hq_page_map *map, const struct hq_page_sums *sums, struct hq_error *err)
{
    void *items = map->sums;
    int rc;

    if (page_map_check_sums(sums, HQ_E_USAGE, err) != 0)
        return -1;
    rc = make_room(&items, map->sums_count, &map->sums_cap, sizeof *map->sums, err);
    map->sums = items;
    if (rc != 0)
        return -1;
    map->sums[map->sums_count++] = *sums;
    return 0;
}

int
hq_page_map_add_chunk(struct hq_page_map *map, const struct hq_page_chunk *chunk,
                      struct hq_error *err)
{
    void *chunks = map->chunks;
    int rc;

    if (page_map_check_chunk(map, chunk, HQ_E_USAGE, err) != 0)
        return -1;
    if (map->chunk_count == PAGE_MAP_BLOCKS_MAX)
        return hq_fail(err, HQ_E_USAGE, "page map: more than %u chunks", map->chunk_count);
    rc = make_room(&chunks, map->chunk_count, &map->chunk_cap, sizeof *map->chunks, err);
    map->chunks = chunks;
    if (rc != 0)
        return -1;
    map->chunks[map->chunk_count++] = *chunk;
    return 0;
}

static bool
continues(const struct hq_page_run *last, const struct hq_page_run *run)
{
    return last->chunk == run->chunk &&
           (run->chunk == HQ_PAGE_RUN_ZERO || last->slot + last->length == run->slot);
}

int
hq_page_map_add_run(struct hq_page_map *map, uint32_t length, uint32_t chunk, uint32_t slot,
                    struct hq_error *err)
{
    struct hq_page_run run = {.length = length, .chunk = chunk, .slot = slot};
    void *runs = map->runs;
    int rc;

    if (page_map_check_run(map, &run, HQ_E_USAGE, err) != 0)
        return -1;
    if (map->run_count > 0 && continues(&map->runs[map->run_count - 1], &run)) {
        map->runs[map->run_count - 1].length += length;
        map->blocks += length;
        return 0;
    }
    rc = make_room(&runs, map->run_count, &map->run_cap, sizeof *map->runs, err);
    map->runs = runs;
    if (rc != 0)
        return -1;
    map->runs[map->run_count++] = run;
    map->blocks += length;
    return 0;
}
