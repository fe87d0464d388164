/**
 * @file backup_writer.h
 * Turns files, as a source delivers them, into packs, an index and the manifest of one backup.
 *
 * A source that may read where it likes brings threads of its own, each with a lane
 * (pipeline/lane.h): what it reads goes from there to a pack without changing threads. A source
 * that gets one stream of bytes hands them to the functions below, and the writer's workers, which
 * have a lane each, do the rest:
 *
 *     source thread: _file_begin, _data and _skip…, _file_end, _entry… -> jobs
 *     workers:       check pages, compare with the parent, compress, identify, drop what is known,
 *                    seal into their own open pack
 *     uploaders:     put finished packs; now and then publish an index of them
 *     last of a file: page map and page sums -> metadata pack
 *     _finish:       manifest -> metadata packs -> index -> caller: root
 *
 * Nothing refers to a pack before its put returned: what a crash leaves is garbage (§14).
 * Threads  _entry and _inherit: any. _file_begin to _file_end and _finish: one, the source's.
 * Memory   bounded: jobs in flight × stretch + one open pack a lane + packs being uploaded + the
 *          index of at most INDEX_ENTRIES chunks; and some 250 bytes for each file until _finish,
 *          36 for each chunk of a file that is not kept by page.
 * Failure  the first one, wherever it happens, stops all threads; every later call returns it.
 */
#ifndef HQ_PIPELINE_BACKUP_WRITER_H
#define HQ_PIPELINE_BACKUP_WRITER_H

#include "pipeline/parent.h"

struct hq_backup_writer;

struct hq_backup_writer_options {
    const struct hq_repository *repository; /**< borrowed */
    struct hq_catalog *catalog;             /**< known chunks, synchronised before; borrowed */
    struct hq_backup_parent *parent;        /**< borrowed; NULL: every page is stored */
    int compression_level;                  /**< zstd, 1 to 19 */
    unsigned workers;                       /**< of _data; 0 for a source with lanes of its own */
    unsigned uploaders;                     /**< uploading threads, >= 1 */
};

struct hq_backup_statistics {
    uint64_t files, bytes, pages, damaged_pages;
    uint64_t inherited_pages; /**< that are the parent's */
    uint64_t new_bytes;       /**< raw bytes of chunks that were new */
    uint64_t stored_bytes;    /**< bytes of the packs put */
    uint64_t packs;
    /**
     * How pages were found that are the parent's: "page-lsn", "wal-summary" (ours) or
     * "server-summary"; NULL: there is no parent. Set by engine/backup_job.h.
     */
    const char *found_by;
};

/** A file to come. */
struct hq_backup_file_options {
    /** path, mode, owner, mtime, and of a relation file the size: a multiple of block_size. */
    const struct hq_entry *entry;
    uint32_t block_size;    /**< of a relation file */
    uint32_t first_block;   /**< its number within the relation: checksums depend on it */
    uint64_t verify_before; /**< _data checks pages with a lower LSN than this; 0: none */
    bool inherit;           /**< pages may be the parent's */
    bool unread;            /**< with _skip: even those of chunks that are hardly in use */
};

int hq_backup_writer_new(const struct hq_backup_writer_options *options,
                         struct hq_backup_writer **out, struct hq_error *err) HQ_MUST_CHECK;
/** Stop all threads and free; without a _finish before, nothing of it is referred to. */
void hq_backup_writer_free(struct hq_backup_writer *w);

/** A directory or symbolic link: recorded as it is (strings copied). */
int hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                           struct hq_error *err) HQ_MUST_CHECK;
/**
 * A relation file of which the caller knows that no page has changed since the parent: its page map
 * is taken over, unread. @return 1 done; 0: it can't be (the parent has no such file of this size,
 * or not all of its chunks are known to be stored): read it; -1.
 */
int hq_backup_writer_inherit(struct hq_backup_writer *w, const struct hq_entry *entry,
                             uint32_t block_size, struct hq_error *err) HQ_MUST_CHECK;

int hq_backup_writer_file_begin(struct hq_backup_writer *w,
                                const struct hq_backup_file_options *options,
                                struct hq_error *err) HQ_MUST_CHECK;
int hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                          struct hq_error *err) HQ_MUST_CHECK;
/**
 * The next @p count blocks of a relation file, of which so far whole blocks came, are the parent's.
 * @return 1 done; 0: at least one can't be, and nothing was done; -1.
 */
int hq_backup_writer_skip(struct hq_backup_writer *w, uint32_t count,
                          struct hq_error *err) HQ_MUST_CHECK;
/** CORRUPT if a relation file's bytes are not as many as were announced. */
int hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Wait for all chunks, store the manifest, publish the index, tell the catalog. Fills manifest and
 * statistics of @p root; the caller adds the rest and publishes the root with hq_root_write(). All
 * packs and indexes are durable when it returns 0. @pre all lanes of the caller have finished
 */
int hq_backup_writer_finish(struct hq_backup_writer *w, struct hq_root *root,
                            struct hq_backup_statistics *statistics,
                            struct hq_error *err) HQ_MUST_CHECK;

#endif
