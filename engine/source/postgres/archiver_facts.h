/**
 * @file archiver_facts.h
 * What the decision where to go on is made of, shared by archiver_start.c (by the store's listing)
 * and archiver_known.c (by what this process received).
 * Threads  the receiver's.
 */
#ifndef HQ_POSTGRES_ARCHIVER_FACTS_H
#define HQ_POSTGRES_ARCHIVER_FACTS_H

#include "archiver_internal.h"

struct facts {
    struct wal_shelf shelf;
    struct timeline_history history; /**< of the server's timeline */
    uint64_t slot_lsn;               /**< from which on the slot keeps WAL; 0: not known */
    bool lineage_checked;
};

/**
 * Whether the server connected to may be the cluster's, by what this process knows; asked before
 * anything is done on it, and nothing of this process's state changes. Without such knowledge the
 * store is asked, if it answers. REFUSED: the server was noted as one to avoid.
 */
int archiver_check_server(struct hq_archiver *a, struct facts *f,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Go on where what was received ends. @return whether that says where. */
bool archiver_decide_by_known(struct hq_archiver *a, const struct facts *f);

/** Where @p timeline, the server's or one of its ancestors, begins; 0: it has no parent. */
uint64_t facts_begin_of(const struct hq_archiver *a, const struct facts *f, uint32_t timeline);
/**
 * Compare that with what is known of the timeline of that number: two standbys may have been
 * promoted to one number. REFUSED, noted.
 */
int archiver_check_branch(struct hq_archiver *a, const struct facts *f, uint32_t timeline,
                          struct hq_error *err) HQ_MUST_CHECK;
/** The next timeline after history->steps[step], from the segment of the switch on. */
void archiver_begin_next(struct hq_archiver *a, const struct facts *f, size_t step);

/** REFUSED, with advice; the server is noted as one to avoid. @return -1, always. */
int archiver_refuse_timeline(struct hq_archiver *a, uint32_t timeline, struct hq_error *err);
int archiver_refuse_branch(struct hq_archiver *a, struct hq_error *err);
/** The server's WAL ends before @p end. TRANSIENT from a standby, which receives it again first. */
int archiver_refuse_rollback(struct hq_archiver *a, uint64_t end, struct hq_error *err);

#endif
