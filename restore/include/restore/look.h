/**
 * @file look.h
 * What a restore to a directory would find there, keep, fetch and remove: the restore's own
 * comparison with hashes, without a change.
 * Memory   as a restore's. Threads  one; works with options->workers threads of its own.
 */
#ifndef HQ_RESTORE_LOOK_H
#define HQ_RESTORE_LOOK_H

#include "restore/postgres.h"

/** A file system that the restore goes to; figures as in bytes. */
struct hq_restore_room {
    char *path;      /**< the first of the places that lie on it, or the parent that is there */
    uint64_t least;  /**< has to be stored there: pages of zeros stay holes */
    uint64_t taken;  /**< by what is kept or goes first */
    uint64_t free;   /**< on file systems that are mounted below the places, too */
    bool may_refuse; /**< it stores bytes as they are: a restore that can't fit is refused */
};

struct hq_restore_look {
    bool exists;           /**< there is something that the restore would go on with */
    bool server_runs;      /**< as far as postmaster.pid says: a restore is refused */
    uint64_t files, bytes; /**< of the backup */
    uint64_t right_files, changed_files, missing_files; /**< these are all files */
    uint64_t right_bytes;                               /**< that a hash proves: kept */
    uint64_t write_bytes;                               /**< that are not right */
    uint64_t fetch_bytes;                               /**< as they are stored: for write_bytes */
    uint64_t removed, removed_bytes; /**< what the backup does not have; directories count once */
    uint64_t losses;                 /**< under allow_damaged: stretches that can't be had */
    struct hq_restore_room *rooms;   /**< of each file system */
    size_t room_count;
};
void hq_restore_look_clear(struct hq_restore_look *look);

/**
 * Look at what hq_restore_postgres() with these options would find. Of @p options the directory,
 * delta, tablespaces, workers, allow_damaged, progress, stop are used. The directory is locked
 * against restores meanwhile, and read whole where it exists; a server that runs there makes the
 * figures those of a moment. Refusals as of a restore (EXISTS, BUSY for another restore); NO_SPACE
 * when the backup can't fit, and then @p out is filled all the same. hq_restore_look_clear() in any
 * case.
 */
int hq_restore_look(const struct hq_repository *repository, const struct hq_plan *plan,
                    const struct hq_restore_options *options, struct hq_restore_look *out,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
