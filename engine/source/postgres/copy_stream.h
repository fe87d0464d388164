/**
 * @file copy_stream.h
 * The archives of a BASE_BACKUP as they come over the connection: PostgreSQL 14 sends a COPY for
 * each; from 15 on there is one COPY of typed messages. Both keep the order of the tablespace list.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_COPY_STREAM_H
#define HQ_POSTGRES_COPY_STREAM_H

#include "postgres/basebackup.h"
#include "postgres_internal.h"

struct hq_copy_stream {
    struct hq_pg *pg;
    const struct hq_base_backup_options *options;
    const uint32_t *order; /**< whose archives come, by OID of the tablespace; 0: data directory */
    size_t order_count;
    uint64_t total; /**< bytes the server estimates */
    size_t next;    /**< private from here on: index into order */
    uint64_t done;  /**< bytes of archives so far */
    uint64_t told;  /**< `done` when progress was last told */
    char *message;  /**< libpq's, the one last given out; NULL: none, or the COPY ended */
    int message_len;
    PGresult *after;  /**< what came when a COPY had ended; the caller may take it at the end */
    bool copying;     /**< a COPY is under way */
    bool archive_due; /**< 15+: `message` begins the next archive */
};

/**
 * Go on to the next archive, order[next - 1] afterwards; @p more false: all have been read.
 * CORRUPT when the server sends another, or one too few. @pre the one before was read to its end.
 */
int hq_copy_stream_archive(struct hq_copy_stream *s, bool *more,
                           struct hq_error *err) HQ_MUST_CHECK;
/** The next bytes of the archive, as struct hq_tar_input wants them; @p context is the stream. */
int hq_copy_stream_pull(void *context, const uint8_t **data, size_t *len,
                        struct hq_error *err) HQ_MUST_CHECK;
void hq_copy_stream_clear(struct hq_copy_stream *s);

#endif
