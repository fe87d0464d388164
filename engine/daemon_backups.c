#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon_internal.h"
#include "engine/backup_job.h"
#include "repository/lineage.h"

enum {
    LOOK_MS = 200
};
static const int64_t first_retry_us = INT64_C(60) * 1000000;
static const int64_t longest_retry_us = INT64_C(3600) * 1000000;
static const int64_t read_records_us = INT64_C(5) * 1000000;

/*
 *   waiting --(due)--> backing up --(ok)--> waiting for the next time of the schedule
 *                          |
 *                          +--(failed)--> waiting for min(next time, now + retry), retry doubled
 * A gap in WAL makes a backup due at once, schedule or not: until then nothing behind it can be
 * recovered to. So does, with a schedule, a system that has none yet.
 * *stop ends any of it. An archiver that gave up sends the process SIGTERM, so that it ends the
 * same way, whatever is under way.
 */
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

void
daemon_position(void *context, struct hq_archiver_position *out)
{
    const struct daemon *d = context;

    *out = (struct hq_archiver_position){0};
    if (d->archive != NULL)
        hq_archive_thread_position(d->archive, out);
}

int
daemon_schedule(struct daemon *d, struct hq_error *err)
{
    const struct hq_config *config = d->site->config;

    d->retry_us = first_retry_us;
    d->scheduled = config->backup.schedule[0] != '\0';
    if (!d->scheduled || hq_cron_parse(config->backup.schedule, &d->cron, err) == 0)
        return 0;
    return hq_config_blame(config, "backup.schedule", err);
}

static void
back_up(struct daemon *d)
{
    struct hq_backup_job_options options = {
        .stop = d->stop, .position = daemon_position, .position_context = d, .archive = d->archive};
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
               HQ_F_U64("bytes", statistics.bytes),
               HQ_F_U64("inherited_pages", statistics.inherited_pages),
               HQ_F_TEXT("found_by", statistics.found_by),
               HQ_F_U64("new_bytes", statistics.new_bytes),
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

/* The system whose WAL is archived; 0: not known. Where WAL is pushed, the records tell. */
static uint64_t
present_system(struct daemon *d, struct hq_error *err)
{
    HQ_AUTO(hq_lineages_clear)
    struct hq_lineages lineages = {0};
    struct hq_archiver_position position;

    if (d->archive != NULL) {
        hq_archive_thread_position(d->archive, &position);
        return position.streaming ? position.system_identifier : 0;
    }
    if (hq_clock_monotonic_us() < d->records_us)
        return 0;
    d->records_us = hq_clock_monotonic_us() + read_records_us;
    if (hq_catalog_audit_records(d->site->catalog, d->site->config->cluster.name, hq_lineages_add,
                                 &lineages, err) != 0)
        hq_log_error(HQ_LOG_ERROR, "which system the cluster is can't be told", err);
    return lineages.count > 0 ? lineages.items[lineages.count - 1].system_identifier : 0;
}

/* Of a new lineage nothing can be recovered until it has a backup, whatever the old one has. */
static void
follow_system(struct daemon *d)
{
    struct hq_error err = {0};
    uint64_t system = present_system(d, &err);
    int64_t last;

    if (system == 0 || system == d->system)
        return;
    d->system = system;
    hq_error_clear(&err);
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
int
daemon_loop(struct daemon *d, struct hq_error *err)
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
