/**
 * @file wal_push.h
 * Stores what PostgreSQL hands to archive_command, a file at a time, and what waits behind it.
 *
 *   segment      "000000010000000000000003": stored whole
 *   partial      "....partial": what a promotion leaves of the old timeline's last segment. Its
 *                bytes up to the switch, which the history file beside it names, are stored as a
 *                part; what follows them in the file is of no timeline
 *   history      "00000002.history"
 *   backup       "....backup": accepted and not stored, nothing reads it here
 *
 * A segment must be what its name says: length, address and timeline in its first page are
 * compared, and the system identifier with the cluster's lineage (repository/lineage.h). CORRUPT:
 * it is not. REFUSED: another system's, or a file that is none of these. EXISTS: the store has a
 * segment or history file of that name with other bytes. Given again, a file that is stored is a
 * success.
 *
 * Segments that wait in archive_status behind the one asked for are stored too, several at a
 * time; a receipt in the state directory lets the calls for them return at once. It says which
 * file (device, inode, size, times) was durable in which repository, and is only ever written
 * after that was so: losing it costs a comparison.
 *
 * Crash    nothing is promised before it is durable; a call that is repeated goes on.
 * Two      of one host take turns, by a lock. Two hosts that push different bytes of one name at
 *          the same moment are not told apart: only the store could.
 * Threads  a pusher may be used by any number of threads.
 * Memory   two segments for each of at most HQ_WAL_PUSH_WORKERS files under way.
 */
#ifndef HQ_ENGINE_WAL_PUSH_H
#define HQ_ENGINE_WAL_PUSH_H

#include <stdatomic.h>

#include "engine/site.h"

enum {
    HQ_WAL_PUSH_WORKERS = 4,
    HQ_WAL_PUSH_BATCH = 16 /**< files that one call stores at most */
};

/** What was pushed since the pusher was made. */
struct hq_wal_push_counts {
    uint64_t stored;  /**< put into the store */
    uint64_t present; /**< found there, or by a receipt */
    uint64_t failed;
    char last[64];      /**< name of the newest file that is durable; "": none */
    int64_t last_at_us; /**< when that was known */
};

struct hq_wal_pusher;

/**
 * @p site is borrowed; what is stored is recorded in its catalog where that is open. @p stop ends
 * a batch after the files under way.
 */
int hq_wal_pusher_new(const struct hq_site *site, const atomic_int *stop,
                      struct hq_wal_pusher **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_wal_pusher_free(struct hq_wal_pusher *p);
void hq_wal_pusher_counts(struct hq_wal_pusher *p, struct hq_wal_push_counts *out);

/** @p why is NULL when the file is durable in the store. */
typedef void hq_wal_push_fn(void *context, const struct hq_error *why);
/**
 * Push the file @p path. @p decided is called once, from any thread, as soon as its fate is
 * known; the call returns when the files stored ahead are done too.
 */
void hq_wal_push(struct hq_wal_pusher *p, const char *path, hq_wal_push_fn *decided, void *context);

/** Whether a receipt says that the file @p path, as it is now, is stored: needs no store. */
bool hq_wal_push_has_receipt(const struct hq_config *config, const struct hq_keyring *keyring,
                             const char *path);

#endif
