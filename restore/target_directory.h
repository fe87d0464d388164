/**
 * @file target_directory.h
 * The directories a restore writes to: what they may be, and who owns them.
 */
#ifndef HQ_RESTORE_TARGET_DIRECTORY_H
#define HQ_RESTORE_TARGET_DIRECTORY_H

#include "target_walk.h"

/**
 * Make or accept the data directory and the tablespaces', lock the first, decide the owner, and
 * leave the marker there. Empty ones, and those of a restore of the same backup that was
 * interrupted; with options->delta also those of the same cluster. No server starts there
 * on return, durably (held.h). EXISTS when one has other contents, BUSY when a
 * server runs in it or another restore has it, NO_SPACE when the backup can't fit: in these cases
 * nothing that was there is changed. @p paths: of the whole backup, sorted.
 */
int target_prepare(struct layout *layout, const struct target_paths *paths,
                   struct hq_error *err) HQ_MUST_CHECK;
/**
 * Look at them only, under a lock that keeps restores out: the same refusals, but not for a server
 * that runs, which layout->look tells. layout->keep is set; no directory has to be there.
 */
int target_look(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Everything written below the directories is durable when it returns 0. */
int target_sync(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;

#endif
