#include <stdlib.h>
#include <string.h>

#include "index_internal.h"

bool
hq_name_id(const char *name, const char *prefix, struct hq_id *out)
{
    size_t skip = strlen(prefix);

    return strncmp(name, prefix, skip) == 0 &&
           hq_hex_decode(name + skip, strlen(name + skip), out->bytes, HQ_ID_BYTES) == 0;
}

/* The fixed part of one pack; its entries must be in what is left of @p v. */
static int
decode_pack_header(struct hq_view *v, struct hq_pack *pack, struct hq_error *err)
{
    unsigned type;
    const uint8_t *reserved;

    hq_view_copy(v, pack->id.bytes, HQ_ID_BYTES);
    pack->size = hq_view_u32(v);
    type = hq_view_u16(v);
    reserved = hq_view_take(v, 2);
    pack->epoch = hq_view_u32(v);
    pack->count = hq_view_u32(v);
    if (v->failed)
        return hq_fail(err, HQ_E_CORRUPT, "truncated");
    if (hq_reserved_check(reserved, 2, err) != 0)
        return -1;
    if (type != HQ_PACK_DATA && type != HQ_PACK_METADATA)
        return hq_fail(err, HQ_E_UNSUPPORTED, "unknown type of pack %u", type);
    pack->type = (enum hq_pack_type)type;
    if (pack->count < 1 || pack->count > v->len / HQ_PACK_ENTRY_BYTES ||
        pack->size > HQ_PACK_MAX_BYTES ||
        pack->size < HQ_PACK_HEADER_BYTES + hq_pack_tail_bytes(pack->count))
        return hq_fail(err, HQ_E_CORRUPT, "pack of %u bytes with %u frames", pack->size,
                       pack->count);
    return 0;
}

static int
decode_pack(struct hq_view *v, uint64_t *entries, struct hq_pack *pack, struct hq_error *err)
{
    uint32_t end;

    if (decode_pack_header(v, pack, err) != 0)
        return -1;
    *entries += pack->count;
    if (*entries > HQ_INDEX_ENTRIES_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "more than %d entries", HQ_INDEX_ENTRIES_MAX);
    if ((pack->entries = calloc(pack->count, sizeof *pack->entries)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%u entries", pack->count);
    end = (uint32_t)(pack->size - hq_pack_tail_bytes(pack->count));
    return hq_pack_entries_decode(hq_view_take(v, (size_t)pack->count * HQ_PACK_ENTRY_BYTES),
                                  pack->count, pack->type, end, pack->entries, err);
}

int
hq_index_decode(const void *body, size_t len, hq_index_pack_fn *each, void *context,
                struct hq_error *err)
{
    struct hq_view v = hq_view_of(body, len);
    uint64_t entries = 0;

    for (size_t number = 0; v.len > 0; number++) {
        struct hq_pack pack = {0};
        int rc = decode_pack(&v, &entries, &pack, err);

        if (rc != 0)
            (void)hq_error_prefix(err, "pack %zu", number);
        else
            rc = each(&pack, context, err);
        free(pack.entries);
        if (rc != 0)
            return -1;
    }
    return 0;
}

static int
open_index(const struct hq_repository *repository, const char *name, struct hq_buf *body,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    struct hq_id named, id;

    if (!hq_name_id(name, HQ_INDEX_PREFIX, &named))
        return hq_fail(err, HQ_E_USAGE, "%s: not the name of an index", name);
    if (hq_store_get_all(repository->store, name,
                         HQ_OBJECT_HEADER_BYTES + HQ_OBJECT_RAW_MAX + HQ_TAG_BYTES, &sealed,
                         err) != 0)
        return -1;
    hq_hash(NULL, sealed.data, sealed.len, &id);
    if (hq_id_compare(&id, &named) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %zu bytes are not those of its name", name,
                       sealed.len);
    if (hq_object_open(repository, HQ_OBJECT_INDEX, "index", sealed.data, sealed.len, body, err) !=
        0)
        return hq_error_prefix(err, "%s", name);
    return 0;
}

int
hq_index_read(const struct hq_repository *repository, const char *name, hq_index_pack_fn *each,
              void *context, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {0};

    if (open_index(repository, name, &body, err) != 0)
        return -1;
    if (hq_index_decode(body.data, body.len, each, context, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return 0;
}
