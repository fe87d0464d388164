/**
 * @file index_records.h
 * The places of an index map's chunks: a growing array, of which only the end is in memory once it
 * is large. The rest lies in a temporary file without a name (hq_io_temporary()).
 * Memory   at most HQ_INDEX_RECORDS_KEPT records, some 7 MB.
 * Threads  one thread adds; then any may get.
 */
#ifndef HQ_REPOSITORY_INDEX_RECORDS_H
#define HQ_REPOSITORY_INDEX_RECORDS_H

#include "repository_internal.h"

enum {
    HQ_INDEX_RECORDS_KEPT = 1 << 17
};

struct hq_index_record {
    struct hq_id id;
    uint32_t pack; /**< number in the map's list */
    uint32_t frame;
    uint32_t offset;
    uint32_t stored;
    uint32_t packed; /**< raw length, kind, codec, from the lowest bit on */
};

/** `= {0}` is empty; hq_index_records_clear(). */
struct hq_index_records {
    size_t count;
    struct hq_index_record *kept; /**< those from number `filed` on */
    size_t kept_cap;
    size_t filed;
    int fd; /**< where filed is not 0 */
};
void hq_index_records_clear(struct hq_index_records *r);
/** NO_SPACE or the system's error when the temporary file can't take it. */
int hq_index_records_add(struct hq_index_records *r, const struct hq_index_record *record,
                         struct hq_error *err) HQ_MUST_CHECK;
/** @pre number < count */
int hq_index_records_get(const struct hq_index_records *r, size_t number,
                         struct hq_index_record *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
