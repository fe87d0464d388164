/**
 * @file basebackup.h
 * A base backup over the replication protocol: BASE_BACKUP's tar archives, taken apart on the fly
 * and handed to a backup writer.
 * Threads  one; the connection is used up for the duration.
 */
#ifndef HQ_POSTGRES_BASEBACKUP_H
#define HQ_POSTGRES_BASEBACKUP_H

#include <stdatomic.h>

#include "pipeline/backup_writer.h"
#include "postgres/connection.h"
#include "postgres/database_trust.h"
#include "postgres/incremental.h"

struct hq_base_backup_options {
    const char *label;
    bool fast_checkpoint;
    /** Told now and then; @p total is the server's estimate, it may be passed; 0: unknown. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
    struct hq_database_trust *trust; /**< which databases may be the parent's; NULL: none */
    uint64_t parent_lsn;             /**< where the parent starts; 0: there is none */
    /** Get what changed alone; NULL: every file whole. Of hq_pg_base_backup(), with `trust`. */
    struct hq_pg_incremental *incremental;
    /** Told where the backup starts, before any file is read; NULL: nobody wants to know. */
    int (*started)(void *context, const struct hq_root *root, struct hq_error *err);
    const atomic_int *stop; /**< ends it with INTERRUPTED when set; NULL: never */
};

/**
 * Take one. Fills of @p root: timeline, start and stop LSN, system identifier, version, sizes,
 * checksums, tablespaces, mode. A relation file that is not a whole number of pages, or whose
 * name is not a relation's, goes in as a plain file. Errors as in connection.h; CORRUPT for a tar
 * stream that is not what the server should send. A failure that is INCREMENTAL's own sets given_up
 * of options->incremental, whatever its code is.
 */
int hq_pg_base_backup(struct hq_pg *pg, const struct hq_base_backup_options *options,
                      struct hq_backup_writer *writer, struct hq_root *root,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
