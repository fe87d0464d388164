#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "layout.h"
#include "plan_internal.h"
#include "repository/chunk_reader.h"

/* Packs that the backup needs: collected with repeats, sorted, made unique. */
struct needed {
    struct hq_plan *plan;
    struct hq_chunk_reader *reader;
    bool allow_damaged;
    struct needed_pack {
        struct hq_id id;
        uint64_t end; /**< the pack must reach at least so far */
        bool seen;
    } * packs;
    size_t count, cap;
};

static int
compare_packs(const void *a, const void *b)
{
    const struct needed_pack *x = a, *y = b;

    return hq_id_compare(&x->id, &y->id);
}

static void
unite(struct needed *n)
{
    size_t kept = 0;

    if (n->count == 0)
        return;
    qsort(n->packs, n->count, sizeof *n->packs, compare_packs);
    for (size_t i = 1; i < n->count; i++) {
        if (hq_id_compare(&n->packs[kept].id, &n->packs[i].id) != 0)
            n->packs[++kept] = n->packs[i];
        else if (n->packs[i].end > n->packs[kept].end)
            n->packs[kept].end = n->packs[i].end;
    }
    n->count = kept + 1;
}

static int
add_pack(struct needed *n, const struct hq_place *place, struct hq_error *err)
{
    uint64_t end = (uint64_t)place->entry.offset + place->entry.stored;

    if (n->count > 0 && hq_id_compare(&n->packs[n->count - 1].id, &place->pack) == 0) {
        if (end > n->packs[n->count - 1].end)
            n->packs[n->count - 1].end = end;
        return 0;
    }
    if (n->count == n->cap) {
        unite(n);
        if (2 * n->count >= n->cap) {
            size_t cap = n->cap == 0 ? 1024 : 2 * n->cap;
            void *packs = realloc(n->packs, cap * sizeof *n->packs);

            if (packs == NULL)
                return hq_fail(err, HQ_E_NOMEM, "list of %zu packs", cap);
            n->packs = packs;
            n->cap = cap;
        }
    }
    n->packs[n->count++] = (struct needed_pack){.id = place->pack, .end = end};
    return 0;
}

static void
note_missing(struct hq_plan *plan, const char *path)
{
    if (plan->missing_chunks++ == 0)
        snprintf(plan->first_missing, sizeof plan->first_missing, "%s", path);
}

static int
need(struct needed *n, const struct hq_id *id, const char *path, struct hq_error *err)
{
    struct hq_place place;

    if (hq_index_map_find(n->plan->index, id, &place, err) == 0)
        return add_pack(n, &place, err);
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    note_missing(n->plan, path);
    return 0;
}

/* What need not fit on the disk. */
static void
note_zeros(struct hq_plan *plan, const struct hq_entry *entry, const struct hq_page_map *map)
{
    size_t place = layout_place(&plan->root, entry->path);

    for (uint32_t i = 0; i < map->run_count; i++)
        if (map->runs[i].chunk == HQ_PAGE_RUN_ZERO)
            plan->zero_bytes[place] += (uint64_t)map->runs[i].length * map->block_size;
}

static int
need_pages(struct needed *n, const struct hq_entry *entry, struct hq_error *err)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};

    if (hq_page_map_read(n->reader, entry, &map, err) != 0) {
        if (!n->allow_damaged || (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING))
            return -1;
        note_missing(n->plan, entry->path);
        return 0;
    }
    note_zeros(n->plan, entry, &map);
    for (uint32_t i = 0; i < map.chunk_count; i++)
        if (need(n, &map.chunks[i].id, entry->path, err) != 0)
            return -1;
    return 0;
}

static int
need_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct needed *n = context;

    if (entry->type == HQ_ENTRY_RELATION)
        return need_pages(n, entry, err);
    for (size_t i = 0; i < entry->chunk_count; i++)
        if (need(n, &entry->chunks[i].id, entry->path, err) != 0)
            return -1;
    return 0;
}

