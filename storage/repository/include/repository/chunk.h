/**
 * @file chunk.h
 * Chunks: kinds, identity, compression (docs/format.md §5).
 * Threads  hq_chunk_ids is immutable; codecs belong to one thread each.
 */
#ifndef HQ_REPOSITORY_CHUNK_H
#define HQ_REPOSITORY_CHUNK_H

#include "repository/repository.h"

enum hq_chunk_kind {
    HQ_CHUNK_DATA = 1,
    HQ_CHUNK_PAGES = 2,
    HQ_CHUNK_MANIFEST = 3,
    HQ_CHUNK_PAGE_MAP = 4,
    HQ_CHUNK_PAGE_SUMS = 5,
};

enum hq_codec {
    HQ_CODEC_NONE = 0,
    HQ_CODEC_ZSTD = 1
};

enum {
    HQ_CHUNK_DATA_MAX = 4 << 20,
    HQ_CHUNK_PAGES_MAX = 2 << 20,
    HQ_CHUNK_PAGE_MAP_MAX = 64 << 20,
    HQ_CHUNK_PAGE_SUMS_MAX = 8 << 20,
    HQ_PAGES_PER_CHUNK = 64,
};

/** Raw bytes a chunk of @p kind may have; 0 for an unknown kind. */
uint32_t hq_chunk_raw_max(unsigned kind);

/** The identity keys and the seed of page sums, derived once. */
struct hq_chunk_ids;
struct hq_chunk_ids *hq_chunk_ids_new(const struct hq_keyring *keyring,
                                      struct hq_error *err) HQ_MUST_CHECK;
void hq_chunk_ids_free(struct hq_chunk_ids *ids);
/** The id of bytes: plaintext, but for HQ_CHUNK_PAGES the frame before sealing. */
void hq_chunk_id(const struct hq_chunk_ids *ids, enum hq_chunk_kind kind, const void *bytes,
                 size_t len, struct hq_id *out);

/** The sum of a page's raw bytes that page maps remember (docs/format.md §11). */
uint64_t hq_page_sum(const struct hq_chunk_ids *ids, const void *page, uint32_t block_size);

/** What bytes are, as far as it helps to compress them. */
enum hq_content {
    HQ_CONTENT_ANY,
    HQ_CONTENT_RECORDS, /**< WAL: small records with short fields in common */
    HQ_CONTENT_INDEX,   /**< pages of an index: like these or not, a sample of each chunk tells */
};

/**
 * zstd contexts of one thread. @p level 1 to 19. Level 1 is zstd's with a hash table that fits a
 * processor's first cache (0.84 to 1.03 of the time, within 1 % of the size), and with shorter
 * matches for HQ_CONTENT_RECORDS (0.76 to 1.01 of the size) and for those indexes that gain by it
 * (0.55 of the size where keys are numbers that were counted up).
 */
struct hq_compressor;
struct hq_compressor *hq_compressor_new(int level, struct hq_error *err) HQ_MUST_CHECK;
void hq_compressor_free(struct hq_compressor *c);
/** Replace @p out by the frame; codec NONE when it does not shrink. */
int hq_compress(struct hq_compressor *c, enum hq_content content, const void *raw, size_t len,
                struct hq_buf *out, enum hq_codec *codec, struct hq_error *err) HQ_MUST_CHECK;
/** Replace @p out by exactly @p raw_len bytes; CORRUPT otherwise, UNSUPPORTED codec. */
int hq_decompress(struct hq_compressor *c, unsigned codec, const void *frame, size_t len,
                  size_t raw_len, struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
