#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "engine/archive_thread.h"
#include "engine/backup_job.h"
#include "engine/control.h"
#include "postgres/connection.h"
#include "repository/timeline.h"

/* How long the archiver of this process may take to get the slot before somebody else has it. */
enum {
    STREAMING_WAIT_MS = 20000,
    LOOK_MS = 100,
    DAEMON_WAIT_MS = 2000
};

struct backup_values {
    bool full_read;
};

static const struct hq_option backup_options[] = {
    {"full-read", 0, HQ_OPTION_FLAG, NULL,
     "Take no page from an earlier backup, whatever its LSN says.",
     .offset = offsetof(struct backup_values, full_read)},
    {0}};

static const char *
how_found(const char *found_by)
{
    if (found_by != NULL && strcmp(found_by, "server-summary") == 0)
        return "so says the server's summary of WAL";
    if (found_by != NULL && strcmp(found_by, "wal-summary") == 0)
        return "so says the WAL since";
    return "so say their LSNs";
}

static void
print_text(const struct hq_root *root, const struct hq_backup_statistics *s, int64_t took_us)
{
    char bytes[HQ_BYTES_TEXT_MAX], stored[HQ_BYTES_TEXT_MAX], took[HQ_TIME_TEXT_MAX];

    printf("Backup %s of cluster %s: %llu files, %s, %s stored, in %s.\n", root->backup,
           root->cluster, (unsigned long long)s->files, hq_bytes_format(s->bytes, bytes),
           hq_bytes_format(s->stored_bytes, stored), hq_duration_format(took_us, took));
    if (root->parent[0] != '\0')
        printf("It is complete by itself; %llu of %llu pages were stored already by backup %s: "
               "%s.\n",
               (unsigned long long)s->inherited_pages, (unsigned long long)s->pages, root->parent,
               how_found(s->found_by));
    else
        printf("It is complete by itself; no backup vouched for any of its %llu pages.\n",
               (unsigned long long)s->pages);
}

/* Members that `show` has too are named as there. */
static json_t *
result_json(const struct hq_root *root, const struct hq_backup_statistics *s, int64_t took_us)
{
    char started[HQ_TIME_TEXT_MAX], finished[HQ_TIME_TEXT_MAX], start[24], stop[24];

    return json_pack(
        "{s:s, s:s, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s, "
        "s:s}",
        "cluster", root->cluster, "backup", root->backup, "parent",
        root->parent[0] != '\0' ? root->parent : NULL, "found_by", s->found_by, "files",
        (json_int_t)s->files, "bytes", (json_int_t)s->bytes, "pages", (json_int_t)s->pages,
        "inherited_pages", (json_int_t)s->inherited_pages, "damaged_pages",
        (json_int_t)s->damaged_pages, "new_bytes", (json_int_t)s->new_bytes, "stored_bytes",
        (json_int_t)s->stored_bytes, "microseconds", (json_int_t)took_us, "mode", root->mode,
        "started", hq_time_format(root->started_us, started), "finished",
        hq_time_format(root->finished_us, finished), "timeline", (json_int_t)root->timeline,
        "start_lsn", hq_lsn_format(root->start_lsn, start), "stop_lsn",
        hq_lsn_format(root->stop_lsn, stop));
}

