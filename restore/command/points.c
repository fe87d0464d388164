#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"

struct points_values {
    const char *cluster;
};

static const struct hq_option points_options[] = {
    {"cluster", 0, HQ_OPTION_TEXT, "NAME", "Only this cluster; default: all.",
     .offset = offsetof(struct points_values, cluster)},
    {0}};

static const struct hq_column columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},  {"RECOVERABLE FROM", HQ_COLUMN_LEFT},
    {"TO", HQ_COLUMN_LEFT},       {"FROM LSN", HQ_COLUMN_LEFT},
    {"TO LSN", HQ_COLUMN_LEFT},   {"TIMELINE", HQ_COLUMN_RIGHT},
    {"BACKUPS", HQ_COLUMN_RIGHT}, {"LINEAGE", HQ_COLUMN_RIGHT},
};

/** Collects ranges of all clusters, for people and for scripts. */
struct points {
    const struct session *session;
    const char *cluster;
    struct hq_table *table;
    json_t *clusters, *ranges;
};

static int
add_range(const struct hq_recovery_range *r, void *context, struct hq_error *err)
{
    struct points *p = context;
    char from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], commit[HQ_TIME_TEXT_MAX];
    char from_lsn[24], to_lsn[24];
    char timeline[16], backups[24], system[24], lineage[24];
    const char *cells[8] = {p->cluster,
                            hq_time_format(r->from_us, from),
                            NULL,
                            hq_lsn_format(r->from_lsn, from_lsn),
                            hq_lsn_format(r->to_lsn, to_lsn),
                            timeline,
                            backups,
                            lineage};

    (void)err;
    /* Nothing was committed since: the end of the backup is all there is to recover to. */
    cells[2] = hq_time_format(r->to_us > r->from_us ? r->to_us : r->from_us, to);
    snprintf(timeline, sizeof timeline, "%u", r->timeline);
    snprintf(backups, sizeof backups, "%zu", r->backups);
    snprintf(system, sizeof system, "%" PRIu64, r->system_identifier);
    snprintf(lineage, sizeof lineage, "%zu", r->lineage);
    hq_table_row(p->table, cells);
    json_array_append_new(
        p->ranges,
        json_pack("{s:s, s:s, s:s?, s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:I}", "from", from, "to",
                  to, "last_commit", r->to_us != 0 ? hq_time_format(r->to_us, commit) : NULL,
                  "from_lsn", from_lsn, "to_lsn", to_lsn, "timeline", (json_int_t)r->timeline,
                  "first_backup", r->first_backup, "last_backup", r->last_backup, "backups",
                  (json_int_t)r->backups, "system_identifier", system, "lineage",
                  (json_int_t)r->lineage));
    return 0;
}

static json_t *
list_backups(const struct points *p, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    json_t *out = json_array();

    if (hq_backup_list_load(p->session->repository, p->cluster, &list, err) != 0) {
        json_decref(out);
        return NULL;
    }
    if (list.unreadable > 0)
        hq_cli_warn("%" PRIu64 " backups of cluster %s can't be read", list.unreadable, p->cluster);
    for (size_t i = 0; i < list.count; i++) {
        const struct hq_root *r = &list.roots[i];
        char finished[HQ_TIME_TEXT_MAX], lsn[24];

        json_array_append_new(out, json_pack("{s:s, s:s, s:I, s:s, s:I}", "backup", r->backup,
                                             "finished", hq_time_format(r->finished_us, finished),
                                             "timeline", (json_int_t)r->timeline, "stop_lsn",
                                             hq_lsn_format(r->stop_lsn, lsn), "bytes",
                                             (json_int_t)r->bytes));
    }
    return out;
}

static int
add_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct points *p = context;
    json_t *backups;

    p->cluster = cluster;
    p->ranges = json_array();
    backups = list_backups(p, err);
    if (backups == NULL ||
        hq_recovery_ranges(p->session->repository, cluster, add_range, p, err) != 0) {
        json_decref(backups);
        json_decref(p->ranges);
        return -1;
    }
    if (json_array_size(p->ranges) == 0) {
        const char *cells[8] = {cluster, "nothing yet: the WAL of its backups is not complete"};

        hq_table_row(p->table, cells);
    }
    json_array_append_new(p->clusters, json_pack("{s:s, s:o, s:o}", "cluster", cluster, "ranges",
                                                 p->ranges, "list", backups));
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
        return json_array_size(p->clusters) == 0 ? 0 : hq_table_print(p->table, stdout, err);
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

    if (session_open(line, &session, err) == 0 &&
        (p.table = hq_table_new(columns, sizeof columns / sizeof columns[0], err)) != NULL &&
        collect(&p, line->values, err) == 0)
        failed = print(line, &p, err);
    hq_table_free(p.table);
    json_decref(p.clusters);
    session_close(&session);
    return failed;
}

const struct hq_command command_points = {
    .name = "points",
    .summary = "list what can be recovered: from when to when, cluster by cluster",
    .help = "Lists for every cluster the stretches of time without a hole: any point of them can "
            "be recovered to. The end is the last commit whose WAL is in the repository.\n\n"
            "  hq-restore points --repository s3://backups/tr --key restore.key",
    .options = points_options,
    .values_size = sizeof(struct points_values),
    .run = run_points,
};
