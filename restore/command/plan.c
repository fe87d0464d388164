#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "command.h"

static const struct hq_option plan_options[] = {TARGET_OPTIONS, {0}};

static const struct target_values plan_defaults = {.time_us = TARGET_TIME_UNSET};

static json_t *
plan_json(const struct hq_plan *p)
{
    char target[256], finished[HQ_TIME_TEXT_MAX], last[HQ_TIME_TEXT_MAX], from[24], to[24];
    char system[24];

    snprintf(system, sizeof system, "%" PRIu64, p->root.system_identifier);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:s?, s:I, s:I, s:I, s:s, "
        "s:I}",
        "cluster", p->cluster, "backup", p->root.backup, "backup_finished",
        hq_time_format(p->root.finished_us, finished), "target",
        target_describe(&p->target, target), "files", (json_int_t)p->root.files, "bytes",
        (json_int_t)p->root.bytes, "packs", (json_int_t)p->packs, "pack_bytes",
        (json_int_t)p->pack_bytes, "wal_from", hq_lsn_format(p->root.start_lsn, from), "wal_to",
        hq_lsn_format(p->coverage.end_lsn, to), "wal_objects", (json_int_t)p->coverage.count,
        "wal_bytes", (json_int_t)p->coverage.stored_bytes, "last_commit",
        p->last_commit_us != 0 ? hq_time_format(p->last_commit_us, last) : NULL, "timeline",
        (json_int_t)p->path.steps[p->path.count - 1].timeline, "missing_chunks",
        (json_int_t)p->missing_chunks, "version_number", (json_int_t)p->root.version_number,
        "system_identifier", system, "lineage", (json_int_t)p->lineage);
}

/* What the search of a transaction or restore point found. */
static json_t *
add_found(json_t *out, const struct hq_plan *p)
{
    char lsn[24];

    if (out != NULL && p->target_lsn != 0)
        json_object_set_new(out, "target_lsn", json_string(hq_lsn_format(p->target_lsn, lsn)));
    return out;
}

static void
plan_text(FILE *out, const struct hq_plan *p)
{
    char target[256], time_text[HQ_TIME_TEXT_MAX], bytes[HQ_BYTES_TEXT_MAX], from[24], to[24];

    fprintf(out, "Cluster    %s, PostgreSQL %u, timeline %u\n", p->cluster,
            p->root.version_number / 10000, p->path.steps[p->path.count - 1].timeline);
    if (p->former)
        fprintf(out, "Lineage    %zu, system %" PRIu64 ": the cluster is another system by now\n",
                p->lineage, p->root.system_identifier);
    fprintf(out, "Target     %s%s\n", target_describe(&p->target, target),
            p->target.exclusive ? ", exclusive" : "");
    if (p->target_lsn != 0)
        fprintf(out, "Found at   %s\n", hq_lsn_format(p->target_lsn, from));
    fprintf(out, "Backup     %s, finished %s\n", p->root.backup,
            hq_time_format(p->root.finished_us, time_text));
    fprintf(out, "To write   %" PRIu64 " files, %s\n", p->root.files,
            hq_bytes_format(p->root.bytes, bytes));
    fprintf(out, "To fetch   at most %s in %" PRIu64 " packs, ",
            hq_bytes_format(p->pack_bytes, bytes), p->packs);
    fprintf(out, "%s in %zu WAL objects\n", hq_bytes_format(p->coverage.stored_bytes, bytes),
            p->coverage.count);
    fprintf(out, "WAL        from %s; all that is stored reaches to %s, last commit %s\n",
            hq_lsn_format(p->root.start_lsn, from), hq_lsn_format(p->coverage.end_lsn, to),
            p->last_commit_us != 0 ? hq_time_format(p->last_commit_us, time_text) : "none seen");
    for (size_t i = 0; i < p->root.tablespace_count; i++)
        fprintf(out, "Tablespace %u %s\n", p->root.tablespaces[i].oid, p->root.tablespaces[i].path);
    if (p->missing_chunks > 0)
        fprintf(out, "MISSING    %" PRIu64 " %s; %s needs one\n", p->missing_chunks,
                p->missing_chunks == 1 ? "chunk" : "chunks", p->first_missing);
}

int
plan_print(const struct hq_command_line *line, const struct hq_plan *plan, struct hq_error *err)
{
    bool is_plan = line->command->run == command_plan.run;
    json_t *out;
    int failed;

    if (!line->json || !is_plan) {
        if (is_plan || !line->quiet)
            plan_text(is_plan ? stdout : stderr, plan);
        return 0;
    }
    out = add_found(plan_json(plan), plan);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

/* Progress that begins with the first WAL that is searched: most targets need none. */
struct search_report {
    struct hq_progress *bar;
    bool quiet, failed;
};

static void
report_search(void *context, uint64_t bytes)
{
    struct search_report *r = context;
    struct hq_progress_options options = {.label = "search WAL for the target", .quiet = r->quiet};
    struct hq_error ignored = {0};

    if (r->bar == NULL && !r->failed)
        r->bar = hq_progress_new(&options, &ignored);
    r->failed = r->bar == NULL;
    if (r->bar != NULL)
        hq_progress_add(r->bar, bytes);
}

int
plan_make(const struct hq_command_line *line, const struct session *session,
          const struct target_values *values, struct hq_plan *out, struct hq_error *err)
{
    struct search_report report = {.quiet = line->quiet};
    const struct hq_target_watch watch = {
        .searched = report_search, .context = &report, .stop = hq_cli_stop()};
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    struct hq_target target;
    int failed;

    if (target_of(values, &target, err) != 0 ||
        session_cluster(session, values->cluster, cluster, err) != 0)
        return -1;
    target.watch = &watch;
    failed = hq_plan_make(session->repository, cluster, &target, values->allow_damaged, out, err);
    hq_progress_end(report.bar, failed == 0);
    out->target.watch = NULL;
    return failed;
}

/* What a plan that looks well does not say. */
static void
say_limits(const struct hq_command_line *line, const struct session *session)
{
    const struct common_values *common = line->common;

    if (!line->json && !line->quiet)
        printf("Objects were looked for, not read: `hq-backup verify` reads them.\n");
    if (hq_keyring_role(session->keyring) != HQ_ROLE_RESTORE)
        hq_cli_warn("%s is a sidecar's key: it can plan, and can't restore; that takes the restore "
                    "key, the other file that `hq-backup init` made",
                    common->key);
}

static int
run_plan(const struct hq_command_line *line, struct hq_error *err)
{
    const struct target_values *v = line->values;
    HQ_AUTO(hq_plan_clear)
    struct hq_plan plan = {0};
    struct hq_target target;
    struct session session;
    int failed = -1;

    /* What is wrong on the command line is said before a passphrase is asked for. */
    if (target_of(v, &target, err) != 0)
        return -1;
    if (session_open(line, 0, &session, err) == 0 && plan_make(line, &session, v, &plan, err) == 0)
        failed = plan_print(line, &plan, err);
    if (failed == 0)
        say_limits(line, &session);
    session_close(&session);
    return failed;
}

const struct hq_command command_plan = {
    .name = "plan",
    .summary = "say what a restore would do, and whether everything it needs is there",
    .help = "Chooses backup and WAL for a target, checks that every object exists, and touches "
            "nothing.\n\n  hq-restore plan --repository s3://backups/tr --key restore.key \\\n"
            "      --cluster main --target-time '2026-11-21 03:04:05+03'",
    .options = plan_options,
    .values_size = sizeof(struct target_values),
    .defaults = &plan_defaults,
    .run = run_plan,
};