static int
print_result(const struct hq_command_line *line, const struct hq_root *root,
             const struct hq_backup_statistics *s, int64_t took_us, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (!line->json) {
        if (!line->quiet)
            print_text(root, s, took_us);
        if (s->damaged_pages > 0)
            hq_cli_warn("%llu pages failed their checksum in the cluster itself; `hq-backup show "
                        "%s` names the files",
                        (unsigned long long)s->damaged_pages, root->backup);
        return 0;
    }
    out = result_json(root, s, took_us);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

/* The archiver tries again for as long as a server may come back; here somebody waits. */
static int
reach_server(const struct hq_site *site, struct hq_error *err)
{
    struct hq_pg_options options = hq_site_connection(site);
    struct hq_pg *pg = NULL;

    if (hq_pg_connect(&options, &pg, err) != 0)
        return -1;
    hq_pg_close(pg);
    return 0;
}

static void
note_archive_end(void *context)
{
    atomic_store((atomic_bool *)context, true);
}

/* Whoever streams the WAL: this process or the daemon. */
struct wal_source {
    const struct hq_site *site;
    struct hq_archive_thread *archive; /* of this process; NULL: the daemon's */
    bool streamed;                     /* this process had the slot */
};

/* Without WAL from its beginning on a backup is worth nothing: see to it that WAL is streamed. */
static int
see_to_wal(struct hq_site *site, struct wal_source *source, atomic_bool *ended,
           struct hq_error *err)
{
    const struct hq_archive_events events = {
        .failed = note_archive_end, .context = ended, .attended = true};
    struct hq_archiver_position position = {0};

    if (site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return 0; /* archive_command brings it */
    if (hq_archive_thread_start(site, &events, &source->archive, err) != 0) {
        if (err->code != HQ_E_BUSY)
            return -1;
        hq_error_clear(err); /* hq-backupd of this host does it */
        return 0;
    }
    /* A slot that stays busy is used by a daemon elsewhere: the wait at the end will tell. */
    for (int waited = 0; waited < STREAMING_WAIT_MS && !position.streaming; waited += LOOK_MS) {
        if (atomic_load(ended) || !hq_clock_sleep_ms(LOOK_MS, hq_cli_stop()))
            break;
        hq_archive_thread_position(source->archive, &position);
    }
    source->streamed = position.streaming;
    return 0;
}

/* It keeps the WAL behind this backup; with nobody to move it on it fills the server's disk. */
static void
warn_of_slot(const struct hq_site *site)
{
    const char *slot = site->config->cluster.slot;

    hq_cli_warn("the replication slot %s keeps WAL on the server from here on: unless "
                "hq-backupd runs by now, start it soon, or drop the slot: SELECT "
                "pg_drop_replication_slot('%s')",
                slot, slot);
}

static uint64_t
lsn_member(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    uint32_t high, low;

    if (text == NULL || sscanf(text, "%" SCNx32 "/%" SCNx32, &high, &low) != 2)
        return 0;
    return (uint64_t)high << 32 | low;
}

static void
ask_position(void *context, struct hq_archiver_position *out)
{
    struct wal_source *source = context;
    struct hq_error err = {0};
    json_t *status = NULL;
    const json_t *stream;
    const char *system;

    *out = (struct hq_archiver_position){0};
    if (source->archive != NULL) {
        hq_archive_thread_position(source->archive, out);
        source->streamed = source->streamed || out->streaming;
        return;
    }
    /* A daemon that does not tell is waited for. */
    if (hq_control_ask(source->site->config, "status", "", DAEMON_WAIT_MS, hq_cli_stop(), &status,
                       &err) != 0)
        return;
    stream = json_object_get(status, "stream");
    system = json_string_value(json_object_get(stream, "system_identifier"));
    out->system_identifier = system != NULL ? strtoull(system, NULL, 10) : 0;
    out->timeline = (uint32_t)json_integer_value(json_object_get(stream, "timeline"));
    out->durable_lsn = lsn_member(stream, "durable_lsn");
    out->streaming = json_is_true(json_object_get(stream, "streaming"));
    json_decref(status);
}

static int
back_up(const struct hq_command_line *line, struct hq_site *site, struct wal_source *source,
        struct hq_error *err)
{
    const struct backup_values *values = line->values;
    struct command_progress progress;
    struct hq_backup_job_options options = {.progress = command_progress_report,
                                            .waiting = command_progress_say,
                                            .context = &progress,
                                            .stop = hq_cli_stop(),
                                            .locked = true,
                                            .full_read = values->full_read,
                                            .position = ask_position,
                                            .position_context = source,
                                            .archive = source->archive};
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_backup_statistics statistics = {0};
    int64_t began = hq_clock_monotonic_us();
    int failed;

    if (command_progress_begin(&progress, line, "backup", err) != 0)
        return -1;
    failed = hq_backup_job_run(site, &options, &root, &statistics, err);
    hq_progress_end(progress.bar, failed == 0);
    if (failed != 0)
        return -1;
    return print_result(line, &root, &statistics, hq_clock_monotonic_us() - began, err);
}

static int
run_backup(const struct hq_command_line *line, struct hq_error *err)
{
    struct hq_error archive_err = {0};
    atomic_bool ended = false;
    struct hq_site site;
    struct wal_source source = {.site = &site};
    int failed = -1, lock = -1;

    /*
     * The backup's lock before the WAL's: whoever streams WAL for a backup must not be refused the
     * backup and leave, with another backup counting on that stream.
     */
    if (command_open_site(line, &site, err) == 0 && hq_site_open_catalog(&site, err) == 0 &&
        reach_server(&site, err) == 0 && (lock = hq_backup_job_lock(&site, err)) >= 0 &&
        see_to_wal(&site, &source, &ended, err) == 0)
        failed = back_up(line, &site, &source, err);
    if (source.archive != NULL && hq_archive_thread_stop(source.archive, &archive_err) != 0) {
        /* What stopped the WAL is why the backup could not become recoverable. */
        if (failed != 0)
            *err = archive_err;
        else
            hq_cli_warn("archiving WAL ended early: %s", archive_err.message);
    }
    if (source.streamed)
        warn_of_slot(&site);
    hq_auto_close(&lock);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_backup = {
    .name = "backup",
    .options = backup_options,
    .values_size = sizeof(struct backup_values),
    .summary = "take a base backup now",
    .help =
        "Takes one base backup of the configured cluster and waits until the WAL it needs is in "
        "the repository as well. When hq-backupd does not run on this host, WAL is streamed by "
        "this command for as long as it lasts.\n\n"
        "  hq-backup backup --config /etc/hq-backup/hq-backup.yaml",
    .run = run_backup,
};
