/**
 * @file spool_memory.h
 * Memory for segments on their way through the spool, so that what was just received is stored
 * without being read back: a bounded number of buffers, used again and again.
 * Threads  any.
 */
#ifndef HQ_POSTGRES_SPOOL_MEMORY_H
#define HQ_POSTGRES_SPOOL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    /** Of every buffer's address and size: what direct I/O wants of any file system. */
    SPOOL_BLOCK_BYTES = 4096
};

struct spool_memory;
/** @p limit: most bytes that are given out or kept at any time. NULL: NOMEM. */
struct spool_memory *spool_memory_new(size_t limit, struct hq_error *err) HQ_MUST_CHECK;
/** @pre all was given back. NULL: no-op. */
void spool_memory_free(struct spool_memory *m);
/**
 * A buffer of @p size bytes, a multiple of SPOOL_BLOCK_BYTES; its content is undefined. NULL when
 * that is beyond the limit or not to be had: then the spool does without.
 */
uint8_t *spool_memory_take(struct spool_memory *m, size_t size) HQ_MUST_CHECK;
/** What _take gave, and its size. */
void spool_memory_give(struct spool_memory *m, uint8_t *buffer, size_t size);

#endif
