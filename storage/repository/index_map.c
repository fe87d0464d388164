#include <stdlib.h>
#include <string.h>

#include "index_map_internal.h"
#include "index_records.h"

enum {
    RAW_BITS = 27,
    KIND_BITS = 3,
    FIRST_SLOTS = 1024
};

_Static_assert(HQ_CHUNK_PAGE_MAP_MAX < 1 << RAW_BITS && HQ_CHUNK_PAGE_SUMS < 1 << KIND_BITS,
               "raw length, kind and codec share one word");

/*
 * Chunks have numbers in the order they came; their records may lie in a file. slots is an
 * open-addressed table, probed one by one from the place that the tag says: the first bytes of the
 * id, so that growing needs no records, and a probe reads one only where the tags agree. Ids are
 * keyed hashes: they need no mixing.
 * Invariants: slot_count is 0 or a power of two; at most 7/8 of the slots are taken.
 */
struct slot {
    uint32_t tag;
    uint32_t number; /* + 1; 0: free */
};

struct hq_index_map {
    struct hq_index_records records;
    struct slot *slots;
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
    hq_index_records_clear(&map->records);
    free(map->slots);
    free(map->packs);
    free(map);
}

size_t
hq_index_map_chunks(const struct hq_index_map *map)
{
    return map->records.count;
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

static uint32_t
tag_of(const struct hq_id *id)
{
    return (uint32_t)(hq_get_u64(id->bytes) >> 32);
}

static size_t
home_of(const struct hq_index_map *map, uint32_t tag)
{
    return (size_t)((uint64_t)tag * map->slot_count >> 32);
}

/* The slot that holds @p id, whose record is read, or, if none does, the free one for it. */
static int
find_slot(const struct hq_index_map *map, const struct hq_id *id, size_t *slot,
          struct hq_index_record *record, struct hq_error *err)
{
    size_t mask = map->slot_count - 1;
    uint32_t tag = tag_of(id);

    for (*slot = home_of(map, tag); map->slots[*slot].number != 0; *slot = (*slot + 1) & mask) {
        if (map->slots[*slot].tag != tag)
            continue;
        if (hq_index_records_get(&map->records, map->slots[*slot].number - 1, record, err) != 0)
            return -1;
        if (hq_id_compare(&record->id, id) == 0)
            return 0;
    }
    return 0;
}

static int
grow_slots(struct hq_index_map *map, struct hq_error *err)
{
    size_t old_count = map->slot_count;
    struct slot *old = map->slots;

    map->slot_count = old_count == 0 ? FIRST_SLOTS : old_count * 2;
    map->slots = calloc(map->slot_count, sizeof *map->slots);
    if (map->slots == NULL) {
        map->slots = old;
        map->slot_count = old_count;
        return hq_fail(err, HQ_E_NOMEM, "index map of %zu chunks", map->records.count);
    }
    for (size_t i = 0; i < old_count; i++) {
        size_t at = home_of(map, old[i].tag);

        if (old[i].number == 0)
            continue;
        while (map->slots[at].number != 0)
            at = (at + 1) & (map->slot_count - 1);
        map->slots[at] = old[i];
    }
    free(old);
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

static int
add_chunk(struct hq_index_map *map, const struct hq_pack_entry *e, uint32_t frame,
          struct hq_error *err)
{
    struct hq_index_record record = {
        .id = e->id,
        .pack = (uint32_t)map->pack_count - 1,
        .frame = frame,
        .offset = e->offset,
        .stored = e->stored,
        .packed =
            e->raw | (uint32_t)e->kind << RAW_BITS | (uint32_t)e->codec << (RAW_BITS + KIND_BITS),
    };
    struct hq_index_record there;
    size_t slot;

    if (map->records.count >= UINT32_MAX - 1)
        return hq_fail(err, HQ_E_UNSUPPORTED, "repository of more than %u chunks", UINT32_MAX - 1);
    if (map->records.count >= map->slot_count / 8 * 7 && grow_slots(map, err) != 0)
        return -1;
    if (find_slot(map, &e->id, &slot, &there, err) != 0)
        return -1;
    if (map->slots[slot].number != 0)
        return 0;
    if (hq_index_records_add(&map->records, &record, err) != 0)
        return -1;
    map->slots[slot] = (struct slot){.tag = tag_of(&e->id), .number = (uint32_t)map->records.count};
    return 0;
}

int
hq_index_map_add(struct hq_index_map *map, const struct hq_pack *pack, struct hq_error *err)
{
    if (add_pack(map, &pack->id, err) != 0)
        return -1;
    for (uint32_t i = 0; i < pack->count; i++)
        if (add_chunk(map, &pack->entries[i], i, err) != 0)
            return -1;
    return 0;
}

static int
unknown(const struct hq_id *id, struct hq_error *err)
{
    char text[HQ_ID_TEXT_BYTES];

    hq_fail(err, HQ_E_MISSING, "chunk %s: no index names it", hq_id_text(id, text));
    return hq_error_hint(err, "an index object is missing or damaged; run `hq-backup verify` or "
                              "restore an older backup");
}

int
hq_index_map_find(const struct hq_index_map *map, const struct hq_id *id, struct hq_place *out,
                  struct hq_error *err)
{
    struct hq_index_record chunk;
    size_t slot;

    if (map->records.count == 0)
        return unknown(id, err);
    if (find_slot(map, id, &slot, &chunk, err) != 0)
        return -1;
    if (map->slots[slot].number == 0)
        return unknown(id, err);
    *out = (struct hq_place){
        .pack = map->packs[chunk.pack],
        .frame = chunk.frame,
        .entry = {.id = chunk.id,
                  .offset = chunk.offset,
                  .stored = chunk.stored,
                  .raw = chunk.packed & ((UINT32_C(1) << RAW_BITS) - 1),
                  .kind = chunk.packed >> RAW_BITS & ((1 << KIND_BITS) - 1),
                  .codec = (uint8_t)(chunk.packed >> (RAW_BITS + KIND_BITS))},
    };
    out->type = out->entry.kind == HQ_CHUNK_DATA || out->entry.kind == HQ_CHUNK_PAGES
                    ? HQ_PACK_DATA
                    : HQ_PACK_METADATA;
    return 0;
}
