#include "engine/daemon.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon_control.h"
#include "daemon_ready.h"
#include "engine/archive_thread.h"
#include "engine/backup_job.h"
#include "engine/governor.h"
#include "engine/metrics.h"
#include "engine/watch.h"
#include "schedules/cron.h"

enum {
    LOOK_MS = 200
};
static const int64_t first_retry_us = INT64_C(60) * 1000000;
static const int64_t longest_retry_us = INT64_C(3600) * 1000000;

/*
 *   waiting --(due)--> backing up --(ok)--> waiting for the next time of the schedule
 *                          |
 *                          +--(failed)--> waiting for min(next time, now + retry), retry doubled
 * A gap in WAL makes a backup due at once, schedule or not: until then nothing behind it can be
 * recovered to. So does, with a schedule, a system that has none yet.
 * *stop ends any of it. An archiver that gave up sends the process SIGTERM, so that it ends the
 * same way, whatever is under way.
 */
struct daemon {
    struct hq_site *site;
    const atomic_int *stop;
    struct hq_archive_thread *archive; /**< NULL: WAL is pushed */
    struct hq_governor *governor;
    struct daemon_control control;
    struct daemon_ready ready;
    bool planned; /**< due_us is what the repository says, since it was looked at */
    struct hq_watch *watch;
    struct hq_metrics_server *metrics; /**< NULL: nobody asked for them */
    _Atomic bool wanted;               /**< a backup, at once */
    uint64_t system;                   /**< that archiving is of; 0: not connected yet */
    bool scheduled;
    struct hq_cron cron;
    int64_t due_us; /**< 0: never */
    int64_t retry_us;
};

static void
note_archive_end(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGTERM);
}

static void
note_gap(void *context, const struct hq_wal_gap *gap)
{
    struct daemon *d = context;

    (void)gap;
    d->wanted = true;
}

struct last_backup {
    uint64_t system; /* 0: whichever */
    int64_t finished_us;
};

static int
keep_finished(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct last_backup *last = context;

    (void)err;
    if (last->system == 0 || root->system_identifier == last->system)
        last->finished_us = root->finished_us;
    return 0;
}

/* When the last backup of the system was finished; 0 if there is none. */
static int
last_backup(struct daemon *d, int64_t *finished_us, struct hq_error *err)
{
    struct last_backup last = {.system = d->system};
    int failed = hq_catalog_backups(d->site->catalog, d->site->config->cluster.name, keep_finished,
                                    &last, err);

    *finished_us = last.finished_us;
    return failed;
}

static int
plan_next(struct daemon *d, struct hq_error *err)
{
    int64_t last;

    d->due_us = 0;
    if (!d->scheduled)
        return 0;
    if (last_backup(d, &last, err) != 0)
        return -1;
    if (last == 0) {
        d->due_us = hq_clock_wall_us();
        return 0;
    }
    return hq_cron_next(&d->cron, last, &d->due_us, err);
}

static void
back_up(struct daemon *d)
{
    struct hq_backup_job_options options = {.stop = d->stop};
    struct hq_backup_statistics statistics;
    struct hq_error err = {0};
    struct hq_root root;
    int64_t began = hq_clock_monotonic_us();
    bool done;

    hq_log(HQ_LOG_INFO, "backup begins", HQ_F_TEXT("cluster", d->site->config->cluster.name));
    done = hq_backup_job_run(d->site, &options, &root, &statistics, &err) == 0;
    if (done) {
        hq_log(HQ_LOG_INFO, "backup complete", HQ_F_TEXT("cluster", root.cluster),
               HQ_F_TEXT("backup", root.backup), HQ_F_U64("files", statistics.files),
               HQ_F_U64("bytes", statistics.bytes), HQ_F_U64("new_bytes", statistics.new_bytes),
               HQ_F_U64("stored_bytes", statistics.stored_bytes),
               HQ_F_U64("damaged_pages", statistics.damaged_pages),
               HQ_F_I64("milliseconds", (hq_clock_monotonic_us() - began) / 1000));
        d->retry_us = first_retry_us;
    } else if (!*d->stop) {
        hq_log_error(HQ_LOG_ERROR, "backup failed", &err);
    }
    hq_root_clear(&root);
    if (done || *d->stop) {
        hq_error_clear(&err);
        if (plan_next(d, &err) != 0)
            hq_log_error(HQ_LOG_ERROR, "the next backup can't be planned", &err);
        return;
    }
    d->due_us = hq_clock_wall_us() + d->retry_us;
    d->retry_us = d->retry_us * 2 < longest_retry_us ? d->retry_us * 2 : longest_retry_us;
}

