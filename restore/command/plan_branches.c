#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/output.h"
#include "command.h"

/* The state that the target names on the other timeline is not part of what is recovered. */
static void
warn_of_loss(const struct hq_plan *plan, const struct hq_plan_branch *b, uint32_t own)
{
    char at[24], from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], next[HQ_TIME_TEXT_MAX];

    hq_cli_warn(
        "WARNING: timeline %u parts from timeline %u at %s and has no commit from there to the "
        "target (%s%s): recovered along it, the target is WITHOUT what timeline %u "
        "committed from %s to %s. To have that: --target-timeline %u%s",
        own, b->timeline, hq_lsn_format(b->parted_lsn, at),
        b->own_commit_us != 0 ? "its first is of " : "it has none yet",
        b->own_commit_us != 0 ? hq_time_format(b->own_commit_us, next) : "", b->timeline,
        hq_time_format(b->first_commit_us, from), hq_time_format(b->last_commit_us, to),
        b->timeline,
        plan->target.time_us > b->last_commit_us ? " --latest, its end is before the target" : "");
}

static void
warn_of_both(const struct hq_plan *plan, const struct hq_plan_branch *b, uint32_t own)
{
    bool time = plan->target.type == HQ_TARGET_TIME;
    char at[24];

    hq_cli_warn(
        "WARNING: the target is on two timelines, which part at %s: %u, recovered along, and %u, "
        "%s. To recover along that: --target-timeline %u",
        hq_lsn_format(b->parted_lsn, at), own, b->timeline,
        time ? "which has commits of that time too" : "which has that LSN too", b->timeline);
}

void
plan_warn_of_branches(const struct hq_plan *plan)
{
    uint32_t own = plan->path.steps[plan->path.count - 1].timeline;

    for (size_t i = 0; i < plan->branch_count; i++)
        if (plan->branches[i].only_there)
            warn_of_loss(plan, &plan->branches[i], own);
        else
            warn_of_both(plan, &plan->branches[i], own);
}

static json_t *
time_json(int64_t us)
{
    char text[HQ_TIME_TEXT_MAX];

    return us != 0 ? json_string(hq_time_format(us, text)) : json_null();
}

json_t *
plan_branches_json(const struct hq_plan *plan)
{
    json_t *out = json_array();

    for (size_t i = 0; i < plan->branch_count; i++) {
        const struct hq_plan_branch *b = &plan->branches[i];
        char at[24];

        json_array_append_new(
            out, json_pack("{s:I, s:s, s:o, s:o, s:o, s:b}", "timeline", (json_int_t)b->timeline,
                           "parted_at", hq_lsn_format(b->parted_lsn, at), "first_commit",
                           time_json(b->first_commit_us), "last_commit",
                           time_json(b->last_commit_us), "own_first_commit",
                           time_json(b->own_commit_us), "only_there", b->only_there ? 1 : 0));
    }
    return out;
}
