/**
 * @file governor_internal.h
 * How the governor's files divide the work: governor.c has the thread and looks,
 * governor_policy.c judges, governor_tell.c writes the log lines.
 */
#ifndef HQ_ENGINE_GOVERNOR_INTERNAL_H
#define HQ_ENGINE_GOVERNOR_INTERNAL_H

#include "engine/slot_policy.h"

/** One line: the stage now and before, why, the figures, and what to do. */
void hq_governor_tell_stage(const char *slot, const struct hq_governor_status *now,
                            enum hq_slot_stage before, const struct hq_slot_verdict *verdict);

/** Trouble that lasts is told once when it begins and once when it ends. All zero: none. */
struct hq_governor_trouble {
    enum hq_code told;
};

/** Log @p err unless trouble of its kind is known already. */
void hq_governor_tell_trouble(struct hq_governor_trouble *trouble, const char *what,
                              const struct hq_error *err);
/** Log @p what if there was trouble. */
void hq_governor_tell_relief(struct hq_governor_trouble *trouble, const char *what);

#endif
