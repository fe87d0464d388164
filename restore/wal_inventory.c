#include "wal_inventory_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

static int
compare_pieces(const void *a, const void *b)
{
    const struct hq_wal_piece *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    if (x->start_lsn != y->start_lsn)
        return x->start_lsn < y->start_lsn ? -1 : 1;
    if (x->complete != y->complete)
        return x->complete ? -1 : 1;
    return x->end_lsn == y->end_lsn ? 0 : x->end_lsn > y->end_lsn ? -1 : 1;
}

static int
append(struct hq_wal_piece **pieces, size_t *count, size_t *cap, const struct hq_wal_piece *piece,
       struct hq_error *err)
{
    if (*count == *cap) {
        size_t wanted = *cap == 0 ? 64 : 2 * *cap;
        struct hq_wal_piece *bigger = realloc(*pieces, wanted * sizeof *bigger);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu WAL objects", wanted);
        *pieces = bigger;
        *cap = wanted;
    }
    (*pieces)[(*count)++] = *piece;
    return 0;
}

/* Its history file is what makes a timeline reachable: without it recovery passes it by. */
static void
warn_of_orphans(const struct hq_wal_inventory *inventory)
{
    uint32_t timeline = 1;

    for (size_t i = 0; i < inventory->count; i++) {
        const struct hq_wal_piece *piece = &inventory->pieces[i];

        if (piece->timeline == timeline)
            continue;
        timeline = piece->timeline;
        /* History files sort before the WAL of their timeline. */
        if (timeline > 1 && piece->end_lsn != 0)
            hq_log(HQ_LOG_WARNING,
                   "WAL of a timeline can't be reached: its history file is missing",
                   HQ_F_TEXT("cluster", inventory->cluster), HQ_F_U64("timeline", timeline));
    }
}

struct hq_wal_inventory *
hq_wal_inventory_new(const char *cluster, uint64_t system_identifier, uint32_t segment_size,
                     struct hq_error *err)
{
    struct hq_wal_inventory *inventory = calloc(1, sizeof *inventory);

    if (inventory == NULL) {
        hq_fail(err, HQ_E_NOMEM, "list of WAL objects");
        return NULL;
    }
    inventory->system_identifier = system_identifier;
    inventory->segment_size = segment_size;
    snprintf(inventory->cluster, sizeof inventory->cluster, "%s", cluster);
    return inventory;
}

int
hq_wal_inventory_add(struct hq_wal_inventory *inventory, const struct hq_wal_info *info,
                     struct hq_error *err)
{
    if (info->system_identifier != inventory->system_identifier)
        return 0;
    return append(&inventory->pieces, &inventory->count, &inventory->cap,
                  &(struct hq_wal_piece){.timeline = info->timeline,
                                         .start_lsn = info->start_lsn,
                                         .end_lsn = info->end_lsn,
                                         .complete = info->type == HQ_WAL_SEGMENT,
                                         .known = inventory->repository == NULL,
                                         .parent = info->parent,
                                         .begin_lsn = info->begin_lsn,
                                         .first_commit_us = info->first_commit_us,
                                         .last_commit_us = info->last_commit_us,
                                         .object_size = info->object_size},
                  err);
}

void
hq_wal_inventory_ready(struct hq_wal_inventory *inventory)
{
    if (inventory->count > 0)
        qsort(inventory->pieces, inventory->count, sizeof *inventory->pieces, compare_pieces);
}

static int
take_in(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct hq_wal_inventory *inventory = context;
    struct hq_wal_info info;

    if (!hq_wal_name_parse(object->name, inventory->cluster, inventory->segment_size, &info))
        return 0;
    info.object_size = object->size;
    return hq_wal_inventory_add(inventory, &info, err);
}

int
hq_wal_inventory_load(const struct hq_repository *repository, const char *cluster,
                      uint64_t system_identifier, uint32_t segment_size,
                      struct hq_wal_inventory **out, struct hq_error *err)
{
    struct hq_wal_inventory *inventory =
        hq_wal_inventory_new(cluster, system_identifier, segment_size, err);
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    *out = NULL;
    if (inventory == NULL)
        return -1;
    inventory->repository = repository;
    snprintf(prefix, sizeof prefix, "wal/%s/%016llx/", cluster,
             (unsigned long long)system_identifier);
    if (hq_store_list(repository->store, prefix, take_in, inventory, err) != 0) {
        hq_wal_inventory_free(inventory);
        return hq_error_prefix(err, "list the WAL of cluster %s", cluster);
    }
    hq_wal_inventory_ready(inventory);
    warn_of_orphans(inventory);
    *out = inventory;
    return 0;
}

