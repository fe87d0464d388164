/**
 * @file archiver_internal.h
 * What the files of the archiver share.
 *
 *     receiver (hq_archiver_run's thread):  server -> spool file -> list of segments
 *     storers (threads of their own):       list -> part or complete segment -> store
 *
 * The receiver appends to the last segment of the list and syncs it; the storers put what is
 * synced, and take what is done off the front. The list outlives connections, timelines and, by
 * its files, the process: whatever ends, what was received is stored, and receiving goes on behind
 * the last synced byte. Only when neither this process nor the spool knows where that is does the
 * store's listing say it.
 *
 * Order in the list is order of receipt. Complete segments may be put side by side, but a history
 * file is put before anything behind it, and a part only when all before it in the list is in the
 * store. A position counts as durable when everything before it in the list is.
 *
 * A segment of which there are parts is put twice when it is full: first what the parts lack, as
 * the last of them, so that the next segment's parts need not wait, and then whole. Until that is
 * durable its parts and its spool file stay; which of the two is read makes no difference.
 */
#ifndef HQ_POSTGRES_ARCHIVER_INTERNAL_H
#define HQ_POSTGRES_ARCHIVER_INTERNAL_H

#include <pthread.h>

#include "postgres/archiver.h"
#include "postgres/walscan.h"
#include "postgres/walstream.h"
#include "spool.h"
#include "timeline.h"
#include "wal_shelf.h"

enum {
    ARCHIVER_STORERS = 4,
    /** So many parts of a segment are replaced by one: a recovery reads each of them. */
    ARCHIVER_PARTS_MAX = 64,
    /** WAL of segments being received and stored that is kept in memory: six of 16 MiB. */
    ARCHIVER_MEMORY_BYTES = 96 << 20
};

/** Times of the commit and abort records that end in a stretch of WAL; 0: none. */
struct commit_times {
    int64_t first_us, last_us;
};

/** A segment, or a history file, being received or stored. */
struct segment {
    struct segment *next;
    struct spool_file *file;
    const struct spool_id *id; /**< the file's */
    uint64_t start;            /**< LSN of its first byte; 0 for a history file */
    uint64_t end;              /**< of the byte after its last; the length of a history file */
    uint64_t base;             /**< durable without this segment, if all before it in the list is */
    uint64_t had;              /**< bytes below were in the store before they came */
    bool after_hole;           /**< recovered, but what comes before it was not: nothing is told */

    /* Under the lock. */
    uint64_t synced;              /**< bytes below this are durable in the spool */
    uint64_t stored;              /**< bytes below this are durable in the store */
    bool closed;                  /**< nothing comes after `synced` any more */
    bool busy;                    /**< a storer has it */
    bool done;                    /**< all that will ever come is in the store, in one piece */
    int64_t sent_us;              /**< server's time of the newest synced byte */
    int64_t oldest_sent_us;       /**< of the oldest byte that no cut has taken; 0: there is none */
    struct commit_times all;      /**< of what is synced */
    struct commit_times unstored; /**< of what no cut has taken */
    int64_t stored_commit_us;     /**< newest commit of what is stored */

    struct wal_parts parts; /**< in the store, not superseded; the busy storer's */
};

/** Where to begin. */
struct archive_start {
    uint32_t timeline;
    uint64_t lsn;           /**< start of a segment, or behind what is synced of the last one */
    uint64_t had;           /**< how far that segment is stored from its start on */
    uint64_t base;          /**< everything below needs no WAL from `lsn` on to be durable */
    uint64_t begin;         /**< where the timeline begins; 0: with the system */
    struct wal_parts parts; /**< of that segment */
};

/** How far WAL was received, as far as this process knows. */
struct archive_known {
    bool any;
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t end;
    uint64_t begin; /**< where the timeline begins; 0: with the system, or not known yet */
};

/** What the server has removed of what was asked for. */
enum archiver_missing {
    ARCHIVER_NOT_MISSING,
    ARCHIVER_MISSING_KNOWN, /**< what comes behind what this process knows: the store may know more
                             */
    ARCHIVER_MISSING_ALL,   /**< what comes behind all that is stored: it is lost */
};

/** What was received since the last sync. */
struct fresh {
    int64_t since_us;       /**< when its first byte was written, monotonic; 0: none */
    int64_t sent_us;        /**< server's time of the newest byte */
    int64_t oldest_sent_us; /**< of the oldest that the store does not have; 0: none */
    struct commit_times again, unstored;
    bool scanning_again; /**< bytes that the store has are being searched */
};

