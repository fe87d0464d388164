#include <string.h>

#include "entry_internal.h"

/* An entry's page map chunk holds its header at least. */
enum {
    PAGE_MAP_MIN = 20,
    MODE_BITS = 07777
};

static int
check_path(const char *path, enum hq_code code, struct hq_error *err)
{
    const char *part = path;
    size_t len = strlen(path);

    if (len < 1 || len > HQ_PATH_BYTES_MAX)
        return hq_fail(err, code, "path of %zu bytes", len);
    for (;;) {
        size_t n = strcspn(part, "/");

        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return hq_fail(err, code, "path \"%s\" has a part that is empty, \".\" or \"..\"",
                           path);
        if (part[n] == '\0')
            return 0;
        part += n + 1;
    }
}

static int
check_chunks(const struct hq_entry *entry, enum hq_code code, struct hq_error *err)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < entry->chunk_count; i++) {
        if (entry->chunks[i].raw > HQ_CHUNK_DATA_MAX)
            return hq_fail(err, code, "%s: chunk %zu of %u bytes", entry->path, i,
                           entry->chunks[i].raw);
        sum += entry->chunks[i].raw;
    }
    if (sum != entry->size)
        return hq_fail(err, code, "%s: chunks of %llu bytes, not %llu", entry->path,
                       (unsigned long long)sum, (unsigned long long)entry->size);
    return 0;
}

static int
check_relation(const struct hq_entry *entry, enum hq_code code, struct hq_error *err)
{
    if (entry->size == 0)
        return hq_fail(err, code, "%s: empty relation file", entry->path);
    if (entry->page_map.raw < PAGE_MAP_MIN || entry->page_map.raw > HQ_CHUNK_PAGE_MAP_MAX)
        return hq_fail(err, code, "%s: page map of %u bytes", entry->path, entry->page_map.raw);
    return 0;
}

static int
check_target(const struct hq_entry *entry, enum hq_code code, struct hq_error *err)
{
    size_t len = entry->target != NULL ? strlen(entry->target) : 0;

    if (len < 1 || len > HQ_PATH_BYTES_MAX)
        return hq_fail(err, code, "%s: link target of %zu bytes", entry->path, len);
    return 0;
}

int
hq_entry_check(const struct hq_entry *entry, enum hq_code code, struct hq_error *err)
{
    if (check_path(entry->path, code, err) != 0)
        return -1;
    if (entry->mode > MODE_BITS)
        return hq_fail(err, code, "%s: mode 0%o", entry->path, entry->mode);
    if ((entry->chunk_count > 0 && entry->type != HQ_ENTRY_FILE) ||
        (entry->damaged_count > 0 && entry->type != HQ_ENTRY_RELATION) ||
        (entry->target != NULL && entry->type != HQ_ENTRY_SYMLINK))
        return hq_fail(err, code, "%s: has fields of another type of entry", entry->path);
    switch (entry->type) {
    case HQ_ENTRY_FILE:
        return check_chunks(entry, code, err);
    case HQ_ENTRY_RELATION:
        return check_relation(entry, code, err);
    case HQ_ENTRY_SYMLINK:
        return check_target(entry, code, err);
    case HQ_ENTRY_DIRECTORY:
        return 0;
    default:
        return hq_fail(err, code == HQ_E_CORRUPT ? HQ_E_UNSUPPORTED : code,
                       "%s: unknown type of entry %d", entry->path, (int)entry->type);
    }
}
