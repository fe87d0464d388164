/**
 * @file inheritance.h
 * Which pages of the parent's copy of a relation file may be taken over.
 * Threads  immutable; any.
 */
#ifndef HQ_PIPELINE_INHERITANCE_H
#define HQ_PIPELINE_INHERITANCE_H

#include "pipeline/backup_writer.h"
#include "repository/pagemap.h"

/**
 * A chunk of which less than one page in this many is still in use is left behind: its live
 * pages are stored again. It bounds what a restore reads for nothing, and lets packs run empty.
 */
enum {
    LIVE_SHARE = 2
};

struct inheritance {
    struct hq_page_map map;
    uint32_t *begins;    /**< of each run: its first block */
    bool *usable;        /**< of each chunk: known to be stored, and worth it */
    struct hq_buf *sums; /**< of each chunk of page sums: its content; empty: not to be had */
};

/** A way through the blocks in ascending order. `= {0}` is before the first one. */
struct inheritance_cursor {
    uint32_t run;
};

/**
 * @p out NULL when the parent has no such file with pages of that size, or its page map is lost or
 * damaged (which the log says): the file is then stored anew. -1 for trouble that is not the
 * parent's.
 */
int inheritance_new(struct hq_backup_parent *parent, const struct hq_backup_file_options *options,
                    struct inheritance **out, struct hq_error *err) HQ_MUST_CHECK;
void inheritance_free(struct inheritance *i);
/**
 * Where the parent has block @p block. @return false when that can't be taken over; true: chunk
 * (of the parent's map, or HQ_PAGE_RUN_ZERO) and slot.
 */
bool inheritance_find(const struct inheritance *i, struct inheritance_cursor *cursor,
                      uint32_t block, uint32_t *chunk, uint32_t *slot);
/** How many blocks from @p block on lie behind one another in the run that was found for it. */
uint32_t inheritance_run_left(const struct inheritance *i, const struct inheritance_cursor *cursor,
                              uint32_t block);
/** How many of @p count blocks from @p block on can be taken over, up to the first that can't. */
uint32_t inheritance_reach(const struct inheritance *i, uint32_t block, uint32_t count);
/** Whether the parent's sum of that page is @p sum; false where it has none. */
bool inheritance_sum_is(const struct inheritance *i, uint32_t chunk, uint32_t slot, uint64_t sum);

#endif
