#include <stdatomic.h>
#include <stdio.h>

#include "backup_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "restore/wal_inventory.h"

/* A look is a listing: usually the second finds what is wanted, and an outage needs few. */
enum {
    FIRST_PAUSE_MS = 50,
    LONGEST_PAUSE_MS = 1000,
    LOST_LOOKS = 3
};
/* Nearly always WAL is there sooner. */
static const int64_t tell_after_us = INT64_C(3) * 1000000;

static int
hold(const struct hq_site *site, struct hq_pg *pg, struct hq_error *err)
{
    bool created;

    if (hq_pg_slot_hold(pg, site->config->cluster.slot, &created, err) != 0)
        return -1;
    if (created)
        hq_log(HQ_LOG_INFO, "the replication slot was missing and is made for the backup",
               HQ_F_TEXT("slot", site->config->cluster.slot));
    return 0;
}

/* Where backups are read from a standby, the slot is the primary's all the same. */
static int
hold_elsewhere(const struct hq_site *site, const struct hq_pg_system *system, struct hq_error *err)
{
    struct hq_pg_options options = hq_site_connection(site);
    struct hq_pg_system other;
    struct hq_pg *pg = NULL;
    int failed;

    if (hq_pg_connect(&options, &pg, err) != 0)
        return -1;
    failed = hq_pg_identify(pg, &other, err);
    if (failed == 0 && other.system_identifier != system->system_identifier)
        failed = hq_fail(err, HQ_E_TRANSIENT, "%s is another system than the backup's", other.host);
    if (failed == 0)
        failed = hold(site, pg, err);
    hq_pg_close(pg);
    return failed;
}

int
backup_hold_wal(const struct hq_site *site, struct hq_pg *pg, const struct hq_pg_system *system,
                struct hq_error *err)
{
    if (site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return 0;
    return site->config->cluster.backup_connection == NULL ? hold(site, pg, err)
                                                           : hold_elsewhere(site, system, err);
}

/* How far the repository's WAL reaches from the backup on, as a restore would see it. */
static int
wal_reaches(struct hq_site *site, const struct hq_root *root, uint64_t *lsn, struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path path = {0};
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage coverage = {0};
    struct hq_wal_inventory *wal;
    int failed;

    if (hq_wal_inventory_load(site->repository, root->cluster, root->system_identifier,
                              root->wal_segment_size, &wal, err) != 0)
        return -1;
    /* A sidecar can't read history files: from start to stop there is one timeline anyway. */
    failed = hq_timeline_path_decode(root->timeline, "", 0, &path, err);
    if (failed == 0)
        failed = hq_wal_inventory_cover(wal, &path, root->start_lsn, &coverage, err);
    hq_wal_inventory_free(wal);
    *lsn = coverage.end_lsn;
    return failed;
}

/*
 * Whether the archiver is past the backup's end: it goes on behind a gap only when nobody has what
 * is in it any more.
 */
static bool
archiver_passed(const struct hq_archiver_position *p, const struct hq_root *root)
{
    return p->system_identifier == root->system_identifier &&
           (p->timeline > root->timeline ||
            (p->timeline == root->timeline && p->durable_lsn >= root->stop_lsn));
}

/* What is waited for, and by whose hand it comes. */
static const char *
source_of(const struct hq_site *site, const struct hq_archiver_position *p)
{
    if (site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return "archive_command pushes it";
    if (p->streaming)
        return "it is streamed";
    return p->system_identifier != 0 ? "it is not streamed just now"
                                     : "no hq-backupd here says whether it is streamed";
}

static void
tell_waiting(const struct hq_site *site, const struct hq_backup_job_options *options,
             const struct hq_root *root, const struct hq_archiver_position *p, uint64_t lsn,
             bool *told)
{
    const char *source = source_of(site, p);
    char text[160];

    if (!*told)
        hq_log(HQ_LOG_INFO, "the backup is stored and waits for its WAL",
               HQ_F_TEXT("backup", root->backup), HQ_F_LSN("up_to", root->stop_lsn),
               HQ_F_LSN("reaches", lsn), HQ_F_TEXT("source", source));
    *told = true;
    if (options->waiting == NULL)
        return;
    (void)snprintf(text, sizeof text, "waiting for WAL up to %X/%X (it reaches %X/%X), %s",
                   (unsigned)(root->stop_lsn >> 32), (unsigned)root->stop_lsn,
                   (unsigned)(lsn >> 32), (unsigned)lsn, source);
    options->waiting(options->context, text);
}

static int
fail_lost(const struct hq_root *root, uint64_t lsn, struct hq_error *err)
{
    (void)hq_fail(err, HQ_E_MISSING,
                  "WAL from %X/%X on was lost while backup %s was taken: it can't become complete",
                  (unsigned)(lsn >> 32), (unsigned)lsn, root->backup);
    return hq_error_hint(err, "take another backup; `hq-backup list` shows the gap");
}

static int
fail_late(const struct hq_site *site, const struct hq_root *root, uint64_t lsn,
          struct hq_error *err)
{
    (void)hq_fail(err, HQ_E_TRANSIENT,
                  "backup %s is stored, but its WAL up to %X/%X is not (it reaches %X/%X)",
                  root->backup, (unsigned)(root->stop_lsn >> 32), (unsigned)root->stop_lsn,
                  (unsigned)(lsn >> 32), (unsigned)lsn);
    return hq_error_hint(err, "%s",
                         site->config->wal.source == HQ_CONFIG_WAL_PUSH
                             ? "it becomes recoverable when archive_command has pushed it; "
                               "look at pg_stat_archiver and the server's log"
                             : "it becomes recoverable when hq-backupd has caught up; "
                               "look at its log");
}

int
backup_wait_for_wal(struct hq_site *site, const struct hq_backup_job_options *options,
                    const struct hq_root *root, struct hq_error *err)
{
    int64_t began = hq_clock_monotonic_us();
    int64_t deadline = began + (int64_t)site->config->wal.wait_timeout_ms * 1000;
    int64_t pause_ms = FIRST_PAUSE_MS;
    unsigned lost = 0;
    bool told = false;

    for (;;) {
        struct hq_archiver_position position = {0};
        uint64_t lsn;

        if (options->position != NULL) /* before the listing, which then has it */
            options->position(options->position_context, &position);
        if (wal_reaches(site, root, &lsn, err) != 0)
            return -1;
        if (lsn >= root->stop_lsn)
            return 0;
        /* A part may be replaced by a wider one while the listing is read. */
        lost = archiver_passed(&position, root) ? lost + 1 : 0;
        if (lost >= LOST_LOOKS)
            return fail_lost(root, lsn, err);
        if (hq_clock_monotonic_us() >= deadline)
            return fail_late(site, root, lsn, err);
        if (hq_clock_monotonic_us() - began >= tell_after_us)
            tell_waiting(site, options, root, &position, lsn, &told);
        if (!hq_clock_sleep_ms(pause_ms, options->stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while waiting for the WAL of backup %s",
                           root->backup);
        pause_ms = 2 * pause_ms < LONGEST_PAUSE_MS ? 2 * pause_ms : LONGEST_PAUSE_MS;
    }
}
