#include <string.h>

#include "base/cleanup.h"
#include "restore/plan.h"

/* A range in the making, and the inventory of the lineage it belongs to. */
struct walk {
    const struct hq_repository *repository;
    const char *cluster;
    struct hq_wal_inventory *wal;
    uint64_t system_identifier;
    struct hq_recovery_range range;
    const struct hq_lineages *lineages;
    hq_recovery_range_fn *each;
    void *context;
};

static int
emit(struct walk *walk, struct hq_error *err)
{
    int result = 0;

    if (walk->range.backups > 0)
        result = walk->each(&walk->range, walk->context, err);
    walk->range = (struct hq_recovery_range){0};
    return result;
}

static int
use_lineage(struct walk *walk, const struct hq_root *root, struct hq_error *err)
{
    if (walk->wal != NULL && walk->system_identifier == root->system_identifier)
        return 0;
    hq_wal_inventory_free(walk->wal);
    walk->wal = NULL;
    walk->system_identifier = root->system_identifier;
    return hq_wal_inventory_load(walk->repository, walk->cluster, root->system_identifier,
                                 root->wal_segment_size, &walk->wal, err);
}

static void
extend(struct hq_recovery_range *range, const struct hq_root *root, size_t lineage,
       const struct hq_wal_coverage *coverage, int64_t last_commit)
{
    if (range->backups++ == 0) {
        range->lineage = lineage;
        range->system_identifier = root->system_identifier;
        range->from_us = root->finished_us;
        range->from_lsn = root->stop_lsn;
        memcpy(range->first_backup, root->backup, sizeof root->backup);
    }
    memcpy(range->last_backup, root->backup, sizeof root->backup);
    range->timeline = coverage->end_timeline;
    range->to_lsn = coverage->end_lsn;
    range->to_us = last_commit;
}

static int
add_backup(struct walk *walk, const struct hq_root *root, struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path path = {0};
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage coverage = {0};
    int64_t last_commit;
    size_t lineage = hq_lineages_number(
        walk->lineages,
        hq_lineages_since(walk->lineages, root->system_identifier, root->started_us));

    if (use_lineage(walk, root, err) != 0 ||
        hq_wal_inventory_path(walk->wal, 0, root->timeline, root->stop_lsn, &path, err) != 0 ||
        hq_wal_inventory_cover(walk->wal, &path, root->start_lsn, &coverage, err) != 0)
        return -1;
    /* Without its own WAL a backup is not consistent: nothing can be recovered from it. */
    if (coverage.end_lsn < root->stop_lsn)
        return 0;
    if (hq_wal_coverage_last_commit(walk->wal, &coverage, &last_commit, err) != 0)
        return -1;
    if (walk->range.backups > 0 &&
        (walk->range.lineage != lineage ||
         walk->range.system_identifier != root->system_identifier ||
         walk->range.timeline != coverage.end_timeline || walk->range.to_lsn < root->start_lsn) &&
        emit(walk, err) != 0)
        return -1;
    extend(&walk->range, root, lineage, &coverage, last_commit);
    return 0;
}

int
hq_recovery_ranges(const struct hq_repository *repository, const char *cluster,
                   hq_recovery_range_fn *each, void *context, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    struct walk walk = {.repository = repository,
                        .cluster = cluster,
                        .lineages = &list.lineages,
                        .each = each,
                        .context = context};
    int result = hq_backup_list_load(repository, cluster, &list, err);

    for (size_t i = 0; result == 0 && i < list.count; i++)
        result = add_backup(&walk, &list.roots[i], err);
    if (result == 0)
        result = emit(&walk, err);
    hq_wal_inventory_free(walk.wal);
    return result;
}
