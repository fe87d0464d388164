#include "engine/backup_job.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backup_internal.h"
#include "backup_parent.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "engine/backup_mode.h"
#include "postgres/basebackup.h"
#include "repository/lineage.h"

static int
keep_newest_timeline(const struct hq_wal_range *range, void *context, struct hq_error *err)
{
    struct hq_wal_range *newest = context;

    (void)err;
    if (range->system_identifier == newest->system_identifier && range->timeline > newest->timeline)
        newest->timeline = range->timeline;
    return 0;
}

/* A former primary's WAL is not archived any more, so that its backup could not be restored. */
static int
check_timeline(struct hq_site *site, const struct hq_pg_system *system, struct hq_error *err)
{
    struct hq_wal_range newest = {.system_identifier = system->system_identifier};

    if (hq_catalog_wal_ranges(site->catalog, site->config->cluster.name, keep_newest_timeline,
                              &newest, err) != 0)
        return -1;
    if (newest.timeline <= system->timeline)
        return 0;
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of timeline %" PRIu32
            ", and the server is on timeline %" PRIu32,
            newest.timeline, system->timeline);
    return hq_error_hint(err, "is this a former primary after a failover? Connect to the present "
                              "one: name all hosts with target_session_attrs=primary");
}

/*
 * WAL comes from cluster.connection: a standby elsewhere that is of another system, or that did not
 * follow the last failover, would make a backup whose WAL never comes.
 */
int
hq_backup_job_check_standby(const struct hq_site *site, const struct hq_pg_system *system,
                            struct hq_error *err)
{
    struct hq_pg_options options = hq_site_connection(site);
    struct hq_pg_system primary;
    struct hq_pg *pg = NULL;
    int failed;

    if (site->config->cluster.backup_connection == NULL)
        return 0;
    if (hq_pg_connect(&options, &pg, err) != 0)
        return -1;
    failed = hq_pg_identify(pg, &primary, err);
    hq_pg_close(pg);
    if (failed != 0)
        return -1;
    if (primary.system_identifier != system->system_identifier) {
        hq_fail(err, HQ_E_REFUSED,
                "%s of cluster.backup_connection is system %" PRIu64
                ", %s of cluster.connection is %" PRIu64,
                system->host, system->system_identifier, primary.host, primary.system_identifier);
        return hq_error_hint(err, "name a standby of the same cluster");
    }
    if (primary.timeline != system->timeline) {
        hq_fail(err, HQ_E_TRANSIENT,
                "%s, where backups are read, is on timeline %" PRIu32 ", %s on %" PRIu32,
                system->host, system->timeline, primary.host, primary.timeline);
        return hq_error_hint(err, "does the standby follow the present primary?");
    }
    return 0;
}

static void
describe(const struct hq_site *site, struct hq_root *root)
{
    root->started_us = hq_clock_wall_us();
    hq_backup_id_make(root->started_us, root->backup);
    snprintf(root->cluster, sizeof root->cluster, "%s", site->config->cluster.name);
    snprintf(root->program, sizeof root->program, "hq-backup %s", HQ_VERSION);
    if (gethostname(root->host, sizeof root->host - 1) != 0)
        root->host[0] = '\0';
}

/* What every attempt at a backup has. */
struct attempt {
    struct hq_site *site;
    const struct hq_backup_job_options *options;
    const struct hq_pg_options *server;
    struct hq_pg *pg;
    struct hq_pg_incremental *incremental; /* NULL: what the stream brings is looked at */
    const struct backup_parent *parent;
    struct hq_database_trust *trust;
    struct hq_pg_files *files;      /* NULL: stream */
    struct hq_wal_summary *changes; /* since the parent; NULL: not known, or not believed */
    bool again;                     /* not the first one */
    uint32_t timeline;              /* the server's when the parent was chosen */
};

static void
report_progress(void *context, uint64_t done, uint64_t total)
{
    const struct attempt *a = context;

    if (a->options->progress != NULL)
        a->options->progress(a->options->context, done, total);
}

/* Now that the start is known, WAL may say what changed up to there. */
static int
learn_changes(void *context, const struct hq_root *root, struct hq_error *err)
{
    struct attempt *a = context;

    if (root->timeline != a->timeline)
        return hq_fail(err, HQ_E_TRANSIENT,
                       "the server went on to timeline %" PRIu32 " before the backup began",
                       root->timeline);
    if (a->parent->pages == NULL || a->again)
        return 0;
    hq_database_trust_use(a->trust, NULL);
    hq_wal_summary_free(a->changes);
    a->changes = NULL;
    if (root->start_lsn < a->parent->root.start_lsn) {
        /* A standby whose last restart point is older: WAL is replayed over what the parent has. */
        hq_database_trust_none(a->trust);
        return 0;
    }
    if (backup_parent_changes(a->site, a->options, a->parent, root->start_lsn, &a->changes, err) !=
        0)
        return -1;
    if (a->changes != NULL)
        hq_database_trust_use(a->trust, a->changes);
    return 0;
}

