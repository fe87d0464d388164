/**
 * @file pagemap.h
 * Page maps of relation files (docs/format.md §11).
 * Threads  one thread at a time.
 */
#ifndef HQ_REPOSITORY_PAGEMAP_H
#define HQ_REPOSITORY_PAGEMAP_H

#include "repository/chunk.h"

#define HQ_PAGE_RUN_ZERO UINT32_MAX

struct hq_page_chunk {
    struct hq_id id;
    uint32_t pages;
};

struct hq_page_run {
    uint32_t length;
    uint32_t chunk; /**< index into chunks, or HQ_PAGE_RUN_ZERO */
    uint32_t slot;
};

/** `= {0}` and block_size set is an empty map; owns its arrays, hq_page_map_clear(). */
struct hq_page_map {
    uint32_t block_size;
    uint32_t blocks;
    struct hq_page_chunk *chunks;
    uint32_t chunk_count;
    struct hq_page_run *runs;
    uint32_t run_count;
    uint32_t chunk_cap, run_cap; /**< private */
};
void hq_page_map_clear(struct hq_page_map *map);
/** Append a chunk; its number is chunk_count - 1 afterwards. */
int hq_page_map_add_chunk(struct hq_page_map *map, const struct hq_id *id, uint32_t pages,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Append @p length blocks, joined to the last run where they continue it. */
int hq_page_map_add_run(struct hq_page_map *map, uint32_t length, uint32_t chunk, uint32_t slot,
                        struct hq_error *err) HQ_MUST_CHECK;
int hq_page_map_encode(const struct hq_page_map *map, struct hq_buf *out,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Checks everything §11 says. @p out is cleared first. */
int hq_page_map_decode(const void *data, size_t len, struct hq_page_map *out,
                       struct hq_error *err) HQ_MUST_CHECK;

#endif
