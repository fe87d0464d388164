/**
 * @file tar.h
 * Takes one tar archive of a base backup apart, as its bytes come, and hands the entries to a
 * backup writer. Nothing is kept but the entry at hand.
 *
 * Errors   CORRUPT for an archive that PostgreSQL would not send: another kind of entry than file,
 *          directory or tablespace link, a path that leaves the root, numbers out of range, an
 *          entry cut short; what pull and the writer return, as it is.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_TAR_H
#define HQ_POSTGRES_TAR_H

#include "pipeline/backup_writer.h"
#include "postgres/incremental.h"

struct hq_tar_input {
    /** The next bytes, borrowed until the next call; @p len 0: the archive ended. */
    int (*pull)(void *context, const uint8_t **data, size_t *len, struct hq_error *err);
    void *context;
};

struct hq_tar_options {
    uint32_t tablespace; /**< whose archive it is; 0: of the data directory */
    uint32_t block_size;
    uint32_t segment_blocks;         /**< blocks in a full segment of a relation */
    bool checksums;                  /**< verify pages */
    uint64_t start_lsn;              /**< of the backup */
    struct hq_database_trust *trust; /**< what may be the parent's; NULL: nothing */
    /** Files may have come as what changed of them, and backup_label says so; NULL: they have not.
     */
    struct hq_pg_incremental *incremental;
    /**
     * OIDs of the tablespaces. Their links, pg_tblspc/<oid>, are the caller's to record: the
     * archive may hold them or not, according to the command's options and the server's version.
     */
    const uint32_t *tablespaces;
    size_t tablespace_count;
};

/** Read the archive to its end. */
int hq_tar_read(const struct hq_tar_input *input, const struct hq_tar_options *options,
                struct hq_backup_writer *writer, struct hq_error *err) HQ_MUST_CHECK;

#endif
