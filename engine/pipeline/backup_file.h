/**
 * @file backup_file.h
 * A file under way: its record, the parent's page map, and the stretches that are done.
 */
#ifndef HQ_PIPELINE_BACKUP_FILE_H
#define HQ_PIPELINE_BACKUP_FILE_H

#include "backup_writer_internal.h"
#include "repository/pagemap.h"

/** A run's chunk number with this bit is a number in the parent's map. */
#define PARENT_CHUNK (UINT32_C(1) << 31)

/** What became of a stretch of a relation file. */
struct fragment {
    struct fragment *next;
    uint32_t first_block, blocks;
    struct hq_page_run *runs;
    size_t run_count, run_cap;
    struct hq_page_chunk *chunks; /**< new ones; sums and first_sum not set */
    size_t chunk_count, chunk_cap;
    struct hq_buf sums; /**< of their pages, in order */
    uint32_t *damaged;  /**< blocks of the file */
    size_t damaged_count, damaged_cap;
    uint64_t inherited;
};

struct hq_backup_file {
    struct hq_backup_writer *writer;
    struct record *record;
    uint32_t block_size, first_block;
    uint64_t verify_before;
    struct inheritance *inheritance;   /**< NULL: nothing to inherit from */
    uint64_t inherit_from, inherit_to; /**< LSNs of pages that may be the parent's */
    bool flags_unlogged;               /**< an all-visible page's sum decides besides */

    /* Guarded by the writer's lock. */
    unsigned holds;
    uint64_t bytes;                      /**< of a plain file */
    struct fragment *fragments;          /**< in any order */
    struct hq_backup_file *next, **link; /**< of the writer's list */
};

struct fragment *fragment_new(uint32_t first_block, struct hq_error *err) HQ_MUST_CHECK;
void fragment_free(struct fragment *f);
/** Append blocks, joined to the last run where they continue it. */
int fragment_add_run(struct fragment *f, uint32_t length, uint32_t chunk, uint32_t slot,
                     struct hq_error *err) HQ_MUST_CHECK;
int fragment_add_chunk(struct fragment *f, const struct hq_id *id, uint32_t pages,
                       struct hq_error *err) HQ_MUST_CHECK;

/** Page map and sums from the fragments, stored; the record made whole. One thread, the last. */
int file_finish(struct hq_backup_file *file, struct hq_error *err) HQ_MUST_CHECK;
/** Take it off the writer's list and free it. @pre the writer's lock is not held */
void file_free(struct hq_backup_file *file);

#endif
