/**
 * @file recovery_end.h
 * Targets at the very end of what is stored.
 */
#ifndef HQ_RESTORE_RECOVERY_END_H
#define HQ_RESTORE_RECOVERY_END_H

#include "restore/plan.h"

/**
 * Whether recovery is to end with its WAL instead of at plan->target: it is the last commit or LSN
 * in it. Asked after the last WAL was staged, for the last segment may have grown since the plan.
 */
int recovery_ends_with_wal(const struct hq_repository *repository, const struct hq_plan *plan,
                           bool *ends, struct hq_error *err) HQ_MUST_CHECK;

#endif
