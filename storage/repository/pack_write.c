#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pack_internal.h"

/*
 * Invariants: bytes holds the header and count sealed frames, one behind the other; entries[0 ..
 * count) describe them; capacity >= count. pack is what finish() gives out.
 */
struct hq_pack_writer {
    const struct hq_repository *repository;
    struct hq_pack *pack;
    struct hq_key frame_key;
    uint32_t capacity;
};

/* Header bytes; for a data pack with a fresh K, sealed into it and given out. */
static int
make_header(const struct hq_keyring *keyring, enum hq_pack_type type, uint32_t epoch,
            struct hq_key *data_key, uint8_t header[HQ_PACK_HEADER_BYTES], struct hq_error *err)
{
    memset(header, 0, HQ_PACK_HEADER_BYTES);
    memcpy(header, "HQBPACK1", 8);
    header[8] = HQ_FORMAT_VERSION;
    header[10] = (uint8_t)type;
    hq_set_u32(header + 12, epoch);
    hq_random(header + 24, 16);
    if (type == HQ_PACK_METADATA)
        return 0;
    hq_random(data_key->bytes, HQ_KEY_BYTES);
    return hq_keyring_seal_data_key(keyring, epoch, data_key, header + HQ_PACK_SEALED_KEY_OFFSET,
                                    err);
}

static int
begin(struct hq_pack_writer *w, enum hq_pack_type type, struct hq_error *err)
{
    const struct hq_keyring *keyring = w->repository->keyring;
    HQ_AUTO(hq_key_wipe)
    struct hq_key data_key = {{0}};
    uint8_t header[HQ_PACK_HEADER_BYTES];
    struct hq_pack *pack = w->pack;

    pack->type = type;
    pack->epoch = hq_keyring_newest_epoch(keyring);
    if (make_header(keyring, type, pack->epoch, &data_key, header, err) != 0 ||
        hq_pack_frame_key(keyring, pack->epoch, type == HQ_PACK_DATA ? &data_key : NULL, header,
                          &w->frame_key, err) != 0)
        return -1;
    pack->bytes.limit = HQ_PACK_MAX_BYTES;
    /* A whole pack at once: memory that is not written to costs nothing, growing copies. */
    if (hq_buf_reserve(&pack->bytes, HQ_PACK_TARGET_BYTES + HQ_CHUNK_DATA_MAX, err) != 0)
        return -1;
    hq_buf_put(&pack->bytes, header, sizeof header);
    return 0;
}

struct hq_pack_writer *
hq_pack_writer_new(const struct hq_repository *repository, enum hq_pack_type type,
                   struct hq_error *err)
{
    struct hq_pack_writer *w = calloc(1, sizeof *w);

    assert(type == HQ_PACK_DATA || type == HQ_PACK_METADATA);
    if (w == NULL || (w->pack = calloc(1, sizeof *w->pack)) == NULL) {
        hq_pack_writer_free(w);
        (void)hq_fail(err, HQ_E_NOMEM, "new pack");
        return NULL;
    }
    w->repository = repository;
    if (begin(w, type, err) != 0) {
        hq_pack_writer_free(w);
        (void)hq_error_prefix(err, "new pack");
        return NULL;
    }
    return w;
}

void
hq_pack_writer_free(struct hq_pack_writer *w)
{
    if (w == NULL)
        return;
    hq_pack_free(w->pack);
    hq_key_wipe(&w->frame_key);
    free(w);
}

size_t
hq_pack_writer_size(const struct hq_pack_writer *w)
{
    return w->pack->bytes.len + hq_pack_tail_bytes(w->pack->count);
}

size_t
hq_pack_writer_count(const struct hq_pack_writer *w)
{
    return w->pack->count;
}

