/**
 * @file target_state.h
 * Directories that have contents: whose they are, and whether a restore may go on there.
 */
#ifndef HQ_RESTORE_TARGET_STATE_H
#define HQ_RESTORE_TARGET_STATE_H

#include "marker.h"

/**
 * Whether the restore may have the data directory. @return 0: it is empty; 1: its contents may be
 * changed; -1: EXISTS, BUSY. @p marker is filled where one is there.
 */
int target_check_directory(const struct layout *layout, struct marker *marker,
                           struct hq_error *err) HQ_MUST_CHECK;
/** The same for the place of a tablespace, once the data directory was looked at. */
int target_check_tablespace(const struct layout *layout, const struct marker *marker, uint32_t oid,
                            const char *location, struct hq_error *err) HQ_MUST_CHECK;

#endif
