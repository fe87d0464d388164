#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "restore/plan.h"

struct listing {
    json_t *json;
    struct hq_table *table;
};

static const struct hq_column backup_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},   {"BACKUP", HQ_COLUMN_LEFT},   {"FINISHED", HQ_COLUMN_LEFT},
    {"FILES", HQ_COLUMN_RIGHT},    {"SIZE", HQ_COLUMN_RIGHT},    {"STORED", HQ_COLUMN_RIGHT},
    {"TIMELINE", HQ_COLUMN_RIGHT}, {"STOP LSN", HQ_COLUMN_LEFT},
};

static int
add_backup(const struct hq_root *r, void *context, struct hq_error *err)
{
    struct listing *l = context;
    char finished[HQ_TIME_TEXT_MAX], files[24], bytes[HQ_BYTES_TEXT_MAX];
    char stored[HQ_BYTES_TEXT_MAX], timeline[16], lsn[24];
    const char *cells[8];

    (void)err;
    hq_time_format(r->finished_us, finished);
    hq_lsn_format(r->stop_lsn, lsn);
    if (l->json != NULL) {
        json_array_append_new(
            l->json,
            json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "cluster", r->cluster,
                      "backup", r->backup, "finished", finished, "files", (json_int_t)r->files,
                      "bytes", (json_int_t)r->bytes, "stored_bytes", (json_int_t)r->stored_bytes,
                      "damaged_pages", (json_int_t)r->damaged_pages, "timeline",
                      (json_int_t)r->timeline, "stop_lsn", lsn, "writer", r->writer.name));
        return 0;
    }
    snprintf(files, sizeof files, "%" PRIu64, r->files);
    snprintf(timeline, sizeof timeline, "%u", r->timeline);
    cells[0] = r->cluster;
    cells[1] = r->backup;
    cells[2] = finished;
    cells[3] = files;
    cells[4] = hq_bytes_format(r->bytes, bytes);
    cells[5] = hq_bytes_format(r->stored_bytes, stored);
    cells[6] = timeline;
    cells[7] = lsn;
    hq_table_row(l->table, cells);
    return 0;
}

static const struct hq_column wal_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT}, {"TIMELINE", HQ_COLUMN_RIGHT},    {"WAL FROM", HQ_COLUMN_LEFT},
    {"WAL TO", HQ_COLUMN_LEFT},  {"FIRST COMMIT", HQ_COLUMN_LEFT}, {"LAST COMMIT", HQ_COLUMN_LEFT},
};

static int
add_range(const struct hq_wal_range *r, void *context, struct hq_error *err)
{
    struct listing *l = context;
    char timeline[16], from[24], to[24], first[HQ_TIME_TEXT_MAX], last[HQ_TIME_TEXT_MAX];
    const char *cells[6];

    (void)err;
    hq_lsn_format(r->start_lsn, from);
    hq_lsn_format(r->end_lsn, to);
    hq_time_format(r->first_commit_us, first);
    hq_time_format(r->last_commit_us, last);
    if (l->json != NULL) {
        json_array_append_new(
            l->json, json_pack("{s:s, s:I, s:s, s:s, s:s?, s:s?}", "cluster", r->cluster,
                               "timeline", (json_int_t)r->timeline, "from_lsn", from, "to_lsn", to,
                               "first_commit", r->first_commit_us != 0 ? first : NULL,
                               "last_commit", r->last_commit_us != 0 ? last : NULL));
        return 0;
    }
    snprintf(timeline, sizeof timeline, "%u", r->timeline);
    cells[0] = r->cluster;
    cells[1] = timeline;
    cells[2] = from;
    cells[3] = to;
    cells[4] = r->first_commit_us != 0 ? first : NULL;
    cells[5] = r->last_commit_us != 0 ? last : NULL;
    hq_table_row(l->table, cells);
    return 0;
}

static int
list_json(struct hq_site *site, struct hq_error *err)
{
    struct listing backups = {.json = json_array()}, wal = {.json = json_array()};
    json_t *out = json_pack("{s:o, s:o}", "backups", backups.json, "wal", wal.json);
    int failed = -1;

    if (hq_catalog_backups(site->catalog, NULL, add_backup, &backups, err) == 0 &&
        hq_catalog_wal_ranges(site->catalog, NULL, add_range, &wal, err) == 0)
        failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
list_text(struct hq_site *site, struct hq_error *err)
{
    struct listing backups = {.table = hq_table_new(backup_columns, 8, err)}, wal = {0};
    int failed = -1;

    if (backups.table != NULL)
        wal.table = hq_table_new(wal_columns, 6, err);
    if (wal.table != NULL &&
        hq_catalog_backups(site->catalog, NULL, add_backup, &backups, err) == 0 &&
        hq_catalog_wal_ranges(site->catalog, NULL, add_range, &wal, err) == 0 &&
        hq_table_print(backups.table, stdout, err) == 0) {
        printf("\n");
        failed = hq_table_print(wal.table, stdout, err);
    }
    hq_table_free(backups.table);
    hq_table_free(wal.table);
    return failed;
}

static int
run_list(const struct hq_command_line *line, struct hq_error *err)
{
    struct hq_site site;
    int failed = -1;

    if (command_open_synced(line, &site, err) == 0)
        failed = line->json ? list_json(&site, err) : list_text(&site, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_list = {
    .name = "list",
    .summary = "list backups and stretches of WAL without a hole",
    .help = "Lists the backups of every cluster in the repository and, for each timeline, from "
            "where to where its WAL is there without a hole. `hq-restore points` says the same "
            "from the repository alone.\n\n  hq-backup list --json",
    .run = run_list,
};
