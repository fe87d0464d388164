#include "recovery_end.h"

#include "base/cleanup.h"

static void
free_inventory(struct hq_wal_inventory **inventory)
{
    hq_wal_inventory_free(*inventory);
}

/* What is stored now of the plan's segments. */
static int
look_again(const struct hq_repository *repository, const struct hq_plan *plan,
           struct hq_wal_coverage *coverage, int64_t *last_commit_us, struct hq_error *err)
{
    HQ_AUTO(free_inventory)
    struct hq_wal_inventory *wal = NULL;
    const struct hq_wal_piece *last = &plan->coverage.pieces[plan->coverage.count - 1];
    uint64_t size = plan->root.wal_segment_size, segment_end;

    segment_end = last->start_lsn - last->start_lsn % size + size;
    if (hq_wal_inventory_load(repository, plan->cluster, plan->root.system_identifier,
                              plan->root.wal_segment_size, &wal, err) != 0 ||
        hq_wal_inventory_cover(wal, &plan->path, plan->root.start_lsn, coverage, err) != 0)
        return -1;
    while (coverage->count > 0 && coverage->pieces[coverage->count - 1].start_lsn >= segment_end)
        coverage->count--;
    if (coverage->count > 0)
        coverage->end_lsn = coverage->pieces[coverage->count - 1].end_lsn;
    return hq_wal_coverage_last_commit(wal, coverage, last_commit_us, err);
}

/*
 * PostgreSQL stops at a time or LSN when it sees what comes behind, and fails where nothing does.
 * Where its WAL has grown instead, without a target it would go too far. Of the two mistakes that
 * growing right now leaves possible, this one makes the one that shows: a server that ends.
 */
int
recovery_ends_with_wal(const struct hq_repository *repository, const struct hq_plan *plan,
                       bool *ends, struct hq_error *err)
{
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage now = {0};
    const struct hq_target *target = &plan->target;
    int64_t last_commit_us;

    *ends = plan->at_end;
    if (!plan->at_end || plan->coverage.pieces[plan->coverage.count - 1].complete)
        return 0;
    if (look_again(repository, plan, &now, &last_commit_us, err) != 0)
        return -1;
    *ends = target->type == HQ_TARGET_TIME ? last_commit_us <= target->time_us
                                           : now.end_lsn <= target->lsn;
    return 0;
}
