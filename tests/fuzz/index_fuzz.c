#include <stdlib.h>

#include "index_map_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
take(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    struct hq_place place;

    if (hq_index_map_add(context, pack, err) != 0)
        abort();
    for (uint32_t i = 0; i < pack->count; i++)
        if (hq_index_map_find(context, &pack->entries[i].id, &place, err) != 0 ||
            hq_pack_entry_check(&place.entry, place.type, err) != 0 ||
            place.entry.offset + (uint64_t)place.entry.stored > HQ_PACK_MAX_BYTES)
            abort();
    return 0;
}

/* An opened body; what is accepted must be found again, and keep the format's rules. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_error err;
    struct hq_index_map *map = hq_index_map_new(&err);

    if (map == NULL)
        abort();
    (void)!hq_index_decode(data, size, take, map, &err);
    hq_index_map_free(map);
    return 0;
}
