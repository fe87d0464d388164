/**
 * @file record.h
 * One entry of the manifest in the making.
 */
#ifndef HQ_PIPELINE_RECORD_H
#define HQ_PIPELINE_RECORD_H

#include "repository/manifest.h"

struct record {
    struct hq_entry entry;     /**< path and target owned; chunks and damaged point to these: */
    struct hq_chunk_ref *refs; /**< owned */
    size_t ref_count, ref_cap;
    uint32_t *damaged; /**< owned, ascending */
    size_t damaged_count, damaged_cap;
};

struct record *record_new(const struct hq_entry *entry, struct hq_error *err) HQ_MUST_CHECK;
void record_free(struct record *record);
/** Append a chunk; its id may be filled in later. */
int record_add_ref(struct record *record, uint32_t raw, const struct hq_id *id,
                   struct hq_error *err) HQ_MUST_CHECK;
int record_add_damaged(struct record *record, uint32_t block, struct hq_error *err) HQ_MUST_CHECK;
/** Make the entry whole. */
void record_close(struct record *record);
/** Double an array of pointers or values when it is full. */
int array_grow(void **array, size_t *cap, size_t count, size_t item,
               struct hq_error *err) HQ_MUST_CHECK;

#endif
