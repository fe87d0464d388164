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
/**
 * Refuse the target for reason @p what, naming what could be recovered instead: along the timeline
 * asked for, if one was. @p other: the timeline along which the target can be reached, 0: none.
 * RANGE.
 */
int plan_refuse(const struct hq_repository *repository, const struct hq_plan *plan,
                const char *what, uint32_t other, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Fill in plan->branches. A plan does not fail for what it does not need: what goes wrong is
 * logged.
 */
void plan_find_branches(const struct hq_repository *repository, struct hq_plan *plan,
                        const struct hq_backup_list *list);
/** hq_recovery_ranges() along one timeline; 0: along those that hq_plan_make() chooses. */
int recovery_ranges_along(const struct hq_repository *repository, const char *cluster,
                          uint32_t timeline, hq_recovery_range_fn *each, void *context,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Look for every object of plan->root: fills index, packs and what is missing. */
int plan_check_objects(const struct hq_repository *repository, struct hq_plan *plan,
                       bool allow_damaged, struct hq_error *err) HQ_MUST_CHECK;

#endif
