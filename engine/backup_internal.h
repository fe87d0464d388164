/**
 * @file backup_internal.h
 * A backup job's care for its WAL: that it is held before the first step, and the last step.
 */
#ifndef HQ_ENGINE_BACKUP_INTERNAL_H
#define HQ_ENGINE_BACKUP_INTERNAL_H

#include "engine/backup_job.h"

/**
 * See to it that cluster.slot holds WAL before the backup's checkpoint, behind which the server may
 * remove what is older. Whoever streams then finds all of it, though it were away just now: a
 * restored or promoted server has no slot at first. @p pg is the backup's server, @p system what it
 * says of itself. TRANSIENT when cluster.connection leads to another system meanwhile.
 */
int backup_hold_wal(const struct hq_site *site, struct hq_pg *pg, const struct hq_pg_system *system,
                    struct hq_error *err) HQ_MUST_CHECK;

/** Wait until the WAL from start to stop of @p root is stored; see hq_backup_job_run(). */
int backup_wait_for_wal(struct hq_site *site, const struct hq_backup_job_options *options,
                        const struct hq_root *root, struct hq_error *err) HQ_MUST_CHECK;

#endif
