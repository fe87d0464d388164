#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "plan_internal.h"

/* All ranges that count for a target, and those before and behind a target that lies in none of
 * them. */
struct whole_range {
    const struct hq_target *target;
    struct hq_recovery_range first, last, before, behind;
    size_t count;
    bool has_before, has_behind;
};

static bool
ends_before(const struct hq_recovery_range *range, const struct hq_target *target)
{
    if (target->type == HQ_TARGET_TIME)
        return range->to_us != 0 && range->to_us < target->time_us;
    return target->type == HQ_TARGET_LSN && range->to_lsn < target->lsn;
}

static bool
begins_behind(const struct hq_recovery_range *range, const struct hq_target *target)
{
    if (target->type == HQ_TARGET_TIME)
        return range->from_us > target->time_us;
    return target->type == HQ_TARGET_LSN && range->from_lsn > target->lsn;
}

static int
note_range(const struct hq_recovery_range *range, void *context, struct hq_error *err)
{
    struct whole_range *whole = context;

    (void)err;
    if (whole->count++ == 0)
        whole->first = *range;
    whole->last = *range;
    if (ends_before(range, whole->target)) {
        whole->before = *range;
        whole->has_before = true;
    } else if (begins_behind(range, whole->target) && !whole->has_behind) {
        whole->behind = *range;
        whole->has_behind = true;
    }
    return 0;
}

/* " along timeline 2" where that is not all there is. */
static const char *
along(const struct hq_plan *plan, uint32_t chosen, uint32_t other, char out[32])
{
    out[0] = '\0';
    if (plan->target.timeline != 0 || other != 0)
        (void)snprintf(out, 32, " along timeline %u", chosen);
    return out;
}

/* What comes first in a hint: the target is not lost. */
static const char *
elsewhere(uint32_t other, char out[64])
{
    out[0] = '\0';
    if (other != 0)
        (void)snprintf(out, 64, "timeline %u has it: --target-timeline %u; else ", other, other);
    return out;
}

/* The nearest points on both sides of a gap. */
static int
refuse_in_gap(const struct hq_plan *plan, const struct whole_range *whole, uint32_t other,
              struct hq_error *err)
{
    const struct hq_recovery_range *before = &whole->before, *behind = &whole->behind;
    char to[HQ_TIME_TEXT_MAX], from[HQ_TIME_TEXT_MAX], to_lsn[24], from_lsn[24];
    char path[32], hint[64];

    hq_time_format(before->to_us, to);
    hq_time_format(behind->from_us, from);
    hq_lsn_format(before->to_lsn, to_lsn);
    hq_lsn_format(behind->from_lsn, from_lsn);
    hq_fail(err, HQ_E_RANGE,
            "the target lies in a gap: nothing between %s (%s) and %s (%s) can be recovered%s",
            before->to_us == 0 ? "the end of a backup" : to, to_lsn, from, from_lsn,
            along(plan, behind->timeline, other, path));
    return hq_error_hint(err,
                         "%sthe last point before it: --target-lsn %s; the first behind it: "
                         "--target-lsn %s",
                         elsewhere(other, hint), to_lsn, from_lsn);
}

static int
refuse_nothing(const struct hq_plan *plan, const char *what, struct hq_error *err)
{
    char path[48] = "";

    if (plan->target.timeline != 0)
        (void)snprintf(path, sizeof path, " that leads to timeline %u", plan->target.timeline);
    hq_fail(err, HQ_E_RANGE, "%s: no backup of cluster %s%s has its WAL complete", what,
            plan->cluster, path);
    return hq_error_hint(err, "is hq-backupd running? `hq-restore points` shows what is there");
}

int
plan_refuse(const struct hq_repository *repository, const struct hq_plan *plan, const char *what,
            uint32_t other, struct hq_error *err)
{
    struct whole_range whole = {.target = &plan->target};
    char from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], from_lsn[24], to_lsn[24];
    char path[32], hint[64];

    if (recovery_ranges_along(repository, plan->cluster, plan->target.timeline, note_range, &whole,
                              err) != 0)
        return hq_error_prefix(err, "%s", what);
    if (whole.count == 0)
        return refuse_nothing(plan, what, err);
    if (whole.has_before && whole.has_behind)
        return refuse_in_gap(plan, &whole, other, err);
    hq_time_format(whole.first.from_us, from);
    hq_time_format(whole.last.to_us, to);
    hq_fail(err, HQ_E_RANGE, "%s; cluster %s is recoverable%s from %s (%s) to %s (%s)%s", what,
            plan->cluster,
            along(plan, plan->target.timeline != 0 ? plan->target.timeline : whole.last.timeline,
                  other, path),
            from, hq_lsn_format(whole.first.from_lsn, from_lsn),
            whole.last.to_us == 0 ? "the end of its backup" : to,
            hq_lsn_format(whole.last.to_lsn, to_lsn), whole.count > 1 ? ", with holes" : "");
    return hq_error_hint(err,
                         "%schoose a point in that range, or --latest for all there is; "
                         "`hq-restore points` shows every range",
                         elsewhere(other, hint));
}
