/**
 * @file manifest.h
 * Manifest entries as a stream (docs/format.md §10) and the root of a backup (§9).
 * Threads  one thread at a time per object.
 */
#ifndef HQ_REPOSITORY_MANIFEST_H
#define HQ_REPOSITORY_MANIFEST_H

#include "repository/chunk.h"

enum {
    HQ_BACKUP_ID_MAX = 32,
    HQ_CLUSTER_NAME_MAX = 63,
    HQ_PATH_BYTES_MAX = 4096
};

enum hq_entry_type {
    HQ_ENTRY_FILE = 1,
    HQ_ENTRY_DIRECTORY = 2,
    HQ_ENTRY_SYMLINK = 3,
    HQ_ENTRY_RELATION = 4,
};

/** A chunk of known raw length. */
struct hq_chunk_ref {
    struct hq_id id;
    uint32_t raw;
};

/** One entry. Pointers are borrowed: from the caller when encoding, from the decoder until next. */
struct hq_entry {
    const char *path; /**< zero-terminated, no zero inside */
    enum hq_entry_type type;
    uint32_t mode, uid, gid;
    int64_t mtime_us;
    uint64_t size;
    const char *target;                /**< symlink */
    const struct hq_chunk_ref *chunks; /**< file */
    size_t chunk_count;
    struct hq_chunk_ref page_map; /**< relation file */
    const uint32_t *damaged;      /**< blocks with a failed checksum */
    size_t damaged_count;
};

/** Append the encoding of @p entry (with its length). Owner names and xattrs: not yet sources'. */
int hq_entry_encode(const struct hq_entry *entry, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;

/** Feeds on pieces of the stream as they come, gives whole, checked entries out. */
struct hq_entry_decoder;
struct hq_entry_decoder *hq_entry_decoder_new(struct hq_error *err) HQ_MUST_CHECK;
void hq_entry_decoder_free(struct hq_entry_decoder *d);
typedef int hq_entry_fn(const struct hq_entry *entry, void *context, struct hq_error *err);
/** Call @p each for every entry that @p data completes. Checks order of paths and all limits. */
int hq_entry_decoder_feed(struct hq_entry_decoder *d, const void *data, size_t len,
                          hq_entry_fn *each, void *context, struct hq_error *err) HQ_MUST_CHECK;
/** CORRUPT if the stream ended within an entry. */
int hq_entry_decoder_end(struct hq_entry_decoder *d, struct hq_error *err) HQ_MUST_CHECK;

struct hq_tablespace {
    uint32_t oid;
    char *path; /**< owned */
};

/** The root. Owns its pointers; hq_root_clear(). */
struct hq_root {
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    char backup[HQ_BACKUP_ID_MAX + 1];
    char parent[HQ_BACKUP_ID_MAX + 1]; /**< "" if none */
    int64_t started_us, finished_us;
    char host[256];
    char program[64];
    struct hq_writer writer; /**< filled by hq_root_write / hq_root_read */
    struct hq_id *chunks;    /**< manifest chunks in order */
    size_t chunk_count;
    uint64_t manifest_bytes, manifest_entries;
    uint64_t files, bytes, pages, damaged_pages, new_bytes, stored_bytes;
    uint32_t version_number;
    uint64_t system_identifier;
    char mode[8]; /**< "stream" or "files" */
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
    uint32_t wal_segment_size, block_size;
    bool checksums;
    struct hq_tablespace *tablespaces;
    size_t tablespace_count;
};
void hq_root_clear(struct hq_root *root);
/** A new id for a backup that starts at @p started_us. */
void hq_backup_id_make(int64_t started_us, char out[HQ_BACKUP_ID_MAX + 1]);
bool hq_cluster_name_valid(const char *name);
bool hq_backup_id_valid(const char *id);
/** Sign, seal and store: from now on the backup exists. Durable when it returns 0. */
int hq_root_write(const struct hq_repository *repository, const struct hq_root *root,
                  struct hq_error *err) HQ_MUST_CHECK;
/** Read, verify certificate and signature. */
int hq_root_read(const struct hq_repository *repository, const char *cluster, const char *backup,
                 struct hq_root *out, struct hq_error *err) HQ_MUST_CHECK;
/** Decode a root's JSON (for hq_root_read and the fuzzer). */
int hq_root_decode(const char *json, size_t len, struct hq_root *out,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
