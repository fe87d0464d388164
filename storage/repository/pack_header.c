#include <string.h>

#include "pack_internal.h"

int
hq_pack_header_decode(const uint8_t header[HQ_PACK_HEADER_BYTES], enum hq_pack_type *type,
                      uint32_t *epoch, struct hq_error *err)
{
    unsigned stored_type = hq_get_u16(header + 10);

    if (memcmp(header, "HQBPACK1", 8) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "not a pack");
    if (hq_format_check(hq_get_u16(header + 8), hq_get_u32(header + 16), err) != 0 ||
        hq_reserved_check(header + 20, 4, err) != 0 || hq_reserved_check(header + 120, 8, err) != 0)
        return hq_error_prefix(err, "pack header");
    if (stored_type != HQ_PACK_DATA && stored_type != HQ_PACK_METADATA)
        return hq_fail(err, HQ_E_UNSUPPORTED, "unknown type of pack %u", stored_type);
    if (stored_type == HQ_PACK_METADATA &&
        hq_reserved_check(header + HQ_PACK_SEALED_KEY_OFFSET, HQ_SEALED_KEY_BYTES, err) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "metadata pack with a sealed key");
    *type = (enum hq_pack_type)stored_type;
    *epoch = hq_get_u32(header + 12);
    return 0;
}

int
hq_pack_key_open(const struct hq_repository *repository, const uint8_t header[HQ_PACK_HEADER_BYTES],
                 struct hq_pack_key *out, struct hq_error *err)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key data_key;

    if (hq_pack_header_decode(header, &out->type, &out->epoch, err) != 0)
        return -1;
    if (out->type == HQ_PACK_DATA &&
        hq_keyring_open_data_key(repository->keyring, out->epoch,
                                 header + HQ_PACK_SEALED_KEY_OFFSET, &data_key, err) != 0)
        return -1;
    return hq_pack_frame_key(repository->keyring, out->epoch,
                             out->type == HQ_PACK_DATA ? &data_key : NULL, header, &out->frame_key,
                             err);
}
