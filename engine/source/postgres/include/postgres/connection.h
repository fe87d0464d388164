/**
 * @file connection.h
 * Replication connections to PostgreSQL 14 to 18 and what a server says of itself.
 * Needs a role with REPLICATION and LOGIN, nothing more.
 * Errors   TRANSIENT (not reachable, starting up, connection cut), REFUSED (password, role),
 *          SERVER (pg_hba, wal_level, max_wal_senders, slots, version: hint has the line to add),
 *          BUSY (slot in use).
 * Threads  a connection belongs to one thread.
 */
#ifndef HQ_POSTGRES_CONNECTION_H
#define HQ_POSTGRES_CONNECTION_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/error.h"

struct hq_pg;

struct hq_pg_options {
    const char *conninfo;      /**< libpq's key words or URI, without a password */
    const char *password_file; /**< the password alone, or NULL: PGPASSFILE, PGPASSWORD, none */
    const char *application;   /**< application_name; NULL: hq-backup */
    /**
     * Newest timeline known of this system, 0: none. Of several hosts of which a primary is wanted
     * one of it on an older timeline is a former primary and not connected to.
     */
    uint64_t known_system;
    uint32_t known_timeline;
    /** Hosts that were refused, a bit each in the string's order: taken if no other will do. */
    uint64_t avoid;
    /** NULL: for replication. Else for SQL, to this database unless conninfo names one. */
    const char *database;
};

struct hq_pg_system {
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t flush_lsn;
    uint32_t version_number; /**< 150020 */
    uint32_t wal_segment_size;
    uint32_t block_size;
    bool checksums;
    char host[264]; /**< as connected: host name, address or socket directory, ":", port */
};

/**
 * Connect to the host that the string wants: with several, each is tried for connect_timeout
 * (10 s unless given) in the order given until one is what target_session_attrs says, all of its
 * values. Where that is a primary (primary, read-write), the others are asked too, and of two
 * primaries the one on the newer timeline is taken: the other is a former one. Of primaries of
 * different systems that of known_system is taken; REFUSED where neither is. A failure names each
 * host and why not; it is one that may pass if that of any host is.
 */
int hq_pg_connect(const struct hq_pg_options *options, struct hq_pg **out,
                  struct hq_error *err) HQ_MUST_CHECK;
void hq_pg_close(struct hq_pg *pg);

/** A primary that is looked for beside the one at hand. */
struct hq_pg_newer {
    size_t host; /**< the one at hand: number among those that the string names */
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t begin;  /**< where that timeline begins; 0: with the system */
    uint32_t newer;  /**< set: timeline of the one found */
    char place[264]; /**< set: "host:port" of it */
};
/**
 * Look whether another host of which a primary is wanted is one of the same system, on a newer
 * timeline that descends from the one given. Takes 2 s at most for a host that is silent; hosts
 * that don't answer are none. *stop ends it between hosts. @return 1, 0: there is none, -1.
 */
int hq_pg_find_newer(const struct hq_pg_options *options, struct hq_pg_newer *newer,
                     const atomic_int *stop, struct hq_error *err) HQ_MUST_CHECK;
/** IDENTIFY_SYSTEM and SHOW of the sizes. */
int hq_pg_identify(struct hq_pg *pg, struct hq_pg_system *out, struct hq_error *err) HQ_MUST_CHECK;
/** One setting, as SHOW gives it. */
int hq_pg_show(struct hq_pg *pg, const char *setting, struct hq_buf *out,
               struct hq_error *err) HQ_MUST_CHECK;
/** Append the content of a timeline's history file. @pre timeline > 1 */
int hq_pg_timeline_history(struct hq_pg *pg, uint32_t timeline, struct hq_buf *out,
                           struct hq_error *err) HQ_MUST_CHECK;
/**
 * Read a physical slot: whether it is there, and the oldest WAL it holds; @p keeps is 0 where it
 * was invalidated. Before PostgreSQL 15 neither can be told: false and 0. @pre a slot's name
 */
int hq_pg_slot_look(struct hq_pg *pg, const char *slot, bool *exists, uint64_t *keeps,
                    struct hq_error *err) HQ_MUST_CHECK;
/**
 * Create the physical slot with RESERVE_WAL unless it is there. @p created says which; when two do
 * it at once, one did. */
int hq_pg_slot_ensure(struct hq_pg *pg, const char *slot, bool *created,
                      struct hq_error *err) HQ_MUST_CHECK;
/**
 * As hq_pg_slot_ensure(), and one whose WAL was removed is made anew: from now on WAL is held. One
 * that somebody receives through is left to them.
 */
int hq_pg_slot_hold(struct hq_pg *pg, const char *slot, bool *created,
                    struct hq_error *err) HQ_MUST_CHECK;
/** Drop the slot; one that is not there is no failure. BUSY while somebody receives through it. */
int hq_pg_slot_drop(struct hq_pg *pg, const char *slot, struct hq_error *err) HQ_MUST_CHECK;

#endif
