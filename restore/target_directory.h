/**
 * @file target_directory.h
 * The directories a restore writes to: what they may be, and who owns them.
 */
#ifndef HQ_RESTORE_TARGET_DIRECTORY_H
#define HQ_RESTORE_TARGET_DIRECTORY_H

#include "layout.h"

/**
 * Make or accept the data directory and the tablespaces', lock the first, decide the owner, and
 * leave the marker there. Empty ones, and those of a restore of the same backup that was
 * interrupted; with options->delta also those of the same cluster. Where layout->keep is set on
 * return, no server starts there any more, durably. EXISTS when one has other contents, BUSY when a
 * server runs in it or another restore has it.
 */
int target_prepare(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Whether the backup fits: NO_SPACE when less than seven eighths of its bytes are free on a file
 * system that does not compress, a warning when it may be too little. @pre the directories exist.
 */
int target_check_room(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Everything written below the directories is durable when it returns 0. */
int target_sync(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;

#endif
