#include <stdlib.h>
#include <string.h>

#include "backup_writer_internal.h"

int
array_grow(void **array, size_t *cap, size_t count, size_t item, struct hq_error *err)
{
    size_t wanted = *cap == 0 ? 8 : 2 * *cap;
    size_t bytes;
    void *bigger;

    if (count < *cap)
        return 0;
    if (__builtin_mul_overflow(wanted, item, &bytes) || (bigger = realloc(*array, bytes)) == NULL)
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
    hq_page_map_clear(&record->map);
    free(record);
}

int
record_add_ref(struct record *record, uint32_t raw, uint32_t *number, struct hq_error *err)
{
    void *refs = record->refs;

    if (record->ref_count == UINT32_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: too many chunks", record->entry.path);
    if (array_grow(&refs, &record->ref_cap, record->ref_count, sizeof *record->refs, err) != 0)
        return -1;
    record->refs = refs;
    record->refs[record->ref_count] = (struct hq_chunk_ref){.raw = raw};
    *number = (uint32_t)record->ref_count++;
    return 0;
}
