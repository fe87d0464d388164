/**
 * @file target_extras.h
 * What a kept directory holds and the backup does not.
 */
#ifndef HQ_RESTORE_TARGET_EXTRAS_H
#define HQ_RESTORE_TARGET_EXTRAS_H

#include "target_walk.h"

/**
 * Remove what is not among @p paths, or is there as something else (a link for a directory), below
 * the data directory and below the tablespaces' version folders; links are removed, never followed.
 */
int target_remove_extras(struct layout *layout, const struct target_paths *paths,
                         struct hq_error *err) HQ_MUST_CHECK;

#endif
