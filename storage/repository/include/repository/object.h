/**
 * @file object.h
 * The envelope of indexes, roots and audit records (docs/format.md §8).
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_OBJECT_H
#define HQ_REPOSITORY_OBJECT_H

#include "repository/repository.h"

enum hq_object_type {
    HQ_OBJECT_INDEX = 1,
    HQ_OBJECT_ROOT = 2,
    HQ_OBJECT_AUDIT = 5
};
enum {
    HQ_OBJECT_HEADER_BYTES = 64,
    HQ_OBJECT_RAW_MAX = 64 << 20
};

/** Append the sealed form of @p body to @p out. @p name: the object's, "index" for an index. */
int hq_object_seal(const struct hq_repository *repository, enum hq_object_type type,
                   const char *name, const void *body, size_t len, struct hq_buf *out,
                   struct hq_error *err) HQ_MUST_CHECK;
/** Replace @p out by the body. CORRUPT, KEY, UNSUPPORTED. */
int hq_object_open(const struct hq_repository *repository, enum hq_object_type type,
                   const char *name, const void *sealed, size_t len, struct hq_buf *out,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
