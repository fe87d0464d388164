#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "places.h"

struct pg_values {
    struct target_values target; /**< first: TARGET_OPTIONS has its offsets */
    const char *to, *owner, *target_action, *archive;
    struct hq_texts tablespace_map;
    uint64_t jobs, workers;
    bool delta;
};

static const char *const actions[] = {"promote", "pause", "shutdown", NULL};
static const char *const archive_choices[] = {"keep", "off", NULL};

static const struct hq_option pg_options[] = {
    {"to", 0, HQ_OPTION_DIRECTORY, "DIR",
     "The data directory to make: new, empty, or of a restore of the same backup that was "
     "interrupted.",
     .offset = offsetof(struct pg_values, to), .required = true},
    TARGET_OPTIONS,
    {"target-action", 0, HQ_OPTION_CHOICE, "ACTION",
     "What the server does at the target: promote "
     "(open for writing), pause (read only, to look), shutdown.",
     .offset = offsetof(struct pg_values, target_action), .choices = actions},
    {"archive", 0, HQ_OPTION_CHOICE, "WHAT",
     "keep: archive_mode stays as it was, for a cluster that takes the place of the lost one. off: "
     "for a copy beside the living server, which must not push into its archive.",
     .offset = offsetof(struct pg_values, archive), .choices = archive_choices},
    {"tablespace-map", 'T', HQ_OPTION_TEXTS, "OLD=NEW",
     "Put the tablespace that was at OLD (or has "
     "this OID) to NEW. May be repeated.",
     .offset = offsetof(struct pg_values, tablespace_map)},
    {"owner", 0, HQ_OPTION_TEXT, "USER[:GROUP]",
     "As root: owner of the files. Default: the owner of "
     "the empty directory, else the owner in the backup.",
     .offset = offsetof(struct pg_values, owner)},
    {"delta", 0, HQ_OPTION_FLAG, NULL,
     "Bring a data directory of the same cluster to the backup: fetch what differs, remove what is "
     "too much.",
     .offset = offsetof(struct pg_values, delta)},
    {"jobs", 0, HQ_OPTION_U64, "N", "Requests to the store at once. Default: 8.",
     .offset = offsetof(struct pg_values, jobs), 1, 64},
    {"workers", 'j', HQ_OPTION_U64, "N",
     "Threads that decompress, write and compare. Default: one for each core, at most 8.",
     .offset = offsetof(struct pg_values, workers), 1, 64},
    {0}};

static const struct pg_values pg_defaults = {.target = {.time_us = TARGET_TIME_UNSET},
                                             .target_action = "promote",
                                             .archive = "keep",
                                             .jobs = 8};

/** What the callbacks of a running restore report to. */
struct report {
    struct hq_progress *bar;
    json_t *losses;
};

static void
report_progress(void *context, uint64_t done, uint64_t total)
{
    const struct report *r = context;

    hq_progress_reach(r->bar, done, total);
}

static void
report_loss(void *context, const char *path, uint64_t offset, uint64_t length,
            const struct hq_error *why)
{
    struct report *r = context;

    hq_cli_warn("LOST %s, %" PRIu64 " bytes from %" PRIu64 ": %s", path, length, offset,
                why->message);
    json_array_append_new(r->losses, json_pack("{s:s, s:I, s:I, s:s}", "path", path, "offset",
                                               (json_int_t)offset, "length", (json_int_t)length,
                                               "why", why->message));
}

enum {
    LOSSES_SHOWN = 20
};

/* Before everything else, so that nobody starts a server without having seen it. */
static void
print_losses(const json_t *losses)
{
    size_t count = json_array_size(losses);

    printf("LOST: %zu %s of files could not be restored and %s now:\n", count,
           count == 1 ? "stretch" : "stretches", count == 1 ? "is zeros" : "are zeros");
    for (size_t i = 0; i < count && i < LOSSES_SHOWN; i++) {
        const json_t *loss = json_array_get(losses, i);

        printf("  %s, %" JSON_INTEGER_FORMAT " bytes from %" JSON_INTEGER_FORMAT "\n",
               json_string_value(json_object_get(loss, "path")),
               json_integer_value(json_object_get(loss, "length")),
               json_integer_value(json_object_get(loss, "offset")));
    }
    if (count > LOSSES_SHOWN)
        printf("  ... and %zu more, named on standard error\n", count - LOSSES_SHOWN);
}

