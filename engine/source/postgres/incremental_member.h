/**
 * @file incremental_member.h
 * A file of an incremental base backup, on its way from what the server sent of it to a writer:
 * blocks that did not come are the parent's, and zeros behind the parent's end.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_MEMBER_H
#define HQ_POSTGRES_INCREMENTAL_MEMBER_H

#include "incremental_file.h"
#include "pipeline/backup_writer.h"
#include "postgres/database_trust.h"
#include "postgres/incremental.h"

struct incremental_member {
    struct hq_pg_incremental *incremental;
    struct hq_backup_writer *writer;
    struct hq_database_trust *trust;
    struct hq_entry *entry; /**< of the relation's file; its size is made here */
    struct hq_backup_file_options options;
    uint32_t segment_blocks;

    /* Private. */
    struct incremental_file file;
    struct incremental_sink sink;
    uint64_t parent_bytes, done;
    bool taken_over; /* as a whole */
};

/** @p size: of what the server sends. Members above Private are set. */
void incremental_member_init(struct incremental_member *m, uint64_t size);
void incremental_member_clear(struct incremental_member *m);
/** Gives up where the file can't be made of what comes and the parent. */
int incremental_member_put(struct incremental_member *m, const void *data, size_t len,
                           struct hq_error *err) HQ_MUST_CHECK;
int incremental_member_end(struct incremental_member *m, struct hq_error *err) HQ_MUST_CHECK;

/**
 * What a server keeps out of a data directory that it is to start in: backup_label without the
 * lines that call it an incremental backup's. @p label is changed in place.
 */
void incremental_clean_label(struct hq_buf *label);

#endif
