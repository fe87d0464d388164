#include <string.h>

#include "pack_internal.h"

static const char trailer_magic[] = "HQBPEND1";

void
hq_pack_trailer_encode(const struct hq_pack_layout *layout, struct hq_buf *out)
{
    hq_buf_put_u32(out, layout->directory);
    hq_buf_put_u32(out, layout->stored);
    hq_buf_put_u32(out, layout->frames);
    hq_buf_put_zero(out, 12);
    hq_buf_put(out, trailer_magic, 8);
}

int
hq_pack_trailer_decode(const uint8_t trailer[HQ_PACK_TRAILER_BYTES], uint64_t size,
                       struct hq_pack_layout *out, struct hq_error *err)
{
    if (size < HQ_PACK_HEADER_BYTES + hq_pack_tail_bytes(1) || size > HQ_PACK_MAX_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%llu bytes are no pack", (unsigned long long)size);
    if (memcmp(trailer + 24, trailer_magic, 8) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "no pack ends here: truncated or damaged");
    if (hq_reserved_check(trailer + 12, 12, err) != 0)
        return hq_error_prefix(err, "trailer");
    out->directory = hq_get_u32(trailer);
    out->stored = hq_get_u32(trailer + 4);
    out->frames = hq_get_u32(trailer + 8);
    if (out->frames < 1 || out->frames > HQ_PACK_FRAMES_MAX ||
        out->stored != hq_pack_tail_bytes(out->frames) - HQ_PACK_TRAILER_BYTES ||
        out->directory < HQ_PACK_HEADER_BYTES ||
        out->directory + hq_pack_tail_bytes(out->frames) != size)
        return hq_fail(err, HQ_E_CORRUPT,
                       "directory of %u frames, %u bytes at %u, does not fit %llu bytes",
                       out->frames, out->stored, out->directory, (unsigned long long)size);
    return 0;
}

void
hq_pack_entries_encode(const struct hq_pack_entry *entries, uint32_t count, struct hq_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct hq_pack_entry *e = &entries[i];

        hq_buf_put(out, e->id.bytes, HQ_ID_BYTES);
        hq_buf_put_u32(out, e->offset);
        hq_buf_put_u32(out, e->stored);
        hq_buf_put_u32(out, e->raw);
        hq_buf_put_u8(out, e->kind);
        hq_buf_put_u8(out, e->codec);
        hq_buf_put_u16(out, 0);
    }
}

static enum hq_pack_type
type_of_kind(unsigned kind)
{
    return kind == HQ_CHUNK_DATA || kind == HQ_CHUNK_PAGES ? HQ_PACK_DATA : HQ_PACK_METADATA;
}

int
hq_pack_entry_check(const struct hq_pack_entry *entry, enum hq_pack_type type, struct hq_error *err)
{
    uint32_t raw_max = hq_chunk_raw_max(entry->kind);

    if (raw_max == 0)
        return hq_fail(err, HQ_E_UNSUPPORTED, "unknown chunk kind %u", entry->kind);
    if (type_of_kind(entry->kind) != type)
        return hq_fail(err, HQ_E_CORRUPT, "chunk kind %u in a %s pack", entry->kind,
                       type == HQ_PACK_DATA ? "data" : "metadata");
    if (entry->raw > raw_max || entry->stored < HQ_TAG_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "chunk kind %u of %u raw, %u stored bytes", entry->kind,
                       entry->raw, entry->stored);
    return hq_frame_check(entry->codec, entry->stored - HQ_TAG_BYTES, entry->raw, err);
}

int
hq_pack_entries_decode(const uint8_t *bytes, uint32_t count, enum hq_pack_type type, uint32_t end,
                       struct hq_pack_entry *out, struct hq_error *err)
{
    uint64_t expected = HQ_PACK_HEADER_BYTES;

    for (uint32_t i = 0; i < count; i++, bytes += HQ_PACK_ENTRY_BYTES) {
        struct hq_pack_entry *e = &out[i];

        memcpy(e->id.bytes, bytes, HQ_ID_BYTES);
        e->offset = hq_get_u32(bytes + 32);
        e->stored = hq_get_u32(bytes + 36);
        e->raw = hq_get_u32(bytes + 40);
        e->kind = bytes[44];
        e->codec = bytes[45];
        if (hq_reserved_check(bytes + 46, 2, err) != 0 || hq_pack_entry_check(e, type, err) != 0)
            return hq_error_prefix(err, "frame %u", i);
        if (e->offset != expected)
            return hq_fail(err, HQ_E_CORRUPT, "frame %u at %u, not at %llu", i, e->offset,
                           (unsigned long long)expected);
        expected += e->stored;
    }
    if (expected != end)
        return hq_fail(err, HQ_E_CORRUPT, "frames end at %llu, the directory begins at %u",
                       (unsigned long long)expected, end);
    return 0;
}
