#include <stdlib.h>

#include "base/cleanup.h"
#include "plan_internal.h"
#include "restore/continuity.h"

struct listing {
    const struct hq_repository *repository;
    const char *cluster;
};

static int
list_wal(void *context, const struct hq_root *root, struct hq_wal_inventory **out,
         struct hq_error *err)
{
    const struct listing *l = context;

    return hq_wal_inventory_load(l->repository, l->cluster, root->system_identifier,
                                 root->wal_segment_size, out, err);
}

static int
keep_record(const struct hq_audit_record *record, void *context, struct hq_error *err)
{
    struct hq_buf *records = context;

    hq_buf_put(records, record, sizeof *record);
    return hq_buf_check(records, "audit records", err);
}

static int
load(const struct hq_repository *repository, const char *cluster, uint32_t timeline,
     struct hq_backup_list *list, struct hq_continuity *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf records = {0};
    struct listing listing = {repository, cluster};
    struct hq_continuity_input input = {
        .inventory = list_wal, .context = &listing, .timeline = timeline};

    *out = (struct hq_continuity){0};
    if (hq_backup_list_load(repository, cluster, list, err) != 0 ||
        hq_audit_list(repository, cluster, keep_record, &records, err) != 0)
        return -1;
    input.list = list;
    input.records = (const void *)records.data;
    input.record_count = records.len / sizeof(struct hq_audit_record);
    /* A running daemon replaces parts of a segment by the whole of it while they are read here. */
    for (int attempt = 1;; attempt++) {
        if (hq_continuity_make(&input, out, err) == 0)
            return 0;
        if (err->code != HQ_E_MISSING || attempt == PLAN_ATTEMPTS)
            return -1;
        hq_error_clear(err);
        hq_continuity_clear(out);
    }
}

int
hq_continuity_load(const struct hq_repository *repository, const char *cluster,
                   struct hq_backup_list *list, struct hq_continuity *out, struct hq_error *err)
{
    return load(repository, cluster, 0, list, out, err);
}

int
recovery_ranges_along(const struct hq_repository *repository, const char *cluster,
                      uint32_t timeline, hq_recovery_range_fn *each, void *context,
                      struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity continuity = {0};
    int result = load(repository, cluster, timeline, &list, &continuity, err);

    for (size_t i = 0; result == 0 && i < continuity.range_count; i++)
        result = each(&continuity.ranges[i], context, err);
    return result;
}

int
hq_recovery_ranges(const struct hq_repository *repository, const char *cluster,
                   hq_recovery_range_fn *each, void *context, struct hq_error *err)
{
    return recovery_ranges_along(repository, cluster, 0, each, context, err);
}
