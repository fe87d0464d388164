/**
 * @file governor.h
 * The slot governor: watches how much WAL the slot holds back on the server, and decides between
 * the server's disk and the recovery point as the configuration says (slot.*, hq-backup.yaml(5)).
 *
 *     ok -> warning -> critical -> letting go      the stage follows the worst of three measures:
 *       \________ lost _________/                  retained bytes, free space of pg_wal's file
 *                                                  system, and what max_slot_wal_keep_size leaves
 *
 * A stage is entered as soon as a measure is there, and left when the measure is a tenth better.
 * Every change is one log line with the figures and what to do; a look that finds no change is
 * silent. The last stage exists only under protect-disk, and asks once to let go of WAL: again only
 * after it was left. A slot that is gone, lost or invalidated is told of, and nothing is done: the
 * archiver goes on behind the gap by itself.
 *
 * Threads  one of its own with a connection of its own; hq_governor_status() from any thread.
 */
#ifndef HQ_ENGINE_GOVERNOR_H
#define HQ_ENGINE_GOVERNOR_H

#include "config/config.h"
#include "postgres/archiver.h"
#include "postgres/slot_state.h"

/** Where the governor connects to if cluster.connection names no database. */
#define HQ_GOVERNOR_DATABASE "postgres"

enum hq_slot_stage {
    HQ_STAGE_OK = 0,
    HQ_STAGE_WARNING = 1,
    HQ_STAGE_CRITICAL = 2,
    HQ_STAGE_LETTING_GO = 3,
    HQ_STAGE_LOST = 4, /**< missing, lost or invalidated: there is nothing to hold any more */
};
/** "ok", "warning", "critical", "letting-go", "lost". */
const char *hq_slot_stage_name(enum hq_slot_stage stage);

struct hq_governor_status {
    bool known;        /**< the last look succeeded; else the rest is of the last that did */
    int64_t looked_us; /**< wall clock of the last successful look; 0: there was none */
    enum hq_slot_stage stage;
    struct hq_slot_state slot;
    bool free_known;
    uint64_t free_bytes; /**< of pg_wal's file system, for PostgreSQL */
    int64_t growth;      /**< of retained bytes, per second, over the last minute */
    int64_t full_s;      /**< until disk or max_slot_wal_keep_size is used up; -1: not in sight */
    uint64_t let_gos;    /**< since the start of this process */
};

struct hq_governor_options {
    struct hq_pg_options connection; /**< its strings and what follows are borrowed */
    const char *slot;
    const struct hq_config_slot *limits;
    /** Stop holding WAL back; returns at once. Called on the governor's thread. */
    void (*let_go)(void *context);
    /**
     * The archiver's state. One that streams uses the slot, so a server on which nobody does is
     * another one (after a failover, say) and not judged; while it lets go the slot may be missing.
     */
    void (*archiver)(void *context, struct hq_archiver_position *out);
    void *context;
};

struct hq_governor;
/** @return 0, or -1 NOMEM or SYS; trouble with the server is logged and tried again for ever. */
int hq_governor_start(const struct hq_governor_options *options, struct hq_governor **out,
                      struct hq_error *err) HQ_MUST_CHECK;
void hq_governor_status(struct hq_governor *g, struct hq_governor_status *out);
/** Stop, join, free. NULL is a no-op. */
void hq_governor_stop(struct hq_governor *g);

/**
 * Bytes that PostgreSQL may still write to the file system of @p wal_directory, which may also be
 * the data directory. REFUSED or MISSING when it can't be looked at.
 */
int hq_governor_free_space(const char *wal_directory, uint64_t *out,
                           struct hq_error *err) HQ_MUST_CHECK;

#endif
