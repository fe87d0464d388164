/**
 * @file incremental.h
 * Streamed backups that get what changed: BASE_BACKUP (INCREMENTAL) of PostgreSQL 17 and later with
 * summarize_wal on. The server is told which relation files the parent has (UPLOAD_MANIFEST), and
 * sends of these the blocks that its own summary of WAL names; the others are the parent's, unread.
 *
 * The server's summary says what WAL changed on its disk since the parent's start. It does not say
 * that the disk and the parent are of one history: that is engine/backup_parent.h's, as for LSNs.
 * Left out of what is told, and so sent whole:
 *   - free space and visibility maps, whose changes WAL does not name;
 *   - files with damaged pages, and those of which less than half of what a restore has to read is
 *     in use (pipeline/parent.h);
 *   - databases that may be others than the parent's (postgres/database_trust.h);
 *   - relations that were cut off since the parent. The server would take it that a block which is
 *     there again, and that WAL does not name, is the parent's: but a file grows by zero pages
 *     without WAL, and rows that were deleted would come back. It also merges its summaries in any
 *     order, and a cut makes it forget the changes of blocks behind it, even later ones.
 *
 * Whatever is in the way makes the attempt fail with given_up set: nothing refers to what it
 * stored, and one without INCREMENTAL may succeed.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_H
#define HQ_POSTGRES_INCREMENTAL_H

#include "pipeline/parent.h"
#include "postgres/connection.h"
#include "postgres/walsummary.h"

struct hq_pg_cuts;

/** For one attempt. Of the first four all are borrowed. */
struct hq_pg_incremental {
    struct hq_backup_parent *parent;
    const struct hq_root *root;         /**< the parent's */
    const struct hq_pg_options *server; /**< for SQL: which relations were cut off */
    const char *host;                   /**< that must answer (struct hq_pg_system) */
    bool given_up;                      /**< set: the attempt failed for the sake of INCREMENTAL */
    struct hq_pg_cuts *cuts;            /**< private */
};

/** Whether the server keeps summaries, and BASE_BACKUP can use them. */
int hq_pg_incremental_offered(struct hq_pg *pg, bool *offered, struct hq_error *err) HQ_MUST_CHECK;
void hq_pg_incremental_clear(struct hq_pg_incremental *i);

#endif
