#include "pack_internal.h"

/* Page chunks are named by the frame, so that writing them costs one pass over fewer bytes. */
static int
check_id(const struct hq_chunk_ids *ids, const struct hq_pack_entry *entry, const void *bytes,
         size_t len, struct hq_error *err)
{
    struct hq_id id;

    hq_chunk_id(ids, (enum hq_chunk_kind)entry->kind, bytes, len, &id);
    if (hq_id_compare(&id, &entry->id) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "the bytes are not those of the chunk's id");
    return 0;
}

static int
open_frame(const struct hq_repository *repository, const struct hq_pack_key *key, uint32_t number,
           const struct hq_pack_entry *entry, const uint8_t *stored, struct hq_buf *frame,
           struct hq_error *err)
{
    uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_PACK_FRAME_AD_BYTES];
    uint8_t *to;

    frame->len = 0;
    if ((to = hq_buf_grow(frame, entry->stored - HQ_TAG_BYTES)) == NULL)
        return hq_buf_check(frame, "frame", err);
    hq_nonce_counter(number, nonce);
    hq_pack_frame_ad(hq_keyring_bind(repository->keyring), number, entry, ad);
    if (!hq_aead_open(&key->frame_key, nonce, ad, sizeof ad, stored, entry->stored, to)) {
        frame->len = 0;
        return hq_fail(err, HQ_E_CORRUPT, "authentication failed: damaged, forged or not of here");
    }
    return 0;
}

/* Decrypt, decompress and compare the id; @p out is unspecified on failure. */
static int
open_chunk(const struct hq_repository *repository, const struct hq_chunk_ids *ids,
           const struct hq_pack_key *key, uint32_t number, const struct hq_pack_entry *entry,
           const uint8_t *stored, struct hq_compressor *c, struct hq_buf *out, struct hq_error *err)
{
    bool plain = entry->codec == HQ_CODEC_NONE;
    struct hq_buf *frame = plain ? out : hq_compressor_scratch(c);

    if (hq_pack_entry_check(entry, key->type, err) != 0 ||
        open_frame(repository, key, number, entry, stored, frame, err) != 0)
        return -1;
    if (entry->kind == HQ_CHUNK_PAGES && check_id(ids, entry, frame->data, frame->len, err) != 0)
        return -1;
    if (!plain &&
        hq_decompress(c, entry->codec, frame->data, frame->len, entry->raw, out, err) != 0)
        return -1;
    return entry->kind == HQ_CHUNK_PAGES ? 0 : check_id(ids, entry, out->data, out->len, err);
}

int
hq_pack_frame_open(const struct hq_repository *repository, const struct hq_chunk_ids *ids,
                   const struct hq_pack_key *key, uint32_t number,
                   const struct hq_pack_entry *entry, const uint8_t *stored,
                   struct hq_compressor *c, struct hq_buf *out, struct hq_error *err)
{
    char text[HQ_ID_TEXT_BYTES];

    if (open_chunk(repository, ids, key, number, entry, stored, c, out, err) == 0)
        return 0;
    out->len = 0;
    return hq_error_prefix(err, "frame %u, chunk %.16s", number, hq_id_text(&entry->id, text));
}
