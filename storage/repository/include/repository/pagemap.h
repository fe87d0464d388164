/**
 * @file pagemap.h
 * Page maps of relation files (docs/format.md §11).
 * Threads  one thread at a time.
 */
#ifndef HQ_REPOSITORY_PAGEMAP_H
#define HQ_REPOSITORY_PAGEMAP_H

#include "repository/chunk.h"

#define HQ_PAGE_RUN_ZERO UINT32_MAX
#define HQ_PAGE_SUMS_NONE UINT32_MAX

struct hq_page_chunk {
    struct hq_id id;
    uint32_t pages;
    uint32_t sums;      /**< index into the map's sums, or HQ_PAGE_SUMS_NONE */
    uint32_t first_sum; /**< of its first page there, counted in sums */
};

struct hq_page_run {
    uint32_t length;
    uint32_t chunk; /**< index into chunks, or HQ_PAGE_RUN_ZERO */
    uint32_t slot;
};

/** A chunk of page sums: `count` u64, little-endian. */
struct hq_page_sums {
    struct hq_id id;
    uint32_t count;
};

/** `= {0}` and block_size set is an empty map; owns its arrays, hq_page_map_clear(). */
struct hq_page_map {
    uint32_t block_size;
    uint32_t blocks;
    struct hq_page_chunk *chunks;
    uint32_t chunk_count;
    struct hq_page_run *runs;
    uint32_t run_count;
    struct hq_page_sums *sums;
    uint32_t sums_count;
    uint32_t chunk_cap, run_cap, sums_cap; /**< private */
};
void hq_page_map_clear(struct hq_page_map *map);
/** Append a chunk of page sums; its number is sums_count - 1 afterwards. */
int hq_page_map_add_sums(struct hq_page_map *map, const struct hq_page_sums *sums,
                         struct hq_error *err) HQ_MUST_CHECK;
/** Append a chunk; its number is chunk_count - 1 afterwards. @pre its sums were added before. */
int hq_page_map_add_chunk(struct hq_page_map *map, const struct hq_page_chunk *chunk,
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
