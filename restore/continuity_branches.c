#include <stdlib.h>

#include "base/cleanup.h"
#include "continuity_internal.h"

/* Where @p path leaves the last of the ways that count; 0: it is one of them, or of another WAL. */
static uint64_t
left_at(const struct work *w, const struct path *path)
{
    uint64_t left = 0;

    for (size_t i = 0; i < w->path_count; i++) {
        uint64_t at = w->paths[i].lineage == path->lineage
                          ? hq_timeline_path_parting(&w->paths[i].steps, &path->steps)
                          : 0;

        left = at != UINT64_MAX && at > left ? at : left;
    }
    return left;
}

/* As a range, from no later on: of a timeline that a backup was finished on after it was left. */
static bool
is_told(const struct hq_continuity *c, const struct hq_recovery_range *range)
{
    for (size_t i = 0; i < c->range_count; i++)
        if (c->ranges[i].system_identifier == range->system_identifier &&
            c->ranges[i].timeline == range->timeline && c->ranges[i].to_lsn == range->to_lsn &&
            c->ranges[i].from_lsn <= range->from_lsn)
            return true;
    return false;
}

static int
add_branch(struct hq_continuity *c, const struct hq_recovery_range *range, uint64_t left_lsn,
           struct hq_error *err)
{
    struct hq_recovery_branch *branches =
        reallocarray(c->branches, c->branch_count + 1, sizeof *branches);

    if (branches == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of %zu branches", c->branch_count + 1);
    c->branches = branches;
    c->branches[c->branch_count++] =
        (struct hq_recovery_branch){.range = *range, .left_lsn = left_lsn};
    return 0;
}

static int
add_ranges(struct work *w, const struct work *along, size_t lineage, struct hq_error *err)
{
    for (size_t p = 0; p < along->path_count; p++) {
        uint64_t left = left_at(w, &along->paths[p]);

        for (size_t i = 0; along->paths[p].lineage == lineage && i < along->out->range_count; i++) {
            const struct hq_recovery_range *r = &along->out->ranges[i];

            if (r->system_identifier == w->lineages[lineage].system_identifier &&
                r->timeline == along->input->timeline && left != 0 && r->to_lsn > left &&
                !is_told(w->out, r) && add_branch(w->out, r, left, err) != 0)
                return -1;
        }
    }
    return 0;
}

static int
look_along(struct work *w, size_t lineage, uint32_t timeline, struct hq_error *err)
{
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity found = {0};
    struct hq_continuity_input input = *w->input;
    HQ_AUTO(work_clear_paths)
    struct work along = {
        .input = &input, .lineages = w->lineages, .lineage_count = w->lineage_count, .out = &found};

    input.timeline = timeline;
    return work_run(&along, err) != 0 ? -1 : add_ranges(w, &along, lineage, err);
}

int
work_branches(struct work *w, struct hq_error *err)
{
    for (size_t i = 0; i < w->lineage_count; i++) {
        HQ_FREE uint32_t *timelines = NULL;
        size_t count = 0;

        if (hq_wal_inventory_timelines(w->lineages[i].wal, &timelines, &count, err) != 0)
            return -1;
        for (size_t k = 0; count > 1 && k < count; k++)
            if (look_along(w, i, timelines[k], err) != 0)
                return -1;
    }
    return 0;
}
