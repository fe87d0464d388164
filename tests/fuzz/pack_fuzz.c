#include <stdlib.h>
#include <string.h>

#include "pack_internal.h"
#include "vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ENTRIES_MAX = 64,
    FRAME_MAX = 1 << 16
};

/* A directory of any bytes. What is accepted must be encoded as it was. */
static void
try_entries(const uint8_t *data, size_t size, unsigned type, uint32_t end)
{
    struct hq_pack_entry entries[ENTRIES_MAX];
    uint32_t count = (uint32_t)(size / HQ_PACK_ENTRY_BYTES);
    struct hq_buf again = {0};
    struct hq_error err;

    if (count > ENTRIES_MAX)
        count = ENTRIES_MAX;
    if (hq_pack_entries_decode(data, count, type % 2 == 0 ? HQ_PACK_DATA : HQ_PACK_METADATA, end,
                               entries, &err) != 0)
        return;
    hq_pack_entries_encode(entries, count, &again);
    if (again.len > 0 && memcmp(again.data, data, again.len) != 0)
        abort();
    hq_buf_clear(&again);
}

/* Seal any bytes as a frame of any kind, codec and length: what a hostile writer could store. */
static void
try_frame(const struct hq_repository *repository, const uint8_t *data, size_t size, uint32_t raw)
{
    static uint8_t stored[FRAME_MAX + HQ_TAG_BYTES];
    static struct hq_chunk_ids *ids;
    static struct hq_compressor *c;
    struct hq_pack_key key = {.type = HQ_PACK_DATA};
    struct hq_pack_entry entry = {.raw = raw % (FRAME_MAX * 4), .kind = HQ_CHUNK_PAGES};
    uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_PACK_FRAME_AD_BYTES];
    struct hq_buf out = {0};
    struct hq_error err;

    if (ids == NULL && ((ids = hq_chunk_ids_new(repository->keyring, &err)) == NULL ||
                        (c = hq_compressor_new(1, &err)) == NULL))
        abort();
    if (size > FRAME_MAX)
        return;
    entry.codec = (uint8_t)(raw >> 31);
    entry.stored = (uint32_t)size + HQ_TAG_BYTES;
    hq_chunk_id(ids, HQ_CHUNK_PAGES, data, size, &entry.id);
    hq_nonce_counter(0, nonce);
    hq_pack_frame_ad(hq_keyring_bind(repository->keyring), 0, &entry, ad);
    hq_aead_seal(&key.frame_key, nonce, ad, sizeof ad, data, size, stored);
    if (hq_pack_frame_open(repository, ids, &key, 0, &entry, stored, c, &out, &err) == 0 &&
        out.len != entry.raw)
        abort();
    hq_buf_clear(&out);
}

/* The first byte chooses what the rest is, the next four are a number for it. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hq_repository repository;
    struct hq_pack_layout layout;
    struct hq_error err;
    enum hq_pack_type type;
    uint32_t number, epoch;

    if (repository.keyring == NULL)
        repository.keyring = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    if (size < 5)
        return 0;
    number = hq_get_u32(data + 1);
    if (data[0] % 4 == 0 && size >= 5 + HQ_PACK_HEADER_BYTES)
        (void)!hq_pack_header_decode(data + 5, &type, &epoch, &err);
    else if (data[0] % 4 == 1 && size >= 5 + HQ_PACK_TRAILER_BYTES &&
             hq_pack_trailer_decode(data + 5, number, &layout, &err) == 0 &&
             layout.directory + hq_pack_tail_bytes(layout.frames) != number)
        abort();
    else if (data[0] % 4 == 2)
        try_entries(data + 5, size - 5, data[0] / 4, number);
    else if (data[0] % 4 == 3)
        try_frame(&repository, data + 5, size - 5, number);
    /* Or a whole pack: a seed is one, that only its own bytes can be. */
    hq_pack_free(hq_pack_parse(&repository, NULL, data, size, &err));
    return 0;
}
