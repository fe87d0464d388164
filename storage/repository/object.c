#include "repository/object.h"

#include <string.h>

#include "repository_internal.h"

/* Compression of indexes and manifests' roots: small beside the data, so ratio before speed. */
enum {
    OBJECT_LEVEL = 6
};

static const char *
type_name(enum hq_object_type type)
{
    return type == HQ_OBJECT_INDEX ? "index" : type == HQ_OBJECT_ROOT ? "root" : "audit record";
}

/* bind ‖ header ‖ name */
static int
make_ad(const struct hq_repository *repository, const uint8_t *header, const char *name,
        struct hq_buf *ad, struct hq_error *err)
{
    hq_buf_put(ad, hq_keyring_bind(repository->keyring), HQ_BIND_BYTES);
    hq_buf_put(ad, header, HQ_OBJECT_HEADER_BYTES);
    hq_buf_put(ad, name, strlen(name));
    return hq_buf_check(ad, "object", err);
}

static int
object_key(const struct hq_repository *repository, uint32_t epoch, enum hq_object_type type,
           struct hq_key *out, struct hq_error *err)
{
    const uint8_t extra[2] = {(uint8_t)type, 0};

    return hq_keyring_metadata_key(repository->keyring, epoch, "object", extra, sizeof extra, out,
                                   err);
}

static void
make_header(enum hq_object_type type, uint32_t epoch, enum hq_codec codec, uint64_t raw_len,
            uint8_t header[HQ_OBJECT_HEADER_BYTES])
{
    memset(header, 0, HQ_OBJECT_HEADER_BYTES);
    memcpy(header, "HQBSEAL1", 8);
    header[8] = HQ_FORMAT_VERSION;
    header[10] = (uint8_t)type;
    hq_set_u32(header + 12, epoch);
    header[20] = (uint8_t)codec;
    hq_set_u64(header + 24, raw_len);
    hq_random(header + 32, HQ_NONCE_BYTES);
}

static int
seal_frame(const struct hq_repository *repository, enum hq_object_type type, const char *name,
           const uint8_t header[HQ_OBJECT_HEADER_BYTES], const struct hq_buf *frame,
           struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf ad = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    uint8_t *to;

    if (object_key(repository, hq_get_u32(header + 12), type, &key, err) != 0 ||
        make_ad(repository, header, name, &ad, err) != 0)
        return -1;
    to = hq_buf_grow(out, HQ_OBJECT_HEADER_BYTES + frame->len + HQ_TAG_BYTES);
    if (to == NULL)
        return hq_buf_check(out, type_name(type), err);
    memcpy(to, header, HQ_OBJECT_HEADER_BYTES);
    hq_aead_seal(&key, header + 32, ad.data, ad.len, frame->data, frame->len,
                 to + HQ_OBJECT_HEADER_BYTES);
    return 0;
}

int
hq_object_seal(const struct hq_repository *repository, enum hq_object_type type, const char *name,
               const void *body, size_t len, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0};
    uint8_t header[HQ_OBJECT_HEADER_BYTES];
    struct hq_compressor *c;
    enum hq_codec codec;
    int rc;

    if (len > HQ_OBJECT_RAW_MAX)
        return hq_fail(err, HQ_E_USAGE, "%s of %zu bytes: more than %d", type_name(type), len,
                       HQ_OBJECT_RAW_MAX);
    if ((c = hq_compressor_new(OBJECT_LEVEL, err)) == NULL)
        return -1;
    rc = hq_compress(c, HQ_CONTENT_ANY, body, len, &frame, &codec, err);
    hq_compressor_free(c);
    if (rc != 0)
        return -1;
    make_header(type, hq_keyring_newest_epoch(repository->keyring), codec, len, header);
    return seal_frame(repository, type, name, header, &frame, out, err);
}

static int
check_header(const uint8_t *header, enum hq_object_type type, struct hq_error *err)
{
    unsigned stored_type = hq_get_u16(header + 10);

    if (memcmp(header, "HQBSEAL1", 8) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "not a sealed object");
    if (hq_format_check(hq_get_u16(header + 8), hq_get_u32(header + 16), err) != 0 ||
        hq_reserved_check(header + 21, 3, err) != 0 || hq_reserved_check(header + 56, 8, err) != 0)
        return -1;
    if (stored_type != type)
        return hq_fail(err, stored_type >= 1 && stored_type <= 5 ? HQ_E_CORRUPT : HQ_E_UNSUPPORTED,
                       "object of type %u where the %s must be", stored_type, type_name(type));
    return 0;
}

/* Authenticate and decrypt @p sealed into @p frame. */
static int
open_frame(const struct hq_repository *repository, enum hq_object_type type, const char *name,
           const uint8_t *sealed, size_t len, struct hq_buf *frame, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf ad = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    uint8_t *to;

    if (object_key(repository, hq_get_u32(sealed + 12), type, &key, err) != 0 ||
        make_ad(repository, sealed, name, &ad, err) != 0)
        return -1;
    if ((to = hq_buf_grow(frame, len - HQ_OBJECT_HEADER_BYTES - HQ_TAG_BYTES)) == NULL)
        return hq_buf_check(frame, type_name(type), err);
    if (!hq_aead_open(&key, sealed + 32, ad.data, ad.len, sealed + HQ_OBJECT_HEADER_BYTES,
                      len - HQ_OBJECT_HEADER_BYTES, to))
        return hq_fail(err, HQ_E_CORRUPT, "authentication failed: damaged, forged or not of here");
    return 0;
}

static int
decompress_frame(unsigned codec, const struct hq_buf *frame, size_t raw_len, struct hq_buf *out,
                 struct hq_error *err)
{
    struct hq_compressor *c = hq_compressor_new(OBJECT_LEVEL, err);
    int rc;

    if (c == NULL)
        return -1;
    rc = hq_decompress(c, codec, frame->data, frame->len, raw_len, out, err);
    hq_compressor_free(c);
    return rc;
}

int
hq_object_open(const struct hq_repository *repository, enum hq_object_type type, const char *name,
               const void *sealed, size_t len, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0};
    const uint8_t *header = sealed;
    uint64_t raw_len;

    if (len < HQ_OBJECT_HEADER_BYTES + HQ_TAG_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%zu bytes are no sealed object: truncated", len);
    if (check_header(header, type, err) != 0)
        return -1;
    raw_len = hq_get_u64(header + 24);
    if (raw_len > HQ_OBJECT_RAW_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "raw length %llu: more than %d",
                       (unsigned long long)raw_len, HQ_OBJECT_RAW_MAX);
    if (hq_frame_check(header[20], len - HQ_OBJECT_HEADER_BYTES - HQ_TAG_BYTES, raw_len, err) !=
            0 ||
        open_frame(repository, type, name, header, len, &frame, err) != 0)
        return -1;
    return decompress_frame(header[20], &frame, (size_t)raw_len, out, err);
}
