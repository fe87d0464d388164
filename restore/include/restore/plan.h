/**
 * @file plan.h
 * What can be recovered, and how one recovery would go: from the repository alone.
 * Threads  one.
 */
#ifndef HQ_RESTORE_PLAN_H
#define HQ_RESTORE_PLAN_H

#include <stdatomic.h>

#include "repository/index.h"
#include "repository/lineage.h"
#include "repository/manifest.h"
#include "restore/wal_inventory.h"

enum hq_target_type {
    HQ_TARGET_LATEST,    /**< to the end of WAL */
    HQ_TARGET_IMMEDIATE, /**< the earliest consistent point of the backup */
    HQ_TARGET_TIME,
    HQ_TARGET_LSN,
    HQ_TARGET_XID,
    HQ_TARGET_NAME,
};

/** Who is told while WAL is read to find a transaction or restore point. */
struct hq_target_watch {
    void (*searched)(void *context, uint64_t stored_bytes);
    void *context;
    const atomic_int *stop; /**< NULL: none */
};

struct hq_target {
    enum hq_target_type type;
    int64_t time_us;
    uint64_t lsn;
    const char *text;   /**< xid or name, borrowed */
    bool exclusive;     /**< stop just before, not after */
    uint32_t timeline;  /**< 0: the newest that a backup before the target leads to */
    const char *backup; /**< NULL: the newest that can reach the target; borrowed */
    const struct hq_target_watch *watch; /**< NULL: none; borrowed */
};

/** The backups of one cluster in order of lineage, then of time: the last is the newest. */
struct hq_backup_list {
    struct hq_root *roots; /**< owned; manifest chunks included */
    size_t count;
    struct hq_lineages lineages;
    uint64_t unreadable; /**< roots that are damaged: logged and left out */
};
void hq_backup_list_clear(struct hq_backup_list *list);
/** Put roots in order, by the lineages that are there already. */
void hq_backup_list_sort(struct hq_backup_list *list);
int hq_backup_list_load(const struct hq_repository *repository, const char *cluster,
                        struct hq_backup_list *out, struct hq_error *err) HQ_MUST_CHECK;
/** Called once for each cluster with a backup, by name. */
typedef int hq_cluster_fn(const char *cluster, void *context, struct hq_error *err);
int hq_clusters(const struct hq_repository *repository, hq_cluster_fn *each, void *context,
                struct hq_error *err) HQ_MUST_CHECK;

/** A stretch of time without a hole that any point of can be recovered to. */
struct hq_recovery_range {
    uint64_t system_identifier;
    size_t lineage;            /**< its number, from 1 for the oldest */
    uint32_t timeline;         /**< at its end */
    int64_t from_us, to_us;    /**< to_us 0: consistent at the backup, no commit seen since */
    uint64_t from_lsn, to_lsn; /**< stop of the first backup, end of WAL */
    char first_backup[HQ_BACKUP_ID_MAX + 1], last_backup[HQ_BACKUP_ID_MAX + 1];
    size_t backups;
};
typedef int hq_recovery_range_fn(const struct hq_recovery_range *range, void *context,
                                 struct hq_error *err);
/** The ranges of @p cluster in order of lineage and time. Backups whose own WAL is incomplete have
 * none. */
int hq_recovery_ranges(const struct hq_repository *repository, const char *cluster,
                       hq_recovery_range_fn *each, void *context,
                       struct hq_error *err) HQ_MUST_CHECK;

/**
 * Another timeline that has the target too, behind the point where its way and the plan's part: a
 * time or LSN then names two points, and nobody but the user knows which is meant.
 */
struct hq_plan_branch {
    uint32_t timeline;
    uint64_t parted_lsn;
    /* Of a time. With a sidecar's key, which can't open WAL, commits may be from before that. */
    int64_t first_commit_us, last_commit_us; /**< that it alone has */
    int64_t own_commit_us; /**< first commit behind it along the plan's timeline; 0: none */
    bool only_there;       /**< it committed up to the target, the plan's did not yet */
};

/** A recovery that is possible as far as listings tell. */
struct hq_plan {
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    struct hq_target target;
    struct hq_root root;
    size_t lineage; /**< number of the backup's, as in a range */
    bool former;    /**< the cluster is another system by now */
    struct hq_wal_inventory *wal;
    struct hq_timeline_path path;
    struct hq_wal_coverage coverage; /**< to the end; for IMMEDIATE to the backup's */
    uint64_t target_lsn;             /**< of XID and NAME: where their record begins */
    int64_t last_commit_us;
    bool at_end; /**< nothing is stored behind the target, which is a time or LSN */
    struct hq_plan_branch *branches; /**< where no timeline was asked for; owned; those that have
                                          what the plan lacks first */
    size_t branch_count;
    struct hq_index_map *index;
    uint64_t damaged_indexes;
    uint64_t packs, pack_bytes; /**< that the backup's chunks lie in: what is fetched at most */
    uint64_t *zero_bytes;       /**< of pages that stay holes: in the data directory, then in each
                                     tablespace; owned, NULL: none are known */
    uint64_t missing_chunks;    /**< no index names them, or their pack is not there whole */
    char first_missing[HQ_PATH_BYTES_MAX + 1]; /**< a file that needs one of those */
};
void hq_plan_clear(struct hq_plan *plan);
/**
 * Choose the backup and check that everything exists. RANGE, naming the range, when the target
 * is before the first or after the last recoverable point, or a transaction or restore point that
 * no stored WAL behind a backup holds (that WAL is read to find it); MISSING when the cluster has
 * no backup, or, unless @p allow_damaged, when an object the restore needs is not there.
 */
int hq_plan_make(const struct hq_repository *repository, const char *cluster,
                 const struct hq_target *target, bool allow_damaged, struct hq_plan *out,
                 struct hq_error *err) HQ_MUST_CHECK;

#endif
