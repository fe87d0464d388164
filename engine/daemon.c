#include "engine/daemon.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon_internal.h"

enum {
    LOOK_MS = 200
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

/*
 * `hq-backup backup` may stream WAL just now, or another daemon may run: what it holds is free
 * again when it is done. @return whether to try again.
 */
static bool
wait_for_other(struct daemon *d, const char *what, bool *told, struct hq_error *err)
{
    if (err->code != HQ_E_BUSY)
        return false;
    if (!*told)
        hq_log_error(HQ_LOG_WARNING, what, err);
    *told = true;
    hq_error_clear(err);
    if (hq_clock_sleep_ms(LOOK_MS, d->stop))
        return true;
    (void)hq_fail(err, HQ_E_INTERRUPTED, "stopped while %s", what);
    return false;
}

static int
start_archiving(struct daemon *d, struct hq_error *err)
{
    const struct hq_archive_events events = {
        .failed = note_archive_end, .gap = note_gap, .context = d};
    bool told = false;

    if (d->site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return 0;
    while (hq_archive_thread_start(d->site, &events, &d->archive, err) != 0)
        if (!wait_for_other(d, "waiting for another process that archives WAL", &told, err))
            return -1;
    return 0;
}

static int
start_control(struct daemon *d, struct hq_error *err)
{
    bool told = false;

    while (daemon_control_start(&d->control, d->stop, err) != 0)
        if (!wait_for_other(d, "waiting for another hq-backupd of this cluster", &told, err))
            return -1;
    return 0;
}

static void
let_go(void *context)
{
    const struct daemon *d = context;

    hq_archive_thread_let_go(d->archive);
}

static int
start_governor(struct daemon *d, struct hq_error *err)
{
    struct hq_governor_options options = {
        .connection = hq_site_connection(d->site),
        .slot = d->site->config->cluster.slot,
        .limits = &d->site->config->slot,
        .let_go = let_go,
        .archiver = daemon_position,
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
    if (daemon_schedule(d, err) != 0)
        return -1;
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
        .site = d->site, .position = daemon_position, .want_backup = want_backup, .context = d};

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
    daemon_position(d, &out->position);
    if (d->archive != NULL)
        hq_archive_thread_troubles(d->archive, &out->troubles);
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
    d->control.watch = d->watch;
    if (failed == 0)
        failed = start_control(d, err);
    if (failed == 0)
        failed = start_metrics(d, err);
    if (failed == 0)
        failed = daemon_loop(d, err);
    hq_metrics_stop(d->metrics);
    daemon_control_stop(&d->control);
    hq_watch_stop(d->watch);
    hq_governor_stop(d->governor);
    if (stop_archiving(d, &archive_err) == 0)
        return failed;
    /* Who stopped it may have been the archiver. */
    if (failed != 0 && err->code != HQ_E_INTERRUPTED) {
        hq_log_error(HQ_LOG_WARNING, "archiving WAL ended", &archive_err);
        return -1;
    }
    *err = archive_err;
    return -1;
}

static bool
ended_by_stop(const struct daemon *d, const struct hq_error *err)
{
    return *d->stop && err->code == HQ_E_INTERRUPTED;
}

int
hq_daemon_run(struct hq_site *site, const atomic_int *stop, struct hq_error *err)
{
    struct daemon d = {.site = site, .stop = stop, .ready = {.site = site}};

    if (prepare(&d, err) != 0)
        return ended_by_stop(&d, err) ? 0 : -1;
    hq_log(HQ_LOG_INFO, "hq-backupd is running", HQ_F_TEXT("version", HQ_VERSION),
           HQ_F_TEXT("cluster", site->config->cluster.name),
           HQ_F_TEXT("region", site->config->region),
           HQ_F_TEXT("repository", hq_store_url(site->store)));
    if (run(&d, err) != 0 && !ended_by_stop(&d, err))
        return -1;
    hq_log(HQ_LOG_INFO, "hq-backupd has stopped", HQ_F_TEXT("cluster", site->config->cluster.name));
    return 0;
}
