/**
 * @file target_directory.h
 * The directories a restore writes to: what they may be, and who owns them.
 */
#ifndef HQ_RESTORE_TARGET_DIRECTORY_H
#define HQ_RESTORE_TARGET_DIRECTORY_H

#include "layout.h"

/**
 * Make or accept the data directory and the tablespaces' (empty ones only), and decide the owner.
 * EXISTS when one has contents, BUSY when a server runs in it.
 */
int target_prepare(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Everything written below the directories is durable when it returns 0. */
int target_sync(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;

#endif
