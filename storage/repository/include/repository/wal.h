/**
 * @file wal.h
 * WAL objects: names, sealing and opening of segments, parts and history files (docs/format.md
 * §12). Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_WAL_H
#define HQ_REPOSITORY_WAL_H

#include "repository/chunk.h"
#include "repository/manifest.h"

enum {
    HQ_WAL_HEADER_BYTES = 192,
    HQ_WAL_FRAME_BYTES = 1 << 20
};

enum hq_wal_type {
    HQ_WAL_SEGMENT = 1,
    HQ_WAL_PART = 2,
    HQ_WAL_HISTORY = 3
};

/** What name and header say of an object. */
struct hq_wal_info {
    enum hq_wal_type type;
    uint64_t system_identifier;
    uint32_t timeline;
    uint32_t segment_size;
    uint64_t start_lsn, end_lsn; /**< end excluded; 0, 0 for history */
    uint32_t raw_len;
    uint32_t parent;    /**< history: the timeline it branched from; 0: not told */
    uint64_t begin_lsn; /**< history: where it branched; 0: not told */
    int64_t first_commit_us, last_commit_us; /**< 0: none */
    int64_t sent_us;
    struct hq_id content_tag; /**< see hq_wal_content_tag(); all zero: not known */
    uint64_t object_size;     /**< stored bytes, where a listing told; else 0 */
};

/** "wal/<cluster>/<system>/..." of @p info. A segment starts at a multiple of segment_size. */
void hq_wal_name(const char *cluster, const struct hq_wal_info *info,
                 char out[HQ_OBJECT_NAME_MAX + 1]);
/**
 * Take a name apart: everything but times, and of history raw_len, parent and begin_lsn. @p
 * segment_size must be known to compute LSNs; 0 leaves start_lsn = the 16 digits after the timeline
 * as a number and end_lsn = 0 for segments and parts (their header tells). @return false for a name
 * that is not a WAL object of @p cluster.
 */
bool hq_wal_name_parse(const char *name, const char *cluster, uint32_t segment_size,
                       struct hq_wal_info *out);
/** PostgreSQL's 24-digit file name of the segment that holds @p lsn. */
void hq_wal_file_name(uint32_t timeline, uint64_t lsn, uint32_t segment_size, char out[25]);

/**
 * The tag of @p data as the content of object @p name, under the metadata key of @p epoch: who
 * holds that key but can't read the object tells by it whether this is what the object holds.
 * KEY when the epoch is not in the keyring.
 */
int hq_wal_content_tag(const struct hq_keyring *keyring, uint32_t epoch, const char *name,
                       const void *data, size_t len, struct hq_id *out,
                       struct hq_error *err) HQ_MUST_CHECK;
bool hq_wal_content_tag_known(const struct hq_wal_info *info);
/** The key epoch that a header names. */
uint32_t hq_wal_header_epoch(const uint8_t header[HQ_WAL_HEADER_BYTES]);
/** Whether an object of @p stored bytes can be the whole of what @p info says. */
bool hq_wal_object_size_possible(const struct hq_wal_info *info, uint64_t stored);

/**
 * Append the sealed object to @p out. @p data has info->raw_len bytes. The header of a complete
 * segment or history file gets the content tag; info->content_tag is not looked at.
 */
int hq_wal_seal(const struct hq_repository *repository, const char *cluster,
                const struct hq_wal_info *info, const void *data, struct hq_compressor *c,
                struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/** Decode a header; authenticated only by opening a frame. */
int hq_wal_header_decode(const void *data, size_t len, struct hq_wal_info *out,
                         struct hq_error *err) HQ_MUST_CHECK;
/** The content key of an object, from its header. */
int hq_wal_key_open(const struct hq_repository *repository,
                    const uint8_t header[HQ_WAL_HEADER_BYTES], struct hq_key *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/**
 * Open a whole stored object with its content key; append the raw bytes to @p out. @p bind is the
 * repository's (32 bytes): who holds only content keys needs no keyring.
 */
int hq_wal_open(const uint8_t bind[32], const struct hq_key *key, const char *name,
                const void *object, size_t len, struct hq_compressor *c, struct hq_wal_info *info,
                struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
