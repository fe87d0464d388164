/**
 * @file files_copy.h
 * Copies the files of a data directory to a backup with several threads: one walks and opens, each
 * of the others reads stretches of files and has its own lane into the repository
 * (pipeline/lane.h). A big file is cut into stretches, so that one relation keeps all of them busy.
 *
 * Memory   a piece for each thread, and some hundred bytes for each stretch that waits; a few
 *          stretches, and descriptors, for each thread.
 * Threads  the functions below belong to one.
 * Failure  the first one stops all threads; every later call returns it.
 */
#ifndef HQ_POSTGRES_FILES_COPY_H
#define HQ_POSTGRES_FILES_COPY_H

#include "files_internal.h"

struct files_copy;

struct files_copy_options {
    struct hq_pg_files *files;
    const struct hq_base_backup_options *backup;
    unsigned workers; /**< threads that read, >= 1 */
    struct hq_backup_writer *writer;
    struct hq_root *root; /**< start_lsn and block_size are looked at; tablespaces are added */
};

int files_copy_new(const struct files_copy_options *options, struct files_copy **out,
                   struct hq_error *err) HQ_MUST_CHECK;
/** Stop all threads and free. NULL is a no-op. */
void files_copy_free(struct files_copy *c);
/** A hq_datadir_visit() with the copy as context. */
int files_copy_item(const struct hq_datadir_item *item, void *copy,
                    struct hq_error *err) HQ_MUST_CHECK;
/** No more items: wait until all are copied. */
int files_copy_wait(struct files_copy *c, struct hq_error *err) HQ_MUST_CHECK;
/** Add a file of which the content is at hand. @pre files_copy_wait() */
int files_copy_bytes(struct files_copy *c, const struct hq_entry *entry, const void *bytes,
                     size_t len, struct hq_error *err) HQ_MUST_CHECK;
/** Hand over what is open. @pre files_copy_wait() */
int files_copy_finish(struct files_copy *c, struct hq_error *err) HQ_MUST_CHECK;

#endif
