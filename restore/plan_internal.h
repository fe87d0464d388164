/**
 * @file plan_internal.h
 * Shared by the files that make a plan.
 */
#ifndef HQ_RESTORE_PLAN_INTERNAL_H
#define HQ_RESTORE_PLAN_INTERNAL_H

#include "restore/plan.h"

/** WAL is listed so often at most: objects may be replaced between listing and reading. */
enum {
    PLAN_ATTEMPTS = 5
};

/** Choose plan->root and follow its WAL: fills root, wal, path, coverage, last_commit_us. */
int plan_choose(const struct hq_repository *repository, struct hq_plan *plan,
                struct hq_error *err) HQ_MUST_CHECK;
/** Look for every object of plan->root: fills index, packs and what is missing. */
int plan_check_objects(const struct hq_repository *repository, struct hq_plan *plan,
                       bool allow_damaged, struct hq_error *err) HQ_MUST_CHECK;

#endif
