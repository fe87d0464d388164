#include "wal_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
wal_files_clear(struct wal_files *files)
{
    free(files->objects);
    free(files->files);
    *files = (struct wal_files){0};
}

int
wal_files_add(struct wal_files *files, const char *name, const char *cluster, uint32_t segment_size,
              struct hq_error *err)
{
    struct hq_wal_info info;

    if (!hq_wal_name_parse(name, cluster, segment_size, &info))
        return 0;
    info.segment_size = segment_size;
    if (files->object_count == files->object_cap) {
        size_t wanted = files->object_cap == 0 ? 64 : 2 * files->object_cap;
        struct hq_wal_info *bigger = realloc(files->objects, wanted * sizeof *bigger);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu WAL objects", wanted);
        files->objects = bigger;
        files->object_cap = wanted;
    }
    files->objects[files->object_count++] = info;
    return 0;
}

static uint64_t
segment_of(const struct hq_wal_info *info)
{
    return info->start_lsn - info->start_lsn % info->segment_size;
}

/* By file: history files, then segments by LSN. */
static int
compare_files(const struct hq_wal_info *x, const struct hq_wal_info *y)
{
    if ((x->type == HQ_WAL_HISTORY) != (y->type == HQ_WAL_HISTORY))
        return x->type == HQ_WAL_HISTORY ? -1 : 1;
    if (segment_of(x) != segment_of(y))
        return segment_of(x) < segment_of(y) ? -1 : 1;
    return x->timeline == y->timeline ? 0 : x->timeline < y->timeline ? -1 : 1;
}

/* Within a file: the complete segment, then parts by start, those that reach further first. */
static int
compare_objects(const void *a, const void *b)
{
    const struct hq_wal_info *x = a, *y = b;
    int by_file = compare_files(x, y);

    if (by_file != 0)
        return by_file;
    if ((x->type == HQ_WAL_PART) != (y->type == HQ_WAL_PART))
        return x->type == HQ_WAL_PART ? 1 : -1;
    if (x->start_lsn != y->start_lsn)
        return x->start_lsn < y->start_lsn ? -1 : 1;
    return x->end_lsn == y->end_lsn ? 0 : x->end_lsn > y->end_lsn ? -1 : 1;
}

static void
name_file(const struct hq_wal_info *info, char out[WAL_FILE_NAME_MAX])
{
    char segment[25];

    if (info->type == HQ_WAL_HISTORY) {
        snprintf(out, WAL_FILE_NAME_MAX, "%08X.history", info->timeline);
        return;
    }
    hq_wal_file_name(info->timeline, info->start_lsn, info->segment_size, segment);
    snprintf(out, WAL_FILE_NAME_MAX, "%s", segment);
}

int
wal_files_sort(struct wal_files *files, struct hq_error *err)
{
    struct wal_file *last = NULL;

    if (files->object_count == 0)
        return 0;
    qsort(files->objects, files->object_count, sizeof *files->objects, compare_objects);
    files->files = calloc(files->object_count, sizeof *files->files);
    if (files->files == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of %zu WAL files", files->object_count);
    for (size_t i = 0; i < files->object_count; i++) {
        if (last == NULL || compare_files(&files->objects[last->first], &files->objects[i]) != 0) {
            last = &files->files[files->count++];
            last->first = i;
            name_file(&files->objects[i], last->name);
        }
        last->count++;
    }
    return 0;
}

/* In the order of the list: "TTTTTTTTLLLLLLLLSSSSSSSS" sorts by LSN, then by timeline. */
static int
compare_name(const void *key, const void *element)
{
    const char *name = key, *other = ((const struct wal_file *)element)->name;
    int by_lsn;

    if (wal_is_segment(name) != wal_is_segment(other))
        return wal_is_segment(name) ? 1 : -1;
    if (!wal_is_segment(name))
        return strcmp(name, other);
    by_lsn = strcmp(name + 8, other + 8);
    return by_lsn != 0 ? by_lsn : strncmp(name, other, 8);
}

const struct wal_file *
wal_files_find(const struct wal_files *files, const char *name)
{
    if (files->count == 0)
        return NULL;
    return bsearch(name, files->files, files->count, sizeof *files->files, compare_name);
}

bool
wal_is_segment(const char *name)
{
    return strlen(name) == 24 && strspn(name, "0123456789ABCDEF") == 24;
}
