/**
 * @file index_map_internal.h
 * Filling the map chunk id -> place.
 * Threads  one thread until it is filled.
 */
#ifndef HQ_REPOSITORY_INDEX_MAP_INTERNAL_H
#define HQ_REPOSITORY_INDEX_MAP_INTERNAL_H

#include "index_internal.h"

struct hq_index_map *hq_index_map_new(struct hq_error *err) HQ_MUST_CHECK;
/** Take a pack's chunks in; those that are there already stay where they are. */
int hq_index_map_add(struct hq_index_map *map, const struct hq_pack *pack,
                     struct hq_error *err) HQ_MUST_CHECK;
size_t hq_index_map_packs(const struct hq_index_map *map);
/** Id of the pack added as @p number. Borrowed until the next hq_index_map_add(). */
const struct hq_id *hq_index_map_pack(const struct hq_index_map *map, size_t number);

#endif
