#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "engine/continuity.h"
#include "restore/continuity_report.h"

/** The facts of one cluster, as both commands need them. */
struct facts {
    const char *cluster;
    struct hq_backup_list list;
    struct hq_continuity continuity;
};

static void
facts_clear(struct facts *facts)
{
    hq_backup_list_clear(&facts->list);
    hq_continuity_clear(&facts->continuity);
}

static int
facts_load(struct facts *facts, const struct hq_site *site, struct hq_error *err)
{
    facts->cluster = site->config->cluster.name;
    return hq_catalog_continuity(site->catalog, facts->cluster, &facts->list, &facts->continuity,
                                 err);
}

static int
print_gaps(const struct hq_command_line *line, const struct facts *facts, struct hq_error *err)
{
    const struct hq_continuity *c = &facts->continuity;
    char text[HQ_GAP_TEXT_MAX];
    json_t *gaps, *out;
    int failed;

    if (!line->json) {
        for (size_t i = 0; i < c->gap_count; i++)
            printf("%s  %s\n  %s\n", c->gaps[i].first_segment, hq_gap_state(&c->gaps[i]),
                   hq_gap_describe(&c->gaps[i], text));
        if (c->gap_count == 0)
            printf("Cluster %s has no gap.\n", facts->cluster);
        return 0;
    }
    gaps = json_array();
    for (size_t i = 0; i < c->gap_count; i++)
        json_array_append_new(gaps, hq_gap_json(&c->gaps[i]));
    out = json_pack("{s:s, s:o}", "cluster", facts->cluster, "gaps", gaps);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
run_list(const struct hq_command_line *line, struct hq_error *err)
{
    HQ_AUTO(facts_clear)
    struct facts facts = {0};
    struct hq_site site;
    int failed = -1;

    if (command_open_synced(line, &site, err) == 0 && facts_load(&facts, &site, err) == 0)
        failed = print_gaps(line, &facts, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_gap_list = {
    .name = "gap list",
    .summary = "list the gaps in the WAL of the configured cluster",
    .help = "A gap is WAL that is missing behind the oldest backup while later WAL is stored. Each "
            "is named by its first missing segment and told with its positions, the commits around "
            "it and its state: open, acknowledged (by whom, and why) or covered by a complete "
            "backup that begins behind it. hq-backupd takes that backup by itself.\n\n"
            "  hq-backup gap list --json",
    .run = run_list,
};

struct ack_values {
    const char *reason, *who;
};

static const struct hq_option ack_options[] = {
    {"reason", 0, HQ_OPTION_TEXT, "TEXT",
     "Why it is known and what was done; kept in the repository for ever.",
     .offset = offsetof(struct ack_values, reason), .required = true},
    {"who", 0, HQ_OPTION_TEXT, "NAME",
     "Name of the person who decides; default: the user who runs this.",
     .offset = offsetof(struct ack_values, who)},
    {0}};

/* A segment's name may be that of a gap in two lineages: the later one is meant. */
static struct hq_gap *
find_gap(struct hq_continuity *c, const char *name)
{
    for (size_t i = c->gap_count; i-- > 0;)
        if (strcmp(c->gaps[i].first_segment, name) == 0)
            return &c->gaps[i];
    return NULL;
}

static int
copy_text(const char *what, const char *from, char *to, size_t size, struct hq_error *err)
{
    if (strlen(from) >= size)
        return hq_fail(err, HQ_E_USAGE, "%s is longer than %zu bytes", what, size - 1);
    memcpy(to, from, strlen(from) + 1);
    return 0;
}

static int
make_record(const struct ack_values *v, const char *cluster, const struct hq_gap *gap,
            struct hq_audit_record *out, struct hq_error *err)
{
    char user[HQ_AUDIT_WHO_MAX + 1];

    *out = (struct hq_audit_record){.kind = HQ_AUDIT_GAP_ACKNOWLEDGED,
                                    .time_us = hq_clock_wall_us(),
                                    .program = "hq-backup " HQ_VERSION,
                                    .system_identifier = gap->system_identifier,
                                    .timeline = gap->timeline,
                                    .from_lsn = gap->from_lsn,
                                    .to_lsn = gap->to_lsn};
    memcpy(out->cluster, cluster, strlen(cluster) + 1);
    if (gethostname(out->host, sizeof out->host - 1) != 0)
        out->host[0] = '\0';
    if (copy_text("--reason", v->reason, out->reason, sizeof out->reason, err) != 0)
        return -1;
    return copy_text("--who", v->who != NULL ? v->who : command_user(user), out->who,
                     sizeof out->who, err);
}

static int
print_acknowledged(const struct hq_command_line *line, const struct facts *facts,
                   const struct hq_gap *gap, struct hq_error *err)
{
    char text[HQ_GAP_TEXT_MAX];
    json_t *out;
    int failed;

    if (!line->json) {
        if (!line->quiet)
            printf("Acknowledged by %s: %s\n", gap->by.who, hq_gap_describe(gap, text));
        return 0;
    }
    out = json_pack("{s:s, s:o}", "cluster", facts->cluster, "gap", hq_gap_json(gap));
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
acknowledge(const struct hq_command_line *line, const struct hq_site *site, struct facts *facts,
            struct hq_error *err)
{
    struct hq_gap *gap = find_gap(&facts->continuity, line->args[0]);

    if (gap == NULL) {
        hq_fail(err, HQ_E_MISSING, "cluster %s has no gap %s", facts->cluster, line->args[0]);
        return hq_error_hint(err, "`hq-backup gap list` names them by their first segment");
    }
    if (make_record(line->values, facts->cluster, gap, &gap->by, err) != 0 ||
        hq_audit_write(site->repository, &gap->by, err) != 0 ||
        hq_catalog_sync_continuity(site->catalog, site->repository, facts->cluster, err) != 0)
        return -1;
    gap->acknowledged = true;
    return print_acknowledged(line, facts, gap, err);
}

static int
run_ack(const struct hq_command_line *line, struct hq_error *err)
{
    HQ_AUTO(facts_clear)
    struct facts facts = {0};
    struct hq_site site;
    int failed = -1;

    if (command_open_synced(line, &site, err) == 0 && facts_load(&facts, &site, err) == 0)
        failed = acknowledge(line, &site, &facts, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_gap_ack = {
    .name = "gap ack",
    .summary = "acknowledge a gap, with a reason, for the record",
    .help = "Says that somebody knows of the gap, so that it raises no alarm any more. Nothing is "
            "repaired by it: what was committed in the gap can't be recovered, and the gap stays "
            "visible as acknowledged. The record, signed, is kept in the repository for ever. A "
            "gap that grows afterwards is open again.\n\n"
            "  hq-backup gap ack 00000001000000000000002A --reason 'slot dropped, incident 4711'",
    .positional = "GAP",
    .least_args = 1,
    .most_args = 1,
    .options = ack_options,
    .values_size = sizeof(struct ack_values),
    .run = run_ack,
};
