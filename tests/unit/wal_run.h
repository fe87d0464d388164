/**
 * @file wal_run.h
 * An archiver without a server: what one would send is handed to it. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_WAL_RUN_H
#define HQ_TESTS_WAL_RUN_H

#include <stdatomic.h>

#include "archiver_internal.h"
#include "fixture.h"
#include "wal_maker.h"

#define SEGMENT ((uint64_t)FIXTURE_SEGMENT)
/** Where its WAL begins. */
#define START (8 * SEGMENT)

struct run {
    struct fixture *f;
    struct hq_archiver *a;
    struct wal_maker wal;
    uint64_t sent; /* bytes of `wal` that were handed over */
    char spool[96];
    atomic_int stop;
};

/** An archiver whose storers run; WAL below @p stored is in the store. */
void run_begin(struct run *r, struct fixture *f, uint64_t stored);
/** Of the segment that begins at @p lsn. */
struct spool_id run_id(uint64_t lsn);
/** Receive all of the maker's bytes. */
void run_send(struct run *r, int64_t sent_us);
/** Until it is durable up to @p lsn. */
void run_await(struct run *r, uint64_t lsn);
/** Store what there is; the storers end. */
void run_end(struct run *r);
void run_clear(struct run *r);
/** Read the @p number-th WAL object and compare it with what was sent. */
struct hq_wal_info run_object(struct run *r, size_t number);
/** Whether the segment at @p lsn is in the store as one object. */
bool run_stored_whole(struct fixture *f, uint64_t lsn);

#endif
