/**
 * @file files_internal.h
 * What the files of the files mode share: see postgres/files.h for what it is.
 */
#ifndef HQ_POSTGRES_FILES_INTERNAL_H
#define HQ_POSTGRES_FILES_INTERNAL_H

#include "backup_session.h"
#include "datadir.h"
#include "files_read.h"
#include "postgres/files.h"

struct hq_pg_files {
    struct hq_pg *pg; /**< the session, for SQL */
    struct hq_datadir directory;
    uint64_t bytes; /**< of all files, when it was opened */
};

/**
 * Open the file that @p item names for reading in a backup that began at @p start_lsn, and fill
 * @p entry for it. @p status gets its state as opened. @return 1; 0: it is gone; -1.
 */
int files_open(const struct hq_datadir *d, const struct hq_datadir_item *item, uint64_t start_lsn,
               struct files_file *file, struct hq_entry *entry, struct hq_error *err) HQ_MUST_CHECK;
/** What all kinds of entries have. */
struct hq_entry files_entry(const char *path, const struct stat *status);

#endif
