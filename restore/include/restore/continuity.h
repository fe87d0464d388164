/**
 * @file continuity.h
 * What of a cluster can be recovered, without a hole, and where the holes are: one computation, fed
 * by listings of the repository (hq-restore, verify) or by the catalog (hq-backup, hq-backupd), so
 * that all say the same.
 *
 * A backup is complete when every byte of WAL from its start to its stop is stored. A range begins
 * where a complete backup ends and reaches as far as WAL goes on without a hole; backups that
 * follow within it belong to it. A gap is WAL that is missing behind the oldest backup while later
 * WAL of the same path of timelines is stored; what nobody stored yet, at the end, is none.
 * Threads  one.
 */
#ifndef HQ_RESTORE_CONTINUITY_H
#define HQ_RESTORE_CONTINUITY_H

#include "repository/audit.h"
#include "restore/plan.h"

struct hq_gap {
    uint64_t system_identifier;
    uint32_t timeline;                        /**< whose file first_segment is */
    uint64_t from_lsn, to_lsn;                /**< to_lsn excluded */
    char first_segment[25], last_segment[25]; /**< files of which bytes are missing */
    uint64_t segments;                        /**< how many files those are */
    int64_t last_commit_us;                   /**< newest commit before it, 0: none seen */
    int64_t next_commit_us;                   /**< oldest behind it that is stored, 0: none */
    bool covered;                             /**< a complete backup begins behind it */
    bool acknowledged;                        /**< by `by`; a gap that has grown is not */
    struct hq_audit_record by;
};
/** "open", "acknowledged" or "covered". */
const char *hq_gap_state(const struct hq_gap *gap);

/** A timeline that the cluster left, and that --target-timeline still leads to. */
struct hq_recovery_branch {
    struct hq_recovery_range range; /**< from its first backup on, along that timeline */
    uint64_t left_lsn;              /**< from here on it is on no range's way */
};

struct hq_continuity {
    struct hq_recovery_range *ranges; /**< in order of their first backups */
    size_t range_count;
    struct hq_recovery_branch *branches; /**< in order of system, the newest timelines first */
    size_t branch_count;
    struct hq_gap *gaps; /**< in order of lineage and position */
    size_t gap_count;
    bool *complete; /**< of each backup, in the order of the list */
    size_t backup_count;
};
void hq_continuity_clear(struct hq_continuity *c);
/** Gaps that no complete backup covers: those @p acknowledged, or those that are not. */
size_t hq_continuity_gaps(const struct hq_continuity *c, bool acknowledged);
/**
 * The range that a restore of --latest ends in: of the system with the newest backup, on its newest
 * timeline; a former primary's later backup does not count. NULL: there is no range.
 */
const struct hq_recovery_range *hq_continuity_newest(const struct hq_continuity *c);

struct hq_continuity_input {
    const struct hq_backup_list *list; /**< in order */
    /** The WAL of one system. @p out is the caller's. */
    int (*inventory)(void *context, const struct hq_root *root, struct hq_wal_inventory **out,
                     struct hq_error *err);
    void *context;
    const struct hq_audit_record *records; /**< of any kind */
    size_t record_count;
    uint32_t timeline; /**< only along this one; 0: from each backup to the newest, and
                            what else there is as branches */
};
/** hq_continuity_clear() in any case. */
int hq_continuity_make(const struct hq_continuity_input *input, struct hq_continuity *out,
                       struct hq_error *err) HQ_MUST_CHECK;
/** From the repository alone. @p list gets the backups; hq_backup_list_clear() in any case. */
int hq_continuity_load(const struct hq_repository *repository, const char *cluster,
                       struct hq_backup_list *list, struct hq_continuity *out,
                       struct hq_error *err) HQ_MUST_CHECK;

#endif
