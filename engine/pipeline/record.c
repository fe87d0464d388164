#include "record.h"

#include <stdlib.h>
#include <string.h>

int
array_grow(void **array, size_t *cap, size_t count, size_t item, struct hq_error *err)
{
    size_t wanted = *cap == 0 ? 8 : 2 * *cap;
    void *bigger;

    if (count < *cap)
        return 0;
    if ((bigger = reallocarray(*array, wanted, item)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "array of %zu items", wanted);
    *array = bigger;
    *cap = wanted;
    return 0;
}

struct record *
record_new(const struct hq_entry *entry, struct hq_error *err)
{
    struct record *record = calloc(1, sizeof *record);

    if (record == NULL)
        goto fail;
    record->entry = *entry;
    record->entry.path = strdup(entry->path);
    record->entry.target = entry->target != NULL ? strdup(entry->target) : NULL;
    if (record->entry.path == NULL || (entry->target != NULL && record->entry.target == NULL))
        goto fail;
    return record;

fail:
    record_free(record);
    hq_fail(err, HQ_E_NOMEM, "manifest entry");
    return NULL;
}

void
record_free(struct record *record)
{
    if (record == NULL)
        return;
    /* The entry's strings are the record's own copies. */
    free((void *)(uintptr_t)record->entry.path);
    free((void *)(uintptr_t)record->entry.target);
    free(record->refs);
    free(record->damaged);
    free(record);
}

int
record_add_ref(struct record *record, uint32_t raw, const struct hq_id *id, struct hq_error *err)
{
    void *refs = record->refs;

    if (record->ref_count == UINT32_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: too many chunks", record->entry.path);
    if (array_grow(&refs, &record->ref_cap, record->ref_count, sizeof *record->refs, err) != 0)
        return -1;
    record->refs = refs;
    record->refs[record->ref_count++] = (struct hq_chunk_ref){.id = *id, .raw = raw};
    return 0;
}

int
record_add_damaged(struct record *record, uint32_t block, struct hq_error *err)
{
    void *damaged = record->damaged;

    if (array_grow(&damaged, &record->damaged_cap, record->damaged_count, sizeof block, err) != 0)
        return -1;
    record->damaged = damaged;
    record->damaged[record->damaged_count++] = block;
    return 0;
}

void
record_close(struct record *record)
{
    record->entry.chunks = record->refs;
    record->entry.chunk_count = record->ref_count;
    record->entry.damaged = record->damaged;
    record->entry.damaged_count = record->damaged_count;
}
