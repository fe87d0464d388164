/**
 * @file database_trust.h
 * Whether the LSNs in a database's files say anything about its parent's.
 *
 * CREATE DATABASE may copy another database's files as they are, pages with old LSNs and all; so
 * does ALTER DATABASE SET TABLESPACE. Both write a new PG_VERSION, which nothing else touches while
 * the database lives: a database is the parent's if its PG_VERSION has the modification time that
 * the parent's has, and had that for a while when the parent began. Where the summary of WAL since
 * the parent is at hand, WAL itself says it.
 *
 * In a stream a database's PG_VERSION may come behind files that were taken for the parent's:
 * that is a conflict, and the backup must be made again with what is known now.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_DATABASE_TRUST_H
#define HQ_POSTGRES_DATABASE_TRUST_H

#include "pipeline/parent.h"
#include "postgres/walsummary.h"

struct hq_database_trust;

/** @p parent (borrowed) NULL: nothing is to be trusted. */
struct hq_database_trust *hq_database_trust_new(const struct hq_backup_parent *parent,
                                                struct hq_error *err) HQ_MUST_CHECK;
void hq_database_trust_free(struct hq_database_trust *t);
/** From now on WAL decides: @p summary (borrowed) reaches from the parent's start to this one's. */
void hq_database_trust_use(struct hq_database_trust *t, const struct hq_wal_summary *summary);
/** The summary in use, NULL: none. */
const struct hq_wal_summary *hq_database_trust_summary(const struct hq_database_trust *t);
/**
 * The summary did not name a page that had changed: there is a conflict, and nothing is believed to
 * be the parent's any more.
 */
void hq_database_trust_refute(struct hq_database_trust *t);
/** From now on nothing is the parent's. @pre nothing was called that yet */
void hq_database_trust_none(struct hq_database_trust *t);
/** Whether it is known already that pages of the relation file @p path may not be the parent's. */
bool hq_database_trust_doubts(const struct hq_database_trust *t, const char *path);
/** Whether pages of the relation file @p path may be the parent's. -1: NOMEM. */
int hq_database_trust_relation(struct hq_database_trust *t, const char *path,
                               struct hq_error *err) HQ_MUST_CHECK;
/** A plain file of the backup under way; only PG_VERSION of a database matters. */
int hq_database_trust_file(struct hq_database_trust *t, const char *path, int64_t mtime_us,
                           struct hq_error *err) HQ_MUST_CHECK;
/** Whether a database was trusted that is not to be. What is known of databases stays. */
bool hq_database_trust_conflict(struct hq_database_trust *t);

#endif
