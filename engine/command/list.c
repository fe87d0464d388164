#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "engine/continuity.h"
#include "restore/continuity_report.h"

/** Collects what is told of all clusters. */
struct listing {
    struct hq_catalog *catalog;
    struct hq_table *backups;
    struct hq_continuity_tables tables;
    json_t *json_backups, *json_wal, *json_clusters;
};

static const struct hq_column backup_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},   {"BACKUP", HQ_COLUMN_LEFT},   {"FINISHED", HQ_COLUMN_LEFT},
    {"FILES", HQ_COLUMN_RIGHT},    {"SIZE", HQ_COLUMN_RIGHT},    {"STORED", HQ_COLUMN_RIGHT},
    {"TIMELINE", HQ_COLUMN_RIGHT}, {"STOP LSN", HQ_COLUMN_LEFT}, {"WAL", HQ_COLUMN_LEFT},
};

static void
add_backup(struct listing *l, const struct hq_root *r, bool complete)
{
    char finished[HQ_TIME_TEXT_MAX], files[24], bytes[HQ_BYTES_TEXT_MAX];
    char stored[HQ_BYTES_TEXT_MAX], timeline[16], lsn[24];
    const char *cells[] = {r->cluster,
                           r->backup,
                           hq_time_format(r->finished_us, finished),
                           files,
                           hq_bytes_format(r->bytes, bytes),
                           hq_bytes_format(r->stored_bytes, stored),
                           timeline,
                           hq_lsn_format(r->stop_lsn, lsn),
                           complete ? "complete" : "incomplete"};

    snprintf(files, sizeof files, "%" PRIu64, r->files);
    snprintf(timeline, sizeof timeline, "%u", r->timeline);
    hq_table_row(l->backups, cells);
    json_array_append_new(
        l->json_backups,
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b}", "cluster", r->cluster,
                  "backup", r->backup, "finished", finished, "files", (json_int_t)r->files, "bytes",
                  (json_int_t)r->bytes, "stored_bytes", (json_int_t)r->stored_bytes,
                  "damaged_pages", (json_int_t)r->damaged_pages, "timeline",
                  (json_int_t)r->timeline, "stop_lsn", lsn, "writer", r->writer.name, "complete",
                  complete ? 1 : 0));
}

static int
add_stretch(const struct hq_wal_range *r, void *context, struct hq_error *err)
{
    struct listing *l = context;
    char from[24], to[24], first[HQ_TIME_TEXT_MAX], last[HQ_TIME_TEXT_MAX];

    (void)err;
    hq_lsn_format(r->start_lsn, from);
    hq_lsn_format(r->end_lsn, to);
    hq_time_format(r->first_commit_us, first);
    hq_time_format(r->last_commit_us, last);
    json_array_append_new(l->json_wal,
                          json_pack("{s:s, s:I, s:s, s:s, s:s?, s:s?}", "cluster", r->cluster,
                                    "timeline", (json_int_t)r->timeline, "from_lsn", from, "to_lsn",
                                    to, "first_commit", r->first_commit_us != 0 ? first : NULL,
                                    "last_commit", r->last_commit_us != 0 ? last : NULL));
    return 0;
}

static int
add_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct listing *l = context;
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    HQ_AUTO(hq_continuity_clear)
    struct hq_continuity continuity = {0};

    if (hq_catalog_continuity(l->catalog, cluster, &list, &continuity, err) != 0)
        return -1;
    for (size_t i = 0; i < list.count; i++)
        add_backup(l, &list.roots[i], continuity.complete[i]);
    hq_continuity_tables_add(&l->tables, cluster, &continuity);
    json_array_append_new(l->json_clusters, hq_continuity_json(cluster, &continuity, &list));
    return 0;
}

static int
print_text(const struct listing *l, struct hq_error *err)
{
    if (json_array_size(l->json_backups) == 0)
        printf("No backups yet. `hq-backup backup` takes one now; hq-backupd takes them by "
               "backup.schedule.\n");
    else if (hq_table_print(l->backups, stdout, err) != 0)
        return -1;
    if (json_array_size(l->json_clusters) == 0)
        return 0;
    printf("\n");
    return hq_continuity_tables_print(&l->tables, stdout, err);
}

static int
print_json(const struct listing *l, struct hq_error *err)
{
    json_t *out = json_pack("{s:O, s:O, s:O}", "backups", l->json_backups, "wal", l->json_wal,
                            "clusters", l->json_clusters);
    int failed = hq_cli_print_json(out, err);

    json_decref(out);
    return failed;
}

static int
list(const struct hq_command_line *line, struct hq_site *site, struct hq_error *err)
{
    struct listing l = {.catalog = site->catalog,
                        .json_backups = json_array(),
                        .json_wal = json_array(),
                        .json_clusters = json_array()};
    int failed = -1;

    l.backups = hq_table_new(backup_columns, sizeof backup_columns / sizeof backup_columns[0], err);
    if (l.backups != NULL && hq_continuity_tables_init(&l.tables, err) == 0 &&
        command_each_cluster(site->catalog, add_cluster, &l, err) == 0 &&
        hq_catalog_wal_ranges(site->catalog, NULL, add_stretch, &l, err) == 0)
        failed = line->json ? print_json(&l, err) : print_text(&l, err);
    hq_table_free(l.backups);
    hq_continuity_tables_clear(&l.tables);
    json_decref(l.json_backups);
    json_decref(l.json_wal);
    json_decref(l.json_clusters);
    return failed;
}

static int
run_list(const struct hq_command_line *line, struct hq_error *err)
{
    struct hq_site site;
    int failed = -1;

    if (command_open_synced(line, &site, err) == 0)
        failed = list(line, &site, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_list = {
    .name = "list",
    .summary = "list backups, what is recoverable, and gaps",
    .help = "Lists the backups of every cluster in the repository, from when to when each cluster "
            "is recoverable without a hole, and the gaps: WAL that is missing behind the oldest "
            "backup. A backup whose own WAL is incomplete can't be restored. `hq-restore points` "
            "says the same from the repository alone.\n\n  hq-backup list --json",
    .run = run_list,
};
