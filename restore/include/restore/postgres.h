/**
 * @file postgres.h
 * Restore a PostgreSQL data directory so that the server starts as it is and recovers by itself.
 *
 * Order: a marker, a notice in the place of postgresql.conf, directories and files of full size
 * with their contents, recovery settings, everything durable, and only then postgresql.conf and
 * global/pg_control: a directory without these does not start, so a restore that was interrupted
 * can't be taken for a whole one, nor for a broken one. The marker goes last.
 *
 * A directory is new, or empty, or has the marker of a restore of the same backup: then what is
 * right in it stays, as with `delta`, where it is any data directory of the same cluster. Right is
 * what a hash of its bytes proves. Everything that the backup does not have is removed there.
 * Memory  does not grow with the backup: docs/operations.md has the figures.
 */
#ifndef HQ_RESTORE_POSTGRES_H
#define HQ_RESTORE_POSTGRES_H

#include <stdatomic.h>

#include "restore/plan.h"
#include "storage/storage.h"

struct hq_tablespace_map {
    uint32_t oid;     /**< 0: by path */
    const char *from; /**< old path, when oid is 0 */
    const char *to;   /**< absolute */
};

struct hq_restore_options {
    const char *directory; /**< data directory to make; see hq_restore_postgres() */
    bool delta;            /**< bring a data directory of the same cluster to the backup */
    const struct hq_tablespace_map *tablespaces;
    size_t tablespace_count;
    const char *owner;                    /**< "user[:group]" when run as root; NULL: see below */
    const char *target_action;            /**< "promote", "pause" or "shutdown" */
    bool archive_off;                     /**< the cluster shall not archive its WAL */
    const char *program;                  /**< path of hq-restore, for restore_command */
    const struct hq_store_options *store; /**< how wal-get reaches the repository again */
    const char *access_key_file, *secret_key_file; /**< NULL: from wal-get's environment */
    unsigned jobs;                                 /**< requests to the store at once, at least 1 */
    unsigned workers; /**< threads that decompress, write and compare, at least 1 */
    bool allow_damaged;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    /** A loss under allow_damaged: bytes of a file that are zeros now. May be called by workers,
     *  one at a time. */
    void (*lost)(void *context, const char *path, uint64_t offset, uint64_t length,
                 const struct hq_error *why);
    void *context;
    const atomic_int *stop;
};

struct hq_restore_result {
    uint64_t files, bytes, fetched_bytes;
    uint64_t kept_bytes; /**< of files that were there, and right */
    uint64_t removed;    /**< files, directories and links that the backup does not have */
    uint64_t losses;
    uint64_t wal_segments; /**< staged beside the data directory's files */
    bool archives;         /**< archive_mode is on, as far as the restored files say */
};

/**
 * Carry out @p plan. Owner of files when run as root: options->owner, else the owner of an
 * existing empty directory that is not root's, else what the manifest says. Durable and complete
 * when it returns 0; PARTIAL after losses were allowed and happened (everything else is durable).
 */
int hq_restore_postgres(const struct hq_repository *repository, const struct hq_plan *plan,
                        const struct hq_restore_options *options, struct hq_restore_result *result,
                        struct hq_error *err) HQ_MUST_CHECK;

#endif