/** Of several hosts another may be promoted while this one still streams. Under the lock. */
struct lookout {
    pthread_t thread;
    pthread_cond_t stopped;
    bool running; /**< the thread; the receiver's */
    bool stop;
    bool following;  /**< a server streams: `options` and `newer` say which */
    bool found;      /**< and it is to be left for the one `newer` says */
    uint64_t stream; /**< counted: what was found for an earlier one is not told to the next */
    struct hq_pg_options options;
    struct hq_pg_newer newer;
};

struct hq_archiver {
    struct hq_archiver_options options;
    struct spool spool;

    /* The receiver's. */
    struct hq_pg *pg;
    struct hq_pg_system system;
    struct hq_wal_stream *stream;
    struct archive_start start;
    struct archive_known known;
    struct segment *current; /**< takes the next byte; NULL: a new one does */
    struct fresh fresh;
    struct hq_walscan *scan;
    uint32_t scan_segment_size;
    uint64_t next_lsn;   /**< of the next byte wanted */
    uint64_t synced_lsn; /**< of this stream */
    uint64_t reported_flush, reported_write;
    int64_t reported_at_us; /**< when, monotonic */
    enum archiver_missing missing;
    char missing_host[320]; /**< which server said so */
    uint64_t missing_at;    /**< from where on */
    bool from_shelf;        /**< a->start is what the store's listing says */
    bool slot_made_anew;    /**< because of what is missing: once is enough */
    bool slot_lost;         /**< the server refused to stream through it: it is made anew */
    bool recovered;         /**< the list is what the spool had, and what came since */
    bool has_streamed;      /**< in this process's life */
    bool spool_damaged;     /**< where what it has begins is not known */
    bool away;              /**< no server could be connected to; one may come back any moment */
    bool wrong_server;      /**< refused, but another or a mended server may answer next time */
    bool gap_pending;       /**< `gap` is to be told when the first byte behind it is synced */
    struct hq_wal_gap gap;

    pthread_t storers[ARCHIVER_STORERS];
    size_t storer_count; /**< running */

    int wake; /**< eventfd that ends the receiver's wait: a position or a storer's state changed */
    pthread_mutex_t lock;
    pthread_cond_t work;    /**< for the storers */
    pthread_cond_t changed; /**< for everybody else */
    struct segment *first, *last;
    size_t segments;             /**< in the list */
    struct wal_parts superseded; /**< of shelf_system; deleted when there is nothing better to do */
    uint64_t shelf_system;
    uint32_t shelf_segment_size;
    uint64_t durable_system; /**< whose position.durable_lsn is */
    _Atomic bool learned;    /**< the store's listing was looked at */
    int64_t trouble_told_us; /**< when the store failed, monotonic; 0: it does not */
    int64_t last_put_us;     /**< when the last part was begun, monotonic */
    uint32_t history_stored; /**< newest timeline whose history this run put; 0: none */
    uint64_t history_system; /**< whose that is */
    struct hq_archiver_position position;
    struct hq_archiver_troubles troubles;
    bool letting_go;
    bool finishing; /**< store what is there without waiting for the interval, then end */
    bool failed;    /**< a storer ended by `failure` */
    struct hq_error failure;
    bool ended; /**< hq_archiver_run() returned, by `end` unless its code is OK */
    struct hq_error end;

    struct lookout lookout;
    pthread_mutex_t learning; /**< one storer lists, the others wait */
};

