/**
 * @file wal_source.h
 * The bytes of a file of pg_wal out of the objects it is stored in.
 * Threads  a source belongs to one thread; settings, repository and store may be shared.
 */
#ifndef HQ_RESTORE_WAL_SOURCE_H
#define HQ_RESTORE_WAL_SOURCE_H

#include "wal_files.h"
#include "wal_settings.h"

/** How objects are got and opened: with the keys of settings, or with a keyring. */
struct wal_source {
    struct hq_store *store;
    const struct wal_settings *settings;    /**< or */
    const struct hq_repository *repository; /**< the other */
    const char *cluster;
    struct hq_compressor *codec;
};

/**
 * Append the bytes of @p file to @p out; a segment of which only parts are stored is filled up
 * with zeros. Nothing is appended when its first bytes are not stored. An object that was listed
 * and is gone is CORRUPT, never MISSING.
 */
int wal_source_read(const struct wal_source *source, const struct wal_files *files,
                    const struct wal_file *file, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
