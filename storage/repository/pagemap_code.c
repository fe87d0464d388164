#include <stdlib.h>

#include "pagemap_internal.h"
#include "repository_internal.h"

enum {
    WITHOUT_SUMS = 1, /* versions: what early writers wrote, */
    WITH_SUMS = 2,    /* and what is written now */
    RUN_BYTES = 12,
    BLOCK_MIN = 512,
    BLOCK_MAX = 32768,
};

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
    hq_buf_put_u8(out, WITH_SUMS);
    hq_buf_put_zero(out, 3);
    hq_buf_put_u32(out, map->block_size);
    hq_buf_put_u32(out, map->blocks);
    hq_buf_put_u32(out, map->chunk_count);
    hq_buf_put_u32(out, map->run_count);
    hq_buf_put_u32(out, map->sums_count);
    for (uint32_t i = 0; i < map->chunk_count; i++) {
        hq_buf_put(out, map->chunks[i].id.bytes, HQ_ID_BYTES);
        hq_buf_put_u32(out, map->chunks[i].pages);
        hq_buf_put_u32(out, map->chunks[i].sums);
        hq_buf_put_u32(out, map->chunks[i].first_sum);
    }
    for (uint32_t i = 0; i < map->run_count; i++) {
        hq_buf_put_u32(out, map->runs[i].length);
        hq_buf_put_u32(out, map->runs[i].chunk);
        hq_buf_put_u32(out, map->runs[i].slot);
    }
    for (uint32_t i = 0; i < map->sums_count; i++) {
        hq_buf_put(out, map->sums[i].id.bytes, HQ_ID_BYTES);
        hq_buf_put_u32(out, map->sums[i].count);
    }
    return hq_buf_check(out, "page map", err);
}

/** A map being read, and what its header promises. */
struct decoder {
    struct hq_view v;
    unsigned version;
    uint32_t blocks, chunks, runs, sums;
    struct hq_page_map map;
};

/* Each array's length is bounded by the bytes that are there, before anything is allocated. */
static int
check_length(const struct decoder *d, struct hq_error *err)
{
    uint64_t chunk_bytes = HQ_ID_BYTES + (d->version == WITH_SUMS ? 12 : 4);

    if (d->chunks * chunk_bytes + (uint64_t)d->runs * RUN_BYTES +
            (uint64_t)d->sums * (HQ_ID_BYTES + 4) !=
        d->v.len)
        return hq_fail(err, HQ_E_CORRUPT, "page map: %u chunks, %u runs and %u sums in %zu bytes",
                       d->chunks, d->runs, d->sums, d->v.len);
    return 0;
}

static int
decode_header(struct decoder *d, struct hq_error *err)
{
    const uint8_t *reserved;

    d->version = hq_view_u8(&d->v);
    reserved = hq_view_take(&d->v, 3);
    d->map.block_size = hq_view_u32(&d->v);
    d->blocks = hq_view_u32(&d->v);
    d->chunks = hq_view_u32(&d->v);
    d->runs = hq_view_u32(&d->v);
    if (d->version != WITHOUT_SUMS)
        d->sums = hq_view_u32(&d->v);
    if (d->v.failed)
        return hq_fail(err, HQ_E_CORRUPT, "page map: truncated");
    if (d->version < WITHOUT_SUMS)
        return hq_fail(err, HQ_E_CORRUPT, "page map of version 0");
    if (d->version > WITH_SUMS)
        return hq_fail(err, HQ_E_UNSUPPORTED, "page map of version %u", d->version);
    if (hq_reserved_check(reserved, 3, err) != 0)
        return hq_error_prefix(err, "page map");
    if (!block_size_valid(d->map.block_size) || d->blocks < 1 || d->blocks > PAGE_MAP_BLOCKS_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "page map: %u blocks of %u bytes", d->blocks,
                       d->map.block_size);
    return check_length(d, err);
}

static void *
allocate(uint32_t count, size_t size, struct hq_error *err)
{
    void *items = calloc((size_t)count + 1, size);

    if (items == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "page map of %u items", count);
    return items;
}

/* Chunks name sums, which lie behind them: the sums are read first. */
static int
decode_sums(struct decoder *d, struct hq_error *err)
{
    struct hq_page_map *map = &d->map;
    size_t len = (size_t)d->sums * (HQ_ID_BYTES + 4);
    struct hq_view v = hq_view_of(d->v.data + (d->v.len - len), len);

    if ((map->sums = allocate(d->sums, sizeof *map->sums, err)) == NULL)
        return -1;
    map->sums_cap = d->sums;
    for (; map->sums_count < d->sums; map->sums_count++) {
        struct hq_page_sums *sums = &map->sums[map->sums_count];

        hq_view_copy(&v, sums->id.bytes, HQ_ID_BYTES);
        sums->count = hq_view_u32(&v);
        if (page_map_check_sums(sums, HQ_E_CORRUPT, err) != 0)
            return -1;
    }
    return 0;
}

static int
decode_chunks(struct decoder *d, struct hq_error *err)
{
    struct hq_page_map *map = &d->map;

    if ((map->chunks = allocate(d->chunks, sizeof *map->chunks, err)) == NULL)
        return -1;
    map->chunk_cap = d->chunks;
    for (; map->chunk_count < d->chunks; map->chunk_count++) {
        struct hq_page_chunk *chunk = &map->chunks[map->chunk_count];

        hq_view_copy(&d->v, chunk->id.bytes, HQ_ID_BYTES);
        chunk->pages = hq_view_u32(&d->v);
        chunk->sums = d->version == WITHOUT_SUMS ? HQ_PAGE_SUMS_NONE : hq_view_u32(&d->v);
        chunk->first_sum = d->version == WITHOUT_SUMS ? 0 : hq_view_u32(&d->v);
        if (page_map_check_chunk(map, chunk, HQ_E_CORRUPT, err) != 0)
            return -1;
    }
    return 0;
}

static int
decode_runs(struct decoder *d, struct hq_error *err)
{
    struct hq_page_map *map = &d->map;

    if ((map->runs = allocate(d->runs, sizeof *map->runs, err)) == NULL)
        return -1;
    map->run_cap = d->runs;
    while (map->run_count < d->runs) {
        struct hq_page_run run = {.length = hq_view_u32(&d->v)};

        run.chunk = hq_view_u32(&d->v);
        run.slot = hq_view_u32(&d->v);
        if (page_map_check_run(map, &run, HQ_E_CORRUPT, err) != 0)
            return -1;
        map->runs[map->run_count++] = run;
        map->blocks += run.length;
    }
    if (map->blocks != d->blocks)
        return hq_fail(err, HQ_E_CORRUPT, "page map: runs of %u blocks, not %u", map->blocks,
                       d->blocks);
    return 0;
}

int
hq_page_map_decode(const void *data, size_t len, struct hq_page_map *out, struct hq_error *err)
{
    struct decoder d = {.v = hq_view_of(data, len)};

    hq_page_map_clear(out);
    if (decode_header(&d, err) != 0 || decode_sums(&d, err) != 0 || decode_chunks(&d, err) != 0 ||
        decode_runs(&d, err) != 0) {
        hq_page_map_clear(&d.map);
        return -1;
    }
    *out = d.map;
    return 0;
}
