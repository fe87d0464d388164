/**
 * @file target_room.h
 * Whether a backup fits where it goes, before anything there is changed.
 */
#ifndef HQ_RESTORE_TARGET_ROOM_H
#define HQ_RESTORE_TARGET_ROOM_H

#include "target_walk.h"

/**
 * For each file system that the data directory and the tablespaces lie on: NO_SPACE when what has
 * to be stored there (pages of zeros stay holes) is more than what is free and what the files that
 * are kept or removed take up already (layout->keep), and the file system stores bytes as they are;
 * a warning when it may be too little. A directory that is not there yet will be where its parent
 * is. @p paths as in target_walk().
 */
int target_check_room(const struct layout *layout, const struct target_paths *paths,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
