#include <stdlib.h>
#include <string.h>

#include "vectors.h"
#include "wal_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t bind[HQ_BIND_BYTES];
static const struct hq_key content_key;

/*
 * An object with the header at hand, whose frames are sealed here: each frame of the input is a
 * u32 word and as many bytes as it says. So damage reaches what is behind the authentication.
 */
static void
seal_frames(const char *name, const struct hq_wal_info *info, struct hq_view *v, struct hq_buf *out)
{
    for (uint32_t number = 0; v->len >= 4 && number < 8; number++) {
        struct hq_wal_frame frame = hq_wal_frame_of(number, info->raw_len);
        uint32_t word = hq_view_u32(v);
        uint32_t len = word & 0xFFFF;
        uint8_t nonce[HQ_NONCE_BYTES], ad[HQ_WAL_AD_MAX];
        const uint8_t *content;
        uint8_t *to;
        size_t ad_len;

        if (len > v->len)
            len = (uint32_t)v->len;
        content = hq_view_take(v, len);
        frame.codec = (uint8_t)(word >> HQ_WAL_CODEC_SHIFT);
        ad_len = hq_wal_frame_ad(bind, &frame, name, ad);
        hq_nonce_counter(number, nonce);
        hq_buf_put_u32(out, (word & UINT32_C(1) << HQ_WAL_CODEC_SHIFT) | (len + HQ_TAG_BYTES));
        if ((to = hq_buf_grow(out, len + HQ_TAG_BYTES)) == NULL)
            abort();
        hq_aead_seal(&content_key, nonce, ad, ad_len, content, len, to);
    }
}

static void
try_open(const char *name, const struct hq_buf *object)
{
    static struct hq_compressor *c;
    struct hq_wal_info info;
    struct hq_buf out = {0};
    struct hq_error err;

    if (c == NULL && (c = hq_compressor_new(1, &err)) == NULL)
        abort();
    if (hq_wal_open(bind, &content_key, name, object->data, object->len, c, &info, &out, &err) ==
        0) {
        if (out.len != info.raw_len)
            abort();
    } else if (out.len != 0) {
        abort();
    }
    hq_buf_clear(&out);
}

static void
try_name(const uint8_t *data, size_t size)
{
    char text[HQ_OBJECT_NAME_MAX + 1], again[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info info;

    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (!hq_wal_name_parse(text, "main", 1 << 24, &info))
        return;
    hq_wal_name("main", &info, again);
    if (strcmp(text, again) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_view v = hq_view_of(data, size);
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_buf object = {0};
    struct hq_wal_info info;
    struct hq_error err;

    if (hq_crypto_init(&err) != 0)
        abort();
    try_name(data, size);
    if (hq_wal_header_decode(data, size, &info, &err) != 0)
        return 0;
    hq_wal_name("main", &info, name);
    hq_buf_put(&object, hq_view_take(&v, HQ_WAL_HEADER_BYTES), HQ_WAL_HEADER_BYTES);
    seal_frames(name, &info, &v, &object);
    try_open(name, &object);
    hq_buf_clear(&object);
    return 0;
}
