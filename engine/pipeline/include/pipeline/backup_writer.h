/**
 * @file backup_writer.h
 * Turns files, as a source delivers them, into packs, an index and the manifest of one backup.
 *
 *     source thread: _file_begin, _data…, _file_end, _entry… -> jobs (a chunk each)
 *     workers:       compress, identify, drop what is known, seal into their own open pack
 *     uploaders:     put finished packs
 *     source thread: _finish: page maps and manifest -> metadata packs -> index -> caller: root
 *
 * Nothing refers to a pack before its put returned: what a crash leaves is garbage (§14).
 * Threads  the functions below belong to one thread, the source's.
 * Memory   bounded: jobs in flight × chunk size + one open pack a worker + packs being uploaded;
 *          and some 200 bytes + chunk ids for each file until _finish.
 * Failure  the first one, wherever it happens, stops all threads; every later call returns it.
 */
#ifndef HQ_PIPELINE_BACKUP_WRITER_H
#define HQ_PIPELINE_BACKUP_WRITER_H

#include "catalog/catalog.h"
#include "repository/manifest.h"

struct hq_backup_writer;

struct hq_backup_writer_options {
    const struct hq_repository *repository; /**< borrowed */
    struct hq_catalog *catalog;             /**< known chunks, synchronised before; borrowed */
    int compression_level;                  /**< zstd, 1 to 19 */
    unsigned workers;                       /**< compressing threads, >= 1 */
    unsigned uploaders;                     /**< uploading threads, >= 1 */
};

struct hq_backup_statistics {
    uint64_t files, bytes, pages, damaged_pages;
    uint64_t new_bytes;    /**< raw bytes of chunks that were new */
    uint64_t stored_bytes; /**< bytes of the packs put */
    uint64_t packs;
};

int hq_backup_writer_new(const struct hq_backup_writer_options *options,
                         struct hq_backup_writer **out, struct hq_error *err) HQ_MUST_CHECK;
/** Stop all threads and free; without a _finish before, nothing of it is referred to. */
void hq_backup_writer_free(struct hq_backup_writer *w);

/** A directory or symbolic link: recorded as it is (strings copied). */
int hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                           struct hq_error *err) HQ_MUST_CHECK;
/**
 * Begin a file. @p entry gives path, mode, owner, mtime and, for HQ_ENTRY_RELATION, the exact
 * size, a positive multiple of @p block_size; for HQ_ENTRY_FILE the size is what arrives.
 */
int hq_backup_writer_file_begin(struct hq_backup_writer *w, const struct hq_entry *entry,
                                uint32_t block_size, struct hq_error *err) HQ_MUST_CHECK;
int hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                          struct hq_error *err) HQ_MUST_CHECK;
/** Note that block @p block of the open relation file failed its checksum (stored as it is). */
int hq_backup_writer_damaged(struct hq_backup_writer *w, uint32_t block,
                             struct hq_error *err) HQ_MUST_CHECK;
int hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Wait for all chunks, store page maps and manifest, publish the index, tell the catalog. Fills
 * manifest and statistics of @p root; the caller adds the rest and publishes the root with
 * hq_root_write(). All packs and indexes are durable when it returns 0.
 */
int hq_backup_writer_finish(struct hq_backup_writer *w, struct hq_root *root,
                            struct hq_backup_statistics *statistics,
                            struct hq_error *err) HQ_MUST_CHECK;

#endif
