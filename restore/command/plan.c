#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "plan_look.h"

static const struct hq_option plan_options[] = {
    TARGET_OPTIONS,
    {"to", 0, HQ_OPTION_DIRECTORY, "DIR",
     "Look at this directory too, as `hq-restore pg --to` would find it: what is right there, what "
     "would be fetched and removed, free space. Reads what is there; changes nothing.",
     .offset = offsetof(struct plan_values, to)},
    {"delta", 0, HQ_OPTION_FLAG, NULL, "That is a data directory of the same cluster.",
     .offset = offsetof(struct plan_values, delta)},
    {"tablespace-map", 'T', HQ_OPTION_TEXTS, "OLD=NEW",
     "The tablespace that was at OLD (or has this OID) would go to NEW. May be repeated.",
     .offset = offsetof(struct plan_values, tablespace_map)},
    {"workers", 'j', HQ_OPTION_U64, "N",
     "Threads that compare. Default: one for each core, at most 8.",
     .offset = offsetof(struct plan_values, workers), 1, 64},
    {0}};

static const struct plan_values plan_defaults = {.target = {.time_us = TARGET_TIME_UNSET}};

static json_t *
plan_json(const struct hq_plan *p)
{
    char target[256], finished[HQ_TIME_TEXT_MAX], last[HQ_TIME_TEXT_MAX], from[24], to[24];
    char system[24];

    snprintf(system, sizeof system, "%" PRIu64, p->root.system_identifier);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:s?, s:I, s:I, s:I, s:s, "
        "s:I, s:o}",
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
        "system_identifier", system, "lineage", (json_int_t)p->lineage, "other_timelines",
        plan_branches_json(p));
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

void
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

/* @p look: NULL without --to. */
static int
print_json(const struct hq_plan *plan, const struct hq_restore_look *look, bool fits,
           const struct places *places, struct hq_error *err)
{
    json_t *out = add_found(plan_json(plan), plan);
    int failed;

    if (out != NULL && look != NULL &&
        json_object_set_new(out, "target_directory",
                            plan_look_json(look, places->directory, fits)) != 0) {
        json_decref(out);
        return hq_fail(err, HQ_E_NOMEM, "result");
    }
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

/* What does not fit is told with all figures, and then as the failure. */
static int
look_and_print(const struct hq_command_line *line, const struct session *session,
               const struct hq_plan *plan, const struct places *places, struct hq_error *err)
{
    HQ_AUTO(hq_restore_look_clear)
    struct hq_restore_look look = {0};
    struct hq_error full = {0};

    if (plan_look(line, session, plan, places, &look, &full) != 0 && full.code != HQ_E_NO_SPACE) {
        *err = full;
        return -1;
    }
    if (!line->json)
        plan_look_text(stdout, &look, places->directory);
    else if (print_json(plan, &look, full.code == HQ_E_OK, places, err) != 0)
        return -1;
    *err = full;
    return full.code == HQ_E_OK ? 0 : -1;
}

static int
report(const struct hq_command_line *line, const struct session *session,
       const struct places *places, struct hq_error *err)
{
    const struct plan_values *v = line->values;
    HQ_AUTO(hq_plan_clear)
    struct hq_plan plan = {0};

    if (plan_make(line, session, &v->target, &plan, err) != 0 ||
        places_check(places, &plan, err) != 0)
        return -1;
    plan_warn_of_branches(&plan);
    if (!line->json)
        plan_text(stdout, &plan);
    if (v->to != NULL)
        return look_and_print(line, session, &plan, places, err);
    return line->json ? print_json(&plan, NULL, true, places, err) : 0;
}

static int
run_plan(const struct hq_command_line *line, struct hq_error *err)
{
    const struct plan_values *v = line->values;
    HQ_AUTO(places_clear)
    struct places places = {0};
    struct hq_target target;
    struct session session;
    int failed = -1;

    /* What is wrong on the command line is said before a passphrase is asked for. */
    if (target_of(&v->target, &target, err) != 0)
        return -1;
    if (v->to == NULL && (v->delta || v->tablespace_map.count > 0))
        return hq_fail(err, HQ_E_USAGE, "--delta and --tablespace-map go with --to");
    if (v->to != NULL && places_parse(v->to, &v->tablespace_map, &places, err) != 0)
        return -1;
    if (session_open(line, 0, &session, err) == 0)
        failed = report(line, &session, &places, err);
    if (failed == 0)
        say_limits(line, &session);
    session_close(&session);
    return failed;
}

const struct hq_command command_plan = {
    .name = "plan",
    .summary = "say what a restore would do, and whether everything it needs is there",
    .help =
        "Chooses backup and WAL for a target, checks that every object exists, and touches "
        "nothing.\n\n  hq-restore plan --repository s3://backups/tr --key restore.key \\\n"
        "      --cluster main --target-time '2026-11-21 03:04:05+03'\n\n"
        "With --to the directory is compared as well, file by file, with the hashes that "
        "`hq-restore "
        "pg` compares with; as the restore would, this takes as long as reading what is there. The "
        "figures are exact where no server runs in it meanwhile. What can't fit ends with status "
        "6.\n\n  hq-restore plan ... --target-time '2026-11-21 03:04:05+03' --to "
        "/srv/pg/data --delta",
    .options = plan_options,
    .values_size = sizeof(struct plan_values),
    .defaults = &plan_defaults,
    .run = run_plan,
};
