/**
 * @file parent.h
 * The backup that a new one takes unchanged pages from.
 *
 * Why a page with an LSN older than the parent's start is the page that the parent has: the
 * checkpoint that began the parent wrote every change before its start; the page was not changed
 * since, or its LSN would be newer. One flag changes without an LSN where there are neither
 * checksums nor wal_log_hints, and must not be lost, for the visibility map says the same of the
 * page: PD_ALL_VISIBLE. A page that has it is compared with the parent's page sum besides, unless
 * there were checksums all the time. The rule holds only within one history of the cluster: whoever
 * makes a parent has made sure of it (engine/backup_parent.h), and per file says so.
 *
 * Memory   some 150 bytes for each relation file of the parent, and metadata packs as
 *          repository/chunk_reader.h says.
 * Threads  any, after _new; one lock inside, around reading page maps.
 */
#ifndef HQ_PIPELINE_PARENT_H
#define HQ_PIPELINE_PARENT_H

#include "catalog/catalog.h"
#include "repository/chunk_reader.h"

struct hq_backup_parent;

struct hq_backup_parent_options {
    const struct hq_repository *repository; /**< borrowed */
    struct hq_catalog *catalog;             /**< synchronised; borrowed */
    const struct hq_root *root;             /**< the parent's, with its chunks; borrowed */
    int64_t server_clock_us;                /**< the server's when the parent began; 0: unknown */
    bool same_run; /**< the server was not started anew since: checksums are as they were */
};

/** A file of the parent: relation files, and PG_VERSION of each database. */
struct hq_parent_file {
    enum hq_entry_type type;
    uint64_t size;
    int64_t mtime_us;
    struct hq_chunk_ref page_map;
};

/** Read the parent's manifest. Errors as reading it gives: MISSING, CORRUPT, TRANSIENT … */
int hq_backup_parent_new(const struct hq_backup_parent_options *options,
                         struct hq_backup_parent **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_backup_parent_free(struct hq_backup_parent *parent);
/** @return borrowed, NULL: it had no such file. */
const struct hq_parent_file *hq_backup_parent_find(const struct hq_backup_parent *parent,
                                                   const char *path);
/** Whether all chunks of the parent are stored, as far as the catalog has ever seen. */
bool hq_backup_parent_is_intact(const struct hq_backup_parent *parent);
typedef int hq_parent_file_fn(const char *path, const struct hq_parent_file *file, void *context,
                              struct hq_error *err);
/**
 * Call @p each for the relation files whose pages could all be taken over unread: their chunks are
 * stored, and together at least half in use. None of a parent that is not intact. Reads the page
 * maps of files that were often written to.
 */
int hq_backup_parent_each(struct hq_backup_parent *parent, hq_parent_file_fn *each, void *context,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Pages with an LSN from the first on (lower ones are no LSN of WAL), and below the second. */
void hq_backup_parent_range(const struct hq_backup_parent *parent, uint64_t *from, uint64_t *to);
/** Whether a page may have been called all-visible since, without a new LSN. */
bool hq_backup_parent_flags_unlogged(const struct hq_backup_parent *parent);
/** When the parent began, by the server's clock; 0: not known. */
int64_t hq_backup_parent_started(const struct hq_backup_parent *parent);

#endif
