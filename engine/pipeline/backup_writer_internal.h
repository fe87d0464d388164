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
#include "repository/pagemap.h"

/*
 * One entry of the manifest in the making. The source thread creates and extends it; workers fill
 * in ids of chunks that were appended before. Both hold writer->lock while they touch refs or map.
 */
struct record {
    struct hq_entry
        entry; /**< path and target owned; chunks, page_map and damaged set at the end */
    struct hq_chunk_ref *refs;
    size_t ref_count, ref_cap;
    struct hq_page_map map;
    uint32_t *damaged;
    size_t damaged_count, damaged_cap;
};

struct record *record_new(const struct hq_entry *entry, struct hq_error *err) HQ_MUST_CHECK;
void record_free(struct record *record);
/** Append a chunk whose id is not known yet; @p number says which it is. */
int record_add_ref(struct record *record, uint32_t raw, uint32_t *number,
                   struct hq_error *err) HQ_MUST_CHECK;

/** A chunk on its way to a worker; owns its bytes. */
struct job {
    struct record *record; /**< borrowed: records outlive all jobs */
    uint32_t number;       /**< of the chunk in refs or map.chunks */
    enum hq_chunk_kind kind;
    size_t len;
    uint8_t bytes[];
};

/** One open pack and what filling it needs: a worker's, or the finisher's for metadata. */
struct stage {
    struct hq_backup_writer *writer;
    enum hq_pack_type type;
    struct hq_pack_writer *pack; /**< NULL until the first chunk */
    struct hq_compressor *compressor;
    struct hq_buf frame;
};

int stage_init(struct stage *s, struct hq_backup_writer *w, enum hq_pack_type type,
               struct hq_error *err) HQ_MUST_CHECK;
void stage_clear(struct stage *s);
/** Identify the bytes and store them unless the repository has them. */
int stage_store(struct stage *s, enum hq_chunk_kind kind, const void *raw, size_t len,
                struct hq_id *id, struct hq_error *err) HQ_MUST_CHECK;
/** Hand the open pack, if any, to the uploaders. */
int stage_flush(struct stage *s, struct hq_error *err) HQ_MUST_CHECK;

struct hq_backup_writer {
    struct hq_backup_writer_options options;
    struct hq_chunk_ids *ids;
    struct hq_chunker chunker;

    struct hq_queue *jobs;  /**< struct job */
    struct hq_queue *packs; /**< struct hq_pack, finished */
    pthread_t *threads;     /**< workers, then uploaders */
    unsigned workers_running, uploaders_running;

    pthread_mutex_t lock; /**< guards what follows and the records' chunk lists */
    struct id_set stored;
    struct hq_backup_statistics statistics;
    struct hq_pack **published; /**< packs whose put returned, without bytes */
    size_t published_count, published_cap;
    bool failed;
    struct hq_error failure;

    /* The source thread's own. */
    struct record **records;
    size_t record_count, record_cap;
    struct record *open; /**< file being written, the last of records */
    uint32_t block_size;
    struct hq_buf pending; /**< bytes not yet cut into a chunk */
    uint64_t received;     /**< bytes of the open file so far */
};

/** Remember the first failure and stop every thread. */
void writer_fail(struct hq_backup_writer *w, const struct hq_error *why);
/** 0, or -1 with the failure of whoever failed first. */
int writer_check(struct hq_backup_writer *w, struct hq_error *err) HQ_MUST_CHECK;
void *writer_work(void *writer);
void *writer_upload(void *writer);
/** Wait for the workers (jobs closed), or for the uploaders (packs closed). */
void writer_join_workers(struct hq_backup_writer *w);
void writer_join_uploaders(struct hq_backup_writer *w);
/** Double an array of pointers or values when it is full. */
int array_grow(void **array, size_t *cap, size_t count, size_t item,
               struct hq_error *err) HQ_MUST_CHECK;

#endif