void
hq_wal_inventory_free(struct hq_wal_inventory *inventory)
{
    if (inventory == NULL)
        return;
    free(inventory->pieces);
    free(inventory);
}

void
hq_wal_piece_name(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
                  char out[HQ_OBJECT_NAME_MAX + 1])
{
    struct hq_wal_info info = {
        .type = piece->end_lsn == 0 ? HQ_WAL_HISTORY
                : piece->complete   ? HQ_WAL_SEGMENT
                                    : HQ_WAL_PART,
        .system_identifier = inventory->system_identifier,
        .timeline = piece->timeline,
        .segment_size = inventory->segment_size,
        .start_lsn = piece->start_lsn,
        .end_lsn = piece->end_lsn,
    };

    hq_wal_name(inventory->cluster, &info, out);
}

size_t
inventory_lower_bound(const struct hq_wal_inventory *inventory, uint32_t timeline, uint64_t lsn)
{
    size_t low = 0, high = inventory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hq_wal_piece *p = &inventory->pieces[middle];

        if (p->timeline < timeline || (p->timeline == timeline && p->start_lsn < lsn))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
hq_wal_coverage_clear(struct hq_wal_coverage *coverage)
{
    free(coverage->pieces);
    *coverage = (struct hq_wal_coverage){0};
}

/*
 * PostgreSQL takes a segment from the newest timeline of the path that had begun by the end of
 * it: the segment in which a timeline begins holds a copy of its ancestor's first bytes.
 */
static size_t
step_at(const struct hq_timeline_path *path, uint64_t segment_end)
{
    size_t i = path->count - 1;

    while (i > 0 && path->steps[i].begin >= segment_end)
        i--;
    return i;
}

uint32_t
hq_wal_inventory_timeline_at(const struct hq_wal_inventory *inventory,
                             const struct hq_timeline_path *path, uint64_t lsn)
{
    uint64_t segment = lsn - lsn % inventory->segment_size;

    return path->steps[step_at(path, segment + inventory->segment_size)].timeline;
}

void
hq_wal_inventory_resume(const struct hq_wal_inventory *inventory,
                        const struct hq_timeline_path *path, uint64_t lsn, uint64_t *segment,
                        uint64_t *piece)
{
    uint64_t size = inventory->segment_size, later = lsn - lsn % size + size;

    *segment = *piece = UINT64_MAX;
    for (size_t i = 0; i < path->count; i++) {
        uint32_t timeline = path->steps[i].timeline;
        uint64_t end = i + 1 < path->count ? path->steps[i + 1].begin : UINT64_MAX;
        size_t at = inventory_lower_bound(inventory, timeline, lsn + 1);

        for (; at < inventory->count && inventory->pieces[at].timeline == timeline &&
               inventory->pieces[at].start_lsn < end;
             at++) {
            uint64_t start = inventory->pieces[at].start_lsn;

            *piece = start < *piece ? start : *piece;
            if (start < later)
                continue;
            *segment = start - start % size < *segment ? start - start % size : *segment;
            break;
        }
    }
}

/*
 * Append the objects that hold a segment from its first byte on: the complete one, or a chain of
 * parts, each the one that reaches furthest; none that goes beyond @p limit, which is not beyond
 * the segment. out->end_lsn is what they reach.
 */
static int
cover_segment(const struct hq_wal_inventory *inventory, uint32_t timeline, uint64_t start,
              uint64_t limit, struct hq_wal_coverage *out, size_t *cap, struct hq_error *err)
{
    uint64_t *reached = &out->end_lsn;

    *reached = start;
    for (;;) {
        const struct hq_wal_piece *best = NULL;

        for (size_t i = inventory_lower_bound(inventory, timeline, start); i < inventory->count;
             i++) {
            const struct hq_wal_piece *p = &inventory->pieces[i];

            if (p->timeline != timeline || p->start_lsn > *reached || p->start_lsn >= limit)
                break;
            if (p->end_lsn <= limit && p->end_lsn > *reached &&
                (best == NULL || p->end_lsn > best->end_lsn))
                best = p;
            if (best != NULL && best->complete)
                break;
        }
        if (best == NULL)
            return 0;
        if (append(&out->pieces, &out->count, cap, best, err) != 0)
            return -1;
        out->stored_bytes += best->object_size;
        out->end_timeline = timeline;
        *reached = best->end_lsn;
        if (*reached >= limit)
            return 0;
    }
}

/*
 * Where a timeline has just begun, nothing of its first segment may be stored yet while its
 * ancestor's bytes up to the switch are. PostgreSQL asks for the older timeline's file when the
 * newer one's is not there. What the ancestor wrote behind the switch is no part of the path.
 */
static int
cover_next(const struct hq_wal_inventory *inventory, const struct hq_timeline_path *path,
           uint64_t segment, struct hq_wal_coverage *out, size_t *cap, struct hq_error *err)
{
    uint64_t limit = segment + inventory->segment_size;
    size_t i = step_at(path, limit);

    for (;; i--) {
        const struct hq_timeline_step *step = &path->steps[i];

        if (cover_segment(inventory, step->timeline, segment, limit, out, cap, err) != 0)
            return -1;
        if (out->end_lsn > segment || i == 0 || step->begin <= segment)
            return 0;
        limit = step->begin;
    }
}

/* The history file of each step but the first, which may be needed without having one. */
static int
cover_histories(const struct hq_wal_inventory *inventory, const struct hq_timeline_path *path,
                struct hq_wal_coverage *out, size_t *cap, struct hq_error *err)
{
    for (size_t i = 0; i < path->count; i++) {
        size_t at = inventory_lower_bound(inventory, path->steps[i].timeline, 0);

        if (at < inventory->count && inventory->pieces[at].timeline == path->steps[i].timeline &&
            inventory->pieces[at].end_lsn == 0 &&
            append(&out->pieces, &out->count, cap, &inventory->pieces[at], err) != 0)
            return -1;
    }
    return 0;
}

int
hq_wal_inventory_cover(const struct hq_wal_inventory *inventory,
                       const struct hq_timeline_path *path, uint64_t start_lsn,
                       struct hq_wal_coverage *out, struct hq_error *err)
{
    uint64_t segment = start_lsn - start_lsn % inventory->segment_size;
    size_t cap = 0;

    *out = (struct hq_wal_coverage){.end_timeline = path->steps[0].timeline};
    if (cover_histories(inventory, path, out, &cap, err) != 0)
        return -1;
    for (;; segment += inventory->segment_size) {
        if (cover_next(inventory, path, segment, out, &cap, err) != 0)
            return -1;
        if (out->end_lsn < segment + inventory->segment_size)
            return 0;
    }
}

int
hq_wal_inventory_later(const struct hq_wal_inventory *inventory, uint32_t timeline,
                       struct hq_wal_coverage *out, struct hq_error *err)
{
    size_t cap = 0;

    *out = (struct hq_wal_coverage){0};
    for (size_t i = 0; i < inventory->count; i++) {
        const struct hq_wal_piece *piece = &inventory->pieces[i];

        if (piece->end_lsn != 0 || piece->timeline <= timeline)
            continue;
        if (append(&out->pieces, &out->count, &cap, piece, err) != 0) {
            hq_wal_coverage_clear(out);
            return -1;
        }
        out->stored_bytes += piece->object_size;
    }
    return 0;
}

int
inventory_header(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
                 struct hq_wal_piece *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info info;

    *out = *piece;
    if (piece->known)
        return 0;
    hq_wal_piece_name(inventory, piece, name);
    if (hq_store_get(inventory->repository->store, name, 0, HQ_WAL_HEADER_BYTES, &header, err) != 0)
        return -1;
    if (hq_wal_header_decode(header.data, header.len, &info, err) != 0)
        return hq_error_prefix(err, "%s", name);
    out->parent = info.parent;
    out->begin_lsn = info.begin_lsn;
    out->first_commit_us = info.first_commit_us;
    out->last_commit_us = info.last_commit_us;
    out->known = true;
    return 0;
}

int
hq_wal_coverage_last_commit(const struct hq_wal_inventory *inventory,
                            const struct hq_wal_coverage *coverage, int64_t *time_us,
                            struct hq_error *err)
{
    struct hq_wal_piece piece;

    *time_us = 0;
    for (size_t i = coverage->count;
         *time_us == 0 && i-- > 0 && coverage->pieces[i].end_lsn != 0;) {
        if (inventory_header(inventory, &coverage->pieces[i], &piece, err) != 0)
            return -1;
        *time_us = piece.last_commit_us;
    }
    return 0;
}

int
hq_wal_coverage_first_commit(const struct hq_wal_inventory *inventory,
                             const struct hq_wal_coverage *coverage, int64_t *time_us,
                             struct hq_error *err)
{
    struct hq_wal_piece piece;

    *time_us = 0;
    for (size_t i = 0; *time_us == 0 && i < coverage->count; i++) {
        if (coverage->pieces[i].end_lsn == 0)
            continue;
        if (inventory_header(inventory, &coverage->pieces[i], &piece, err) != 0)
            return -1;
        *time_us = piece.first_commit_us;
    }
    return 0;
}
