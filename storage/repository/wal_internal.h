/**
 * @file wal_internal.h
 * What naming, sealing and opening WAL objects share (docs/format.md §12).
 */
#ifndef HQ_REPOSITORY_WAL_INTERNAL_H
#define HQ_REPOSITORY_WAL_INTERNAL_H

#include "repository/wal.h"
#include "repository_internal.h"

enum {
    HQ_WAL_EPOCH_OFFSET = 12,
    HQ_WAL_SEALED_KEY_OFFSET = 80,
    HQ_WAL_TAG_OFFSET = 160,
    HQ_WAL_SEGMENT_MIN = 1 << 20,
    HQ_WAL_SEGMENT_MAX = 1 << 30,
    HQ_WAL_CODEC_SHIFT = 31,
    /* bind, u32 frame, u8 last, u8 codec, u16 0; the object's name follows. */
    HQ_WAL_AD_FIXED_BYTES = HQ_BIND_BYTES + 8,
    HQ_WAL_AD_MAX = HQ_WAL_AD_FIXED_BYTES + HQ_OBJECT_NAME_MAX,
};

/** One frame's place in its object. */
struct hq_wal_frame {
    uint32_t number;
    uint32_t raw;
    uint8_t codec;
    bool last;
};

bool hq_wal_segment_size_valid(uint32_t size);
/**
 * Whether type, positions, raw length and segment size of @p info go together. @p code: CORRUPT
 * for the store's, USAGE for a caller's.
 */
int hq_wal_info_check(const struct hq_wal_info *info, enum hq_code code,
                      struct hq_error *err) HQ_MUST_CHECK;
/** Whether a history file's last line says what its header does (docs/format.md §12); CORRUPT. */
int hq_wal_branch_check(const struct hq_wal_info *info, const void *content, size_t len,
                        struct hq_error *err) HQ_MUST_CHECK;
/** Frame @p number of an object of @p raw_len bytes, but for the codec. */
struct hq_wal_frame hq_wal_frame_of(uint32_t number, uint32_t raw_len);
/** Associated data into @p out; returns its length. @pre name is at most HQ_OBJECT_NAME_MAX. */
size_t hq_wal_frame_ad(const uint8_t bind[HQ_BIND_BYTES], const struct hq_wal_frame *frame,
                       const char *name, uint8_t out[HQ_WAL_AD_MAX]);
/** D(M, "wal", K ‖ header) */
int hq_wal_content_key(const struct hq_keyring *keyring, uint32_t epoch,
                       const struct hq_key *data_key, const uint8_t header[HQ_WAL_HEADER_BYTES],
                       struct hq_key *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
