#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "repository/lineage.h"
#include "restore/plan.h"

struct accept_values {
    const char *reason, *who;
};

static const struct hq_option accept_options[] = {
    {"reason", 0, HQ_OPTION_TEXT, "TEXT",
     "Why the cluster is another system now; kept in the "
     "repository for ever.",
     .offset = offsetof(struct accept_values, reason), .required = true},
    {"who", 0, HQ_OPTION_TEXT, "NAME",
     "Name of the person who decides; default: the user who runs this.",
     .offset = offsetof(struct accept_values, who)},
    {0}};

/* The newest backup of each lineage is what is known of it. */
struct newest {
    uint64_t system;
    uint32_t version_number;
    char finished[HQ_TIME_TEXT_MAX];
};

static int
note_newest(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct newest *n = context;

    (void)err;
    if (root->system_identifier == n->system) {
        n->version_number = root->version_number;
        hq_time_format(root->finished_us, n->finished);
    }
    return 0;
}

static int
ask_server(const struct hq_site *site, struct hq_pg_system *system, struct hq_error *err)
{
    struct hq_pg_options connection = hq_site_connection(site);
    struct hq_pg *pg = NULL;
    int failed;

    if (hq_pg_connect(&connection, &pg, err) != 0)
        return -1;
    failed = hq_pg_identify(pg, system, err);
    hq_pg_close(pg);
    return failed;
}

static int
print_accepted(const struct hq_command_line *line, const char *cluster,
               const struct hq_lineage_place *before, const struct newest *newest,
               const struct hq_pg_system *system, struct hq_error *err)
{
    bool nothing = before->standing == HQ_LINEAGE_FIRST || before->standing == HQ_LINEAGE_CURRENT;

    if (line->json) {
        char now[24], was[24];
        json_t *out;
        int failed;

        snprintf(now, sizeof now, "%" PRIu64, system->system_identifier);
        snprintf(was, sizeof was, "%" PRIu64, before->current);
        out = json_pack("{s:s, s:b, s:s, s:I, s:s, s:s?}", "cluster", cluster, "accepted", !nothing,
                        "system_identifier", now, "version_number",
                        (json_int_t)system->version_number, "host", system->host, "before",
                        before->current != 0 ? was : NULL);
        failed = hq_cli_print_json(out, err);
        json_decref(out);
        return failed;
    }
    if (line->quiet)
        return 0;
    if (before->current != 0 && newest->version_number != 0)
        printf("Until now  system %" PRIu64 ", PostgreSQL %u, last backup finished %s\n",
               before->current, newest->version_number / 10000, newest->finished);
    else if (before->current != 0)
        printf("Until now  system %" PRIu64 ", without a backup\n", before->current);
    printf("Server     system %" PRIu64 ", PostgreSQL %u, at %s\n", system->system_identifier,
           system->version_number / 10000, system->host);
    if (nothing)
        printf("Nothing to accept: the server is cluster %s already.\n", cluster);
    else
        printf("Accepted: the server is cluster %s from now on, and the former system is refused.\n"
               "What was stored stays recoverable. hq-backupd begins with a backup.\n",
               cluster);
    return 0;
}

static int
accept(const struct hq_command_line *line, struct hq_site *site, struct hq_error *err)
{
    const struct accept_values *v = line->values;
    const char *cluster = site->config->cluster.name;
    char user[HQ_AUDIT_WHO_MAX + 1];
    struct hq_lineage_place before;
    struct hq_pg_system system;
    struct newest newest = {0};

    if (ask_server(site, &system, err) != 0 ||
        hq_lineage_accept(site->repository, cluster, system.system_identifier,
                          v->who != NULL ? v->who : command_user(user), v->reason, &before,
                          err) != 0)
        return -1;
    newest.system = before.current;
    if (hq_catalog_backups(site->catalog, cluster, note_newest, &newest, err) != 0)
        return -1;
    return print_accepted(line, cluster, &before, &newest, &system, err);
}

