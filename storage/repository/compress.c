#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

#include "repository_internal.h"

enum {
    TUNED_LEVEL = 1,
    HASH_LOG = 13, /* 32 KiB */
    MATCH_BY_LEVEL = 0,
    MATCH_SHORT = 5,
    MATCH_LONG = 7, /* this level's, of more than 256 KiB: a sample alone would get shorter ones */
    SAMPLE_BYTES = 16 << 10,
    /* Shorter matches take longer: what they save must be worth it. */
    SAVED_PERCENT_MIN = 5
};

struct hq_compressor {
    int level;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    struct hq_buf scratch;
};

struct hq_compressor *
hq_compressor_new(int level, struct hq_error *err)
{
    struct hq_compressor *c = calloc(1, sizeof *c);

    assert(level >= 1 && level <= 19);
    if (c == NULL)
        goto fail;
    c->compress = ZSTD_createCCtx();
    c->decompress = ZSTD_createDCtx();
    if (c->compress == NULL || c->decompress == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, level)) ||
        (level == TUNED_LEVEL &&
         ZSTD_isError(ZSTD_CCtx_setParameter(c->compress, ZSTD_c_hashLog, HASH_LOG))))
        goto fail;
    c->level = level;
    return c;

fail:
    hq_compressor_free(c);
    (void)hq_fail(err, HQ_E_NOMEM, "zstd context of level %d", level);
    return NULL;
}

void
hq_compressor_free(struct hq_compressor *c)
{
    if (c == NULL)
        return;
    (void)ZSTD_freeCCtx(c->compress);
    (void)ZSTD_freeDCtx(c->decompress);
    hq_buf_clear(&c->scratch);
    free(c);
}

struct hq_buf *
hq_compressor_scratch(struct hq_compressor *c)
{
    return &c->scratch;
}

/* Shortest match from now on. */
static void
set_match(struct hq_compressor *c, int length)
{
    size_t rc = ZSTD_CCtx_setParameter(c->compress, ZSTD_c_minMatch, length);

    assert(!ZSTD_isError(rc));
    (void)rc;
}

/* Both ways of the first pages; the bytes alone decide, so that equal chunks stay equal. */
static int
better_match(struct hq_compressor *c, const void *raw, size_t len, struct hq_buf *out)
{
    size_t sample = len < SAMPLE_BYTES ? len : SAMPLE_BYTES, longer, shorter;

    set_match(c, MATCH_LONG);
    longer = ZSTD_compress2(c->compress, out->data, out->cap, raw, sample);
    set_match(c, MATCH_SHORT);
    shorter = ZSTD_compress2(c->compress, out->data, out->cap, raw, sample);
    /* A failure will be met again, and reported, with the whole. */
    if (ZSTD_isError(longer) || ZSTD_isError(shorter))
        return MATCH_BY_LEVEL;
    return shorter * 100 <= longer * (100 - SAVED_PERCENT_MIN) ? MATCH_SHORT : MATCH_BY_LEVEL;
}

static void
tune(struct hq_compressor *c, enum hq_content content, const void *raw, size_t len,
     struct hq_buf *room)
{
    if (c->level != TUNED_LEVEL)
        return;
    switch (content) {
    case HQ_CONTENT_ANY:
        set_match(c, MATCH_BY_LEVEL);
        break;
    case HQ_CONTENT_RECORDS:
        set_match(c, MATCH_SHORT);
        break;
    case HQ_CONTENT_INDEX:
        set_match(c, better_match(c, raw, len, room));
        break;
    }
}

int
hq_compress(struct hq_compressor *c, enum hq_content content, const void *raw, size_t len,
            struct hq_buf *out, enum hq_codec *codec, struct hq_error *err)
{
    size_t bound = ZSTD_compressBound(len);
    uint8_t *frame;
    size_t got;

    out->len = 0;
    /* Room for the worst case keeps zstd on its fast path; what is kept never exceeds len. */
    if ((frame = hq_buf_grow(out, bound)) == NULL)
        return hq_buf_check(out, "compressed frame", err);
    tune(c, content, raw, len, out);
    got = ZSTD_compress2(c->compress, frame, bound, raw, len);
    if (ZSTD_isError(got))
        return hq_fail(err, HQ_E_NOMEM, "compress %zu bytes: %s", len, ZSTD_getErrorName(got));
    if (got < len) {
        out->len = got;
        *codec = HQ_CODEC_ZSTD;
        return 0;
    }
    out->len = 0;
    hq_buf_put(out, raw, len);
    *codec = HQ_CODEC_NONE;
    return hq_buf_check(out, "stored frame", err);
}

/* zstd's own call would also take several frames, skippable ones and formats before 1.0. */
static bool
is_one_frame(const uint8_t *frame, size_t len)
{
    return len >= 4 && hq_get_u32(frame) == ZSTD_MAGICNUMBER &&
           ZSTD_findFrameCompressedSize(frame, len) == len;
}

int
hq_decompress(struct hq_compressor *c, unsigned codec, const void *frame, size_t len,
              size_t raw_len, struct hq_buf *out, struct hq_error *err)
{
    uint8_t *raw;
    size_t got;

    out->len = 0;
    if (hq_frame_check(codec, len, raw_len, err) != 0)
        return -1;
    if (codec == HQ_CODEC_NONE) {
        hq_buf_put(out, frame, len);
        return hq_buf_check(out, "stored frame", err);
    }
    if (!is_one_frame(frame, len))
        return hq_fail(err, HQ_E_CORRUPT, "%zu bytes are not one zstd frame", len);
    if ((raw = hq_buf_grow(out, raw_len)) == NULL)
        return hq_buf_check(out, "decompressed bytes", err);
    got = ZSTD_decompressDCtx(c->decompress, raw, raw_len, frame, len);
    if (got == raw_len)
        return 0;
    out->len = 0;
    if (ZSTD_isError(got))
        return hq_fail(err, HQ_E_CORRUPT, "zstd frame: %s", ZSTD_getErrorName(got));
    return hq_fail(err, HQ_E_CORRUPT, "zstd frame gives %zu bytes, not %zu", got, raw_len);
}
