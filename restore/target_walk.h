/**
 * @file target_walk.h
 * A walk through what a directory that is kept holds, beside the paths of the backup. Links are
 * never followed, nothing is changed.
 * Threads  one.
 */
#ifndef HQ_RESTORE_TARGET_WALK_H
#define HQ_RESTORE_TARGET_WALK_H

#include <dirent.h>
#include <sys/stat.h>

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
/** After the last one was added, before the first walk. */
void target_paths_sort(struct target_paths *p);

/** One name that was found; all is borrowed for the call. */
struct target_found {
    size_t place;          /**< 0: in the data directory; n: in tablespace n - 1 of the backup */
    DIR *dir;              /**< that holds it */
    const char *name;      /**< in there */
    const char *full;      /**< where it lies */
    const struct stat *st; /**< of itself, where it is a link */
    bool inner;            /**< lies below something that the backup does not have */
};
typedef int target_found_fn(const struct target_found *found, void *context, struct hq_error *err);

struct target_visitor {
    target_found_fn *known; /**< there is such a file, directory or link in the backup; or NULL */
    /** There is none, or it is something else there (a link for a directory). May remove it. */
    target_found_fn *extra;
    bool into_extras; /**< look into directories that the backup does not have, too */
    void *context;
};
/**
 * Everything below the data directory but the marker and the notice (held.h), and below the
 * tablespaces' version folders; other names in a tablespace's place are somebody else's. What
 * vanishes meanwhile is passed over.
 */
int target_walk(const struct layout *layout, const struct target_paths *paths,
                const struct target_visitor *visitor, struct hq_error *err) HQ_MUST_CHECK;

#endif
