/**
 * @file backup_internal.h
 * The last step of a backup job: its WAL.
 */
#ifndef HQ_ENGINE_BACKUP_INTERNAL_H
#define HQ_ENGINE_BACKUP_INTERNAL_H

#include "engine/backup_job.h"

/** Wait until the WAL from start to stop of @p root is stored; see hq_backup_job_run(). */
int backup_wait_for_wal(struct hq_site *site, const struct hq_backup_job_options *options,
                        const struct hq_root *root, struct hq_error *err) HQ_MUST_CHECK;

#endif
