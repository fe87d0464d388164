/**
 * @file timeline.h
 * Positions in WAL as text, and timelines: the way that leads from one to the next.
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_TIMELINE_H
#define HQ_REPOSITORY_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** "0/16B3748". @return false when it is not an LSN. */
bool hq_lsn_parse(const char *text, uint64_t *lsn);
/** @p out gets at most 18 bytes. */
char *hq_lsn_format(uint64_t lsn, char out[24]);

/** The timelines a recovery passes through: from each `begin` on, its `timeline`. */
struct hq_timeline_path {
    struct hq_timeline_step {
        uint32_t timeline;
        uint64_t begin; /**< 0 for the first; never before that of the step before */
    } * steps;          /**< owned */
    size_t count;
};
void hq_timeline_path_clear(struct hq_timeline_path *path);
/**
 * Decode a history file's content (src/backend/access/transam/timeline.c): "parent timeline <tab>
 * LSN of the switch <tab> reason", a line each, oldest first; @p timeline is the one it is of.
 *
 * A recovery that stops before the switch to the timeline it follows writes a line whose LSN is
 * before that of the line above: the timelines between are no part of the way, and left out.
 * CORRUPT.
 */
int hq_timeline_path_decode(uint32_t timeline, const char *text, size_t len,
                            struct hq_timeline_path *out, struct hq_error *err) HQ_MUST_CHECK;
/** What the last line of a history file says: the parent, and where it was left. CORRUPT. */
int hq_timeline_branch(const char *text, size_t len, uint32_t *parent, uint64_t *begin,
                       struct hq_error *err) HQ_MUST_CHECK;

#endif
