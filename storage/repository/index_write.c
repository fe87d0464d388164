#include <stdio.h>

#include "index_internal.h"

/* Indexes name their packs by what is stored: id, size, type, epoch and directory entries. */
static int
encode(struct hq_pack *const *packs, size_t count, struct hq_buf *body, struct hq_error *err)
{
    uint64_t entries = 0;

    for (size_t i = 0; i < count; i++) {
        const struct hq_pack *pack = packs[i];

        entries += pack->count;
        if (entries > HQ_INDEX_ENTRIES_MAX)
            return hq_fail(err, HQ_E_USAGE, "index: more than %d chunks", HQ_INDEX_ENTRIES_MAX);
        hq_buf_put(body, pack->id.bytes, HQ_ID_BYTES);
        hq_buf_put_u32(body, pack->size);
        hq_buf_put_u16(body, (uint16_t)pack->type);
        hq_buf_put_u16(body, 0);
        hq_buf_put_u32(body, pack->epoch);
        hq_buf_put_u32(body, pack->count);
        hq_pack_entries_encode(pack->entries, pack->count, body);
    }
    return hq_buf_check(body, "index", err);
}

void
hq_index_name(const struct hq_id *id, char out[HQ_OBJECT_NAME_MAX + 1])
{
    char text[HQ_ID_TEXT_BYTES];

    (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, HQ_INDEX_PREFIX "%s", hq_id_text(id, text));
}

int
hq_index_write(const struct hq_repository *repository, struct hq_pack *const *packs, size_t count,
               struct hq_id *id, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {.limit = HQ_OBJECT_RAW_MAX};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    if (encode(packs, count, &body, err) != 0 ||
        hq_object_seal(repository, HQ_OBJECT_INDEX, "index", body.data, body.len, &sealed, err) !=
            0)
        return -1;
    hq_hash(NULL, sealed.data, sealed.len, id);
    hq_index_name(id, name);
    return hq_store_put_bytes(repository->store, name, sealed.data, sealed.len, err);
}
