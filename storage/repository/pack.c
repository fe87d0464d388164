#include "repository/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack_internal.h"

void
hq_pack_free(struct hq_pack *pack)
{
    if (pack == NULL)
        return;
    free(pack->entries);
    hq_buf_clear(&pack->bytes);
    free(pack);
}

void
hq_pack_name(const struct hq_id *id, char out[HQ_OBJECT_NAME_MAX + 1])
{
    char text[HQ_ID_TEXT_BYTES];

    hq_id_text(id, text);
    (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "packs/%.2s/%s", text, text);
}

void
hq_pack_frame_ad(const uint8_t bind[HQ_BIND_BYTES], uint32_t number,
                 const struct hq_pack_entry *entry, uint8_t out[HQ_PACK_FRAME_AD_BYTES])
{
    memcpy(out, bind, HQ_BIND_BYTES);
    out += HQ_BIND_BYTES;
    hq_set_u32(out, number);
    out[4] = entry->kind;
    out[5] = entry->codec;
    out[6] = out[7] = 0;
    hq_set_u32(out + 8, entry->raw);
    memcpy(out + 12, entry->id.bytes, HQ_ID_BYTES);
}

int
hq_pack_frame_key(const struct hq_keyring *keyring, uint32_t epoch, const struct hq_key *data_key,
                  const uint8_t header[HQ_PACK_HEADER_BYTES], struct hq_key *out,
                  struct hq_error *err)
{
    uint8_t extra[HQ_KEY_BYTES + HQ_PACK_HEADER_BYTES];
    int rc;

    if (data_key == NULL)
        return hq_keyring_metadata_key(keyring, epoch, "pack-metadata", header,
                                       HQ_PACK_HEADER_BYTES, out, err);
    memcpy(extra, data_key->bytes, HQ_KEY_BYTES);
    memcpy(extra + HQ_KEY_BYTES, header, HQ_PACK_HEADER_BYTES);
    rc = hq_keyring_metadata_key(keyring, epoch, "pack-data", extra, sizeof extra, out, err);
    explicit_bzero(extra, sizeof extra);
    return rc;
}
