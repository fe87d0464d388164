#include "restore/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "plan_internal.h"

void
hq_plan_clear(struct hq_plan *plan)
{
    hq_root_clear(&plan->root);
    hq_wal_inventory_free(plan->wal);
    hq_timeline_path_clear(&plan->path);
    hq_wal_coverage_clear(&plan->coverage);
    hq_index_map_free(plan->index);
    free(plan->branches);
    free(plan->zero_bytes);
    *plan = (struct hq_plan){0};
}

/*
 * The end of the backup and no further. For every other target the WAL behind it stays part of the
 * plan: who has looked at the data there may go on to a later one.
 */
static void
trim(struct hq_plan *plan)
{
    struct hq_wal_coverage *c = &plan->coverage;
    uint64_t needed_to = plan->root.stop_lsn;

    if (plan->target.type != HQ_TARGET_IMMEDIATE)
        return;
    needed_to += plan->root.wal_segment_size - needed_to % plan->root.wal_segment_size;
    while (c->count > 0 && c->pieces[c->count - 1].start_lsn >= needed_to)
        c->stored_bytes -= c->pieces[--c->count].object_size;
}

int
hq_plan_make(const struct hq_repository *repository, const char *cluster,
             const struct hq_target *target, bool allow_damaged, struct hq_plan *out,
             struct hq_error *err)
{
    *out = (struct hq_plan){.target = *target};
    snprintf(out->cluster, sizeof out->cluster, "%s", cluster);
    if (plan_choose(repository, out, err) != 0 ||
        plan_check_objects(repository, out, allow_damaged, err) != 0) {
        hq_plan_clear(out);
        return -1;
    }
    trim(out);
    return 0;
}
