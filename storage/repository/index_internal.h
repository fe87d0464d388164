/**
 * @file index_internal.h
 * What writing, reading and mapping indexes share (docs/format.md §8).
 */
#ifndef HQ_REPOSITORY_INDEX_INTERNAL_H
#define HQ_REPOSITORY_INDEX_INTERNAL_H

#include "pack_internal.h"
#include "repository/index.h"
#include "repository/object.h"

#define HQ_INDEX_PREFIX "index/"

enum {
    HQ_INDEX_ENTRIES_MAX = 1 << 20,
    HQ_INDEX_PACK_BYTES = 48
};

/** "index/abcd..." */
void hq_index_name(const struct hq_id *id, char out[HQ_OBJECT_NAME_MAX + 1]);
/** The id in a name, after @p prefix. @return false: not such a name. */
bool hq_name_id(const char *name, const char *prefix, struct hq_id *out);

#endif
