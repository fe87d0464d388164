/**
 * @file incremental_cuts.h
 * Relations that lost blocks at their end, as a server's summaries of WAL tell it.
 * Threads  a set does not change.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_CUTS_H
#define HQ_POSTGRES_INCREMENTAL_CUTS_H

#include "postgres/incremental.h"

/**
 * Ask for those in all summaries that end behind @p from_lsn, over a connection for SQL. Replaces
 * *@p out, hq_pg_cuts_free(). Errors as connection.h says; TRANSIENT when another host answers.
 */
int hq_pg_cuts_ask(const struct hq_pg_options *server, const char *host, uint64_t from_lsn,
                   struct hq_pg_cuts **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_pg_cuts_free(struct hq_pg_cuts *cuts);
/** Whether the fork lost blocks before block @p end of it. */
bool hq_pg_cuts_before(const struct hq_pg_cuts *cuts, const struct hq_relation_fork *fork,
                       uint64_t end);

#endif
