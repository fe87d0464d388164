/**
 * @file backup_session.h
 * The SQL session that makes a copy of the data directory's files a base backup: pg_backup_start()
 * before the first of them is read, pg_backup_stop() after the last. PostgreSQL ties the backup to
 * the session: when that is lost, what was copied is void, and only a new backup helps.
 *
 * Errors   REFUSED without EXECUTE on the two functions (the hint has the GRANT); TRANSIENT when
 *          the session was lost or a standby was promoted; INTERRUPTED; CORRUPT for a backup_label
 *          that is none; what connection.h says.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_BACKUP_SESSION_H
#define HQ_POSTGRES_BACKUP_SESSION_H

#include <stdatomic.h>

#include "postgres/connection.h"

/** Longest backup_label and tablespace_map that are taken. */
enum {
    HQ_BACKUP_LABEL_MAX = 16384,
    HQ_TABLESPACE_MAP_MAX = 16 << 20
};

struct hq_backup_label {
    uint64_t start_lsn;
    uint64_t checkpoint_lsn;
    uint32_t timeline;
    bool standby;
};

/**
 * Read the lines that matter of a backup_label: START WAL LOCATION, CHECKPOINT LOCATION, BACKUP
 * FROM, START TIMELINE. CORRUPT unless each is there once. @p text need not end in a zero.
 */
int hq_backup_label_parse(const char *text, size_t len, struct hq_backup_label *out,
                          struct hq_error *err) HQ_MUST_CHECK;

/** What pg_backup_stop() gave. hq_backup_end_clear() it. */
struct hq_backup_end {
    uint64_t stop_lsn;
    struct hq_backup_label label;
    struct hq_buf label_text; /**< content of backup_label */
    struct hq_buf map_text;   /**< content of tablespace_map; empty: there is none */
};
void hq_backup_end_clear(struct hq_backup_end *end);

/** Whether the role may run what a backup needs; REFUSED when not. @p pg is for SQL. */
int hq_backup_session_rights(struct hq_pg *pg, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Begin: waits for the checkpoint, at once with @p fast, else spread, however long that takes or
 * until @p stop is set. The session is set up first: no time-out of the role's may end it.
 */
int hq_backup_session_start(struct hq_pg *pg, const char *label, bool fast, const atomic_int *stop,
                            uint64_t *start_lsn, struct hq_error *err) HQ_MUST_CHECK;
/** Whether the session still holds the backup, as far as is known without asking. TRANSIENT: no. */
int hq_backup_session_alive(struct hq_pg *pg, struct hq_error *err) HQ_MUST_CHECK;
/** End it, without waiting for the server's archiver. The copy is a backup when this returns 0. */
int hq_backup_session_stop(struct hq_pg *pg, const atomic_int *stop, struct hq_backup_end *out,
                           struct hq_error *err) HQ_MUST_CHECK;

#endif
