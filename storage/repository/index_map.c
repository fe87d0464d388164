#include <stdlib.h>
#include <string.h>

#include "index_map_internal.h"

enum {
    RAW_BITS = 27,
    KIND_BITS = 3,
    FIRST_SLOTS = 1024
};

_Static_assert(HQ_CHUNK_PAGE_MAP_MAX < 1 << RAW_BITS && HQ_CHUNK_PAGE_SUMS < 1 << KIND_BITS,
               "raw length, kind and codec share one word");

/* 52 bytes a chunk: a repository of 10 TiB has some 40 million of them. */
struct chunk {
    struct hq_id id;
    uint32_t pack; /* number in packs */
    uint32_t frame;
    uint32_t offset;
    uint32_t stored;
    uint32_t packed; /* raw length, kind, codec, from the lowest bit on */
};

/*
 * Chunks lie in the order they came; slots is an open-addressed table of their numbers + 1, 0 for
 * a free slot, probed one by one from the place the id's first bytes say. Ids are keyed hashes:
 * they need no mixing.
 * Invariants: slot_count is 0 or a power of two; count is at most 3/4 of it.
 */
struct hq_index_map {
    struct chunk *chunks;
    size_t count, cap;
    uint32_t *slots;
    size_t slot_count;
    struct hq_id *packs;
    size_t pack_count, pack_cap;
};

struct hq_index_map *
hq_index_map_new(struct hq_error *err)
{
    struct hq_index_map *map = calloc(1, sizeof *map);

    if (map == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "index map");
    return map;
}

void
hq_index_map_free(struct hq_index_map *map)
{
    if (map == NULL)
        return;
    free(map->chunks);
    free(map->slots);
    free(map->packs);
    free(map);
}

size_t
hq_index_map_chunks(const struct hq_index_map *map)
{
    return map->count;
}

size_t
hq_index_map_packs(const struct hq_index_map *map)
{
    return map->pack_count;
}

const struct hq_id *
hq_index_map_pack(const struct hq_index_map *map, size_t number)
{
    return &map->packs[number];
}

/* The slot that holds @p id or, if none does, the free one where it belongs. */
static size_t
find_slot(const struct hq_index_map *map, const struct hq_id *id)
{
    size_t mask = map->slot_count - 1;
    size_t at = (size_t)hq_get_u64(id->bytes) & mask;

    while (map->slots[at] != 0 &&
           memcmp(map->chunks[map->slots[at] - 1].id.bytes, id->bytes, HQ_ID_BYTES) != 0)
        at = (at + 1) & mask;
    return at;
}

static int
grow_slots(struct hq_index_map *map, struct hq_error *err)
{
    size_t slot_count = map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL)
        return hq_fail(err, HQ_E_NOMEM, "index map of %zu chunks", map->count);
    free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    for (size_t i = 0; i < map->count; i++)
        slots[find_slot(map, &map->chunks[i].id)] = (uint32_t)i + 1;
    return 0;
}

/* Half as much again when full: what is unused stays small beside what is used. */
static int
grow_array(void **items, size_t count, size_t *cap, size_t size, struct hq_error *err)
{
    size_t more = *cap + *cap / 2 + 256;
    void *moved;

    if (count < *cap)
        return 0;
    if ((moved = reallocarray(*items, more, size)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "index map of %zu items", more);
    *items = moved;
    *cap = more;
    return 0;
}

static int
reserve_chunk(struct hq_index_map *map, struct hq_error *err)
{
    void *chunks = map->chunks;
    int rc;

    if (map->count >= UINT32_MAX - 1)
        return hq_fail(err, HQ_E_UNSUPPORTED, "repository of more than %u chunks", UINT32_MAX - 1);
    if (map->count >= map->slot_count / 4 * 3 && grow_slots(map, err) != 0)
        return -1;
    rc = grow_array(&chunks, map->count, &map->cap, sizeof *map->chunks, err);
    map->chunks = chunks;
    return rc;
}

static int
add_pack(struct hq_index_map *map, const struct hq_id *id, struct hq_error *err)
{
    void *packs = map->packs;
    int rc;

    if (map->pack_count >= UINT32_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "repository of more than %u packs", UINT32_MAX);
    rc = grow_array(&packs, map->pack_count, &map->pack_cap, sizeof *map->packs, err);
    map->packs = packs;
    if (rc == 0)
        map->packs[map->pack_count++] = *id;
    return rc;
}

int
hq_index_map_add(struct hq_index_map *map, const struct hq_pack *pack, struct hq_error *err)
{
    if (add_pack(map, &pack->id, err) != 0)
        return -1;
    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hq_pack_entry *e = &pack->entries[i];
        size_t slot;

        if (reserve_chunk(map, err) != 0)
            return -1;
        slot = find_slot(map, &e->id);
        if (map->slots[slot] != 0)
            continue;
        map->chunks[map->count] = (struct chunk){
            .id = e->id,
            .pack = (uint32_t)map->pack_count - 1,
            .frame = i,
            .offset = e->offset,
            .stored = e->stored,
            .packed = e->raw | (uint32_t)e->kind << RAW_BITS |
                      (uint32_t)e->codec << (RAW_BITS + KIND_BITS),
        };
        map->slots[slot] = (uint32_t)++map->count;
    }
    return 0;
}

bool
hq_index_map_find(const struct hq_index_map *map, const struct hq_id *id, struct hq_place *out)
{
    const struct chunk *chunk;
    uint32_t number;

    if (map->count == 0 || (number = map->slots[find_slot(map, id)]) == 0)
        return false;
    chunk = &map->chunks[number - 1];
    *out = (struct hq_place){
        .pack = map->packs[chunk->pack],
        .frame = chunk->frame,
        .entry = {.id = chunk->id,
                  .offset = chunk->offset,
                  .stored = chunk->stored,
                  .raw = chunk->packed & ((UINT32_C(1) << RAW_BITS) - 1),
                  .kind = chunk->packed >> RAW_BITS & ((1 << KIND_BITS) - 1),
                  .codec = (uint8_t)(chunk->packed >> (RAW_BITS + KIND_BITS))},
    };
    out->type = out->entry.kind == HQ_CHUNK_DATA || out->entry.kind == HQ_CHUNK_PAGES
                    ? HQ_PACK_DATA
                    : HQ_PACK_METADATA;
    return true;
}
