#include "blockset.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_PLACES = 256,
    /* A set that is emptied again and again keeps tables up to this many places. */
    KEPT_PLACES = 8192
};
/* 2^64 divided by the golden ratio. */
#define FIBONACCI UINT64_C(0x9E3779B97F4A7C15)

void
blockset_clear(struct blockset *s)
{
    size_t memory_max = s->memory_max;

    free(s->relations);
    free(s->places);
    free(s->areas);
    free(s->databases);
    *s = (struct blockset){.memory_max = memory_max};
}

static void
mark_empty(struct blockset *s)
{
    memset(s->places, 0xFF, s->place_count * sizeof *s->places);
    for (size_t i = 0; i < s->area_places; i++)
        s->areas[i].relation = BLOCKSET_NONE;
}

void
blockset_empty(struct blockset *s)
{
    if (s->full || s->place_count > KEPT_PLACES || s->area_places > KEPT_PLACES) {
        blockset_clear(s);
        return;
    }
    s->relation_count = s->area_count = s->database_count = 0;
    if (s->places != NULL && s->areas != NULL)
        mark_empty(s);
    else
        blockset_clear(s);
}

static size_t
memory_used(const struct blockset *s)
{
    return s->relation_cap * sizeof *s->relations + s->place_count * sizeof *s->places +
           s->area_places * sizeof *s->areas + s->database_cap * sizeof *s->databases;
}

/* @p bytes more, unless that is too many. */
static void *
allocate(struct blockset *s, size_t count, size_t size)
{
    void *p = NULL;

    if (memory_used(s) + count * size <= s->memory_max)
        p = malloc(count * size);
    if (p == NULL)
        s->full = true;
    return p;
}

static uint64_t
hash_fork(const struct hq_relation_fork *f)
{
    uint64_t h = ((uint64_t)f->relation << 32 | f->database) * FIBONACCI;

    h ^= h >> 32;
    return (h ^ ((uint64_t)f->tablespace << 3 | f->fork)) * FIBONACCI;
}

static uint64_t
hash_area(uint32_t relation, uint32_t number)
{
    return ((uint64_t)relation << 32 | number) * FIBONACCI;
}

static size_t
place_of(uint64_t hash, size_t places)
{
    return (size_t)(hash >> 32) & (places - 1);
}

static bool
same_fork(const struct hq_relation_fork *a, const struct hq_relation_fork *b)
{
    return a->relation == b->relation && a->database == b->database &&
           a->tablespace == b->tablespace && a->fork == b->fork;
}

/* Where the fork is, or would be. */
static size_t
relation_place(const struct blockset *s, const struct hq_relation_fork *fork)
{
    size_t i = place_of(hash_fork(fork), s->place_count);

    while (s->places[i] != BLOCKSET_NONE && !same_fork(&s->relations[s->places[i]].fork, fork))
        i = (i + 1) & (s->place_count - 1);
    return i;
}

static size_t
area_place(const struct blockset *s, uint32_t relation, uint32_t number)
{
    size_t i = place_of(hash_area(relation, number), s->area_places);

    while (s->areas[i].relation != BLOCKSET_NONE &&
           (s->areas[i].relation != relation || s->areas[i].number != number))
        i = (i + 1) & (s->area_places - 1);
    return i;
}

static bool
grow_relations(struct blockset *s)
{
    size_t places = s->place_count > 0 ? s->place_count * 2 : FIRST_PLACES;
    size_t cap = places / 4 * 3;
    uint32_t *table = allocate(s, places, sizeof *table);
    struct blockset_relation *relations = NULL;

    if (table == NULL || (relations = allocate(s, cap, sizeof *relations)) == NULL) {
        free(table);
        return false;
    }
    if (s->relation_count > 0)
        memcpy(relations, s->relations, s->relation_count * sizeof *relations);
    free(s->relations);
    free(s->places);
    s->relations = relations;
    s->relation_cap = cap;
    s->places = table;
    s->place_count = places;
    memset(table, 0xFF, places * sizeof *table);
    for (size_t i = 0; i < s->relation_count; i++)
        table[relation_place(s, &relations[i].fork)] = (uint32_t)i;
    return true;
}

