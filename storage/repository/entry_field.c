#include <string.h>

#include "entry_internal.h"
#include "repository_internal.h"

static int
wrong_length(unsigned tag, size_t len, struct hq_error *err)
{
    return hq_fail(err, HQ_E_CORRUPT, "field %u of %zu bytes", tag, len);
}

/* A text without a zero inside, as a string into @p out (HQ_PATH_BYTES_MAX + 1 bytes). */
static int
take_text(unsigned tag, const struct hq_view *value, char *out, struct hq_error *err)
{
    if (value->len < 1 || value->len > HQ_PATH_BYTES_MAX ||
        memchr(value->data, 0, value->len) != NULL)
        return wrong_length(tag, value->len, err);
    memcpy(out, value->data, value->len);
    out[value->len] = '\0';
    return 0;
}

static int
take_number(unsigned tag, struct hq_view *value, size_t len, uint64_t *out, struct hq_error *err)
{
    if (value->len != len)
        return wrong_length(tag, value->len, err);
    *out = len == 1 ? hq_view_u8(value) : len == 4 ? hq_view_u32(value) : hq_view_u64(value);
    return 0;
}

static int
take_u32(unsigned tag, struct hq_view *value, uint32_t *out, struct hq_error *err)
{
    uint64_t n = 0;
    int rc = take_number(tag, value, 4, &n, err);

    *out = (uint32_t)n;
    return rc;
}

static struct hq_chunk_ref
take_ref(struct hq_view *value)
{
    struct hq_chunk_ref ref;

    hq_view_copy(value, ref.id.bytes, HQ_ID_BYTES);
    ref.raw = hq_view_u32(value);
    return ref;
}

static int
take_chunks(struct hq_entry_space *space, struct hq_view *value, struct hq_entry *entry,
            struct hq_error *err)
{
    struct hq_chunk_ref *refs;

    if (value->len % HQ_CHUNK_REF_BYTES != 0)
        return wrong_length(HQ_TAG_CHUNKS, value->len, err);
    entry->chunk_count = value->len / HQ_CHUNK_REF_BYTES;
    space->chunks.len = 0;
    refs = (void *)hq_buf_grow(&space->chunks, entry->chunk_count * sizeof *refs);
    if (refs == NULL)
        return hq_buf_check(&space->chunks, "chunks of an entry", err);
    for (size_t i = 0; i < entry->chunk_count; i++)
        refs[i] = take_ref(value);
    entry->chunks = refs;
    return 0;
}

static int
take_damaged(struct hq_entry_space *space, struct hq_view *value, struct hq_entry *entry,
             struct hq_error *err)
{
    uint32_t *blocks;

    if (value->len % 4 != 0)
        return wrong_length(HQ_TAG_DAMAGED, value->len, err);
    entry->damaged_count = value->len / 4;
    space->damaged.len = 0;
    blocks = (void *)hq_buf_grow(&space->damaged, entry->damaged_count * sizeof *blocks);
    if (blocks == NULL)
        return hq_buf_check(&space->damaged, "damaged pages of an entry", err);
    for (size_t i = 0; i < entry->damaged_count; i++)
        blocks[i] = hq_view_u32(value);
    entry->damaged = blocks;
    return 0;
}

/* Extended attributes have no place in struct hq_entry yet, but must be well-formed. */
static int
check_attribute(struct hq_view *value, struct hq_error *err)
{
    size_t len = value->len;
    size_t name = hq_view_u16(value);

    if (value->failed || name < 1 || name > value->len)
        return wrong_length(HQ_TAG_XATTR, len, err);
    return 0;
}

static int
take_known(struct hq_entry_space *space, enum hq_entry_tag tag, struct hq_view *value,
           struct hq_entry *entry, struct hq_error *err)
{
    uint64_t n = 0;
    int rc = 0;

    switch (tag) {
    case HQ_TAG_PATH:
        entry->path = space->path;
        return take_text(tag, value, space->path, err);
    case HQ_TAG_TYPE:
        rc = take_number(tag, value, 1, &n, err);
        entry->type = (enum hq_entry_type)n;
        return rc;
    case HQ_TAG_MODE:
        return take_u32(tag, value, &entry->mode, err);
    case HQ_TAG_UID:
        return take_u32(tag, value, &entry->uid, err);
    case HQ_TAG_GID:
        return take_u32(tag, value, &entry->gid, err);
    case HQ_TAG_MTIME:
        rc = take_number(tag, value, 8, &n, err);
        entry->mtime_us = (int64_t)n;
        return rc;
    case HQ_TAG_SIZE:
        return take_number(tag, value, 8, &entry->size, err);
    case HQ_TAG_CHUNKS:
        return take_chunks(space, value, entry, err);
    case HQ_TAG_PAGE_MAP:
        if (value->len != HQ_CHUNK_REF_BYTES)
            return wrong_length(tag, value->len, err);
        entry->page_map = take_ref(value);
        return 0;
    case HQ_TAG_TARGET:
        entry->target = space->target;
        return take_text(tag, value, space->target, err);
    case HQ_TAG_DAMAGED:
        return take_damaged(space, value, entry, err);
    case HQ_TAG_XATTR:
        return check_attribute(value, err);
    case HQ_TAG_OWNER:
    case HQ_TAG_GROUP:
        return 0;
    case HQ_TAG_REQUIRED:
    default:
        return hq_fail(err, HQ_E_UNSUPPORTED, "unknown field %u", (unsigned)tag);
    }
}

int
hq_entry_take_field(struct hq_entry_space *space, struct hq_view *v, uint32_t *seen,
                    struct hq_entry *entry, struct hq_error *err)
{
    unsigned tag = hq_view_u16(v);
    uint32_t len = hq_view_u32(v);
    struct hq_view value = hq_view_sub(v, len);

    if (v->failed)
        return hq_fail(err, HQ_E_CORRUPT, "field %u reaches beyond its entry", tag);
    if (tag < HQ_TAG_PATH || (tag > HQ_TAG_GROUP && tag < HQ_TAG_REQUIRED))
        return 0;
    if (tag <= HQ_TAG_GROUP) {
        if (tag != HQ_TAG_XATTR && (*seen & UINT32_C(1) << tag) != 0)
            return hq_fail(err, HQ_E_CORRUPT, "field %u twice", tag);
        *seen |= UINT32_C(1) << tag;
    }
    return take_known(space, (enum hq_entry_tag)tag, &value, entry, err);
}
