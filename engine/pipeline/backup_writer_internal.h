/**
 * @file backup_writer_internal.h
 * What the files of the backup writer share: see pipeline/backup_writer.h for the picture.
 */
#ifndef HQ_PIPELINE_BACKUP_WRITER_INTERNAL_H
#define HQ_PIPELINE_BACKUP_WRITER_INTERNAL_H

#include <pthread.h>

#include "base/queue.h"
#include "id_set.h"
#include "pipeline/backup_writer.h"
#include "pipeline/chunker.h"
#include "pipeline/lane.h"
#include "record.h"
#include "stage.h"

/** Blocks of a stretch that are the parent's. */
struct skip {
    uint32_t after; /**< so many of the stretch's pages */
    uint32_t count;
};

/** What a worker of the writer's own does: a stretch of pages, or a chunk of a plain file. */
struct job {
    struct hq_backup_file *file; /**< a hold on it */
    uint32_t number;             /**< the stretch's first block, or the chunk's number */
    struct hq_buf bytes;
    struct skip *skips;
    size_t skip_count;
};
/** Of one `struct job`, whatever it holds. */
void job_free(void *job);

struct hq_backup_writer {
    struct hq_backup_writer_options options;
    struct hq_chunk_ids *ids;
    struct hq_chunker chunker;

    struct hq_queue *jobs;  /**< struct job */
    struct hq_queue *packs; /**< struct hq_pack, finished */
    pthread_t *threads;     /**< workers, then uploaders */
    unsigned workers_running, uploaders_running;

    pthread_mutex_t metadata_lock; /**< guards metadata; taken before lock */
    struct stage metadata;         /**< page maps, page sums, and in the end the manifest */
    pthread_mutex_t index_lock;    /**< one index at a time; taken before lock */

    pthread_mutex_t lock; /**< guards what follows, and what files say it guards */
    struct id_set stored; /**< chunks of this backup that the catalog does not know yet */
    struct hq_backup_statistics statistics;
    struct hq_pack **published; /**< packs whose put returned and that no index names yet */
    size_t published_count, published_cap;
    uint64_t published_entries;
    struct record **records;
    size_t record_count, record_cap;
    struct hq_backup_file *files; /**< those under way, a list */
    /** Empty, with room for a stretch: the kernel clears what it hands out. */
    struct hq_buf *spares;
    size_t spare_count, spare_max; /**< as many as can be on their way */
    bool failed;
    struct hq_error failure;

    /* The source thread's own. */
    struct hq_backup_file *open; /**< file being written */
    struct hq_buf pending;       /**< bytes not yet given to a worker */
    struct skip *skips;          /**< of the stretch that is pending */
    size_t skip_count, skip_cap;
    uint32_t stretch_block; /**< where it begins */
    uint64_t received;      /**< bytes of the open file so far, with those of the parent */
};

/** Remember the first failure and stop every thread. */
void writer_fail(struct hq_backup_writer *w, const struct hq_error *why);
/** 0, or -1 with the failure of whoever failed first. */
int writer_check(struct hq_backup_writer *w, struct hq_error *err) HQ_MUST_CHECK;
/** Take memory back that was a stretch's; @p b is empty and without any then. */
void writer_give_spare(struct hq_backup_writer *w, struct hq_buf *b);
/** Memory for a stretch of @p bytes, new where there is none to spare. @pre @p b has none. */
int writer_take_spare(struct hq_backup_writer *w, size_t bytes, struct hq_buf *b,
                      struct hq_error *err) HQ_MUST_CHECK;
void *writer_work(void *writer);
void *writer_upload(void *writer);
/** Wait for the workers (jobs closed), or for the uploaders (packs closed). */
void writer_join_workers(struct hq_backup_writer *w);
void writer_join_uploaders(struct hq_backup_writer *w);
/** Add a record, which the writer owns from now on in any case. */
int writer_add_record(struct hq_backup_writer *w, struct record *record,
                      struct hq_error *err) HQ_MUST_CHECK;
/** Put metadata by way of the one stage for it. Any thread. */
int writer_store_metadata(struct hq_backup_writer *w, enum hq_chunk_kind kind, const void *raw,
                          size_t len, struct hq_id *id, struct hq_error *err) HQ_MUST_CHECK;
/** Publish an index of the packs that none names yet, when they hold @p entries chunks or more. */
int writer_publish_index(struct hq_backup_writer *w, uint64_t entries,
                         struct hq_error *err) HQ_MUST_CHECK;

#endif
