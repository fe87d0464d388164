/**
 * @file archiver_internal.h
 * What the files of the archiver share.
 *
 *     receiver (hq_archiver_run's thread):  server -> spool file -> list of segments
 *     storer (a thread of its own):         list -> part or complete segment -> store
 *
 * The receiver appends, the storer reads behind it; `lock` guards positions, never bytes: those
 * below `received` don't change any more.
 */
#ifndef HQ_POSTGRES_ARCHIVER_INTERNAL_H
#define HQ_POSTGRES_ARCHIVER_INTERNAL_H

#include <pthread.h>

#include "postgres/archiver.h"
#include "postgres/walscan.h"
#include "postgres/walstream.h"

/** Commit times of records that ended in a stretch of WAL; 0: none. */
struct commit_times {
    int64_t first_us, last_us;
};

/** A segment being received or stored, and its spool file. */
struct segment {
    struct segment *next;
    uint32_t timeline;
    uint64_t start;    /**< LSN of its first byte */
    uint64_t received; /**< bytes below this are in the spool file */
    uint64_t stored;   /**< bytes below this are durable in the store */
    bool closed;       /**< no more bytes will come: it is full, or its timeline ended */
    struct commit_times all, pending; /**< of the segment; since the last cut */
    int64_t sent_us;                  /**< server's time of the newest byte */
    int64_t oldest_sent_us;           /**< of the oldest byte not yet cut into a part; 0: none */
    unsigned parts;                   /**< put since the last wide one */
    int fd;
    char *path;
};

struct hq_archiver {
    struct hq_archiver_options options;
    char *cluster, *slot, *spool, *conninfo, *password_file;
    struct hq_compressor *compressor; /**< the storer's */

    /* The receiver's, while connected. */
    struct hq_pg *pg;
    struct hq_pg_system system;
    struct hq_wal_stream *stream;
    struct hq_walscan *scan;
    uint64_t next_lsn;     /**< of the next byte wanted */
    uint64_t reported_lsn; /**< flush position last reported */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct segment *first, *last;
    size_t waiting; /**< segments in the list */
    struct hq_archiver_position position;
    bool storing;   /**< the storer is to go on */
    bool finishing; /**< store what there is without waiting for the interval, then end */
    bool failed;    /**< the storer ended by `failure` */
    struct hq_error failure;
    pthread_t storer;
    bool storer_started;
};

/** Where to begin, by what the store holds and the server is. */
struct archive_start {
    uint32_t timeline;
    uint64_t lsn;     /**< start of a segment */
    uint64_t durable; /**< bytes of it below this LSN are stored already */
};
int archiver_find_start(struct hq_archiver *a, struct archive_start *out,
                        struct hq_error *err) HQ_MUST_CHECK;
/** Fetch and store history files of the timelines up to @p timeline that the store lacks. */
int archiver_store_histories(struct hq_archiver *a, uint32_t timeline,
                             struct hq_error *err) HQ_MUST_CHECK;

/** The storer's thread. */
void *archiver_store(void *archiver);

struct segment *segment_open(struct hq_archiver *a, uint32_t timeline, uint64_t start,
                             struct hq_error *err) HQ_MUST_CHECK;
/** Write at @p lsn, which is segment->received or below it (bytes that came again). */
int segment_write(struct segment *s, uint64_t lsn, const uint8_t *data, size_t len,
                  struct hq_error *err) HQ_MUST_CHECK;
int segment_sync(struct segment *s, struct hq_error *err) HQ_MUST_CHECK;
/** Bytes [from, to) from the spool file, into @p out (replaced). */
int segment_read(struct segment *s, uint64_t from, uint64_t to, struct hq_buf *out,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Close, remove the spool file, free. NULL: no-op. */
void segment_drop(struct segment *s);
/** Remove what earlier runs left in the spool: it is received again. */
int spool_clean(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;

static inline void
commit_times_add(struct commit_times *times, int64_t time_us)
{
    if (times->first_us == 0)
        times->first_us = time_us;
    times->last_us = time_us;
}

#endif
