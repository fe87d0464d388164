/**
 * @file wal_shelf.h
 * What a listing of one cluster's WAL says: of each timeline how far it is stored, and which parts
 * nobody needs any more.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_WAL_SHELF_H
#define HQ_POSTGRES_WAL_SHELF_H

#include "repository/wal.h"

/** A part of a segment in the store. */
struct wal_part {
    uint32_t timeline;
    uint64_t start, end;
};

struct wal_parts {
    struct wal_part *items;
    size_t count, cap;
};
/** Append; past 4096 parts nothing is added: what is not known here is no longer cleaned up. */
int wal_parts_add(struct wal_parts *parts, const struct wal_part *part,
                  struct hq_error *err) HQ_MUST_CHECK;
void wal_parts_clear(struct wal_parts *parts);

enum {
    WAL_HOLES_MAX = 16
};

/** One timeline. */
struct wal_branch {
    uint32_t timeline;
    bool history;           /**< its history file is stored */
    bool any;               /**< WAL of it is stored; the members below are set */
    bool complete;          /**< the last segment is stored whole */
    uint64_t first_segment; /**< LSNs at which the oldest and the newest segment begin */
    uint64_t last_segment;
    struct wal_parts parts; /**< of the last segment when it is not complete */
    /** Where the newest holes before its last segment begin: segments that are not there whole. */
    uint64_t holes[WAL_HOLES_MAX];
    size_t hole_count;
};

struct wal_shelf {
    const char *cluster; /**< borrowed */
    uint64_t system_identifier;
    uint32_t segment_size;
    struct wal_branch *branches; /**< by timeline, ascending */
    size_t count, cap;
    struct wal_parts superseded; /**< contained in a complete segment or another part */
    struct wal_parts loose;      /**< of other segments than the last that are not there whole */
};

/** List wal/<cluster>/. @p out is released with wal_shelf_clear(). */
int wal_shelf_load(const struct hq_repository *repository, const char *cluster,
                   uint64_t system_identifier, uint32_t segment_size, struct wal_shelf *out,
                   struct hq_error *err) HQ_MUST_CHECK;
void wal_shelf_clear(struct wal_shelf *shelf);
/** NULL when nothing of @p timeline is stored. Borrowed. */
struct wal_branch *wal_shelf_find(const struct wal_shelf *shelf, uint32_t timeline);
/** Move what there is of parts of one segment, which is not there whole, to the end of @p out. */
int wal_shelf_take_parts(struct wal_shelf *shelf, uint32_t timeline, uint64_t segment,
                         struct wal_parts *out, struct hq_error *err) HQ_MUST_CHECK;
/** How far @p branch is stored from the beginning of its last segment on. @pre branch->any */
uint64_t wal_branch_end(const struct wal_branch *branch, uint32_t segment_size);

#endif