static int
reserve_entry(struct hq_pack_writer *w, struct hq_error *err)
{
    uint32_t capacity = w->capacity == 0 ? 256 : w->capacity * 2;
    struct hq_pack_entry *entries;

    if (w->pack->count < w->capacity)
        return 0;
    if (w->pack->count == HQ_PACK_FRAMES_MAX)
        return hq_fail(err, HQ_E_USAGE, "pack: more than %d frames", HQ_PACK_FRAMES_MAX);
    entries = realloc(w->pack->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return hq_fail(err, HQ_E_NOMEM, "pack: %u frames", capacity);
    w->pack->entries = entries;
    w->capacity = capacity;
    return 0;
}

int
hq_pack_writer_add(struct hq_pack_writer *w, const struct hq_id *id, enum hq_chunk_kind kind,
                   enum hq_codec codec, uint32_t raw_len, const void *frame, size_t len,
                   struct hq_error *err)
{
    struct hq_pack *pack = w->pack;
    struct hq_pack_entry entry = {.id = *id,
                                  .offset = (uint32_t)pack->bytes.len,
                                  .raw = raw_len,
                                  .kind = (uint8_t)kind,
                                  .codec = (uint8_t)codec};
    uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_PACK_FRAME_AD_BYTES];
    uint8_t *to;

    if (len > raw_len)
        return hq_fail(err, HQ_E_USAGE, "pack: frame of %zu bytes for %u raw", len, raw_len);
    entry.stored = (uint32_t)len + HQ_TAG_BYTES;
    if (hq_pack_entry_check(&entry, pack->type, err) != 0) {
        err->code = HQ_E_USAGE;
        return hq_error_prefix(err, "pack: new frame");
    }
    if (hq_pack_writer_size(w) + entry.stored + HQ_PACK_ENTRY_BYTES > HQ_PACK_MAX_BYTES)
        return hq_fail(err, HQ_E_USAGE, "pack: more than %d bytes", HQ_PACK_MAX_BYTES);
    if (reserve_entry(w, err) != 0)
        return -1;
    if ((to = hq_buf_grow(&pack->bytes, entry.stored)) == NULL)
        return hq_buf_check(&pack->bytes, "pack", err);
    hq_nonce_counter(pack->count, nonce);
    hq_pack_frame_ad(hq_keyring_bind(w->repository->keyring), pack->count, &entry, ad);
    hq_aead_seal(&w->frame_key, nonce, ad, sizeof ad, frame, len, to);
    pack->entries[pack->count++] = entry;
    return 0;
}

/* Seal the directory behind the frames. */
static int
put_directory(struct hq_pack_writer *w, struct hq_error *err)
{
    const struct hq_keyring *keyring = w->repository->keyring;
    struct hq_pack *pack = w->pack;
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    uint8_t nonce[HQ_NONCE_BYTES];
    size_t start = pack->bytes.len;

    if (hq_keyring_metadata_key(keyring, pack->epoch, "pack-directory", pack->bytes.data,
                                HQ_PACK_HEADER_BYTES, &key, err) != 0)
        return -1;
    hq_pack_entries_encode(pack->entries, pack->count, &pack->bytes);
    hq_buf_put_zero(&pack->bytes, HQ_TAG_BYTES);
    if (hq_buf_check(&pack->bytes, "pack directory", err) != 0)
        return -1;
    hq_nonce_counter(0, nonce);
    hq_aead_seal(&key, nonce, hq_keyring_bind(keyring), HQ_BIND_BYTES, pack->bytes.data + start,
                 pack->bytes.len - start - HQ_TAG_BYTES, pack->bytes.data + start);
    return 0;
}

static int
complete(struct hq_pack_writer *w, struct hq_error *err)
{
    struct hq_pack *pack = w->pack;
    struct hq_pack_layout layout = {.directory = (uint32_t)pack->bytes.len, .frames = pack->count};

    if (pack->count == 0)
        return hq_fail(err, HQ_E_USAGE, "pack without a frame");
    if (put_directory(w, err) != 0)
        return -1;
    layout.stored = (uint32_t)pack->bytes.len - layout.directory;
    hq_pack_trailer_encode(&layout, &pack->bytes);
    if (hq_buf_check(&pack->bytes, "pack trailer", err) != 0)
        return -1;
    pack->size = (uint32_t)pack->bytes.len;
    hq_hash(NULL, pack->bytes.data, pack->bytes.len, &pack->id);
    return 0;
}

int
hq_pack_writer_finish(struct hq_pack_writer *w, struct hq_pack **out, struct hq_error *err)
{
    int rc = complete(w, err);

    *out = NULL;
    if (rc == 0) {
        *out = w->pack;
        w->pack = NULL;
    }
    hq_pack_writer_free(w);
    return rc;
}
