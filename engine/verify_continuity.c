#include "verify_internal.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "restore/continuity_report.h"

/* A gap that somebody acknowledged, or that a later backup covers, is known: no news. */
static void
check_gaps(struct continuity_check *check, const char *cluster, const struct hq_continuity *c)
{
    char object[HQ_OBJECT_NAME_MAX + 1], text[HQ_GAP_TEXT_MAX];
    struct hq_error why;

    for (size_t i = 0; i < c->gap_count; i++) {
        const struct hq_gap *gap = &c->gaps[i];

        if (gap->covered || gap->acknowledged)
            continue;
        (void)snprintf(object, sizeof object, "wal/%s/%016llx/%.8s/%s", cluster,
                       (unsigned long long)gap->system_identifier, gap->first_segment,
                       gap->first_segment);
        hq_error_clear(&why);
        (void)hq_fail(&why, HQ_E_MISSING, "gap: %s", hq_gap_describe(gap, text));
        check->problem(check->context, object, &why);
    }
}

static void
check_backups(struct continuity_check *check, const struct hq_backup_list *list,
              const struct hq_continuity *c)
{
    char object[HQ_OBJECT_NAME_MAX + 1], start[24], stop[24];
    struct hq_error why;

    for (size_t i = 0; i < list->count; i++) {
        const struct hq_root *root = &list->roots[i];

        if (c->complete[i])
            continue;
        (void)snprintf(object, sizeof object, "backups/%s/%s", root->cluster, root->backup);
        hq_error_clear(&why);
        (void)hq_fail(&why, HQ_E_MISSING,
                      "the WAL from its start, %s, to its stop, %s, is not all stored: it can't be "
                      "restored",
                      hq_lsn_format(root->start_lsn, start), hq_lsn_format(root->stop_lsn, stop));
        check->problem(check->context, object, &why);
    }
}

static int
check_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct continuity_check *check = context;
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity continuity = {0};

    if (hq_continuity_load(check->repository, cluster, &list, &continuity, err) != 0) {
        if (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING &&
            err->code != HQ_E_UNSUPPORTED && err->code != HQ_E_KEY)
            return -1;
        check->problem(check->context, cluster, err);
        hq_error_clear(err);
        return 0;
    }
    check_gaps(check, cluster, &continuity);
    check_backups(check, &list, &continuity);
    return 0;
}

int
verify_continuity(struct continuity_check *check, struct hq_error *err)
{
    return hq_clusters(check->repository, check_cluster, check, err);
}
