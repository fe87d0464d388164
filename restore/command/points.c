#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "command.h"
#include "restore/continuity_report.h"

struct points_values {
    const char *cluster;
};

static const struct hq_option points_options[] = {
    {"cluster", 0, HQ_OPTION_TEXT, "NAME", "Only this cluster; default: all.",
     .offset = offsetof(struct points_values, cluster)},
    {0}};

/** Collects what is told of all clusters, for people and for scripts. */
struct points {
    const struct session *session;
    struct hq_continuity_tables tables;
    json_t *clusters;
};

static int
add_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct points *p = context;
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity continuity = {0};

    if (hq_continuity_load(p->session->repository, cluster, &list, &continuity, err) != 0)
        return -1;
    if (list.count == 0 && list.unreadable == 0) {
        hq_fail(err, HQ_E_MISSING, "no backup of cluster %s in %s", cluster,
                hq_store_url(p->session->store));
        return hq_error_hint(err, "without --cluster every cluster of the repository is listed");
    }
    if (list.unreadable > 0)
        hq_cli_warn("%" PRIu64 " backups of cluster %s can't be read", list.unreadable, cluster);
    hq_continuity_tables_add(&p->tables, cluster, &continuity);
    json_array_append_new(p->clusters, hq_continuity_json(cluster, &continuity, &list));
    return 0;
}

static int
collect(struct points *p, const struct points_values *v, struct hq_error *err)
{
    if (v->cluster == NULL)
        return hq_clusters(p->session->repository, add_cluster, p, err);
    if (!hq_cluster_name_valid(v->cluster))
        return hq_fail(err, HQ_E_USAGE, "%s can't be a cluster's name", v->cluster);
    return add_cluster(v->cluster, p, err);
}

static int
print(const struct hq_command_line *line, struct points *p, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (!line->json) {
        if (json_array_size(p->clusters) == 0)
            printf("No backup of any cluster in %s.\n", hq_store_url(p->session->store));
        return json_array_size(p->clusters) == 0
                   ? 0
                   : hq_continuity_tables_print(&p->tables, stdout, err);
    }
    out = json_pack("{s:s, s:s, s:O}", "repository", hq_store_url(p->session->store), "region",
                    hq_keyring_region(p->session->keyring), "clusters", p->clusters);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
run_points(const struct hq_command_line *line, struct hq_error *err)
{
    struct session session;
    struct points p = {.session = &session, .clusters = json_array()};
    int failed = -1;

    if (session_open(line, 0, &session, err) == 0 &&
        hq_continuity_tables_init(&p.tables, err) == 0 && collect(&p, line->values, err) == 0)
        failed = print(line, &p, err);
    hq_continuity_tables_clear(&p.tables);
    json_decref(p.clusters);
    session_close(&session);
    return failed;
}

const struct hq_command command_points = {
    .name = "points",
    .summary = "list what can be recovered: from when to when, cluster by cluster",
    .help = "Lists for every cluster the stretches of time without a hole: any point of them can "
            "be recovered to. The end is the last commit whose WAL is in the repository. Gaps, WAL "
            "that is missing behind the oldest backup, are named by segment: open, acknowledged "
            "(by whom, and why) or covered by a later backup.\n\n"
            "  hq-restore points --repository s3://backups/tr --key restore.key",
    .options = points_options,
    .values_size = sizeof(struct points_values),
    .run = run_points,
};
