#include "id_set.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum {
    FIRST_CAPACITY = 1024
};

void
id_set_clear(struct id_set *set)
{
    free(set->slots);
    *set = (struct id_set){0};
}

/* The place of @p id, or the free one where it belongs. Ids are uniform: their bytes are the hash.
 */
static struct hq_id *
find(const struct id_set *set, const struct hq_id *id)
{
    static const struct hq_id zero;
    size_t mask = set->capacity - 1;
    size_t i = (size_t)hq_get_u64(id->bytes) & mask;

    while (hq_id_compare(&set->slots[i], &zero) != 0 && hq_id_compare(&set->slots[i], id) != 0)
        i = (i + 1) & mask;
    return &set->slots[i];
}

static int
grow(struct id_set *set, struct hq_error *err)
{
    static const struct hq_id zero;
    struct id_set bigger = {.capacity = set->capacity == 0 ? FIRST_CAPACITY : 2 * set->capacity};

    bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return hq_fail(err, HQ_E_NOMEM, "set of %zu chunk ids", bigger.capacity);
    for (size_t i = 0; i < set->capacity; i++)
        if (hq_id_compare(&set->slots[i], &zero) != 0)
            *find(&bigger, &set->slots[i]) = set->slots[i];
    bigger.count = set->count;
    free(set->slots);
    *set = bigger;
    return 0;
}

int
id_set_add(struct id_set *set, const struct hq_id *id, struct hq_error *err)
{
    struct hq_id *slot;

    if (2 * (set->count + 1) > set->capacity && grow(set, err) != 0)
        return -1;
    slot = find(set, id);
    if (hq_id_compare(slot, id) == 0)
        return 0;
    *slot = *id;
    set->count++;
    return 1;
}

int
id_set_subtract(struct id_set *set, const struct id_set *other, struct hq_error *err)
{
    static const struct hq_id zero;
    struct id_set rest = {0};

    for (size_t i = 0; i < set->capacity; i++) {
        const struct hq_id *id = &set->slots[i];

        if (hq_id_compare(id, &zero) == 0 ||
            (other->capacity > 0 && hq_id_compare(find(other, id), id) == 0))
            continue;
        if (id_set_add(&rest, id, err) < 0) {
            id_set_clear(&rest);
            return -1;
        }
    }
    id_set_clear(set);
    *set = rest;
    return 0;
}
