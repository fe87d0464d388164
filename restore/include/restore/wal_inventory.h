/**
 * @file wal_inventory.h
 * Which WAL of one cluster the repository holds, and how far it reaches from a backup on.
 * Threads  built by one thread, then read by any.
 */
#ifndef HQ_RESTORE_WAL_INVENTORY_H
#define HQ_RESTORE_WAL_INVENTORY_H

#include "repository/timeline.h"
#include "repository/wal.h"

struct hq_wal_inventory;

/** One stored object that a recovery needs. */
struct hq_wal_piece {
    uint32_t timeline;
    uint64_t start_lsn, end_lsn; /**< 0, 0: a history file */
    bool complete;               /**< a whole segment */
    bool known;                  /**< what follows is its header's; false: nobody read that yet */
    uint32_t parent;             /**< history file: the timeline it branched from; 0: not told */
    uint64_t begin_lsn;          /**< history file: where */
    int64_t first_commit_us, last_commit_us; /**< 0: none */
    uint64_t object_size;
};

/** Whether a recovery along @p path still is on @p timeline at @p lsn. */
bool hq_timeline_path_passes(const struct hq_timeline_path *path, uint32_t timeline, uint64_t lsn);

/** Where two paths part; UINT64_MAX: they have nothing in common, or are one. */
uint64_t hq_timeline_path_parting(const struct hq_timeline_path *a,
                                  const struct hq_timeline_path *b);

/** List wal/<cluster>/<system>/. */
int hq_wal_inventory_load(const struct hq_repository *repository, const char *cluster,
                          uint64_t system_identifier, uint32_t segment_size,
                          struct hq_wal_inventory **out, struct hq_error *err) HQ_MUST_CHECK;
/** An empty one, to be fed by whoever knows what is stored; every object with its header. */
struct hq_wal_inventory *hq_wal_inventory_new(const char *cluster, uint64_t system_identifier,
                                              uint32_t segment_size,
                                              struct hq_error *err) HQ_MUST_CHECK;
/** Objects of another system are passed over. */
int hq_wal_inventory_add(struct hq_wal_inventory *inventory, const struct hq_wal_info *info,
                         struct hq_error *err) HQ_MUST_CHECK;
/** The last one was added: only now may it be read. */
void hq_wal_inventory_ready(struct hq_wal_inventory *inventory);
void hq_wal_inventory_free(struct hq_wal_inventory *inventory);
/** Object name of @p piece. */
void hq_wal_piece_name(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
                       char out[HQ_OBJECT_NAME_MAX + 1]);

/**
 * The path to @p timeline, or with 0 to the newest timeline that descends from @p from_timeline
 * after @p after_lsn (that one itself if none does). RANGE when @p timeline does not pass there.
 */
int hq_wal_inventory_path(const struct hq_wal_inventory *inventory, uint32_t timeline,
                          uint32_t from_timeline, uint64_t after_lsn, struct hq_timeline_path *out,
                          struct hq_error *err) HQ_MUST_CHECK;

/**
 * Paths of all timelines that have a history file, newest first: @p paths and each in it are the
 * caller's. With a restore key the files are read, else (and where it was fed) the headers tell.
 */
int hq_wal_inventory_histories(const struct hq_wal_inventory *inventory,
                               struct hq_timeline_path **paths, size_t *count,
                               struct hq_error *err) HQ_MUST_CHECK;

/** Timelines of which WAL is stored, newest first: @p timelines is the caller's. */
int hq_wal_inventory_timelines(const struct hq_wal_inventory *inventory, uint32_t **timelines,
                               size_t *count, struct hq_error *err) HQ_MUST_CHECK;

/** WAL without a hole from a backup on. */
struct hq_wal_coverage {
    struct hq_wal_piece *pieces; /**< owned; in order, history files of the path first */
    size_t count;
    uint64_t end_lsn;      /**< excluded */
    uint32_t end_timeline; /**< of the last piece */
    uint64_t stored_bytes;
};
void hq_wal_coverage_clear(struct hq_wal_coverage *coverage);
/** Follow @p path from the segment that holds @p start_lsn to the first hole or the end. */
int hq_wal_inventory_cover(const struct hq_wal_inventory *inventory,
                           const struct hq_timeline_path *path, uint64_t start_lsn,
                           struct hq_wal_coverage *out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * History files of timelines above @p timeline, descended from it or not. PostgreSQL looks for them
 * when recovery ends, to give the new timeline a number of its own.
 */
int hq_wal_inventory_later(const struct hq_wal_inventory *inventory, uint32_t timeline,
                           struct hq_wal_coverage *out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Where WAL of @p path goes on behind a hole at @p lsn: *segment is the start of the first later
 * segment of which something is stored, *piece that of the first object that begins behind @p lsn.
 * UINT64_MAX each: there is none.
 */
void hq_wal_inventory_resume(const struct hq_wal_inventory *inventory,
                             const struct hq_timeline_path *path, uint64_t lsn, uint64_t *segment,
                             uint64_t *piece);
/** The timeline whose file PostgreSQL asks for first, of the segment that holds @p lsn. */
uint32_t hq_wal_inventory_timeline_at(const struct hq_wal_inventory *inventory,
                                      const struct hq_timeline_path *path, uint64_t lsn);
/**
 * Time of the oldest commit in @p coverage, 0 if there is none: headers are read from its beginning
 * on until one has it.
 */
int hq_wal_coverage_first_commit(const struct hq_wal_inventory *inventory,
                                 const struct hq_wal_coverage *coverage, int64_t *time_us,
                                 struct hq_error *err) HQ_MUST_CHECK;
/**
 * Time of the newest commit that @p coverage reaches, 0 if there is none: headers are read from
 * the end backwards until one has it.
 */
int hq_wal_coverage_last_commit(const struct hq_wal_inventory *inventory,
                                const struct hq_wal_coverage *coverage, int64_t *time_us,
                                struct hq_error *err) HQ_MUST_CHECK;

#endif