/* By the files, with readers that do all the work, or by the stream, with the writer's workers. */
static int
read_cluster(struct attempt *a, struct hq_backup_writer *writer, struct hq_root *root,
             struct hq_error *err)
{
    const struct hq_config_backup *config = &a->site->config->backup;
    struct hq_base_backup_options base = {
        .label = root->backup,
        .fast_checkpoint = config->checkpoint == HQ_CONFIG_CHECKPOINT_FAST,
        .trust = a->trust,
        .parent_lsn = a->parent->root.start_lsn,
        .incremental = a->incremental,
        .progress = report_progress,
        .started = learn_changes,
        .context = a,
        .stop = a->options->stop,
    };

    return a->files != NULL
               ? hq_pg_files_backup(a->files, &base, config->workers, writer, root, err)
               : hq_pg_base_backup(a->pg, &base, writer, root, err);
}

static int
copy_once(struct attempt *a, struct hq_root *root, struct hq_backup_statistics *statistics,
          struct hq_error *err)
{
    const struct hq_config_backup *config = &a->site->config->backup;
    struct hq_backup_writer_options writer_options = {
        .repository = a->site->repository,
        .catalog = a->site->catalog,
        .parent = a->parent->pages,
        .compression_level = (int)config->compression_level,
        .workers = a->files != NULL ? 0 : config->workers,
        .uploaders = 2,
    };
    struct hq_backup_writer *writer;
    int failed = -1;

    if (hq_backup_writer_new(&writer_options, &writer, err) != 0)
        return -1;
    if (read_cluster(a, writer, root, err) == 0)
        failed = hq_backup_writer_finish(writer, root, statistics, err);
    hq_backup_writer_free(writer);
    return failed;
}

/* What was learnt of the server and belongs to every attempt. */
static void
reset_root(struct hq_root *root)
{
    struct hq_root fresh = {.started_us = root->started_us};

    memcpy(fresh.cluster, root->cluster, sizeof fresh.cluster);
    memcpy(fresh.backup, root->backup, sizeof fresh.backup);
    memcpy(fresh.parent, root->parent, sizeof fresh.parent);
    memcpy(fresh.host, root->host, sizeof fresh.host);
    memcpy(fresh.program, root->program, sizeof fresh.program);
    hq_root_clear(root);
    *root = fresh;
}

/* A second time when a database turned out late to be another one than the parent's. */
static int
copy_again(struct attempt *a, struct hq_root *root, struct hq_backup_statistics *statistics,
           struct hq_error *err)
{
    int failed = 0;

    do {
        failed = copy_once(a, root, statistics, err);
        a->again = failed == 0 && hq_database_trust_conflict(a->trust);
        a->incremental = a->again ? NULL : a->incremental;
        if (a->again) {
            hq_log(HQ_LOG_WARNING,
                   "a database is not the last backup's, as it seemed: the backup is made again");
            reset_root(root);
        }
    } while (a->again);
    return failed;
}

/* What WAL changed up to now: of which files the server had better not be told. */
static int
learn_early(struct attempt *a, const struct hq_pg_system *system, struct hq_error *err)
{
    if (backup_parent_changes(a->site, a->options, a->parent, system->flush_lsn, &a->changes,
                              err) != 0)
        return -1;
    hq_database_trust_use(a->trust, a->changes);
    return 0;
}

/* Whether the server can say what changed; *given_up: it was asked before, in vain. */
static int
ask_for_incremental(struct attempt *a, const struct hq_pg_system *system, bool given_up,
                    struct hq_pg_incremental *incremental, struct hq_error *err)
{
    bool offered = false;

    if (a->files != NULL || given_up || a->parent->pages == NULL ||
        !hq_backup_parent_is_intact(a->parent->pages))
        return 0;
    if (hq_pg_incremental_offered(a->pg, &offered, err) != 0)
        return -1;
    *incremental = (struct hq_pg_incremental){.parent = a->parent->pages,
                                              .root = &a->parent->root,
                                              .server = a->server,
                                              .host = system->host};
    a->incremental = offered ? incremental : NULL;
    return offered ? learn_early(a, system, err) : 0;
}

/* How pages were found that are the parent's. */
static const char *
found_by(const struct attempt *a)
{
    if (a->parent->pages == NULL)
        return NULL;
    if (a->incremental != NULL)
        return "server-summary";
    return a->files != NULL && hq_database_trust_summary(a->trust) != NULL ? "wal-summary"
                                                                           : "page-lsn";
}

/* *given_up, true: without INCREMENTAL. When it fails so, true: it failed for that alone. */
static int
copy_cluster(struct attempt *a, const struct hq_pg_system *system, bool *given_up,
             struct hq_root *root, struct hq_backup_statistics *statistics, struct hq_error *err)
{
    HQ_AUTO(hq_pg_incremental_clear)
    struct hq_pg_incremental incremental = {0};
    HQ_AUTO(hq_backup_mode_clear)
    struct hq_backup_mode mode = {0};
    int failed;

