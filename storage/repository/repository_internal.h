/**
 * @file repository_internal.h
 * What the files of storage/repository/ share: texts for messages, limits, scratch memory.
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_INTERNAL_H
#define HQ_REPOSITORY_INTERNAL_H

#include "base/cleanup.h"
#include "base/io.h"
#include "repository/chunk.h"
#include "repository/repository.h"

enum {
    HQ_ID_TEXT_BYTES = 2 * HQ_ID_BYTES + 1,
    HQ_BIND_BYTES = 32,
    HQ_FORMAT_VERSION = 1
};

/** Hexadecimal text of @p id into @p out; returns @p out. */
static inline const char *
hq_id_text(const struct hq_id *id, char out[HQ_ID_TEXT_BYTES])
{
    return hq_hex_encode(id->bytes, HQ_ID_BYTES, out);
}

/** UNSUPPORTED for a version above 1 or required features, CORRUPT for version 0. */
int hq_format_check(unsigned version, uint32_t features, struct hq_error *err) HQ_MUST_CHECK;
/** UNSUPPORTED unless all @p len reserved bytes are zero. */
int hq_reserved_check(const uint8_t *bytes, size_t len, struct hq_error *err) HQ_MUST_CHECK;
/**
 * The rules of every compressed frame: a known codec (UNSUPPORTED), @p len at most @p raw_len and
 * equal to it for HQ_CODEC_NONE (CORRUPT). @p len does not count a tag.
 */
int hq_frame_check(unsigned codec, uint64_t len, uint64_t raw_len,
                   struct hq_error *err) HQ_MUST_CHECK;

/** A buffer that lives as long as @p c: for frames between opening and decompressing. */
struct hq_buf *hq_compressor_scratch(struct hq_compressor *c);

#endif
