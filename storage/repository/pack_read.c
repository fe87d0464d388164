#include <stdlib.h>
#include <string.h>

#include "pack_internal.h"

/* Directories of usual packs come with the trailer in one request. */
enum {
    TAIL_BYTES = 64 << 10
};

/*
 * Open the directory @p sealed (layout->stored bytes) of the pack with @p header, in place of
 * pack->entries.
 */
static int
open_directory(const struct hq_repository *repository, const uint8_t *header,
               const struct hq_pack_layout *layout, const uint8_t *sealed, struct hq_pack *pack,
               struct hq_error *err)
{
    const struct hq_keyring *keyring = repository->keyring;
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf plain = {0};
    uint8_t nonce[HQ_NONCE_BYTES];
    uint8_t *to;

    if (hq_keyring_metadata_key(keyring, pack->epoch, "pack-directory", header,
                                HQ_PACK_HEADER_BYTES, &key, err) != 0)
        return -1;
    if ((to = hq_buf_grow(&plain, layout->stored - HQ_TAG_BYTES)) == NULL)
        return hq_buf_check(&plain, "directory", err);
    hq_nonce_counter(0, nonce);
    if (!hq_aead_open(&key, nonce, hq_keyring_bind(keyring), HQ_BIND_BYTES, sealed, layout->stored,
                      to))
        return hq_fail(err, HQ_E_CORRUPT, "directory: authentication failed");
    pack->entries = calloc(layout->frames, sizeof *pack->entries);
    if (pack->entries == NULL)
        return hq_fail(err, HQ_E_NOMEM, "directory of %u frames", layout->frames);
    pack->count = layout->frames;
    return hq_pack_entries_decode(plain.data, layout->frames, pack->type, layout->directory,
                                  pack->entries, err);
}

static struct hq_pack *
new_pack(const struct hq_id *id, uint64_t size, struct hq_error *err)
{
    struct hq_pack *pack = calloc(1, sizeof *pack);

    if (pack == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "pack");
        return NULL;
    }
    pack->id = *id;
    pack->size = (uint32_t)size;
    return pack;
}

/* Name the pack in @p err and give it up. */
static struct hq_pack *
give_up(struct hq_pack *pack, const struct hq_id *id, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_pack_free(pack);
    hq_pack_name(id, name);
    (void)hq_error_prefix(err, "%s", name);
    return NULL;
}

struct hq_pack *
hq_pack_parse(const struct hq_repository *repository, const struct hq_id *expected,
              const void *bytes, size_t len, struct hq_error *err)
{
    const uint8_t *start = bytes;
    struct hq_pack_layout layout;
    struct hq_pack *pack = NULL;
    struct hq_id id;

    hq_hash(NULL, bytes, len, &id);
    if (expected != NULL && hq_id_compare(&id, expected) != 0) {
        (void)hq_fail(err, HQ_E_CORRUPT, "%zu bytes are not those of the pack's id", len);
        return give_up(NULL, expected, err);
    }
    if (len < HQ_PACK_HEADER_BYTES + hq_pack_tail_bytes(1)) {
        (void)hq_fail(err, HQ_E_CORRUPT, "%zu bytes are no pack: truncated", len);
        return give_up(NULL, &id, err);
    }
    if (hq_pack_trailer_decode(start + len - HQ_PACK_TRAILER_BYTES, len, &layout, err) != 0 ||
        (pack = new_pack(&id, len, err)) == NULL ||
        hq_pack_header_decode(start, &pack->type, &pack->epoch, err) != 0 ||
        open_directory(repository, start, &layout, start + layout.directory, pack, err) != 0)
        return give_up(pack, &id, err);
    return pack;
}

/*
 * Fetch the sealed directory into @p out: what the tail at hand holds of it, and before that what
 * it does not reach.
 */
static int
fetch_rest(const struct hq_repository *repository, const char *name, uint64_t size,
           const struct hq_buf *tail, const struct hq_pack_layout *layout, struct hq_buf *out,
           struct hq_error *err)
{
    uint64_t tail_start = size - tail->len;

    if (layout->directory >= tail_start) {
        hq_buf_put(out, tail->data + (layout->directory - tail_start), layout->stored);
        return hq_buf_check(out, "directory", err);
    }
    return hq_store_get(repository->store, name, layout->directory, layout->stored, out, err);
}

static int
fetch_into(const struct hq_repository *repository, const char *name, uint64_t size,
           struct hq_pack *pack, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0}, tail = {0}, directory = {0};
    uint64_t tail_bytes = size - HQ_PACK_HEADER_BYTES;
    struct hq_pack_layout layout;

    if (tail_bytes > TAIL_BYTES)
        tail_bytes = TAIL_BYTES;
    if (hq_store_get(repository->store, name, 0, HQ_PACK_HEADER_BYTES, &header, err) != 0 ||
        hq_store_get(repository->store, name, size - tail_bytes, tail_bytes, &tail, err) != 0)
        return -1;
    if (hq_pack_header_decode(header.data, &pack->type, &pack->epoch, err) != 0 ||
        hq_pack_trailer_decode(tail.data + tail.len - HQ_PACK_TRAILER_BYTES, size, &layout, err) !=
            0 ||
        fetch_rest(repository, name, size, &tail, &layout, &directory, err) != 0)
        return -1;
    return open_directory(repository, header.data, &layout, directory.data, pack, err);
}

struct hq_pack *
hq_pack_fetch_directory(const struct hq_repository *repository, const struct hq_id *id,
                        uint64_t size, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_pack *pack = NULL;

    hq_pack_name(id, name);
    if (size < HQ_PACK_HEADER_BYTES + hq_pack_tail_bytes(1) || size > HQ_PACK_MAX_BYTES) {
        (void)hq_fail(err, HQ_E_CORRUPT, "%llu bytes are no pack", (unsigned long long)size);
        return give_up(NULL, id, err);
    }
    if ((pack = new_pack(id, size, err)) == NULL ||
        fetch_into(repository, name, size, pack, err) != 0)
        return give_up(pack, id, err);
    return pack;
}