static const char *
action_told(const char *action)
{
    return strcmp(action, "promote") == 0 ? "opens for writing"
           : strcmp(action, "pause") == 0 ? "pauses there, read only"
                                          : "shuts down";
}

static void
print_text(const struct hq_plan *plan, const struct hq_restore_result *result,
           const struct pg_values *v, const json_t *losses, int64_t took_us)
{
    char bytes[HQ_BYTES_TEXT_MAX], took[HQ_TIME_TEXT_MAX], target[256];

    if (result->losses > 0)
        print_losses(losses);
    printf("Restored %" PRIu64 " files, %s, to %s in %s, with %" PRIu64 " %s of WAL.\n",
           result->files, hq_bytes_format(result->bytes, bytes), v->to,
           hq_duration_format(took_us, took), result->wal_segments,
           result->wal_segments == 1 ? "segment" : "segments");
    if (result->kept_bytes > 0 || result->removed > 0)
        printf("%s were right already and kept; %" PRIu64 " %s not the backup's and removed.\n",
               hq_bytes_format(result->kept_bytes, bytes), result->removed,
               result->removed == 1 ? "file or directory was" : "files and directories were");
    printf("`hq-restore start %s` brings it up and stops at the target to look.\n"
           "Started by other means it recovers to %s by itself, then %s.\n",
           v->to, target_describe(&plan->target, target), action_told(v->target_action));
    if (result->losses > 0)
        printf("It is NOT whole: %" PRIu64 " %s lost.\n", result->losses,
               result->losses == 1 ? "stretch is" : "stretches are");
}

static int
print_result(const struct hq_command_line *line, const struct hq_plan *plan,
             const struct hq_restore_result *result, const struct pg_values *v, json_t *losses,
             int64_t took_us, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (result->archives)
        hq_cli_warn("archive_mode is on: once promoted, this cluster archives a timeline of its "
                    "own. Beside the living server it must not: restore with --archive off, or "
                    "put archive_mode = off into postgresql.auto.conf before the start");
    if (!line->json) {
        if (!line->quiet || result->losses > 0)
            print_text(plan, result, v, losses, took_us);
        return 0;
    }
    out = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:o}", "cluster",
                    plan->cluster, "backup", plan->root.backup, "directory", v->to, "archives",
                    result->archives ? 1 : 0, "files", (json_int_t)result->files, "bytes",
                    (json_int_t)result->bytes, "fetched_bytes", (json_int_t)result->fetched_bytes,
                    "kept_bytes", (json_int_t)result->kept_bytes, "removed",
                    (json_int_t)result->removed, "wal_segments", (json_int_t)result->wal_segments,
                    "microseconds", (json_int_t)took_us, "losses", losses, "other_timelines",
                    plan_branches_json(plan));
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
own_path(char out[PATH_MAX], struct hq_error *err)
{
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (len < 0)
        return hq_fail_sys(err, errno, "find out where this program lies");
    out[len] = '\0';
    return 0;
}

static int
restore(const struct hq_command_line *line, const struct session *session,
        const struct hq_plan *plan, struct hq_restore_options *options, struct hq_error *err)
{
    struct hq_progress_options bar = {
        .label = "restore", .total = plan->root.bytes, .quiet = line->quiet};
    struct report report = {.losses = json_array()};
    struct hq_error partial = {0};
    struct hq_restore_result result;
    int64_t began = hq_clock_monotonic_us();
    int failed = -1;

    options->progress = report_progress;
    options->lost = report_loss;
    options->context = &report;
    report.bar = hq_progress_new(&bar, err);
    if (report.bar != NULL) {
        failed = hq_restore_postgres(session->repository, plan, options, &result, err);
        hq_progress_end(report.bar, failed == 0 || err->code == HQ_E_PARTIAL);
    }
    if (failed != 0 && err->code == HQ_E_PARTIAL) {
        partial = *err;
        failed = 0;
    }
    if (failed == 0)
        failed = print_result(line, plan, &result, line->values, report.losses,
                              hq_clock_monotonic_us() - began, err);
    json_decref(report.losses);
    if (failed == 0 && partial.code != HQ_E_OK) {
        *err = partial; /* the result lists the losses */
        failed = -1;
    }
    return failed;
}

