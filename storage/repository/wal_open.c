#include <string.h>

#include "wal_internal.h"

int
hq_wal_header_decode(const void *data, size_t len, struct hq_wal_info *out, struct hq_error *err)
{
    const uint8_t *header = data;

    if (len < HQ_WAL_HEADER_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%zu bytes are no WAL object: truncated", len);
    if (memcmp(header, "HQBWAL01", 8) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "not a WAL object");
    if (hq_format_check(hq_get_u16(header + 8), hq_get_u32(header + 16), err) != 0)
        return hq_error_prefix(err, "WAL header");
    *out = (struct hq_wal_info){
        .type = (enum hq_wal_type)hq_get_u16(header + 10),
        .timeline = hq_get_u32(header + 20),
        .start_lsn = hq_get_u64(header + 24),
        .end_lsn = hq_get_u64(header + 32),
        .system_identifier = hq_get_u64(header + 40),
        .segment_size = hq_get_u32(header + 48),
        .raw_len = hq_get_u32(header + 52),
        .first_commit_us = (int64_t)hq_get_u64(header + 56),
        .last_commit_us = (int64_t)hq_get_u64(header + 64),
        .sent_us = (int64_t)hq_get_u64(header + 72),
    };
    memcpy(out->content_tag.bytes, header + HQ_WAL_TAG_OFFSET, HQ_ID_BYTES);
    if (out->type == HQ_WAL_HISTORY) {
        out->parent = out->segment_size;
        out->begin_lsn = out->start_lsn;
        out->segment_size = 0;
        out->start_lsn = 0;
    }
    return hq_wal_info_check(out, HQ_E_CORRUPT, err);
}

int
hq_wal_key_open(const struct hq_repository *repository, const uint8_t header[HQ_WAL_HEADER_BYTES],
                struct hq_key *out, struct hq_error *err)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key data_key;
    struct hq_wal_info info;
    uint32_t epoch;

    if (hq_wal_header_decode(header, HQ_WAL_HEADER_BYTES, &info, err) != 0)
        return -1;
    epoch = hq_wal_header_epoch(header);
    if (hq_keyring_open_data_key(repository->keyring, epoch, header + HQ_WAL_SEALED_KEY_OFFSET,
                                 &data_key, err) != 0)
        return -1;
    return hq_wal_content_key(repository->keyring, epoch, &data_key, header, out, err);
}

/* The name must say what the header says; it holds the cluster's name between two slashes. */
static int
check_name(const char *name, const struct hq_wal_info *info, struct hq_error *err)
{
    const char *cluster = strncmp(name, "wal/", 4) == 0 ? name + 4 : "";
    size_t len = strcspn(cluster, "/");
    char text[HQ_CLUSTER_NAME_MAX + 1];
    struct hq_wal_info named;

    if (len > HQ_CLUSTER_NAME_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "not the name of a WAL object");
    memcpy(text, cluster, len);
    text[len] = '\0';
    if (!hq_cluster_name_valid(text) || strlen(name) > HQ_OBJECT_NAME_MAX ||
        !hq_wal_name_parse(name, text, info->segment_size, &named))
        return hq_fail(err, HQ_E_CORRUPT, "not the name of a WAL object");
    if (named.type != info->type || named.system_identifier != info->system_identifier ||
        named.timeline != info->timeline || named.start_lsn != info->start_lsn ||
        named.end_lsn != info->end_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "the header is of another WAL object");
    return 0;
}

struct opener {
    const uint8_t *bind;
    const struct hq_key *key;
    const char *name;
    struct hq_compressor *c;
    struct hq_buf raw; /* of one frame */
};

/* Open what is sealed, @p len bytes, of @p frame; append to @p out. */
static int
open_frame(struct opener *o, const struct hq_wal_frame *frame, const uint8_t *sealed, size_t len,
           struct hq_buf *out, struct hq_error *err)
{
    struct hq_buf *content = hq_compressor_scratch(o->c);
    uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_WAL_AD_MAX];
    size_t ad_len = hq_wal_frame_ad(o->bind, frame, o->name, ad);
    uint8_t *to;

    content->len = 0;
    if ((to = hq_buf_grow(content, len - HQ_TAG_BYTES)) == NULL)
        return hq_buf_check(content, "WAL frame", err);
    hq_nonce_counter(frame->number, nonce);
    if (!hq_aead_open(o->key, nonce, ad, ad_len, sealed, len, to))
        return hq_fail(err, HQ_E_CORRUPT, "authentication failed: damaged, forged or not of here");
    if (hq_decompress(o->c, frame->codec, content->data, content->len, frame->raw, &o->raw, err) !=
        0)
        return -1;
    hq_buf_put(out, o->raw.data, o->raw.len);
    return hq_buf_check(out, "WAL", err);
}

static int
next_frame(struct opener *o, struct hq_view *v, struct hq_wal_frame *frame, struct hq_buf *out,
           struct hq_error *err)
{
    uint32_t word = hq_view_u32(v);
    uint32_t stored = word & ((UINT32_C(1) << HQ_WAL_CODEC_SHIFT) - 1);
    const uint8_t *sealed = hq_view_take(v, stored);

    if (v->failed || stored < HQ_TAG_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "truncated");
    frame->codec = (uint8_t)(word >> HQ_WAL_CODEC_SHIFT);
    if (hq_frame_check(frame->codec, stored - HQ_TAG_BYTES, frame->raw, err) != 0)
        return -1;
    return open_frame(o, frame, sealed, stored, out, err);
}

static int
open_frames(struct opener *o, const uint8_t *bytes, size_t len, uint32_t raw_len,
            struct hq_buf *out, struct hq_error *err)
{
    struct hq_view v = hq_view_of(bytes, len);
    struct hq_wal_frame frame;
    uint32_t number = 0;

    do {
        frame = hq_wal_frame_of(number++, raw_len);
        if (next_frame(o, &v, &frame, out, err) != 0)
            return hq_error_prefix(err, "frame %u", frame.number);
    } while (!frame.last);
    if (v.len > 0)
        return hq_fail(err, HQ_E_CORRUPT, "%zu bytes after the last frame", v.len);
    return 0;
}

int
hq_wal_open(const uint8_t bind[HQ_BIND_BYTES], const struct hq_key *key, const char *name,
            const void *object, size_t len, struct hq_compressor *c, struct hq_wal_info *info,
            struct hq_buf *out, struct hq_error *err)
{
    struct opener o = {.bind = bind, .key = key, .name = name, .c = c};
    const uint8_t *bytes = object;
    size_t before = out->len;
    int rc;

    if (hq_wal_header_decode(object, len, info, err) != 0 || check_name(name, info, err) != 0)
        return hq_error_prefix(err, "%s", name);
    info->object_size = len;
    rc = open_frames(&o, bytes + HQ_WAL_HEADER_BYTES, len - HQ_WAL_HEADER_BYTES, info->raw_len, out,
                     err);
    hq_buf_clear(&o.raw);
    if (rc == 0)
        rc = hq_wal_branch_check(info, out->data + before, out->len - before, err);
    if (rc == 0)
        return 0;
    out->len = before;
    return hq_error_prefix(err, "%s", name);
}
