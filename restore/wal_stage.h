/**
 * @file wal_stage.h
 * WAL that a restore brings along, so that recovery starts from local files.
 */
#ifndef HQ_RESTORE_WAL_STAGE_H
#define HQ_RESTORE_WAL_STAGE_H

#include "layout.h"

/**
 * Put the segments of which only parts are stored into @p folder, whole: a daemon that still runs
 * replaces parts by the complete segment, under a key that this recovery does not have.
 */
int wal_stage_parts(const struct hq_repository *repository, const struct layout *layout,
                    const char *folder, struct hq_error *err) HQ_MUST_CHECK;

/**
 * The first complete segments of a recovery (1 GiB of them, less where the disk is short), fetched
 * by threads of their own beside the base files. What can't be fetched is left to wal-get, which
 * may never be asked for it, and says what is wrong if it is.
 */
struct wal_staging;
/** Begin. @p layout must outlive it. @return owned, or NULL. */
struct wal_staging *wal_staging_start(const struct hq_repository *repository,
                                      const struct layout *layout,
                                      struct hq_error *err) HQ_MUST_CHECK;
/**
 * Wait for the end (@p abandon: after the segments under way) and release. With @p folder not NULL
 * what was fetched is in the new directory @p folder then, not yet durable; else it is removed.
 */
int wal_staging_end(struct wal_staging *staging, bool abandon, const char *folder,
                    struct hq_restore_result *result, struct hq_error *err) HQ_MUST_CHECK;

#endif
