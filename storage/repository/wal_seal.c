#include <string.h>

#include "wal_internal.h"

static void
make_header(const struct hq_wal_info *info, uint32_t epoch, uint8_t header[HQ_WAL_HEADER_BYTES])
{
    memset(header, 0, HQ_WAL_HEADER_BYTES);
    memcpy(header, "HQBWAL01", 8);
    header[8] = HQ_FORMAT_VERSION;
    header[10] = (uint8_t)info->type;
    hq_set_u32(header + 12, epoch);
    hq_set_u32(header + 20, info->timeline);
    hq_set_u64(header + 24, info->type == HQ_WAL_HISTORY ? info->begin_lsn : info->start_lsn);
    hq_set_u64(header + 32, info->end_lsn);
    hq_set_u64(header + 40, info->system_identifier);
    hq_set_u32(header + 48, info->type == HQ_WAL_HISTORY ? info->parent : info->segment_size);
    hq_set_u32(header + 52, info->raw_len);
    hq_set_u64(header + 56, (uint64_t)info->first_commit_us);
    hq_set_u64(header + 64, (uint64_t)info->last_commit_us);
    hq_set_u64(header + 72, (uint64_t)info->sent_us);
}

/*
 * Parts have none: a short one could be guessed by who holds a stolen metadata key, and nobody
 * needs to recognise a part.
 */
static int
put_tag(const struct hq_keyring *keyring, uint32_t epoch, const struct hq_wal_info *info,
        const char *name, const void *data, uint8_t header[HQ_WAL_HEADER_BYTES],
        struct hq_error *err)
{
    struct hq_id tag;

    if (info->type == HQ_WAL_PART)
        return 0;
    if (hq_wal_content_tag(keyring, epoch, name, data, info->raw_len, &tag, err) != 0)
        return -1;
    memcpy(header + HQ_WAL_TAG_OFFSET, tag.bytes, HQ_ID_BYTES);
    return 0;
}

/* The header with a fresh sealed K, and the content key that goes with it. */
static int
begin(const struct hq_keyring *keyring, const struct hq_wal_info *info, const char *name,
      const void *data, uint8_t header[HQ_WAL_HEADER_BYTES], struct hq_key *content_key,
      struct hq_error *err)
{
    uint32_t epoch = hq_keyring_newest_epoch(keyring);
    HQ_AUTO(hq_key_wipe)
    struct hq_key data_key;

    make_header(info, epoch, header);
    if (put_tag(keyring, epoch, info, name, data, header, err) != 0)
        return -1;
    hq_random(data_key.bytes, HQ_KEY_BYTES);
    if (hq_keyring_seal_data_key(keyring, epoch, &data_key, header + HQ_WAL_SEALED_KEY_OFFSET,
                                 err) != 0)
        return -1;
    return hq_wal_content_key(keyring, epoch, &data_key, header, content_key, err);
}

struct sealer {
    const uint8_t *bind;
    const char *name;
    struct hq_key key;
    struct hq_compressor *c;
};

static int
put_frame(struct sealer *s, struct hq_wal_frame *frame, const uint8_t *raw, struct hq_buf *out,
          struct hq_error *err)
{
    struct hq_buf *content = hq_compressor_scratch(s->c);
    uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_WAL_AD_MAX];
    enum hq_codec codec;
    size_t ad_len;
    uint8_t *to;

    if (hq_compress(s->c, HQ_CONTENT_RECORDS, raw, frame->raw, content, &codec, err) != 0)
        return -1;
    frame->codec = (uint8_t)codec;
    hq_buf_put_u32(out,
                   (uint32_t)(content->len + HQ_TAG_BYTES) | (uint32_t)codec << HQ_WAL_CODEC_SHIFT);
    if ((to = hq_buf_grow(out, content->len + HQ_TAG_BYTES)) == NULL)
        return hq_buf_check(out, s->name, err);
    hq_nonce_counter(frame->number, nonce);
    ad_len = hq_wal_frame_ad(s->bind, frame, s->name, ad);
    hq_aead_seal(&s->key, nonce, ad, ad_len, content->data, content->len, to);
    return 0;
}

static int
put_frames(struct sealer *s, const uint8_t *data, uint32_t raw_len, struct hq_buf *out,
           struct hq_error *err)
{
    struct hq_wal_frame frame;
    uint32_t number = 0;

    do {
        frame = hq_wal_frame_of(number++, raw_len);
        if (put_frame(s, &frame, data, out, err) != 0)
            return -1;
        data += frame.raw;
    } while (!frame.last);
    return 0;
}

int
hq_wal_seal(const struct hq_repository *repository, const char *cluster,
            const struct hq_wal_info *info, const void *data, struct hq_compressor *c,
            struct hq_buf *out, struct hq_error *err)
{
    struct sealer s = {.bind = hq_keyring_bind(repository->keyring), .c = c};
    uint8_t header[HQ_WAL_HEADER_BYTES];
    char name[HQ_OBJECT_NAME_MAX + 1];
    size_t before = out->len;
    int rc;

    if (!hq_cluster_name_valid(cluster))
        return hq_fail(err, HQ_E_USAGE, "\"%s\" is not a cluster's name", cluster);
    if (hq_wal_info_check(info, HQ_E_USAGE, err) != 0)
        return -1;
    hq_wal_name(cluster, info, name);
    if (begin(repository->keyring, info, name, data, header, &s.key, err) != 0)
        return -1;
    s.name = name;
    hq_buf_put(out, header, sizeof header);
    rc = put_frames(&s, data, info->raw_len, out, err);
    hq_key_wipe(&s.key);
    if (rc != 0)
        out->len = before;
    return rc;
}