/* A backup that began before its WAL is being kept could never be restored. */
static bool
wal_is_kept(struct daemon *d)
{
    struct hq_archiver_position position;

    if (d->archive == NULL)
        return true;
    hq_archive_thread_position(d->archive, &position);
    return position.streaming;
}

/* Of a new lineage nothing can be recovered until it has a backup, whatever the old one has. */
static void
follow_system(struct daemon *d)
{
    struct hq_archiver_position position;
    struct hq_error err = {0};
    int64_t last;

    if (d->archive == NULL)
        return;
    hq_archive_thread_position(d->archive, &position);
    if (!position.streaming || position.system_identifier == d->system)
        return;
    d->system = position.system_identifier;
    if (last_backup(d, &last, &err) != 0)
        hq_log_error(HQ_LOG_ERROR, "whether a backup is due can't be told", &err);
    else if (d->scheduled && last == 0)
        d->wanted = true;
}

static void
back_up_if_due(struct daemon *d)
{
    follow_system(d);
    if (d->wanted) {
        d->wanted = false;
        d->due_us = hq_clock_wall_us();
    }
    if (d->due_us != 0 && hq_clock_wall_us() >= d->due_us && wal_is_kept(d)) {
        atomic_store(&d->control.backup_since_us, hq_clock_wall_us());
        back_up(d);
        atomic_store(&d->control.backup_since_us, 0);
    }
    atomic_store(&d->control.backup_due_us, d->due_us);
}

/* WAL is archived, or spooled, from before the first turn on: only backups need the store here. */
static int
loop(struct daemon *d, struct hq_error *err)
{
    while (!*d->stop) {
        int ready = daemon_ready_look(&d->ready, err);

        if (ready < 0)
            return -1;
        if (ready > 0 && !d->planned) {
            if (plan_next(d, err) != 0)
                return -1;
            d->planned = true;
        }
        if (ready > 0)
            back_up_if_due(d);
        (void)hq_clock_sleep_ms(LOOK_MS, d->stop);
    }
    return 0;
}

