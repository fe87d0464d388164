/**
 * @file target_find.h
 * Where in the stored WAL a target lies that is no position: the end of a transaction, or a restore
 * point. Threads  one.
 */
#ifndef HQ_RESTORE_TARGET_FIND_H
#define HQ_RESTORE_TARGET_FIND_H

#include "restore/plan.h"

/** Whether @p target has to be looked for. */
bool target_is_sought(const struct hq_target *target);
/**
 * Look for plan->target in plan->coverage, among the records that begin in [@p from, @p until).
 * Reads the WAL there, one object at a time. @return 1, @p lsn says where the first one begins; 0
 * when there is none; -1: INTERRUPTED, CORRUPT or MISSING for an object that can't be read.
 */
int target_find(const struct hq_repository *repository, const struct hq_plan *plan,
                uint32_t segment_size, uint64_t from, uint64_t until, uint64_t *lsn,
                struct hq_error *err) HQ_MUST_CHECK;

#endif