/** How a connection's life ended. */
enum archiver_end {
    ARCHIVER_STOPPED,
    ARCHIVER_TIMELINE_ENDED,
    ARCHIVER_LET_GO,
    ARCHIVER_TROUBLE
};
/** Connect, stream until one of these, disconnect. */
enum archiver_end archiver_round(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
/** End the receiver's wait. */
void archiver_wake(struct hq_archiver *a);

/** Look, every now and then, whether a newer primary is up; _leave ends that, _stop for good. */
void archiver_lookout_follow(struct hq_archiver *a);
void archiver_lookout_leave(struct hq_archiver *a);
void archiver_lookout_stop(struct hq_archiver *a);
/** Say which. @return -1, always. */
int archiver_lookout_fail(struct hq_archiver *a, struct hq_error *err);

/** Identify the server, find out where to go on: fills a->system and a->start. */
int archiver_find_start(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
void archive_start_clear(struct archive_start *start);
/** The start of the segment that holds @p lsn. */
uint64_t archiver_segment_start(const struct hq_archiver *a, uint64_t lsn);

/**
 * Make sure that there is a slot that keeps WAL, dropping one that was invalidated, and with
 * @p anew any other. @p keeps: from which LSN on; 0: this server's version can't tell.
 */
int archiver_slot_ready(struct hq_archiver *a, bool anew, uint64_t *keeps,
                        struct hq_error *err) HQ_MUST_CHECK;

/** What an earlier run left in the spool becomes the list. */
int archiver_recover(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
/** Forget the list; its files stay, for archiver_recover(). @pre no storer runs */
void archiver_release(struct hq_archiver *a);
/** Begin a segment, or a history file, as the last of the list. Takes a->start's parts over. */
int archiver_append(struct hq_archiver *a, const struct spool_id *id, struct segment **out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** A whole history file at the end of the list, synced. */
int archiver_append_history(struct hq_archiver *a, uint32_t timeline, const struct hq_buf *text,
                            struct hq_error *err) HQ_MUST_CHECK;
/** Be ready to search WAL of segments of that size. */
int archiver_prepare_scan(struct hq_archiver *a, uint32_t segment_size,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Bytes of the current segment, into its spool file. */
int archiver_write(struct hq_archiver *a, const uint8_t *data, size_t len, int64_t sent_us,
                   struct hq_error *err) HQ_MUST_CHECK;
/** Sync the current segment: the storers may have what was written. */
int archiver_sync(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
/** Nothing more comes for the current segment. */
void archiver_close_segment(struct hq_archiver *a);

/** Whether the receiver ends by @p err: the rule is in archiver.h. */
bool archiver_ends_by(const struct hq_archiver *a, const struct hq_error *err);
/** Whether a storer does: by damage in the spool, of which a new list is made. */
bool archiver_storer_ends_by(const struct hq_archiver *a, const struct hq_error *err);
/** For _troubles: @p trouble is one of a->troubles. */
void archiver_note_trouble(struct hq_archiver *a, struct hq_archiver_trouble *trouble,
                           const struct hq_error *err);
void archiver_note_relief(struct hq_archiver *a, struct hq_archiver_trouble *trouble);

/** Storers. _join makes them store what is there and end; -1 with the failure of one. */
int archiver_storers_start(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
int archiver_storers_join(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
/** @p shelf was listed: its superseded parts are to be deleted. */
void archiver_note_shelf(struct hq_archiver *a, struct wal_shelf *shelf);

/** A stretch of a segment to put now, and what was known when it was cut. */
struct cut {
    struct segment *segment;
    uint64_t from, to; /**< `from`: what no part has yet */
    bool whole;        /**< from the segment's start on, as a complete segment or history file */
    int64_t sent_us, oldest_sent_us;
    struct commit_times all, unstored;
};
/**
 * What to put now, if anything; otherwise *due_us is set to when to look again (INT64_MAX: when
 * something changes) and *idle to whether nothing is under way either. @pre the lock is held
 */
bool archiver_choose(struct hq_archiver *a, struct cut *cut, int64_t *due_us, bool *idle);
/** All up to cut->to is in the store: only now may it be told. Its segment may be gone then. */
void archiver_advance(struct hq_archiver *a, const struct cut *cut, size_t bytes);
/** What became of a cut. */
struct put {
    struct hq_wal_info info;
    size_t bytes;    /**< of the object */
    bool supersedes; /**< parts that are in the store */
};
/** What a storer works with, kept from one put to the next. */
struct tools {
    struct hq_compressor *compressor;
    struct hq_buf raw, object;
};
/** Put it and remember what it supersedes. It may be tried again. */
int archiver_put(struct hq_archiver *a, const struct cut *cut, struct tools *tools, struct put *out,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Tell the log and the catalog. */
void archiver_record(struct hq_archiver *a, const struct cut *cut, const struct put *put);
/** A part of @p system to delete. */
struct superseded {
    struct wal_part part;
    uint64_t system_identifier;
    uint32_t segment_size;
};
/** Delete it; failing is logged, it is found again at the next start. */
void archiver_delete(struct hq_archiver *a, const struct superseded *old);

#endif