static bool
grow_areas(struct blockset *s)
{
    struct blockset_area *old = s->areas;
    size_t old_places = s->area_places;
    size_t places = old_places > 0 ? old_places * 2 : FIRST_PLACES;
    struct blockset_area *areas = allocate(s, places, sizeof *areas);

    if (areas == NULL)
        return false;
    s->areas = areas;
    s->area_places = places;
    for (size_t i = 0; i < places; i++)
        areas[i].relation = BLOCKSET_NONE;
    for (size_t i = 0; i < old_places; i++)
        if (old[i].relation != BLOCKSET_NONE)
            areas[area_place(s, old[i].relation, old[i].number)] = old[i];
    free(old);
    return true;
}

uint32_t
blockset_add_relation(struct blockset *s, const struct hq_relation_fork *fork)
{
    size_t place;

    if (s->full)
        return BLOCKSET_NONE;
    if (s->last_relation < s->relation_count &&
        same_fork(&s->relations[s->last_relation].fork, fork))
        return s->last_relation;
    if (s->relation_count == s->relation_cap && !grow_relations(s))
        return BLOCKSET_NONE;
    place = relation_place(s, fork);
    if (s->places[place] == BLOCKSET_NONE) {
        s->relations[s->relation_count] = (struct blockset_relation){*fork, BLOCKSET_NO_LIMIT};
        s->places[place] = (uint32_t)s->relation_count++;
    }
    return s->last_relation = s->places[place];
}

/* NULL when the set is full. */
static struct blockset_area *
get_area(struct blockset *s, uint32_t relation, uint32_t number)
{
    struct blockset_area *a;

    if (s->full)
        return NULL;
    if (s->last_area < s->area_places) {
        a = &s->areas[s->last_area];
        if (a->relation == relation && a->number == number)
            return a;
    }
    if (s->area_count >= s->area_places / 4 * 3 && !grow_areas(s))
        return NULL;
    s->last_area = area_place(s, relation, number);
    a = &s->areas[s->last_area];
    if (a->relation == BLOCKSET_NONE) {
        *a = (struct blockset_area){.relation = relation, .number = number};
        s->area_count++;
    }
    return a;
}

void
blockset_add_block(struct blockset *s, uint32_t relation, uint32_t block)
{
    struct blockset_area *a = get_area(s, relation, block / BLOCKSET_AREA);

    if (a != NULL)
        a->bits[block % BLOCKSET_AREA / 64] |= UINT64_C(1) << block % 64;
}

void
blockset_add_area(struct blockset *s, const struct blockset_area *area)
{
    struct blockset_area *a = get_area(s, area->relation, area->number);

    for (size_t i = 0; a != NULL && i < BLOCKSET_WORDS; i++)
        a->bits[i] |= area->bits[i];
}

void
blockset_add_limit(struct blockset *s, uint32_t relation, uint32_t limit)
{
    if (!s->full && limit < s->relations[relation].limit)
        s->relations[relation].limit = limit;
}

void
blockset_add_database(struct blockset *s, uint32_t tablespace, uint32_t database)
{
    struct blockset_database *grown;
    size_t cap = s->database_cap > 0 ? s->database_cap * 2 : 16;

    for (size_t i = 0; i < s->database_count; i++)
        if (s->databases[i].tablespace == tablespace && s->databases[i].database == database)
            return;
    if (s->database_count == s->database_cap) {
        grown = cap <= BLOCKSET_DATABASES_MAX ? realloc(s->databases, cap * sizeof *grown) : NULL;
        if (grown == NULL) {
            s->full = true;
            return;
        }
        s->databases = grown;
        s->database_cap = cap;
    }
    s->databases[s->database_count++] = (struct blockset_database){tablespace, database};
}

uint32_t
blockset_find_relation(const struct blockset *s, const struct hq_relation_fork *fork)
{
    return s->place_count > 0 ? s->places[relation_place(s, fork)] : BLOCKSET_NONE;
}

const struct blockset_area *
blockset_find_area(const struct blockset *s, uint32_t relation, uint32_t number)
{
    const struct blockset_area *a;

    if (s->area_places == 0)
        return NULL;
    a = &s->areas[area_place(s, relation, number)];
    return a->relation != BLOCKSET_NONE ? a : NULL;
}

bool
blockset_has_database(const struct blockset *s, uint32_t tablespace, uint32_t database)
{
    for (size_t i = 0; i < s->database_count; i++)
        if (s->databases[i].tablespace == tablespace &&
            (s->databases[i].database == database || s->databases[i].database == 0))
            return true;
    return false;
}
