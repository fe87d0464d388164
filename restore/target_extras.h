/**
 * @file target_extras.h
 * What a kept directory holds and the backup does not.
 */
#ifndef HQ_RESTORE_TARGET_EXTRAS_H
#define HQ_RESTORE_TARGET_EXTRAS_H

#include "layout.h"

/** The paths of a backup, as hashes of 16 bytes. `= {0}`; target_paths_clear(). */
struct target_paths {
    struct target_path {
        uint8_t bytes[16];
    } * items;
    size_t count, cap;
};
void target_paths_clear(struct target_paths *p);
/** An hq_entry_fn; @p context is the struct target_paths. */
int target_paths_add(const struct hq_entry *entry, void *context,
                     struct hq_error *err) HQ_MUST_CHECK;
/**
 * Remove what is not among @p paths, or is there as something else (a link for a directory), below
 * the data directory and below the tablespaces' version folders; links are removed, never followed.
 */
int target_remove_extras(struct layout *layout, struct target_paths *paths,
                         struct hq_error *err) HQ_MUST_CHECK;

#endif
