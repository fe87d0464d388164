/**
 * @file pack.h
 * Packs: writing, and reading one frame or the directory (docs/format.md §6).
 * Threads  a writer or reader belongs to one thread; hq_pack_key may be shared once made.
 */
#ifndef HQ_REPOSITORY_PACK_H
#define HQ_REPOSITORY_PACK_H

#include "repository/chunk.h"

enum {
    HQ_PACK_HEADER_BYTES = 128,
    HQ_PACK_TRAILER_BYTES = 32,
    HQ_PACK_ENTRY_BYTES = 48,
    HQ_PACK_TARGET_BYTES = 32 << 20,
    HQ_PACK_MAX_BYTES = 256 << 20,
    HQ_PACK_FRAMES_MAX = 1 << 20,
};

enum hq_pack_type {
    HQ_PACK_DATA = 1,
    HQ_PACK_METADATA = 2
};

/** One directory entry; the frame's number is its position. */
struct hq_pack_entry {
    struct hq_id id;
    uint32_t offset;
    uint32_t stored; /**< tag included */
    uint32_t raw;
    uint8_t kind;
    uint8_t codec;
};

/** A finished pack: what an uploader needs and an index remembers. */
struct hq_pack {
    struct hq_id id;
    enum hq_pack_type type;
    uint32_t epoch;
    uint32_t size;
    uint32_t count;
    struct hq_pack_entry *entries; /**< owned */
    struct hq_buf bytes;           /**< the object; empty when it came from an index */
};
void hq_pack_free(struct hq_pack *pack);
/** "packs/ab/abcd..." */
void hq_pack_name(const struct hq_id *id, char out[HQ_OBJECT_NAME_MAX + 1]);

struct hq_pack_writer;
/** Begin a pack in memory, with a fresh key of the newest epoch. */
struct hq_pack_writer *hq_pack_writer_new(const struct hq_repository *repository,
                                          enum hq_pack_type type,
                                          struct hq_error *err) HQ_MUST_CHECK;
/** Abandon it. NULL is a no-op. */
void hq_pack_writer_free(struct hq_pack_writer *w);
/** Seal @p frame (already compressed) as the next frame. */
int hq_pack_writer_add(struct hq_pack_writer *w, const struct hq_id *id, enum hq_chunk_kind kind,
                       enum hq_codec codec, uint32_t raw_len, const void *frame, size_t len,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Bytes so far, with directory and trailer. */
size_t hq_pack_writer_size(const struct hq_pack_writer *w);
size_t hq_pack_writer_count(const struct hq_pack_writer *w);
/** Add directory and trailer, wipe the key, give the pack out (owned); @p w is freed in any case.
 */
int hq_pack_writer_finish(struct hq_pack_writer *w, struct hq_pack **out,
                          struct hq_error *err) HQ_MUST_CHECK;

/** The frame key of one stored pack, from its header. */
struct hq_pack_key {
    struct hq_key frame_key;
    enum hq_pack_type type;
    uint32_t epoch;
};
/** KEY for a data pack and a sidecar's keyring. @p header is HQ_PACK_HEADER_BYTES long. */
int hq_pack_key_open(const struct hq_repository *repository,
                     const uint8_t header[HQ_PACK_HEADER_BYTES], struct hq_pack_key *out,
                     struct hq_error *err) HQ_MUST_CHECK;
/**
 * Open frame @p number, described by @p entry, of stored bytes @p stored (entry->stored of them),
 * decompress it into @p out (replaced) and verify the chunk id. CORRUPT if anything is off.
 */
int hq_pack_frame_open(const struct hq_repository *repository, const struct hq_chunk_ids *ids,
                       const struct hq_pack_key *key, uint32_t number,
                       const struct hq_pack_entry *entry, const uint8_t *stored,
                       struct hq_compressor *c, struct hq_buf *out,
                       struct hq_error *err) HQ_MUST_CHECK;
/**
 * Read header, trailer and directory of a whole pack in memory; verifies the pack's id when
 * @p expected is not NULL. Works with a sidecar's keyring. @return owned, without bytes.
 */
struct hq_pack *hq_pack_parse(const struct hq_repository *repository, const struct hq_id *expected,
                              const void *bytes, size_t len, struct hq_error *err) HQ_MUST_CHECK;
/** As hq_pack_parse(), fetching only header, trailer and directory from the store. */
struct hq_pack *hq_pack_fetch_directory(const struct hq_repository *repository,
                                        const struct hq_id *id, uint64_t size,
                                        struct hq_error *err) HQ_MUST_CHECK;

#endif
