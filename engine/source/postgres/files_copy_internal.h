/**
 * @file files_copy_internal.h
 * What the walking thread (files_copy.c) and the reading ones (files_worker.c) share.
 */
#ifndef HQ_POSTGRES_FILES_COPY_INTERNAL_H
#define HQ_POSTGRES_FILES_COPY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "files_copy.h"
#include "pipeline/lane.h"

/** A file as it was opened. Held by each of its stretches, and closed with the last. */
struct files_source {
    struct files_file file;
    struct hq_entry entry;
    bool inherit;    /**< pages may be the parent's */
    bool summarized; /**< and WAL says which are, by `changes` */
    struct hq_wal_summary_view changes;
    struct hq_backup_file *into; /**< NULL: whoever reads its only stretch makes it */
    atomic_uint holds;
    char path[];
};

void files_source_release(struct files_source *source);
struct hq_backup_file_options files_source_options(const struct files_source *source);

/** A stretch on its way to a thread. */
struct files_task {
    struct files_source *source;
    uint64_t offset, end;
};

struct files_copy {
    struct files_copy_options options;
    struct hq_queue *tasks; /**< struct files_task */
    struct hq_backup_lane **lanes;
    pthread_t *threads;
    unsigned running; /**< threads to be joined */
    size_t tablespace_cap;
    int64_t looked_us; /**< when the session was last looked at */
    atomic_uint next_lane;
    atomic_ullong done; /**< bytes read, or known without */
    uint64_t sample_seed;
    atomic_ullong sampled; /**< how often files_sample() was called */
    atomic_bool refuted;   /**< a page had changed that the summary of WAL does not name */

    pthread_mutex_t lock; /**< guards what follows */
    pthread_cond_t ended;
    unsigned working;
    bool failed;
    struct hq_error failure;
};

/** Remember the first failure and let nobody begin anything new. */
void files_copy_fail(struct files_copy *c, const struct hq_error *why);
/** How many of the blocks [@p block, @p end) from the first on can be the parent's, unread. */
uint32_t files_unchanged(const struct files_source *source, uint32_t block, uint32_t end);
/** How many of them are to be read before some that can be taken over; at least 1. */
uint32_t files_changed(const struct files_source *source, uint32_t block, uint32_t end);
/**
 * Have the kernel read what will be read behind @p at, in a stretch that ends at @p end (bytes).
 * *@p asked: how far it was asked to; 0 at first.
 */
void files_ahead(const struct files_source *source, uint64_t at, uint64_t end, uint64_t *asked);
/**
 * Look at one of @p count blocks from @p block on that are about to be taken over unread. If WAL
 * changed it since the parent, the summary is refuted, loudly. Some calls look at nothing.
 */
int files_sample(struct files_copy *c, const struct files_source *source, uint32_t block,
                 uint32_t count, struct hq_error *err) HQ_MUST_CHECK;
/** The body of a reading thread. */
void *files_work(void *copy);

#endif
