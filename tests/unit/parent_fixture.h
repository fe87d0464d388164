/**
 * @file parent_fixture.h
 * Backups with a parent of one relation, whose pages carry their LSN as PostgreSQL's do. Include
 * after <cmocka.h>.
 */
#ifndef HQ_TESTS_PARENT_FIXTURE_H
#define HQ_TESTS_PARENT_FIXTURE_H

#include "fixture.h"
#include "pipeline/lane.h"

enum {
    PAGE = 8192,
    BLOCKS = 300,
    START = 0x5000000, /* of the first backup */
    OLD = 0x4000000,
    NEW = 0x6000000
};

/** The relation's path. */
#define RELATION "base/5/16384"

/** What its pages hold. */
struct relation {
    uint8_t pages[BLOCKS + 100][PAGE];
    uint32_t blocks;
    uint64_t start_lsn; /**< of backups from now on */
};

/** An empty one, START; free() it. */
struct relation *relation_new(void);
/** Bytes of @p seed with that LSN, not all-visible; the relation grows up to it. */
void write_page(struct relation *r, uint32_t block, uint32_t seed, uint64_t lsn);
/** Blocks @p from to @p to - 1, each with other bytes. */
void write_pages(struct relation *r, uint32_t from, uint32_t to, uint32_t seed, uint64_t lsn);
/** Its entry in a manifest. */
struct hq_entry entry_of(const struct relation *r);

/** One backup; clear its root. */
struct run {
    struct hq_root root;
    struct hq_backup_statistics statistics;
};

/** The relation as a file of @p w that may take pages over; the caller holds it. */
struct hq_backup_file *open_file(struct hq_backup_writer *w, const struct relation *r);
/** Finish and free @p w: its backup gets a root and is in the catalog. */
void close_writer(struct fixture *f, struct hq_backup_writer *w, const struct relation *r,
                  const char *id, struct run *run);
/** A whole backup. */
void back_up(struct fixture *f, const struct relation *r, const char *id, bool inherit,
             struct run *run);
/** A stream in which some blocks came, and the others are the parent's. @return how many came. */
uint32_t stream_some(struct fixture *f, const struct relation *r, const char *id,
                     const bool came[BLOCKS], struct run *run);

/** @p run is the parent of backups from now on. */
void use_parent(struct fixture *f, const struct run *run);
void no_parent(struct fixture *f);
/** All that the backup needs was found in the store. */
void note_intact(struct fixture *f, const struct run *run);

/**
 * Read the relation back from a backup: its pages must be @p expected's, and so the sums stored for
 * them. @return the chunks that its page map names.
 */
uint32_t compare(struct fixture *f, const struct run *run, const struct relation *expected);

#endif
