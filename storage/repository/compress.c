#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

#include "repository_internal.h"

struct hq_compressor {
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
        ZSTD_isError(ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, level)))
        goto fail;
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

int
hq_compress(struct hq_compressor *c, const void *raw, size_t len, struct hq_buf *out,
            enum hq_codec *codec, struct hq_error *err)
{
    size_t bound = ZSTD_compressBound(len);
    uint8_t *frame;
    size_t got;

    out->len = 0;
    /* Room for the worst case keeps zstd on its fast path; what is kept never exceeds len. */
    if ((frame = hq_buf_grow(out, bound)) == NULL)
        return hq_buf_check(out, "compressed frame", err);
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