static int
run_accept(const struct hq_command_line *line, struct hq_error *err)
{
    struct hq_site site;
    int failed = -1;

    if (command_open_synced(line, &site, err) == 0)
        failed = accept(line, &site, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_lineage_accept = {
    .name = "lineage accept",
    .summary = "say that the server is the cluster from now on, though it is another system",
    .help = "After pg_upgrade, or when a database moved by dump and restore, the server under the "
            "cluster's name has another system identifier, and its backups and WAL are refused "
            "until somebody says that it is right. This does, for the server that "
            "cluster.connection leads to. It is recorded with name and reason. What was stored "
            "before stays recoverable; the former server is refused from now on.\n\n"
            "  hq-backup lineage accept --reason 'pg_upgrade from 15 to 17'",
    .options = accept_options,
    .values_size = sizeof(struct accept_values),
    .run = run_accept,
};

static const struct hq_column columns[] = {
    {"LINEAGE", HQ_COLUMN_RIGHT}, {"SYSTEM", HQ_COLUMN_LEFT},   {"SINCE", HQ_COLUMN_LEFT},
    {"VERSION", HQ_COLUMN_RIGHT}, {"BACKUPS", HQ_COLUMN_RIGHT}, {"WHO", HQ_COLUMN_LEFT},
    {"REASON", HQ_COLUMN_LEFT},
};

/** One line of the list; of the first lineage nobody decided anything. */
struct row {
    const struct hq_lineage *accepted; /**< NULL: the first */
    uint64_t system;
    int64_t since_us; /**< the first: its first backup's start; 0: not known */
    uint32_t version_number;
    size_t backups;
};

static void
add_row(const struct row *row, size_t number, bool current, struct hq_table *table, json_t *json)
{
    char lineage[24], system[24] = "", since[HQ_TIME_TEXT_MAX] = "", version[16] = "", count[24];
    const char *who = row->accepted != NULL ? row->accepted->who : NULL;
    const char *reason = row->accepted != NULL ? row->accepted->reason : NULL;
    const char *cells[7] = {lineage, system, since, version, count, who, reason};

    snprintf(lineage, sizeof lineage, "%zu%s", number, current ? "*" : " ");
    snprintf(count, sizeof count, "%zu", row->backups);
    snprintf(system, sizeof system, "%" PRIu64, row->system);
    if (row->since_us != 0)
        hq_time_format(row->since_us, since);
    if (row->version_number != 0)
        snprintf(version, sizeof version, "%u", row->version_number / 10000);
    hq_table_row(table, cells);
    json_array_append_new(json,
                          json_pack("{s:I, s:s, s:b, s:s?, s:I, s:I, s:s?, s:s?}", "lineage",
                                    (json_int_t)number, "system_identifier", system, "current",
                                    current, "since", row->since_us != 0 ? since : NULL,
                                    "version_number", (json_int_t)row->version_number, "backups",
                                    (json_int_t)row->backups, "who", who, "reason", reason));
}

/* Backups of the list's lineage that began at @p row's time. */
static void
count_backups(const struct hq_backup_list *list, int64_t since_us, struct row *row)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct hq_root *r = &list->roots[i];

        if (hq_lineages_since(&list->lineages, r->system_identifier, r->started_us) != since_us)
            continue;
        row->backups++;
        row->version_number = r->version_number;
        if (row->accepted == NULL && row->backups == 1) {
            row->system = r->system_identifier;
            row->since_us = r->started_us;
        }
    }
}

static void
collect(const struct hq_backup_list *list, struct hq_table *table, json_t *json)
{
    const struct hq_lineages *l = &list->lineages;
    struct row first = {0};

    count_backups(list, 0, &first);
    if (first.backups > 0)
        add_row(&first, 1, l->count == 0, table, json);
    for (size_t i = 0; i < l->count; i++) {
        struct row row = {.accepted = &l->items[i],
                          .system = l->items[i].system_identifier,
                          .since_us = l->items[i].since_us};

        count_backups(list, row.since_us, &row);
        add_row(&row, i + 2, i + 1 == l->count, table, json);
    }
}

static int
print_list(const struct hq_command_line *line, const char *cluster, json_t *json,
           struct hq_table *table, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (!line->json) {
        if (json_array_size(json) > 0)
            return hq_table_print(table, stdout, err);
        printf("No backup of cluster %s yet.\n", cluster);
        return 0;
    }
    out = json_pack("{s:s, s:O}", "cluster", cluster, "lineages", json);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
run_list(const struct hq_command_line *line, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    struct hq_table *table = NULL;
    json_t *json = json_array();
    struct hq_site site;
    int failed = -1;

    if (command_open_site(line, &site, err) == 0 &&
        hq_backup_list_load(site.repository, site.config->cluster.name, &list, err) == 0 &&
        (table = hq_table_new(columns, sizeof columns / sizeof columns[0], err)) != NULL) {
        collect(&list, table, json);
        failed = print_list(line, site.config->cluster.name, json, table, err);
    }
    hq_table_free(table);
    json_decref(json);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_lineage_list = {
    .name = "lineage list",
    .summary = "list the systems that the cluster was, and who decided so",
    .help = "Lists the lineages of the configured cluster, oldest first: system identifier, since "
            "when, PostgreSQL version of its newest backup, number of backups, and who accepted it "
            "for what reason. The current one has a *.\n\n  hq-backup lineage list",
    .run = run_list,
};