/* `hq-backup backup` may stream WAL just now: its lock is free again when it is done. */
static int
start_archiving(struct daemon *d, struct hq_error *err)
{
    const struct hq_archive_events events = {note_archive_end, note_gap, d};
    bool told = false;

    if (d->site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return 0;
    while (hq_archive_thread_start(d->site, &events, &d->archive, err) != 0) {
        if (err->code != HQ_E_BUSY)
            return -1;
        if (!told)
            hq_log_error(HQ_LOG_INFO, "waiting for another process that archives WAL", err);
        told = true;
        hq_error_clear(err);
        if (!hq_clock_sleep_ms(LOOK_MS, d->stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while another process archives WAL");
    }
    return 0;
}

static void
let_go(void *context)
{
    const struct daemon *d = context;

    hq_archive_thread_let_go(d->archive);
}

static void
tell_position(void *context, struct hq_archiver_position *out)
{
    const struct daemon *d = context;

    *out = (struct hq_archiver_position){0};
    if (d->archive != NULL)
        hq_archive_thread_position(d->archive, out);
}

static int
start_governor(struct daemon *d, struct hq_error *err)
{
    struct hq_governor_options options = {
        .connection = hq_site_connection(d->site),
        .slot = d->site->config->cluster.slot,
        .limits = &d->site->config->slot,
        .let_go = let_go,
        .archiver = tell_position,
        .context = d,
    };
    struct hq_error second = {0};

    if (d->archive == NULL)
        return 0; /* WAL is pushed: there is no slot to watch */
    if (hq_governor_start(&options, &d->governor, err) == 0)
        return 0;
    if (hq_archive_thread_stop(d->archive, &second) != 0)
        hq_log_error(HQ_LOG_WARNING, "archiving WAL ended", &second);
    return -1;
}

static int
prepare(struct daemon *d, struct hq_error *err)
{
    const struct hq_config *config = d->site->config;

    d->retry_us = first_retry_us;
    d->scheduled = config->backup.schedule[0] != '\0';
    if (d->scheduled && hq_cron_parse(config->backup.schedule, &d->cron, err) != 0)
        return hq_config_blame(config, "backup.schedule", err);
    return start_archiving(d, err) != 0 ? -1 : start_governor(d, err);
}

static int
stop_archiving(struct daemon *d, struct hq_error *err)
{
    if (d->archive == NULL || hq_archive_thread_stop(d->archive, err) == 0)
        return 0;
    return hq_error_prefix(err, "archive WAL");
}

static bool
want_backup(void *context)
{
    struct daemon *d = context;

    if (atomic_load(&d->control.backup_since_us) != 0)
        return false;
    d->wanted = true;
    return true;
}

static int
start_watch(struct daemon *d, struct hq_error *err)
{
    struct hq_watch_options options = {
        .site = d->site, .position = tell_position, .want_backup = want_backup, .context = d};

    return hq_watch_start(&options, &d->watch, err);
}

static void
collect_metrics(void *context, struct hq_metrics *out)
{
    struct daemon *d = context;

    *out = (struct hq_metrics){.cluster = d->site->config->cluster.name,
                               .region = d->site->config->region,
                               .now_us = hq_clock_wall_us(),
                               .started_us = d->control.started_us,
                               .streams = d->archive != NULL,
                               .backup_since_us = atomic_load(&d->control.backup_since_us),
                               .backup_due_us = atomic_load(&d->control.backup_due_us)};
    tell_position(d, &out->position);
    hq_watch_status(d->watch, &out->watch);
    if (d->governor != NULL)
        hq_governor_status(d->governor, &out->slot);
}

static int
start_metrics(struct daemon *d, struct hq_error *err)
{
    struct hq_metrics_options options = {
        .listen = d->site->config->metrics.listen, .collect = collect_metrics, .context = d};

    if (options.listen == NULL || hq_metrics_start(&options, &d->metrics, err) == 0)
        return 0;
    return hq_config_blame(d->site->config, "metrics.listen", err);
}

/* The control socket is there as long as there is something to ask about. */
static int
run(struct daemon *d, struct hq_error *err)
{
    struct hq_error archive_err = {0};
    int failed;

    d->control.site = d->site;
    d->control.archive = d->archive;
    d->control.governor = d->governor;
    failed = start_watch(d, err);
    if (failed == 0)
        failed = daemon_control_start(&d->control, d->stop, err);
    if (failed == 0)
        failed = start_metrics(d, err);
    if (failed == 0)
        failed = loop(d, err);
    hq_metrics_stop(d->metrics);
    daemon_control_stop(&d->control);
    hq_watch_stop(d->watch);
    hq_governor_stop(d->governor);
    if (stop_archiving(d, &archive_err) == 0)
        return failed;
    if (failed != 0) {
        hq_log_error(HQ_LOG_WARNING, "archiving WAL ended", &archive_err);
        return -1;
    }
    *err = archive_err;
    return -1;
}

int
hq_daemon_run(struct hq_site *site, const atomic_int *stop, struct hq_error *err)
{
    struct daemon d = {.site = site, .stop = stop, .ready = {.site = site}};

    if (prepare(&d, err) != 0)
        return *stop && err->code == HQ_E_INTERRUPTED ? 0 : -1;
    hq_log(HQ_LOG_INFO, "hq-backupd is running", HQ_F_TEXT("version", HQ_VERSION),
           HQ_F_TEXT("cluster", site->config->cluster.name),
           HQ_F_TEXT("region", site->config->region),
           HQ_F_TEXT("repository", hq_store_url(site->store)));
    if (run(&d, err) != 0)
        return -1;
    hq_log(HQ_LOG_INFO, "hq-backupd has stopped", HQ_F_TEXT("cluster", site->config->cluster.name));
    return 0;
}