static int
plan_and_restore(const struct hq_command_line *line, const struct session *session,
                 const struct places *places, struct hq_restore_options *options,
                 struct hq_error *err)
{
    const struct pg_values *v = line->values;
    HQ_AUTO(hq_plan_clear)
    struct hq_plan plan = {0};

    if (plan_make(line, session, &v->target, &plan, err) != 0 ||
        places_check(places, &plan, err) != 0)
        return -1;
    plan_warn_of_branches(&plan);
    if (!line->quiet)
        plan_text(stderr, &plan);
    return restore(line, session, &plan, options, err);
}

/* Everything up to the first page would work with a sidecar's key, and then nothing would. */
static int
check_key(const struct session *session, const char *path, struct hq_error *err)
{
    if (hq_keyring_role(session->keyring) == HQ_ROLE_RESTORE)
        return 0;
    (void)hq_fail(err, HQ_E_KEY, "%s is a sidecar's key: it backs up, and can't read data", path);
    return hq_error_hint(err, "give the restore key, the other file that `hq-backup init` made: "
                              "the incident team keeps it");
}

enum {
    STAGING_CONNECTIONS = 4 /* WAL is fetched meanwhile */
};

static int
run_pg(const struct hq_command_line *line, struct hq_error *err)
{
    const struct pg_values *v = line->values;
    const struct common_values *common = line->common;
    HQ_AUTO(places_clear)
    struct places places = {0};
    char program[PATH_MAX];
    struct session session;
    int failed = -1;

    /* wal-get runs later, as another user, in another directory: paths must be whole. */
    if (places_parse(v->to, &v->tablespace_map, &places, err) != 0 || own_path(program, err) != 0)
        return -1;
    if (session_open(line, (uint32_t)v->jobs + STAGING_CONNECTIONS, &session, err) == 0 &&
        check_key(&session, common->key, err) == 0) {
        struct hq_restore_options options = {
            .directory = places.directory,
            .tablespaces = places.maps,
            .tablespace_count = places.count,
            .owner = v->owner,
            .target_action = v->target_action,
            .archive_off = strcmp(v->archive, "off") == 0,
            .program = program,
            .store = &session.store_options,
            .access_key_file = common->access_key_file,
            .secret_key_file = common->secret_key_file,
            .delta = v->delta,
            .jobs = (unsigned)v->jobs,
            .workers = places_workers(v->workers),
            .allow_damaged = v->target.allow_damaged,
            .stop = hq_cli_stop(),
        };

        failed = plan_and_restore(line, &session, &places, &options, err);
    }
    session_close(&session);
    return failed;
}

const struct hq_command command_pg = {
    .name = "pg",
    .summary = "restore a PostgreSQL data directory, ready to recover to a point",
    .help =
        "Restores a backup to a new or empty directory and writes recovery settings, so that "
        "PostgreSQL, started there as it is, fetches its WAL and stops at the target. A restore "
        "that was interrupted leaves a directory that does not start; the same command goes "
        "on with it. Nothing else is overwritten, unless --delta says so: then a data "
        "directory of the same cluster, whose server is stopped, becomes the backup; what is "
        "right in it is kept, what the backup does not have is removed, WAL in pg_wal "
        "too.\n\n  hq-restore pg --repository s3://backups/tr --key restore.key \\\n"
        "      --cluster main --target-time '2026-11-21 03:04:05+03' --to /srv/pg/data",
    .options = pg_options,
    .values_size = sizeof(struct pg_values),
    .defaults = &pg_defaults,
    .run = run_pg,
};
