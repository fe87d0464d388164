#include "wal_shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS_MAX = 4096
};

int
wal_parts_add(struct wal_parts *parts, const struct wal_part *part, struct hq_error *err)
{
    if (parts->count == PARTS_MAX)
        return 0;
    if (parts->count == parts->cap) {
        size_t cap = parts->cap == 0 ? 64 : parts->cap * 2;
        struct wal_part *items = realloc(parts->items, cap * sizeof *items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu WAL parts", cap);
        parts->items = items;
        parts->cap = cap;
    }
    parts->items[parts->count++] = *part;
    return 0;
}

void
wal_parts_clear(struct wal_parts *parts)
{
    free(parts->items);
    *parts = (struct wal_parts){0};
}

struct wal_branch *
wal_shelf_find(const struct wal_shelf *shelf, uint32_t timeline)
{
    for (size_t i = 0; i < shelf->count; i++)
        if (shelf->branches[i].timeline == timeline)
            return &shelf->branches[i];
    return NULL;
}

static int
find_or_add(struct wal_shelf *shelf, uint32_t timeline, struct wal_branch **out,
            struct hq_error *err)
{
    /* Names come in ascending order, so it is the last one or a new one. */
    if (shelf->count > 0 && shelf->branches[shelf->count - 1].timeline == timeline) {
        *out = &shelf->branches[shelf->count - 1];
        return 0;
    }
    if (shelf->count == shelf->cap) {
        size_t cap = shelf->cap == 0 ? 8 : shelf->cap * 2;
        struct wal_branch *branches = reallocarray(shelf->branches, cap, sizeof *branches);

        if (branches == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu timelines", cap);
        shelf->branches = branches;
        shelf->cap = cap;
    }
    *out = &shelf->branches[shelf->count++];
    **out = (struct wal_branch){.timeline = timeline};
    return 0;
}

/* Older ones than fit are those that no server fills any more. */
static void
note_hole(struct wal_branch *branch, uint64_t lsn)
{
    if (branch->hole_count == WAL_HOLES_MAX)
        memmove(branch->holes, branch->holes + 1, --branch->hole_count * sizeof branch->holes[0]);
    branch->holes[branch->hole_count++] = lsn;
}

/* The last segment so far, which is not there whole, is not the last. */
static int
loosen(struct wal_shelf *shelf, struct wal_branch *branch, struct hq_error *err)
{
    for (size_t i = 0; i < branch->parts.count; i++)
        if (wal_parts_add(&shelf->loose, &branch->parts.items[i], err) != 0)
            return -1;
    branch->parts.count = 0;
    return 0;
}

/* Complete segments sort before their parts. */
static int
put_on_shelf(struct wal_shelf *shelf, struct wal_branch *branch, const struct hq_wal_info *info,
             struct hq_error *err)
{
    uint64_t segment = info->start_lsn - info->start_lsn % shelf->segment_size;
    struct wal_part part = {info->timeline, info->start_lsn, info->end_lsn};

    if (!branch->any || segment > branch->last_segment) {
        if (!branch->any)
            branch->first_segment = segment;
        else if (!branch->complete || segment != branch->last_segment + shelf->segment_size)
            note_hole(branch, branch->complete ? branch->last_segment + shelf->segment_size
                                               : branch->last_segment);
        if (loosen(shelf, branch, err) != 0)
            return -1;
        branch->any = true;
        branch->last_segment = segment;
        branch->complete = false;
    }
    if (info->type == HQ_WAL_SEGMENT) {
        branch->complete = true;
        return 0;
    }
    return wal_parts_add(branch->complete ? &shelf->superseded : &branch->parts, &part, err);
}

static int
take_object(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct wal_shelf *shelf = context;
    struct wal_branch *branch = NULL;
    struct hq_wal_info info;

    if (!hq_wal_name_parse(object->name, shelf->cluster, shelf->segment_size, &info))
        return 0;
    if (info.system_identifier != shelf->system_identifier)
        return 0;
    if (find_or_add(shelf, info.timeline, &branch, err) != 0)
        return -1;
    if (info.type == HQ_WAL_HISTORY) {
        branch->history = true;
        return 0;
    }
    return put_on_shelf(shelf, branch, &info, err);
}

/* By where they begin, the widest first. */
static int
compare_parts(const void *a, const void *b)
{
    const struct wal_part *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end == y->end ? 0 : x->end > y->end ? -1 : 1;
}

/* Move the parts that lie within another one to `superseded`. */
static int
sift(struct wal_shelf *shelf, struct wal_branch *branch, struct hq_error *err)
{
    struct wal_parts *parts = &branch->parts;
    size_t kept = 0;
    uint64_t reach = 0;

    if (parts->count > 0)
        qsort(parts->items, parts->count, sizeof *parts->items, compare_parts);
    for (size_t i = 0; i < parts->count; i++) {
        /* What reaches furthest of the parts before begins before this one. */
        if (parts->items[i].end <= reach) {
            if (wal_parts_add(&shelf->superseded, &parts->items[i], err) != 0)
                return -1;
            continue;
        }
        reach = parts->items[i].end;
        parts->items[kept++] = parts->items[i];
    }
    parts->count = kept;
    return 0;
}

int
wal_shelf_load(const struct hq_repository *repository, const char *cluster,
               uint64_t system_identifier, uint32_t segment_size, struct wal_shelf *out,
               struct hq_error *err)
{
    char prefix[HQ_CLUSTER_NAME_MAX + 8];
    int failed;

    *out = (struct wal_shelf){
        .cluster = cluster, .system_identifier = system_identifier, .segment_size = segment_size};
    snprintf(prefix, sizeof prefix, "wal/%s/", cluster);
    failed = hq_store_list(repository->store, prefix, take_object, out, err);
    for (size_t i = 0; i < out->count && failed == 0; i++)
        failed = sift(out, &out->branches[i], err);
    if (failed == 0)
        return 0;
    wal_shelf_clear(out);
    return hq_error_prefix(err, "list the WAL of cluster %s", cluster);
}

void
wal_shelf_clear(struct wal_shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++)
        wal_parts_clear(&shelf->branches[i].parts);
    free(shelf->branches);
    wal_parts_clear(&shelf->superseded);
    wal_parts_clear(&shelf->loose);
    shelf->branches = NULL;
    shelf->count = shelf->cap = 0;
}

static int
move_parts(struct wal_parts *from, uint32_t timeline, uint64_t start, uint64_t end,
           struct wal_parts *out, struct hq_error *err)
{
    size_t kept = 0;
    int failed = 0;

    for (size_t i = 0; i < from->count; i++) {
        const struct wal_part part = from->items[i];

        if (failed != 0 || part.timeline != timeline || part.start < start || part.start >= end)
            from->items[kept++] = part;
        else
            failed = wal_parts_add(out, &part, err);
    }
    from->count = kept;
    return failed;
}

int
wal_shelf_take_parts(struct wal_shelf *shelf, uint32_t timeline, uint64_t segment,
                     struct wal_parts *out, struct hq_error *err)
{
    struct wal_branch *branch = wal_shelf_find(shelf, timeline);
    uint64_t end = segment + shelf->segment_size;

    if (branch == NULL)
        return 0;
    if (move_parts(&branch->parts, timeline, segment, end, out, err) != 0)
        return -1;
    return move_parts(&shelf->loose, timeline, segment, end, out, err);
}

uint64_t
wal_branch_end(const struct wal_branch *branch, uint32_t segment_size)
{
    uint64_t end = branch->last_segment;

    if (branch->complete)
        return end + segment_size;
    /* What a chain of parts from the beginning on does not reach does not count. */
    for (size_t i = 0; i < branch->parts.count && branch->parts.items[i].start <= end; i++)
        if (branch->parts.items[i].end > end)
            end = branch->parts.items[i].end;
    return end;
}
