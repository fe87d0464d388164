#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
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

enum {
    BACKUPS_SHOWN = 10
};

static const struct hq_column backup_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},  {"BACKUP", HQ_COLUMN_LEFT}, {"FINISHED", HQ_COLUMN_LEFT},
    {"STOP LSN", HQ_COLUMN_LEFT}, {"SIZE", HQ_COLUMN_RIGHT},  {"WAL", HQ_COLUMN_LEFT},
};

/** Collects what is told of all clusters, for people and for scripts. */
struct points {
    const struct session *session;
    struct hq_table *backups;
    size_t more; /* backups that are not in the table */
    struct hq_continuity_tables tables;
    json_t *clusters;
};

/* Newest first: of those somebody chooses one for --backup. */
static void
add_backups(struct points *p, const struct hq_backup_list *list, const bool *complete)
{
    char finished[HQ_TIME_TEXT_MAX], lsn[24], bytes[HQ_BYTES_TEXT_MAX];

    for (size_t i = list->count; i > 0 && list->count - i < BACKUPS_SHOWN; i--) {
        const struct hq_root *r = &list->roots[i - 1];
        const char *cells[] = {r->cluster,
                               r->backup,
                               hq_time_format(r->finished_us, finished),
                               hq_lsn_format(r->stop_lsn, lsn),
                               hq_bytes_format(r->bytes, bytes),
                               complete[i - 1] ? "complete" : "incomplete"};

        hq_table_row(p->backups, cells);
    }
    p->more += list->count > BACKUPS_SHOWN ? list->count - BACKUPS_SHOWN : 0;
}

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
    add_backups(p, &list, continuity.complete);
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
print_text(struct points *p, struct hq_error *err)
{
    if (json_array_size(p->clusters) == 0) {
        printf("No backup of any cluster in %s.\n", hq_store_url(p->session->store));
        return 0;
    }
    if (hq_continuity_tables_print(&p->tables, stdout, err) != 0)
        return -1;
    (void)fputc('\n', stdout);
    if (hq_table_print(p->backups, stdout, err) != 0)
        return -1;
    if (p->more > 0)
        printf("... and %zu older %s; --json lists all.\n", p->more,
               p->more == 1 ? "backup" : "backups");
    return 0;
}

static int
print(const struct hq_command_line *line, struct points *p, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (!line->json)
        return print_text(p, err);
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
        hq_continuity_tables_init(&p.tables, err) == 0 &&
        (p.backups = hq_table_new(backup_columns, sizeof backup_columns / sizeof backup_columns[0],
                                  err)) != NULL &&
        collect(&p, line->values, err) == 0)
        failed = print(line, &p, err);
    hq_continuity_tables_clear(&p.tables);
    hq_table_free(p.backups);
    json_decref(p.clusters);
    session_close(&session);
    return failed;
}

const struct hq_command command_points = {
    .name = "points",
    .summary = "list what can be recovered: from when to when, cluster by cluster",
    .help =
        "Lists for every cluster the stretches of time without a hole: any point of them can "
        "be recovered to. The end is the last commit whose WAL is in the repository. Timelines "
        "that "
        "were left, by a restore to a point in time or a failover, follow with the option that "
        "recovers along them: what they have behind the LSN at which they were left. Gaps, WAL "
        "that is missing behind the oldest backup, are named by segment: open, acknowledged "
        "(by whom, and why) or covered by a later backup. The newest backups of each follow: their "
        "names are what --backup takes.\n\n"
        "  hq-restore points --repository s3://backups/tr --key restore.key",
    .options = points_options,
    .values_size = sizeof(struct points_values),
    .run = run_points,
};
