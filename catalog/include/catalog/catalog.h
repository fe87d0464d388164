/**
 * @file catalog.h
 * The SQLite catalog: what the repository holds, known locally (chunks, packs, backups, WAL) and
 * what this site did (jobs). A cache with a history: losing it loses nothing that _rebuild can't
 * bring back, except the record of jobs.
 *
 * Opening checks integrity; a damaged catalog is renamed aside, reported in the log, and made anew
 * by the next _sync. Migrations are numbered and run at opening; a newer schema is UNSUPPORTED.
 * Threads  any thread; one mutex inside. Processes: SQLite's locking (WAL mode, busy time-out).
 * Durable  what a call changed survives a crash when it returns 0 (synchronous=FULL).
 */
#ifndef HQ_CATALOG_CATALOG_H
#define HQ_CATALOG_CATALOG_H

#include "repository/audit.h"
#include "repository/index.h"
#include "repository/manifest.h"
#include "repository/wal.h"

struct hq_catalog;

/** Open or create @p path. @p repository_id (16 bytes): a catalog of another one is set aside.
    A new one knows nothing before the first hq_catalog_sync(). */
int hq_catalog_open(const char *path, const uint8_t *repository_id, struct hq_catalog **out,
                    struct hq_error *err) HQ_MUST_CHECK;
void hq_catalog_close(struct hq_catalog *c);

/**
 * Make the catalog agree with the repository: read indexes and roots it does not know, forget
 * those that are gone, list packs/ and forget the chunks of packs that are missing or have
 * another size (the next backup stores them again), take WAL objects in (header read by range).
 * Cost follows what is new, plus the listings. @p cluster NULL: all clusters.
 */
int hq_catalog_sync(struct hq_catalog *c, const struct hq_repository *repository,
                    const char *cluster, struct hq_error *err) HQ_MUST_CHECK;
/**
 * The same for backups, WAL and audit records of @p cluster alone: what continuity is made of.
 * Costs the listings of those, and what is new.
 */
int hq_catalog_sync_continuity(struct hq_catalog *c, const struct hq_repository *repository,
                               const char *cluster, struct hq_error *err) HQ_MUST_CHECK;
/** Empty all but the jobs, then _sync everything. */
int hq_catalog_rebuild(struct hq_catalog *c, const struct hq_repository *repository,
                       struct hq_error *err) HQ_MUST_CHECK;

/** Whether a usable copy of the chunk is stored. Errors count as "no": it is then stored again. */
bool hq_catalog_chunk_known(struct hq_catalog *c, const struct hq_id *id);
/** Where a usable copy of the chunk is; MISSING when none is known. */
int hq_catalog_chunk_place(struct hq_catalog *c, const struct hq_id *id, struct hq_place *out,
                           struct hq_error *err) HQ_MUST_CHECK;
/** A number that grows whenever chunks that were stored are found to be gone. */
int hq_catalog_losses(struct hq_catalog *c, int64_t *losses, struct hq_error *err) HQ_MUST_CHECK;
/** What only who makes a backup can know of it. */
struct hq_backup_note {
    int64_t losses;            /**< hq_catalog_losses() when all its chunks were known */
    int64_t server_started_us; /**< of the server it was read from; 0: not known */
    int64_t server_clock_us;   /**< the server's clock when it began; 0: not known */
};
int hq_catalog_note_backup(struct hq_catalog *c, const char *cluster, const char *backup,
                           const struct hq_backup_note *note, struct hq_error *err) HQ_MUST_CHECK;
/** What was noted; all zero where nothing was. */
int hq_catalog_backup_note(struct hq_catalog *c, const char *cluster, const char *backup,
                           struct hq_backup_note *out, struct hq_error *err) HQ_MUST_CHECK;
/** The server was seen where it can't be in one history: what was noted proves nothing any more. */
int hq_catalog_forget_notes(struct hq_catalog *c, const char *cluster,
                            struct hq_error *err) HQ_MUST_CHECK;
/** Whether that was noted, and nothing was lost since. */
int hq_catalog_backup_intact(struct hq_catalog *c, const char *cluster, const char *backup,
                             bool *intact, struct hq_error *err) HQ_MUST_CHECK;
/** Record a published index and its packs, in one transaction. */
int hq_catalog_add_index(struct hq_catalog *c, const struct hq_id *index,
                         struct hq_pack *const *packs, size_t count,
                         struct hq_error *err) HQ_MUST_CHECK;
int hq_catalog_add_backup(struct hq_catalog *c, const struct hq_root *root,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Record a WAL object that is durable in the store. */
int hq_catalog_add_wal(struct hq_catalog *c, const char *cluster, const struct hq_wal_info *info,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Parts that lie within [start, end) are superseded: forget them. */
int hq_catalog_drop_wal_parts(struct hq_catalog *c, const char *cluster,
                              const struct hq_wal_info *by, struct hq_error *err) HQ_MUST_CHECK;

/** Backups of @p cluster (NULL: all) by lineage, then oldest first; chunks of the roots are not
 * filled. */
typedef int hq_catalog_backup_fn(const struct hq_root *root, void *context, struct hq_error *err);
int hq_catalog_backups(struct hq_catalog *c, const char *cluster, hq_catalog_backup_fn *each,
                       void *context, struct hq_error *err) HQ_MUST_CHECK;

/** A stretch of WAL without a hole. */
struct hq_wal_range {
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t start_lsn, end_lsn;
    int64_t first_commit_us, last_commit_us; /**< 0: none seen */
};
typedef int hq_wal_range_fn(const struct hq_wal_range *range, void *context, struct hq_error *err);
/** Ranges in order of cluster, system, timeline, LSN. */
int hq_catalog_wal_ranges(struct hq_catalog *c, const char *cluster, hq_wal_range_fn *each,
                          void *context, struct hq_error *err) HQ_MUST_CHECK;

/** WAL objects of one system, history files too, in order of timeline and LSN. */
typedef int hq_catalog_wal_fn(const struct hq_wal_info *info, void *context, struct hq_error *err);
int hq_catalog_wal_objects(struct hq_catalog *c, const char *cluster, uint64_t system_identifier,
                           hq_catalog_wal_fn *each, void *context,
                           struct hq_error *err) HQ_MUST_CHECK;
/** Audit records, in order of time. */
int hq_catalog_audit_records(struct hq_catalog *c, const char *cluster, hq_audit_fn *each,
                             void *context, struct hq_error *err) HQ_MUST_CHECK;
/** Clusters that have a backup or WAL, by name. */
typedef int hq_catalog_cluster_fn(const char *cluster, void *context, struct hq_error *err);
int hq_catalog_clusters(struct hq_catalog *c, hq_catalog_cluster_fn *each, void *context,
                        struct hq_error *err) HQ_MUST_CHECK;
/** A number that is another one whenever the catalog has changed, whichever process did it. */
int hq_catalog_version(struct hq_catalog *c, uint64_t *version, struct hq_error *err) HQ_MUST_CHECK;

/** Jobs: what was begun here and how it ended. @p id is set. */
int hq_catalog_job_begin(struct hq_catalog *c, const char *cluster, const char *kind, int64_t *id,
                         struct hq_error *err) HQ_MUST_CHECK;
/** @p why NULL: succeeded. @p subject: the backup made, or "". */
int hq_catalog_job_end(struct hq_catalog *c, int64_t id, const char *subject,
                       const struct hq_error *why, struct hq_error *err) HQ_MUST_CHECK;

#endif
