/**
 * @file pack_internal.h
 * The plain forms inside a pack (docs/format.md §6); indexes hold the same entries.
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_PACK_INTERNAL_H
#define HQ_REPOSITORY_PACK_INTERNAL_H

#include "repository/pack.h"
#include "repository_internal.h"

enum {
    HQ_PACK_SEALED_KEY_OFFSET = 40,
    HQ_PACK_FRAME_AD_BYTES = HQ_BIND_BYTES + 44
};

/** Bytes of a pack of @p frames behind its last frame: directory, tag and trailer. */
static inline uint64_t
hq_pack_tail_bytes(uint64_t frames)
{
    return frames * HQ_PACK_ENTRY_BYTES + HQ_TAG_BYTES + HQ_PACK_TRAILER_BYTES;
}

/** Where the directory lies; all of it checked against the pack's size. */
struct hq_pack_layout {
    uint32_t directory; /**< offset: the end of the last frame */
    uint32_t stored;    /**< bytes of the sealed directory */
    uint32_t frames;
};

/** Type and epoch of a pack's header. */
int hq_pack_header_decode(const uint8_t header[HQ_PACK_HEADER_BYTES], enum hq_pack_type *type,
                          uint32_t *epoch, struct hq_error *err) HQ_MUST_CHECK;
void hq_pack_trailer_encode(const struct hq_pack_layout *layout, struct hq_buf *out);
/** @p size: bytes of the whole pack. */
int hq_pack_trailer_decode(const uint8_t trailer[HQ_PACK_TRAILER_BYTES], uint64_t size,
                           struct hq_pack_layout *out, struct hq_error *err) HQ_MUST_CHECK;
void hq_pack_entries_encode(const struct hq_pack_entry *entries, uint32_t count,
                            struct hq_buf *out);
/**
 * Decode @p count entries of @p bytes, of a pack whose directory begins at @p end: frames must
 * lie one behind the other up to there.
 */
int hq_pack_entries_decode(const uint8_t *bytes, uint32_t count, enum hq_pack_type type,
                           uint32_t end, struct hq_pack_entry *out,
                           struct hq_error *err) HQ_MUST_CHECK;
/** Kind, codec and lengths of one entry; not its place. */
int hq_pack_entry_check(const struct hq_pack_entry *entry, enum hq_pack_type type,
                        struct hq_error *err) HQ_MUST_CHECK;
/** Associated data of frame @p number. */
void hq_pack_frame_ad(const uint8_t bind[HQ_BIND_BYTES], uint32_t number,
                      const struct hq_pack_entry *entry, uint8_t out[HQ_PACK_FRAME_AD_BYTES]);
/** D(M, "pack-data", K ‖ header) or D(M, "pack-metadata", header); @p data_key: K or NULL. */
int hq_pack_frame_key(const struct hq_keyring *keyring, uint32_t epoch,
                      const struct hq_key *data_key, const uint8_t header[HQ_PACK_HEADER_BYTES],
                      struct hq_key *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
