/**
 * @file pagemap_internal.h
 * The rules of a page map's parts, for who builds one and for who reads one.
 */
#ifndef HQ_REPOSITORY_PAGEMAP_INTERNAL_H
#define HQ_REPOSITORY_PAGEMAP_INTERNAL_H

#include "repository/pagemap.h"

enum {
    PAGE_MAP_BLOCKS_MAX = 1 << 20
};

/** Each checks one part against what @p map holds already. @p code: CORRUPT for bytes from the
 * store, USAGE for a caller's. */
int page_map_check_sums(const struct hq_page_sums *sums, enum hq_code code,
                        struct hq_error *err) HQ_MUST_CHECK;
int page_map_check_chunk(const struct hq_page_map *map, const struct hq_page_chunk *chunk,
                         enum hq_code code, struct hq_error *err) HQ_MUST_CHECK;
int page_map_check_run(const struct hq_page_map *map, const struct hq_page_run *run,
                       enum hq_code code, struct hq_error *err) HQ_MUST_CHECK;

#endif
