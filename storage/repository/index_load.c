#include <stdlib.h>
#include <string.h>

#include "index_map_internal.h"

struct object {
    struct hq_id id;
    uint64_t size;
};

/* Names of objects, as ids: listed first, read afterwards, so that no listing stays open long. */
struct objects {
    struct object *item;
    size_t count, cap;
};

static void
objects_clear(struct objects *o)
{
    free(o->item);
}

static int
objects_add(struct objects *o, const struct hq_id *id, uint64_t size, struct hq_error *err)
{
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 256 : o->cap * 2;
        struct object *item = reallocarray(o->item, cap, sizeof *item);

        if (item == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu objects", cap);
        o->item = item;
        o->cap = cap;
    }
    o->item[o->count++] = (struct object){.id = *id, .size = size};
    return 0;
}

static int
note_index(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct hq_id id;

    if (!hq_name_id(object->name, HQ_INDEX_PREFIX, &id))
        return 0;
    return objects_add(context, &id, object->size, err);
}

/* "packs/ab/abcd...": the folder must be the id's first byte. */
static int
note_pack(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_id id;

    if (strlen(object->name) < 9 || !hq_name_id(object->name + 9, "", &id))
        return 0;
    hq_pack_name(&id, name);
    if (strcmp(name, object->name) != 0)
        return 0;
    return objects_add(context, &id, object->size, err);
}

/* Whether a failed read may be passed over, and counted: the object is damaged or gone. */
static bool
pass_over(uint64_t *damaged, const struct hq_error *err)
{
    if (damaged == NULL || (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING))
        return false;
    (*damaged)++;
    return true;
}

/*
 * After a loss of packs the next backup stores their chunks again, so an index may name a copy
 * that is gone beside one that is there, and the map keeps the first that it is given. So packs
 * that are there are taken first; the others only when some index names one, by reading again.
 */
struct taking {
    struct hq_index_map *map;
    struct objects packs; /* those there, sorted */
    bool absent;          /* take those that are not there */
    bool saw_absent;
};

static int
compare_objects(const void *a, const void *b)
{
    const struct object *x = a, *y = b;

    return hq_id_compare(&x->id, &y->id);
}

static int
take_pack(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    struct taking *t = context;
    struct object key = {.id = pack->id};
    const struct object *found = t->packs.count == 0 ? NULL
                                                     : bsearch(&key, t->packs.item, t->packs.count,
                                                               sizeof key, compare_objects);
    bool absent = found == NULL || found->size != pack->size;

    t->saw_absent = t->saw_absent || absent;
    return absent == t->absent ? hq_index_map_add(t->map, pack, err) : 0;
}

static int
read_each(const struct hq_repository *repository, const struct objects *indexes,
          struct taking *taking, uint64_t *damaged, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    for (size_t i = 0; i < indexes->count; i++) {
        hq_index_name(&indexes->item[i].id, name);
        if (hq_index_read(repository, name, take_pack, taking, err) != 0 &&
            !pass_over(damaged, err))
            return -1;
    }
    return 0;
}

static int
read_indexes(const struct hq_repository *repository, struct hq_index_map *map, uint64_t *damaged,
             struct hq_error *err)
{
    HQ_AUTO(objects_clear)
    struct objects indexes = {0};
    struct taking taking = {.map = map};
    uint64_t again = 0; /* the same damage, counted by the first reading */
    int rc = -1;

    if (hq_store_list(repository->store, HQ_INDEX_PREFIX, note_index, &indexes, err) != 0 ||
        hq_store_list(repository->store, "packs/", note_pack, &taking.packs, err) != 0)
        goto out;
    if (taking.packs.count > 0)
        qsort(taking.packs.item, taking.packs.count, sizeof *taking.packs.item, compare_objects);
    rc = read_each(repository, &indexes, &taking, damaged, err);
    taking.absent = true;
    if (rc == 0 && taking.saw_absent)
        rc = read_each(repository, &indexes, &taking, damaged != NULL ? &again : NULL, err);
out:
    objects_clear(&taking.packs);
    return rc;
}

static int
compare_ids(const void *a, const void *b)
{
    return hq_id_compare(a, b);
}

/* Ids of the packs that some index named, sorted. Owned; NULL with err set. */
static struct hq_id *
known_packs(const struct hq_index_map *map, size_t *count, struct hq_error *err)
{
    struct hq_id *known;

    *count = hq_index_map_packs(map);
    if ((known = calloc(*count + 1, sizeof *known)) == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "list of %zu packs", *count);
        return NULL;
    }
    for (size_t i = 0; i < *count; i++)
        known[i] = *hq_index_map_pack(map, i);
    qsort(known, *count, sizeof *known, compare_ids);
    return known;
}

static int
read_pack(const struct hq_repository *repository, const struct object *object,
          struct hq_index_map *map, struct hq_error *err)
{
    struct hq_pack *pack = hq_pack_fetch_directory(repository, &object->id, object->size, err);
    int rc;

    if (pack == NULL)
        return -1;
    rc = hq_index_map_add(map, pack, err);
    hq_pack_free(pack);
    return rc;
}

int
hq_index_map_add_unnamed(const struct hq_repository *repository, struct hq_index_map *map,
                         uint64_t *damaged, struct hq_error *err)
{
    HQ_AUTO(objects_clear)
    struct objects packs = {0};
    size_t known_count;
    HQ_FREE struct hq_id *known = known_packs(map, &known_count, err);

    if (known == NULL || hq_store_list(repository->store, "packs/", note_pack, &packs, err) != 0)
        return -1;
    for (size_t i = 0; i < packs.count; i++) {
        const struct object *p = &packs.item[i];

        if (bsearch(&p->id, known, known_count, sizeof *known, compare_ids) != NULL)
            continue;
        if (read_pack(repository, p, map, err) != 0 && !pass_over(damaged, err))
            return -1;
    }
    return 0;
}

struct hq_index_map *
hq_index_map_load(const struct hq_repository *repository, uint64_t *damaged, struct hq_error *err)
{
    struct hq_index_map *map = hq_index_map_new(err);

    if (map == NULL)
        return NULL;
    if (damaged != NULL)
        *damaged = 0;
    if (read_indexes(repository, map, damaged, err) != 0)
        goto fail;
    if (damaged != NULL && *damaged > 0 &&
        hq_index_map_add_unnamed(repository, map, damaged, err) != 0)
        goto fail;
    hq_error_clear(err);
    return map;

fail:
    hq_index_map_free(map);
    return NULL;
}
