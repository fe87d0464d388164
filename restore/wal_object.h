/**
 * @file wal_object.h
 * Whole WAL objects with the restore key. Threads  reentrant.
 */
#ifndef HQ_RESTORE_WAL_OBJECT_H
#define HQ_RESTORE_WAL_OBJECT_H

#include "repository/wal.h"

/** Largest stored form of a WAL object: 1 GiB of WAL that does not compress. */
#define HQ_WAL_OBJECT_MAX ((UINT64_C(1) << 30) + (UINT64_C(1) << 20))

/** Append the raw bytes of the object @p name to @p out. */
int wal_object_read(const struct hq_repository *repository, const char *name, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;

/**
 * Replace @p destination by @p bytes, durably. A directory that is not there is SYS: MISSING is
 * said of WAL alone.
 */
int wal_put_file(const char *destination, const struct hq_buf *bytes,
                 struct hq_error *err) HQ_MUST_CHECK;

/**
 * Write the file @p file of that lineage, complete or filled up with zeros, to @p destination
 * (wal_direct.c). MISSING when nothing of it is stored.
 */
int wal_get_segment(const struct hq_repository *repository, const char *cluster,
                    uint64_t system_identifier, uint32_t segment_size, const char *file,
                    const char *destination, struct hq_error *err) HQ_MUST_CHECK;

#endif
