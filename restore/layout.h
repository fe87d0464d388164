/**
 * @file layout.h
 * The tree to make, and which stored bytes go where in it.
 */
#ifndef HQ_RESTORE_LAYOUT_H
#define HQ_RESTORE_LAYOUT_H

#include <sys/types.h>

#include "repository/chunk_reader.h"
#include "restore/postgres.h"

struct target_file {
    char *path; /**< as in the manifest */
    uint64_t size;
    uint32_t mode; /**< set at the end where the owner may not write */
};

/** Bytes [from, from + length) of a chunk belong at @p offset of file number @p file. */
struct use {
    uint32_t file;
    uint32_t from;
    uint32_t length;
    uint64_t offset;
};

/** A chunk to fetch, and its run of the uses. */
struct wanted {
    struct hq_place place;
    size_t first_use;
    uint32_t uses;
};

/**
 * Built by layout_make(), then only read. Wanted chunks are sorted by pack and offset.
 * Memory: some 110 bytes a chunk, 24 a run of pages, and the paths.
 */
struct layout {
    const char *directory;
    const struct hq_restore_options *options;
    const struct hq_plan *plan;
    uid_t uid; /**< (uid_t)-1: as the manifest says */
    gid_t gid;
    uid_t server_uid; /**< PG_VERSION's in the manifest: who the server runs as */
    gid_t server_gid;
    bool chown;
    struct target_file *files;
    size_t file_count, file_cap;
    struct wanted *wanted;
    size_t wanted_count, wanted_cap;
    struct use *uses;
    size_t use_count, use_cap;
    uint64_t bytes;
    struct hq_chunk_reader *reader;
    /** Told of what is lost for want of a chunk or page map while the layout is made. */
    int (*lose)(void *context, const char *path, uint64_t offset, uint64_t length,
                const struct hq_error *why, struct hq_error *err);
    void *lose_context;
};

/** Suffix under which global/pg_control is kept until everything else is durable. */
#define CONTROL_PATH "global/pg_control"
#define HELD_SUFFIX ".hq-restore"

/** Create directories, links and files of full size (holes), and fill in what goes where. */
int layout_make(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
void layout_clear(struct layout *layout);
/** Where a manifest path lies on disk (tablespaces mapped), malloc()ed. */
char *layout_path(const struct layout *layout, const char *path,
                  struct hq_error *err) HQ_MUST_CHECK;
/** Take away the owner's right to write where the backup's file has none: after fetch_all(). */
int layout_protect(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Give @p path, which is no entry of the manifest, to the owner of the data directory. */
int layout_own(const struct layout *layout, const char *path, struct hq_error *err) HQ_MUST_CHECK;

/** Where tablespace @p oid goes: mapped, or as the backup says. NULL if the backup has none. */
const char *layout_tablespace(const struct layout *layout, uint32_t oid);

/** Fetch every wanted chunk and write it where it belongs (fetch.c). */
int fetch_all(const struct hq_repository *repository, struct layout *layout,
              struct hq_restore_result *result, struct hq_error *err) HQ_MUST_CHECK;

/**
 * Write recovery settings, signal file and wal.json (recovery.c). @p staging is ended: what it
 * fetched goes where wal-get looks for it.
 */
struct wal_staging;
int recovery_write(const struct hq_repository *repository, const struct layout *layout,
                   struct wal_staging *staging, struct hq_restore_result *result,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
