/**
 * @file index.h
 * Index objects (docs/format.md §8) and the map chunk id -> place made of them.
 * Memory   of a map: 9 to 18 bytes a chunk, and 7 MB. Beyond 131072 chunks the rest, 52 bytes a
 *          chunk, lies in a temporary file without a name in $TMPDIR or /var/tmp.
 * Threads  a map is built by one thread, then read by any.
 */
#ifndef HQ_REPOSITORY_INDEX_H
#define HQ_REPOSITORY_INDEX_H

#include "repository/pack.h"

/** Store an index object for @p packs (their entries; bytes not needed). Durable when 0. */
int hq_index_write(const struct hq_repository *repository, struct hq_pack *const *packs,
                   size_t count, struct hq_id *id, struct hq_error *err) HQ_MUST_CHECK;
typedef int hq_index_pack_fn(const struct hq_pack *pack, void *context, struct hq_error *err);
/** Read one index object, calling @p each for every pack in it. */
int hq_index_read(const struct hq_repository *repository, const char *name, hq_index_pack_fn *each,
                  void *context, struct hq_error *err) HQ_MUST_CHECK;
/** Decode an opened index body (for hq_index_read and the fuzzer). */
int hq_index_decode(const void *body, size_t len, hq_index_pack_fn *each, void *context,
                    struct hq_error *err) HQ_MUST_CHECK;

/** Where a chunk lies. */
struct hq_place {
    struct hq_id pack;
    uint32_t frame; /**< number in the pack */
    enum hq_pack_type type;
    struct hq_pack_entry entry;
};

struct hq_index_map;
/**
 * Read every index of the repository. A damaged or missing index fails the call unless
 * @p damaged is given: then it is passed over, counted there, and the packs it may have named are
 * looked up by their own directories (those that are damaged too are counted as well).
 */
struct hq_index_map *hq_index_map_load(const struct hq_repository *repository, uint64_t *damaged,
                                       struct hq_error *err) HQ_MUST_CHECK;
/**
 * Add the packs that no index in @p map names, by their own directories: for a chunk that is not
 * found because its index is gone. Lists all packs. @p damaged as for hq_index_map_load(), added
 * to. @pre nobody else uses the map meanwhile.
 */
int hq_index_map_add_unnamed(const struct hq_repository *repository, struct hq_index_map *map,
                             uint64_t *damaged, struct hq_error *err) HQ_MUST_CHECK;
/** MISSING when no index names the chunk; else what reading a temporary file may end with. */
int hq_index_map_find(const struct hq_index_map *map, const struct hq_id *id, struct hq_place *out,
                      struct hq_error *err) HQ_MUST_CHECK;
size_t hq_index_map_chunks(const struct hq_index_map *map);
void hq_index_map_free(struct hq_index_map *map);

#endif
