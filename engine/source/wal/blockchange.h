/**
 * @file blockchange.h
 * What one WAL record changes of relation files, in PostgreSQL 14 to 18.
 *
 * Blocks a record names are changed, whichever resource manager it is of. Besides, files change
 * without a block being named:
 *
 *     smgr create              the fork is new, from block 0 on
 *     smgr truncate            from the new end on
 *     commit, abort            what the transaction dropped: all its forks, from block 0 on
 *     database created, dropped  all of the database, in that tablespace; a database is copied file
 *                              by file, with the pages' old LSNs
 *     tablespace dropped       all of it
 *     wal_level is minimal     files are written without any record: nothing is known
 *
 * Not of these: relation maps (pg_filenode.map is no relation's file), XLOG_FPI and hints (they
 * name their blocks), checkpoints and full_page_writes (a block is named whether its image is in
 * the record or not). A resource manager of an extension must name the blocks it changes, as
 * PostgreSQL's own summarizer trusts it to.
 * Free space and visibility maps are left out (walsummary.h).
 */
#ifndef HQ_POSTGRES_BLOCKCHANGE_H
#define HQ_POSTGRES_BLOCKCHANGE_H

#include "blockset.h"
#include "chain.h"

enum {
    /* A record of more that must be there whole is not understood: 87,000 dropped relations. */
    BLOCKCHANGE_RECORD_MAX = 1 << 20
};

/** How many of a record's first bytes _take needs. */
size_t blockchange_wanted(const uint8_t *header, uint32_t total);
/** Add what it changes. @return NULL, or why that can't be told. */
const char *blockchange_take(struct blockset *s, const struct walchain_record *r);

#endif
