#include <string.h>

#include "entry_internal.h"
#include "repository_internal.h"

static void
put_field(struct hq_buf *out, enum hq_entry_tag tag, uint32_t len)
{
    hq_buf_put_u16(out, (uint16_t)tag);
    hq_buf_put_u32(out, len);
}

static void
put_u32_field(struct hq_buf *out, enum hq_entry_tag tag, uint32_t value)
{
    put_field(out, tag, 4);
    hq_buf_put_u32(out, value);
}

static void
put_text_field(struct hq_buf *out, enum hq_entry_tag tag, const char *text)
{
    size_t len = strlen(text);

    put_field(out, tag, (uint32_t)len);
    hq_buf_put(out, text, len);
}

static void
put_ref(struct hq_buf *out, const struct hq_chunk_ref *ref)
{
    hq_buf_put(out, ref->id.bytes, HQ_ID_BYTES);
    hq_buf_put_u32(out, ref->raw);
}

static void
put_content(const struct hq_entry *entry, struct hq_buf *out)
{
    put_field(out, HQ_TAG_SIZE, 8);
    hq_buf_put_u64(out, entry->size);
    if (entry->type == HQ_ENTRY_RELATION) {
        put_field(out, HQ_TAG_PAGE_MAP, HQ_CHUNK_REF_BYTES);
        put_ref(out, &entry->page_map);
    } else if (entry->chunk_count > 0) {
        put_field(out, HQ_TAG_CHUNKS, (uint32_t)entry->chunk_count * HQ_CHUNK_REF_BYTES);
        for (size_t i = 0; i < entry->chunk_count; i++)
            put_ref(out, &entry->chunks[i]);
    }
    if (entry->damaged_count > 0) {
        put_field(out, HQ_TAG_DAMAGED, (uint32_t)entry->damaged_count * 4);
        for (size_t i = 0; i < entry->damaged_count; i++)
            hq_buf_put_u32(out, entry->damaged[i]);
    }
}

int
hq_entry_encode(const struct hq_entry *entry, struct hq_buf *out, struct hq_error *err)
{
    size_t start = out->len;
    size_t len;

    /* Both counts are below 2^27 when this holds, so the field lengths can't wrap. */
    if (entry->chunk_count > HQ_ENTRY_BYTES_MAX / HQ_CHUNK_REF_BYTES ||
        entry->damaged_count > HQ_ENTRY_BYTES_MAX / 4)
        return hq_fail(err, HQ_E_USAGE, "%s: %zu chunks, %zu damaged pages: too many for an entry",
                       entry->path, entry->chunk_count, entry->damaged_count);
    if (hq_entry_check(entry, HQ_E_USAGE, err) != 0)
        return -1;
    hq_buf_put_u32(out, 0);
    put_text_field(out, HQ_TAG_PATH, entry->path);
    put_field(out, HQ_TAG_TYPE, 1);
    hq_buf_put_u8(out, (uint8_t)entry->type);
    put_u32_field(out, HQ_TAG_MODE, entry->mode);
    put_u32_field(out, HQ_TAG_UID, entry->uid);
    put_u32_field(out, HQ_TAG_GID, entry->gid);
    put_field(out, HQ_TAG_MTIME, 8);
    hq_buf_put_u64(out, (uint64_t)entry->mtime_us);
    if (entry->type == HQ_ENTRY_FILE || entry->type == HQ_ENTRY_RELATION)
        put_content(entry, out);
    if (entry->type == HQ_ENTRY_SYMLINK)
        put_text_field(out, HQ_TAG_TARGET, entry->target);
    if (hq_buf_check(out, entry->path, err) != 0)
        return -1;
    len = out->len - start - 4;
    if (len > HQ_ENTRY_BYTES_MAX) {
        out->len = start;
        return hq_fail(err, HQ_E_USAGE, "%s: entry of %zu bytes, more than %d", entry->path, len,
                       HQ_ENTRY_BYTES_MAX);
    }
    hq_set_u32(out->data + start, (uint32_t)len);
    return 0;
}
