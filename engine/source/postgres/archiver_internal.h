/**
 * @file archiver_internal.h
 * What the files of the archiver share.
 *
 *     receiver (hq_archiver_run's thread):  server -> spool file -> list of segments
 *     storer (a thread of its own):         list -> part or complete segment -> store
 *
 * The receiver appends to the last segment of the list, the storer reads behind it and takes
 * finished segments off the front. `lock` guards positions, never bytes: those below `received`
 * don't change any more.
 *
 * One connection, one timeline, one storer: whenever a connection or a timeline ends, what was
 * received is stored, and the next round begins with a look at what the store holds. That is also
 * how a run after a crash begins, so there is one way to resume.
 */
#ifndef HQ_POSTGRES_ARCHIVER_INTERNAL_H
#define HQ_POSTGRES_ARCHIVER_INTERNAL_H

#include <pthread.h>

#include "postgres/archiver.h"
#include "postgres/walscan.h"
#include "postgres/walstream.h"
#include "timeline.h"
#include "wal_shelf.h"

/** Times of the commit and abort records that end in a stretch of WAL; 0: none. */
struct commit_times {
    int64_t first_us, last_us;
};

/** A segment being received or stored, and its spool file. */
struct segment {
    struct segment *next;
    uint32_t timeline;
    uint64_t start; /**< LSN of its first byte */
    uint64_t end;   /**< of the byte after its last */

    /* Under the lock. */
    uint64_t received;      /**< bytes below this are in the spool file */
    int64_t sent_us;        /**< server's time of the newest byte */
    int64_t oldest_sent_us; /**< of the oldest byte that no cut has taken; 0: there is none */

    /* The storer's; the receiver may read `stored` under the lock. */
    uint64_t stored;              /**< bytes below this are durable, in a chain from the start */
    uint64_t scanned;             /**< bytes below this were searched for commits */
    struct commit_times all;      /**< of the segment so far */
    struct commit_times unstored; /**< of what is past `stored` */
    int64_t cut_oldest_us;        /**< oldest_sent_us of the cut that is tried */
    struct wal_parts parts;       /**< in the store, not superseded */
    int fd;
    char *path;
};

/** Where to begin, by what the store holds and the server is. */
struct archive_start {
    uint32_t timeline;
    uint64_t lsn;           /**< start of a segment */
    uint64_t stored;        /**< how far that segment is stored from its start on */
    uint64_t durable;       /**< everything below is in the store: to be told the server */
    struct wal_parts parts; /**< of that segment */
};

struct hq_archiver {
    struct hq_archiver_options options;

    /* The receiver's, while connected. */
    struct hq_pg *pg;
    struct hq_pg_system system;
    struct hq_wal_stream *stream;
    struct archive_start start;
    uint64_t next_lsn;      /**< of the next byte wanted */
    uint64_t reported_lsn;  /**< flush position last reported */
    int64_t reported_at_us; /**< when, monotonic */

    /* The storer's. */
    pthread_t storer;
    struct hq_compressor *compressor;
    struct hq_walscan *scan;
    struct wal_parts superseded; /**< to be deleted when there is nothing better to do */
    int64_t last_put_us;         /**< when the last one began, monotonic */

    int wake; /**< eventfd that ends the receiver's wait: a position or the storer's state changed
               */
    pthread_mutex_t lock;
    pthread_cond_t work;    /**< for the storer */
    pthread_cond_t changed; /**< for everybody else */
    struct segment *first, *last;
    size_t segments; /**< in the list */
    struct hq_archiver_position position;
    bool finishing; /**< store what is there without waiting for the interval, then end */
    bool failed;    /**< the storer ended by `failure` */
    struct hq_error failure;
    bool ended; /**< hq_archiver_run() returned, by `end` unless its code is OK */
    struct hq_error end;
};

/** Identify the server, compare with the store: fills a->system and a->start. */
int archiver_find_start(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
void archive_start_clear(struct archive_start *start);

/** How a connection's life ended. */
enum archiver_end {
    ARCHIVER_STOPPED,
    ARCHIVER_TIMELINE_ENDED,
    ARCHIVER_TROUBLE
};
/** Connect, stream until one of these, store what was received, disconnect. */
enum archiver_end archiver_round(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;

/** Add a new segment to the list. The one at a->start gets what is known of its parts. */
void archiver_append(struct hq_archiver *a, struct segment *s);
/**
 * @p len more bytes are in the spool file of @p s: the storer may take them, and the segment too
 * when they are its last.
 */
void archiver_hand_over(struct hq_archiver *a, struct segment *s, size_t len, int64_t sent_us);

/** The storer. _join makes it store what is there and end; -1 with its failure. */
int archiver_storer_start(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
int archiver_storer_join(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;

/** A stretch of a segment to put now. */
struct cut {
    struct segment *segment;
    uint64_t from, to;
    int64_t sent_us, oldest_sent_us;
};
/** Put it, tell, remember what it supersedes. On failure it may be tried again. */
int archiver_put(struct hq_archiver *a, const struct cut *cut, struct hq_error *err) HQ_MUST_CHECK;
/** Delete one superseded part; failing is logged, it is found again at the next start. */
void archiver_delete_one(struct hq_archiver *a);
/** End the receiver's wait. */
void archiver_wake(struct hq_archiver *a);

struct segment *segment_open(struct hq_archiver *a, uint64_t start,
                             struct hq_error *err) HQ_MUST_CHECK;
/** Write at segment->received. */
int segment_write(struct segment *s, const uint8_t *data, size_t len,
                  struct hq_error *err) HQ_MUST_CHECK;
int segment_sync(struct segment *s, struct hq_error *err) HQ_MUST_CHECK;
/** Bytes [from, to) from the spool file, into @p out (replaced). */
int segment_read(struct segment *s, uint64_t from, uint64_t to, struct hq_buf *out,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Close, remove the spool file, free. NULL: no-op. */
void segment_drop(struct segment *s);
/** Make the spool directory; remove what earlier runs left there: it is received again. */
int spool_prepare(const char *directory, const char *cluster, struct hq_error *err) HQ_MUST_CHECK;

#endif
