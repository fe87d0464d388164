/**
 * @file walsummary.h
 * Which blocks of which relations WAL changed between two positions: what a backup must read again.
 *
 * hq-backupd writes a file a WAL segment (docs/summary.md) while it receives WAL
 * (walsummarizer.h); here they are read and merged. A set is complete or it is not given out: a
 * file that is lost or damaged, or a stretch in which a record could not be understood, is a hole,
 * and whoever asked looks at every page instead. What is merged may name too many blocks, never too
 * few.
 *
 * What a set does not say, because WAL does not say it:
 *   - free space maps and visibility maps are UNTRUSTED always: WAL clears bits of theirs without
 *     naming the block. Compare them by content, as every file that is no relation's.
 *   - blocks behind the parent's end of a file: a server makes a file longer by zero pages without
 *     a record. Read them.
 *   - changes of hint bits where neither checksums nor wal_log_hints are on: both pages are right.
 *     PD_ALL_VISIBLE is none of these: the record that tells the visibility map names the page.
 *   - changes made while the server was down, or by other means than PostgreSQL's own.
 *
 * Memory   some 150 bytes for every 4 MiB of a relation in which a block changed, at most
 *          HQ_WAL_SUMMARY_MEMORY_MAX; what needs more is a hole.
 * Threads  a loaded set does not change: any number of threads may ask.
 */
#ifndef HQ_POSTGRES_WALSUMMARY_H
#define HQ_POSTGRES_WALSUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HQ_WAL_SUMMARY_MEMORY_MAX ((size_t)128 << 20)

/** Fork numbers as PostgreSQL has them. */
enum hq_relation_fork_number {
    HQ_FORK_MAIN = 0,
    HQ_FORK_FSM = 1,
    HQ_FORK_VM = 2,
    HQ_FORK_INIT = 3
};

/** A fork of a relation, by the names of its file. */
struct hq_relation_fork {
    uint32_t tablespace; /**< 1663: pg_default, 1664: pg_global */
    uint32_t database;   /**< 0: shared */
    uint32_t relation;   /**< relfilenode */
    uint32_t fork;
};
/**
 * What @p path, relative to a data directory, is a segment of: base/<database>/<file>,
 * global/<file>, pg_tblspc/<tablespace>/PG_<version>/<database>/<file>, where <file> is
 * <relation>[_fsm|_vm|_init][.<n>]. @p first_block: of the relation, the file's first, for files of
 * @p segment_blocks blocks (131072 unless built otherwise).
 * @return false when it is none, or lies behind the last block number.
 */
bool hq_wal_summary_path(const char *path, uint32_t segment_blocks, struct hq_relation_fork *out,
                         uint32_t *first_block);

/** A timeline of the history that leads to the present one. */
struct hq_wal_summary_step {
    uint32_t timeline;
    uint64_t end_lsn; /**< from here on the next one holds; UINT64_MAX for the present one */
};

struct hq_wal_summary_request {
    const char *directory; /**< of the cluster's summaries */
    uint64_t system_identifier;
    uint32_t segment_size;                   /**< of WAL */
    const struct hq_wal_summary_step *steps; /**< oldest first; older than needed may be missing */
    size_t step_count;
    uint64_t from_lsn, to_lsn; /**< records that begin in [from, to) */
};

/** Why there is no complete set. */
struct hq_wal_summary_hole {
    uint64_t from_lsn, to_lsn; /**< the first stretch that is not known */
    char why[200];
};

struct hq_wal_summary;
/**
 * Merge the files of a range. @return 0 with *out the complete set, or with *out NULL and @p hole
 * filled; -1 (NOMEM) when the one who asked is in trouble, and not the files.
 * An empty range is complete.
 */
int hq_wal_summary_load(const struct hq_wal_summary_request *request, struct hq_wal_summary **out,
                        struct hq_wal_summary_hole *hole, struct hq_error *err) HQ_MUST_CHECK;
/** NULL: no-op. */
void hq_wal_summary_free(struct hq_wal_summary *s);

enum hq_wal_summary_state {
    HQ_WAL_SUMMARY_UNCHANGED, /**< no block of it, of those that were there at from_lsn */
    HQ_WAL_SUMMARY_CHANGED,   /**< those that hq_wal_summary_block() says */
    HQ_WAL_SUMMARY_UNTRUSTED  /**< may be altogether another: nothing may be taken from a parent */
};

struct hq_wal_summary_view {
    enum hq_wal_summary_state state;
    uint32_t limit_block; /**< from here on all changed; UINT32_MAX: there is no such block */
    /* Private. */
    const struct hq_wal_summary *set;
    uint32_t relation;
};
/** How to treat a fork of a relation. UNTRUSTED holds for LSNs of its pages as well. */
void hq_wal_summary_relation(const struct hq_wal_summary *s, const struct hq_relation_fork *fork,
                             struct hq_wal_summary_view *out);
/** Whether @p block may have changed. */
bool hq_wal_summary_block(const struct hq_wal_summary_view *view, uint32_t block);
/**
 * The first block from @p block on and before @p end that may have changed; @p end when there is
 * none. Costs a look per 512 blocks passed over.
 */
uint32_t hq_wal_summary_next(const struct hq_wal_summary_view *view, uint32_t block, uint32_t end);

/** What is in a set, for statistics. */
struct hq_wal_summary_counts {
    uint64_t relations, blocks, untrusted; /**< untrusted: databases */
    uint64_t files;                        /**< that were merged */
};
void hq_wal_summary_count(const struct hq_wal_summary *s, struct hq_wal_summary_counts *out);

/** What is worth keeping. */
struct hq_wal_summary_keep {
    uint64_t system_identifier; /**< files of others go */
    uint32_t segment_size;
    uint64_t from_lsn;  /**< segments that end at or before it go; 0: none */
    uint64_t bytes_max; /**< the oldest go while all files together are more */
};
/** Delete what no backup can ask for again. */
int hq_wal_summary_prune(const char *directory, const struct hq_wal_summary_keep *keep,
                         struct hq_error *err) HQ_MUST_CHECK;

#endif
