/**
 * @file slot_state.h
 * What a replication slot holds back on its server, and how long the server will let it.
 *
 * Asked over an ordinary connection (hq_pg_options.database), for which a role needs LOGIN and
 * CONNECT on one database: pg_replication_slots and the settings are open to everybody. A
 * replication=database connection answers the same, but takes one of max_wal_senders besides.
 * Where that is not allowed a replication connection tells a part of it, from PostgreSQL 15 on.
 */
#ifndef HQ_POSTGRES_SLOT_STATE_H
#define HQ_POSTGRES_SLOT_STATE_H

#include <stdatomic.h>

#include "postgres/connection.h"

/** wal_status of pg_replication_slots, and the cases it leaves out. */
enum hq_slot_health {
    HQ_SLOT_MISSING,    /**< there is no such slot */
    HQ_SLOT_RESERVED,   /**< what it holds is within max_wal_size */
    HQ_SLOT_EXTENDED,   /**< it holds more than max_wal_size */
    HQ_SLOT_UNRESERVED, /**< over max_slot_wal_keep_size: a checkpoint may remove what it needs */
    HQ_SLOT_LOST,       /**< WAL that it needs was removed */
    HQ_SLOT_INVALID,    /**< invalidated for another reason, see invalidation */
};

enum {
    HQ_SLOT_INVALIDATION_MAX = 48
};

/** "without limit", for keep_bytes and safe_bytes. */
#define HQ_SLOT_UNLIMITED UINT64_MAX

struct hq_slot_state {
    enum hq_slot_health health;
    bool partial;         /**< active, other slots, UNRESERVED, EXTENDED and INVALID are not told */
    bool active;          /**< somebody receives from it */
    uint64_t end_lsn;     /**< where the server's WAL ends */
    uint64_t restart_lsn; /**< oldest WAL it holds; 0: none */
    uint64_t retained_bytes; /**< from restart_lsn to end_lsn */
    uint64_t other_bytes;    /**< held back anyway, by other slots or wal_keep_size */
    uint64_t keep_bytes;     /**< max_slot_wal_keep_size; HQ_SLOT_UNLIMITED */
    uint64_t safe_bytes;     /**< may be written before WAL it needs is removed; as keep_bytes */
    char invalidation[HQ_SLOT_INVALIDATION_MAX]; /**< the server's word ("idle_timeout"); or "" */
    uint32_t timeline; /**< the server's, also where the slot is missing; 0: not told */
};

/** "reserved", "missing": a word for logs. */
const char *hq_slot_health_name(enum hq_slot_health health);

/**
 * Look at @p slot. Waits 10 s for the answer at most (TRANSIENT), less when *stop (may be NULL) is
 * set (INTERRUPTED); after any failure but UNSUPPORTED the connection is of no further use.
 * UNSUPPORTED when the slot is a logical one, and from PostgreSQL 14 over a replication connection.
 */
int hq_pg_slot_state(struct hq_pg *pg, const char *slot, const atomic_int *stop,
                     struct hq_slot_state *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
