/**
 * @file incremental_manifest.h
 * A backup manifest as UPLOAD_MANIFEST of PostgreSQL 17 and later wants it: which files the earlier
 * backup had, and what WAL it needs. Written piece by piece: a cluster may have 100,000 files.
 * Format   PostgreSQL's documentation, "Backup Manifest Format", version 2.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_MANIFEST_H
#define HQ_POSTGRES_INCREMENTAL_MANIFEST_H

#include "base/buffer.h"

struct incremental_manifest_range {
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
};

struct incremental_manifest;

/** Its text goes to @p put in pieces of some 64 KiB. incremental_manifest_free(). */
struct incremental_manifest *incremental_manifest_new(
    const struct incremental_manifest_range *range,
    int (*put)(void *context, const void *text, size_t len, struct hq_error *err), void *context,
    struct hq_error *err) HQ_MUST_CHECK;
/** Name a file. One whose name would have to be quoted is not a relation's: it is left out. */
int incremental_manifest_file(struct incremental_manifest *m, const char *path, uint64_t size,
                              int64_t mtime_us, struct hq_error *err) HQ_MUST_CHECK;
/** How many files it names. */
uint64_t incremental_manifest_files(const struct incremental_manifest *m);
/** The rest of it. */
int incremental_manifest_end(struct incremental_manifest *m, struct hq_error *err) HQ_MUST_CHECK;
void incremental_manifest_free(struct incremental_manifest *m);

#endif
