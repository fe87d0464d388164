/**
 * @file backup_parent.h
 * Which backup, if any, a new one may take pages from, and why not.
 *
 * The rule of pages and LSNs (pipeline/parent.h) holds within one history of a cluster. So the
 * parent is the newest backup of the same system, and:
 *   - major version, page size and the checksum setting are the same: turning checksums on or off
 *     writes every page and no LSN;
 *   - its whole range, start to stop, lies on the history of the present timeline: a page that it
 *     copied late may belong to a branch that was abandoned;
 *   - what the server's pages show is not before the parent's stop (of a standby: what it has
 *     replayed), and the disk was not put back to an older state since: either the server is still
 *     the very run that the parent was read from, or the WAL from the parent's start to here was
 *     received as one chain of records, each linked to the one before (walsummary.h);
 *   - databases as postgres/database_trust.h says.
 * Where one does not hold every page is read and stored unless the repository has its group.
 */
#ifndef HQ_ENGINE_BACKUP_PARENT_H
#define HQ_ENGINE_BACKUP_PARENT_H

#include "engine/backup_job.h"
#include "postgres/database_trust.h"
#include "repository/timeline.h"

struct backup_parent {
    struct hq_root root;
    struct hq_backup_parent *pages; /**< NULL: none */
    char why[256];                  /**< there is none; "" */
    struct hq_backup_note note;     /**< of the backup to come */
    struct hq_backup_note before;   /**< of the parent */
    struct hq_timeline_path path;   /**< to the present timeline, from the parent's on */
};

/**
 * Choose. Whatever stands in the way of a parent is not a failure: it is logged, and kept in why.
 * @p pg is connected to where the backup is read, @p system what it says. -1: NOMEM, INTERRUPTED.
 */
int backup_parent_choose(struct hq_site *site, const struct hq_backup_job_options *options,
                         struct hq_pg *pg, const struct hq_pg_system *system,
                         struct backup_parent *out, struct hq_error *err) HQ_MUST_CHECK;
void backup_parent_clear(struct backup_parent *p);
/**
 * What WAL changed from the parent's start to @p to_lsn: *@p out NULL where that is not known, and
 * the log says why. hq_wal_summary_free(). -1: NOMEM, INTERRUPTED.
 */
int backup_parent_changes(struct hq_site *site, const struct hq_backup_job_options *options,
                          const struct backup_parent *parent, uint64_t to_lsn,
                          struct hq_wal_summary **out, struct hq_error *err) HQ_MUST_CHECK;

#endif
