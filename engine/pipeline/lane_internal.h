/**
 * @file lane.h
 * The inside of a lane.
 */
#ifndef HQ_PIPELINE_LANE_INTERNAL_H
#define HQ_PIPELINE_LANE_INTERNAL_H

#include "backup_file.h"
#include "inheritance.h"

/** Pages on their way into one chunk: where the caller has them, or copied when they scatter. */
struct gather {
    const uint8_t *pages;
    uint8_t *copy; /**< room for HQ_PAGES_PER_CHUNK pages of copy_bytes */
    size_t copy_bytes;
    uint32_t count;
};

struct hq_backup_lane {
    struct hq_backup_writer *writer;
    struct stage stage;
    struct gather gather;
    struct hq_buf pending; /**< bytes of a plain file, not yet a chunk */

    struct hq_backup_file *file; /**< the stretch at hand, NULL: none */
    struct fragment *fragment;   /**< of a relation file */
    uint32_t next_block;
    struct inheritance_cursor cursor;
};

/** Put what is gathered into a chunk. */
int lane_flush_pages(struct hq_backup_lane *lane, struct hq_error *err) HQ_MUST_CHECK;
/** Cut chunks off what is pending; with @p last all of it. */
int lane_drain(struct hq_backup_lane *lane, bool last, struct hq_error *err) HQ_MUST_CHECK;

#endif