static int
see_pack(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct needed *n = context;
    struct needed_pack key, *found;
    const char *base = strrchr(object->name, '/');

    (void)err;
    if (n->count == 0 || base == NULL ||
        hq_hex_decode(base + 1, strlen(base + 1), key.id.bytes, HQ_ID_BYTES) != 0)
        return 0;
    found = bsearch(&key, n->packs, n->count, sizeof *n->packs, compare_packs);
    if (found != NULL && object->size > found->end) {
        found->seen = true;
        n->plan->packs++;
        n->plan->pack_bytes += object->size;
    }
    return 0;
}

/* Files that need an absent pack are found by a second pass, which only damage costs. */
static int
blame_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct needed *n = context;
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};
    bool pages = entry->type == HQ_ENTRY_RELATION;
    size_t count = entry->chunk_count;

    if (pages) {
        if (hq_page_map_read(n->reader, entry, &map, err) != 0)
            return 0; /* counted by the first pass */
        count = map.chunk_count;
    }
    for (size_t i = 0; i < count; i++) {
        struct needed_pack key, *found;
        struct hq_place place;

        if (hq_index_map_find(n->plan->index, pages ? &map.chunks[i].id : &entry->chunks[i].id,
                              &place, err) != 0)
            continue; /* counted by the first pass too */
        key.id = place.pack;
        found = bsearch(&key, n->packs, n->count, sizeof *n->packs, compare_packs);
        if (found != NULL && !found->seen)
            note_missing(n->plan, entry->path);
    }
    return 0;
}

static int
check_packs(const struct hq_repository *repository, struct needed *n, struct hq_error *err)
{
    bool absent = false;

    unite(n);
    if (hq_store_list(repository->store, "packs/", see_pack, n, err) != 0)
        return -1;
    for (size_t i = 0; i < n->count; i++)
        absent = absent || !n->packs[i].seen;
    return absent ? hq_manifest_read(n->reader, &n->plan->root, blame_entry, n, err) : 0;
}

/*
 * An index that is gone leaves no trace, so with damage allowed the packs that no index names are
 * always looked at: load does that only when it saw a damaged one.
 */
static int
load_index(const struct hq_repository *repository, struct hq_plan *plan, bool allow_damaged,
           struct hq_error *err)
{
    plan->index = hq_index_map_load(repository, allow_damaged ? &plan->damaged_indexes : NULL, err);
    if (plan->index == NULL)
        return -1;
    if (!allow_damaged || plan->damaged_indexes > 0)
        return 0;
    return hq_index_map_add_unnamed(repository, plan->index, &plan->damaged_indexes, err);
}

int
plan_check_objects(const struct hq_repository *repository, struct hq_plan *plan, bool allow_damaged,
                   struct hq_error *err)
{
    struct needed n = {.plan = plan, .allow_damaged = allow_damaged};
    int result = -1;

    if (load_index(repository, plan, allow_damaged, err) != 0)
        return -1;
    plan->zero_bytes = calloc(plan->root.tablespace_count + 1, sizeof *plan->zero_bytes);
    if (plan->zero_bytes == NULL)
        return hq_fail(err, HQ_E_NOMEM, "sizes of tablespaces");
    n.reader = hq_chunk_reader_of_index(repository, plan->index, err);
    if (n.reader != NULL && hq_manifest_read(n.reader, &plan->root, need_entry, &n, err) == 0)
        result = check_packs(repository, &n, err);
    hq_chunk_reader_free(n.reader);
    free(n.packs);
    if (result != 0 || plan->missing_chunks == 0 || allow_damaged)
        return result;
    hq_fail(err, HQ_E_MISSING, "%llu chunks of backup %s are not in the repository; %s needs one",
            (unsigned long long)plan->missing_chunks, plan->root.backup, plan->first_missing);
    return hq_error_hint(err, "%s", DAMAGE_HINT);
}
