/**
 * @file blockset.h
 * A set of blocks of relation forks, and what can't be said block by block: from which block on a
 * fork is new, and which databases are new as a whole.
 *
 * Blocks are bits in areas of 512, found by a hash of (fork, area): what is in no area costs
 * nothing. Adding the same again changes nothing. A set that ran into its limit, or out of memory,
 * stays `full` until it is emptied, and says nothing any more.
 * Threads  one that changes it, or any number that only look.
 */
#ifndef HQ_POSTGRES_BLOCKSET_H
#define HQ_POSTGRES_BLOCKSET_H

#include "postgres/walsummary.h"

enum {
    BLOCKSET_AREA = 512,
    BLOCKSET_WORDS = BLOCKSET_AREA / 64,
    BLOCKSET_DATABASES_MAX = 4096
};
#define BLOCKSET_NO_LIMIT UINT32_MAX
#define BLOCKSET_NONE UINT32_MAX

struct blockset_relation {
    struct hq_relation_fork fork;
    uint32_t limit; /**< blocks from here on changed; BLOCKSET_NO_LIMIT */
};

/** The areas are an open-addressed table: `relation` BLOCKSET_NONE is an empty place. */
struct blockset_area {
    uint32_t relation; /**< number in `relations` */
    uint32_t number;   /**< block / BLOCKSET_AREA */
    uint64_t bits[BLOCKSET_WORDS];
};

/** database 0: every database of the tablespace. */
struct blockset_database {
    uint32_t tablespace, database;
};

/* Tables have a power of two of places and are three quarters full at most. */
struct blockset {
    struct blockset_relation *relations;
    size_t relation_count, relation_cap;
    uint32_t *places; /**< numbers in `relations` by hash of the fork */
    size_t place_count;
    struct blockset_area *areas;
    size_t area_count, area_places;
    struct blockset_database *databases;
    size_t database_count, database_cap;
    size_t memory_max;
    bool full;
    uint32_t last_relation; /**< what was looked for last is often looked for next */
    size_t last_area;
};

/** `= {0}` with memory_max set is an empty set. */
void blockset_clear(struct blockset *s);
/** Forget everything; what it took of memory is kept for the next unless it is much. */
void blockset_empty(struct blockset *s);

/** The number of a fork, which becomes one of the set's; BLOCKSET_NONE when the set is full. */
uint32_t blockset_add_relation(struct blockset *s, const struct hq_relation_fork *fork);
void blockset_add_block(struct blockset *s, uint32_t relation, uint32_t block);
/** Add the bits of a whole area. */
void blockset_add_area(struct blockset *s, const struct blockset_area *area);
/** Blocks from @p limit on are new. */
void blockset_add_limit(struct blockset *s, uint32_t relation, uint32_t limit);
void blockset_add_database(struct blockset *s, uint32_t tablespace, uint32_t database);

/** The number of a fork; BLOCKSET_NONE. */
uint32_t blockset_find_relation(const struct blockset *s, const struct hq_relation_fork *fork);
/** An area; NULL: no block of it is there. */
const struct blockset_area *blockset_find_area(const struct blockset *s, uint32_t relation,
                                               uint32_t number);
bool blockset_has_database(const struct blockset *s, uint32_t tablespace, uint32_t database);

#endif
