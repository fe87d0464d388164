#include "repository/pagemap.h"

#include <stdlib.h>
#include <string.h>

#include "repository_internal.h"

enum {
    HEADER_BYTES = 20,
    CHUNK_BYTES = HQ_ID_BYTES + 4,
    RUN_BYTES = 12,
    BLOCKS_MAX = 1 << 20,
    BLOCK_MIN = 512,
    BLOCK_MAX = 32768,
};

void
hq_page_map_clear(struct hq_page_map *map)
{
    free(map->chunks);
    free(map->runs);
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
hq_page_map_add_chunk(struct hq_page_map *map, const struct hq_id *id, uint32_t pages,
                      struct hq_error *err)
{
    void *chunks = map->chunks;
    int rc;

    if (pages < 1 || pages > HQ_PAGES_PER_CHUNK || map->chunk_count == BLOCKS_MAX)
        return hq_fail(err, HQ_E_USAGE, "page map: chunk %u of %u pages", map->chunk_count, pages);
    rc = make_room(&chunks, map->chunk_count, &map->chunk_cap, sizeof *map->chunks, err);
    map->chunks = chunks;
    if (rc != 0)
        return -1;
    map->chunks[map->chunk_count++] = (struct hq_page_chunk){.id = *id, .pages = pages};
    return 0;
}

/* @p code: CORRUPT for bytes from the store, USAGE for a caller's. */
static int
check_run(const struct hq_page_map *map, const struct hq_page_run *run, enum hq_code code,
          struct hq_error *err)
{
    if (run->length < 1 || run->length > BLOCKS_MAX - map->blocks)
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

    if (check_run(map, &run, HQ_E_USAGE, err) != 0)
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

static bool
block_size_valid(uint32_t size)
{
    return size >= BLOCK_MIN && size <= BLOCK_MAX && (size & (size - 1)) == 0;
}

int
hq_page_map_encode(const struct hq_page_map *map, struct hq_buf *out, struct hq_error *err)
{
    if (!block_size_valid(map->block_size) || map->blocks < 1)
        return hq_fail(err, HQ_E_USAGE, "page map: %u blocks of %u bytes", map->blocks,
                       map->block_size);
    hq_buf_put_u8(out, HQ_FORMAT_VERSION);
    hq_buf_put_zero(out, 3);
    hq_buf_put_u32(out, map->block_size);
    hq_buf_put_u32(out, map->blocks);
    hq_buf_put_u32(out, map->chunk_count);
    hq_buf_put_u32(out, map->run_count);
    for (uint32_t i = 0; i < map->chunk_count; i++) {
        hq_buf_put(out, map->chunks[i].id.bytes, HQ_ID_BYTES);
        hq_buf_put_u32(out, map->chunks[i].pages);
    }
    for (uint32_t i = 0; i < map->run_count; i++) {
        hq_buf_put_u32(out, map->runs[i].length);
        hq_buf_put_u32(out, map->runs[i].chunk);
        hq_buf_put_u32(out, map->runs[i].slot);
    }
    return hq_buf_check(out, "page map", err);
}

/* The fixed part. @p blocks and @p runs are what it promises; the map gets the others. */
static int
decode_header(struct hq_view *v, struct hq_page_map *map, uint32_t *blocks, uint32_t *runs,
              struct hq_error *err)
{
    size_t len = v->len;
    unsigned version = hq_view_u8(v);
    const uint8_t *reserved = hq_view_take(v, 3);

    map->block_size = hq_view_u32(v);
    *blocks = hq_view_u32(v);
    map->chunk_count = hq_view_u32(v);
    *runs = hq_view_u32(v);
    if (v->failed)
        return hq_fail(err, HQ_E_CORRUPT, "page map of %zu bytes: truncated", len);
    if (hq_format_check(version, 0, err) != 0 || hq_reserved_check(reserved, 3, err) != 0)
        return hq_error_prefix(err, "page map");
    if (!block_size_valid(map->block_size) || *blocks < 1 || *blocks > BLOCKS_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "page map: %u blocks of %u bytes", *blocks,
                       map->block_size);
    /* Both counts are bounded by the bytes that are there, before anything is allocated. */
    if ((uint64_t)map->chunk_count * CHUNK_BYTES + (uint64_t)*runs * RUN_BYTES != v->len)
        return hq_fail(err, HQ_E_CORRUPT, "page map: %u chunks and %u runs in %zu bytes",
                       map->chunk_count, *runs, v->len);
    return 0;
}

static int
decode_chunks(struct hq_view *v, struct hq_page_map *map, struct hq_error *err)
{
    if (map->chunk_count == 0)
        return 0;
    map->chunk_cap = map->chunk_count;
    if ((map->chunks = calloc(map->chunk_count, sizeof *map->chunks)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map of %u chunks", map->chunk_count);
    for (uint32_t i = 0; i < map->chunk_count; i++) {
        hq_view_copy(v, map->chunks[i].id.bytes, HQ_ID_BYTES);
        map->chunks[i].pages = hq_view_u32(v);
        if (map->chunks[i].pages < 1 || map->chunks[i].pages > HQ_PAGES_PER_CHUNK)
            return hq_fail(err, HQ_E_CORRUPT, "page map: chunk %u of %u pages", i,
                           map->chunks[i].pages);
    }
    return 0;
}

static int
decode_runs(struct hq_view *v, struct hq_page_map *map, uint32_t runs, struct hq_error *err)
{
    if (runs == 0)
        return 0;
    map->run_cap = runs;
    if ((map->runs = calloc(runs, sizeof *map->runs)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map of %u runs", runs);
    while (map->run_count < runs) {
        struct hq_page_run run = {.length = hq_view_u32(v)};

        run.chunk = hq_view_u32(v);
        run.slot = hq_view_u32(v);
        if (check_run(map, &run, HQ_E_CORRUPT, err) != 0)
            return -1;
        map->runs[map->run_count++] = run;
        map->blocks += run.length;
    }
    return 0;
}

int
hq_page_map_decode(const void *data, size_t len, struct hq_page_map *out, struct hq_error *err)
{
    struct hq_view v = hq_view_of(data, len);
    struct hq_page_map map = {0};
    uint32_t blocks = 0, runs = 0;

    hq_page_map_clear(out);
    if (decode_header(&v, &map, &blocks, &runs, err) != 0 || decode_chunks(&v, &map, err) != 0 ||
        decode_runs(&v, &map, runs, err) != 0)
        goto fail;
    if (map.blocks != blocks) {
        (void)hq_fail(err, HQ_E_CORRUPT, "page map: runs of %u blocks, not %u", map.blocks, blocks);
        goto fail;
    }
    *out = map;
    return 0;

fail:
    hq_page_map_clear(&map);
    return -1;
}
