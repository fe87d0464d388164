/**
 * @file backup_job.h
 * One base backup from beginning to end, for the daemon and for `hq-backup backup`.
 */
#ifndef HQ_ENGINE_BACKUP_JOB_H
#define HQ_ENGINE_BACKUP_JOB_H

#include <stdatomic.h>

#include "engine/archive_thread.h"
#include "engine/site.h"
#include "pipeline/backup_writer.h"
#include "postgres/archiver.h"

struct hq_backup_job_options {
    void (*progress)(void *context, uint64_t done, uint64_t total);
    /** What is waited for when that takes seconds; or NULL. */
    void (*waiting)(void *context, const char *text);
    void *context; /**< of both */
    const atomic_int *stop;
    bool locked;    /**< the caller holds hq_backup_job_lock() already */
    bool full_read; /**< take no page from an earlier backup, whatever its LSN says */
    /** Where the cluster's archiver is, all zero if that is not known. NULL: nobody knows. */
    void (*position)(void *context, struct hq_archiver_position *out);
    void *position_context;
    struct hq_archive_thread *archive; /**< of this process, NULL: the daemon is asked about WAL */
};

/** Keep other backups of this cluster on this host out. @return a descriptor, or -1 (BUSY). */
int hq_backup_job_lock(const struct hq_site *site, struct hq_error *err) HQ_MUST_CHECK;

/**
 * Whether backups may be read from @p system, where cluster.backup_connection leads: REFUSED for
 * another system than that of cluster.connection, TRANSIENT for another timeline.
 */
int hq_backup_job_check_standby(const struct hq_site *site, const struct hq_pg_system *system,
                                struct hq_error *err) HQ_MUST_CHECK;

/**
 * Back the configured cluster up. @p root and @p statistics describe the backup afterwards
 * (hq_root_clear() the root in any case).
 *
 * The root is published when all chunks are durable; then the call waits until the WAL the backup
 * needs is in the repository too. If that does not happen within wal.wait_timeout the backup
 * exists, is not recoverable yet, and the call fails with TRANSIENT saying so. Where the archiver
 * is past the backup's end already, what is missing was lost: MISSING, without waiting any longer.
 * BUSY when a backup of this cluster runs on this host. REFUSED when the cluster name belongs to
 * another system in this repository. The job is recorded in the catalog either way.
 */
int hq_backup_job_run(struct hq_site *site, const struct hq_backup_job_options *options,
                      struct hq_root *root, struct hq_backup_statistics *statistics,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
