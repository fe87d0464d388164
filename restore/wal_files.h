/**
 * @file wal_files.h
 * Which stored objects make up which file of pg_wal, in the order of recovery.
 * Threads  built by one thread, then read by any.
 */
#ifndef HQ_RESTORE_WAL_FILES_H
#define HQ_RESTORE_WAL_FILES_H

#include "repository/wal.h"

enum {
    WAL_FILE_NAME_MAX = 32 /**< "000000010000000000000003", "00000002.history" and a zero */
};

/** A history file, or a segment: one complete object, or a chain of parts. */
struct wal_file {
    char name[WAL_FILE_NAME_MAX]; /**< as PostgreSQL asks for it */
    size_t first, count;          /**< its objects */
};

struct wal_files {
    struct hq_wal_info *objects; /**< owned; of a file the best ones first */
    size_t object_count, object_cap;
    struct wal_file *files; /**< owned; history files first, then segments by LSN */
    size_t count;
};

void wal_files_clear(struct wal_files *files);
/** Take the object @p name in, if it is WAL of @p cluster. Before wal_files_sort(). */
int wal_files_add(struct wal_files *files, const char *name, const char *cluster,
                  uint32_t segment_size, struct hq_error *err) HQ_MUST_CHECK;
/** All are in: make the list of files. */
int wal_files_sort(struct wal_files *files, struct hq_error *err) HQ_MUST_CHECK;
/** @return borrowed, NULL: no such file. */
const struct wal_file *wal_files_find(const struct wal_files *files, const char *name);
/** Whether @p name is what PostgreSQL calls a segment. */
bool wal_is_segment(const char *name);

#endif