    if (hq_backup_mode_choose(a->site, system, a->options->stop, &mode, err) != 0)
        return -1;
    hq_backup_mode_log(a->site, &mode);
    a->files = mode.files;
    a->trust = hq_database_trust_new(a->parent->pages, err);
    if (a->trust == NULL)
        return -1;
    if (a->parent->pages != NULL)
        memcpy(root->parent, a->parent->root.backup, sizeof root->parent);
    failed = ask_for_incremental(a, system, *given_up, &incremental, err);
    if (failed == 0)
        failed = copy_again(a, root, statistics, err);
    statistics->found_by = found_by(a);
    *given_up = incremental.given_up;
    hq_database_trust_free(a->trust);
    hq_wal_summary_free(a->changes);
    return failed;
}

static int
publish(struct hq_site *site, const struct backup_parent *parent, struct hq_root *root,
        struct hq_error *err)
{
    root->finished_us = hq_clock_wall_us();
    root->writer = *hq_keyring_writer(site->keyring);
    HQ_CRASH_POINT("backup.root.before-put");
    if (hq_root_write(site->repository, root, err) != 0)
        return -1;
    HQ_CRASH_POINT("backup.root.after-put");
    if (hq_catalog_add_backup(site->catalog, root, err) != 0)
        return -1;
    return hq_catalog_note_backup(site->catalog, root->cluster, root->backup, &parent->note, err);
}

static int
read_server(struct hq_site *site, const struct hq_backup_job_options *options,
            struct backup_parent *parent, bool *given_up, struct hq_root *root,
            struct hq_backup_statistics *statistics, struct hq_error *err)
{
    struct hq_pg_options connection = hq_site_backup_connection(site);
    struct hq_pg_system system;
    struct hq_pg *pg = NULL;
    int failed = -1;

    if (hq_pg_connect(&connection, &pg, err) != 0)
        return -1;
    if (hq_pg_identify(pg, &system, err) == 0 &&
        hq_lineage_check(site->repository, root->cluster, system.system_identifier, err) == 0 &&
        hq_backup_job_check_standby(site, &system, err) == 0 &&
        check_timeline(site, &system, err) == 0 && backup_hold_wal(site, pg, &system, err) == 0 &&
        backup_parent_choose(site, options, pg, &system, parent, err) == 0) {
        struct attempt attempt = {.site = site,
                                  .options = options,
                                  .server = &connection,
                                  .pg = pg,
                                  .parent = parent,
                                  .timeline = system.timeline};

        failed = copy_cluster(&attempt, &system, given_up, root, statistics, err);
    }
    hq_pg_close(pg);
    return failed;
}

/*
 * INCREMENTAL costs time where it leads nowhere, never the backup: then all is begun anew, with the
 * connection, which may be in the midst of a command, and the choice of the parent.
 */
static int
run(struct hq_site *site, const struct hq_backup_job_options *options, struct hq_root *root,
    struct hq_backup_statistics *statistics, struct hq_error *err)
{
    HQ_AUTO(backup_parent_clear)
    struct backup_parent parent = {0};
    bool given_up = false;
    int failed;

    /* Chunks count as stored only if the store still has them: ask it, every time. */
    if (hq_catalog_sync(site->catalog, site->repository, site->config->cluster.name, err) != 0)
        return -1;
    failed = read_server(site, options, &parent, &given_up, root, statistics, err);
    if (failed != 0 && given_up) {
        hq_log_error(HQ_LOG_WARNING,
                     "the server's summary of WAL is of no use: the backup is begun again", err);
        hq_error_clear(err);
        reset_root(root);
        root->parent[0] = '\0';
        backup_parent_clear(&parent);
        failed = read_server(site, options, &parent, &given_up, root, statistics, err);
    }
    if (failed != 0 || publish(site, &parent, root, err) != 0)
        return -1;
    return backup_wait_for_wal(site, options, root, err);
}

int
hq_backup_job_lock(const struct hq_site *site, struct hq_error *err)
{
    int lock = hq_site_lock(site, "backup", err);

    if (lock < 0 && err->code == HQ_E_BUSY)
        hq_error_hint(err, "another backup of this cluster runs; `hq-backup list` shows it when it "
                           "is done");
    return lock;
}

int
hq_backup_job_run(struct hq_site *site, const struct hq_backup_job_options *options,
                  struct hq_root *root, struct hq_backup_statistics *statistics,
                  struct hq_error *err)
{
    HQ_CLOSE
    int lock = options->locked ? -1 : hq_backup_job_lock(site, err);
    struct hq_error ignored = {0};
    int64_t job;
    int failed;

    *root = (struct hq_root){0};
    *statistics = (struct hq_backup_statistics){0};
    if (lock < 0 && !options->locked)
        return -1;
    describe(site, root);
    if (hq_catalog_job_begin(site->catalog, root->cluster, "backup", &job, err) != 0)
        return -1;
    failed = run(site, options, root, statistics, err);
    /* The outcome of the backup is what is reported, whatever becomes of its record. */
    if (hq_catalog_job_end(site->catalog, job, root->backup, failed != 0 ? err : NULL, &ignored) !=
        0)
        hq_log_error(HQ_LOG_WARNING, "the job's end is not recorded", &ignored);
    return failed != 0 ? hq_error_prefix(err, "backup of cluster %s", root->cluster) : 0;
}
