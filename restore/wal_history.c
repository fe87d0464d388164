#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_inventory_internal.h"
#include "wal_object.h"

/* A step while it is looked for: u32 timeline, u64 where it ended. */
enum {
    STEP_BYTES = 12
};

static int
read_history(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
             struct hq_timeline_path *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_piece_name(inventory, piece, name);
    if (wal_object_read(inventory->repository, name, &text, err) == 0) {
        if (hq_timeline_path_decode(piece->timeline, (const char *)text.data, text.len, out, err) ==
            0)
            return 0;
        hq_error_prefix(err, "%s", name);
    }
    if (err->code == HQ_E_CORRUPT)
        hq_error_hint(err,
                      "where timeline %u came from can't be told; name another one with "
                      "--target-timeline",
                      piece->timeline);
    return -1;
}

bool
hq_timeline_path_passes(const struct hq_timeline_path *path, uint32_t timeline, uint64_t lsn)
{
    for (size_t i = 0; i < path->count; i++)
        if (path->steps[i].timeline == timeline)
            return i + 1 == path->count || path->steps[i + 1].begin >= lsn;
    return false;
}

uint64_t
hq_timeline_path_parting(const struct hq_timeline_path *a, const struct hq_timeline_path *b)
{
    uint64_t at = UINT64_MAX;
    size_t i = 0;

    while (i < a->count && i < b->count && a->steps[i].timeline == b->steps[i].timeline)
        i++;
    if (i > 0 && i < a->count)
        at = a->steps[i].begin;
    if (i > 0 && i < b->count && b->steps[i].begin < at)
        at = b->steps[i].begin;
    return at;
}

/* The history file of @p timeline; NULL: it is not stored. */
static const struct hq_wal_piece *
find_history(const struct hq_wal_inventory *inventory, uint32_t timeline)
{
    size_t at = inventory_lower_bound(inventory, timeline, 0);

    if (at == inventory->count || inventory->pieces[at].timeline != timeline ||
        inventory->pieces[at].end_lsn != 0)
        return NULL;
    return &inventory->pieces[at];
}

/*
 * What the file itself would say, from its header and those of its ancestors' files; the newest
 * step comes first. Each parent is lower than its child, so it ends.
 */
static int
follow_headers(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
               struct hq_buf *steps, struct hq_error *err)
{
    struct hq_wal_piece header;

    for (; piece != NULL; piece = find_history(inventory, header.parent)) {
        if (inventory_header(inventory, piece, &header, err) != 0)
            return -1;
        if (header.parent == 0)
            break;
        hq_buf_put_u32(steps, header.parent);
        hq_buf_put_u64(steps, header.begin_lsn);
    }
    return hq_buf_check(steps, "timeline history", err);
}

static int
tell_by_headers(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
                struct hq_timeline_path *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf steps = {0}, text = {0};

    if (follow_headers(inventory, piece, &steps, err) != 0)
        return -1;
    for (size_t at = steps.len; at > 0; at -= STEP_BYTES) {
        uint64_t begin = hq_get_u64(steps.data + at - 8);

        hq_buf_printf(&text, "%u\t%X/%X\n", hq_get_u32(steps.data + at - STEP_BYTES),
                      (unsigned)(begin >> 32), (unsigned)begin);
    }
    if (hq_buf_check(&text, "timeline history", err) != 0)
        return -1;
    return hq_timeline_path_decode(piece->timeline, (const char *)text.data, text.len, out, err);
}

/* Who can't open history files believes their headers. */
static int
history_path(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
             struct hq_timeline_path *out, struct hq_error *err)
{
    if (inventory->repository == NULL ||
        hq_keyring_role(inventory->repository->keyring) != HQ_ROLE_RESTORE)
        return tell_by_headers(inventory, piece, out, err);
    return read_history(inventory, piece, out, err);
}

int
hq_wal_inventory_histories(const struct hq_wal_inventory *inventory,
                           struct hq_timeline_path **paths, size_t *count, struct hq_error *err)
{
    *count = 0;
    *paths = calloc(inventory->count + 1, sizeof **paths);
    if (*paths == NULL)
        return hq_fail(err, HQ_E_NOMEM, "timeline histories");
    for (size_t i = inventory->count; i-- > 0;) {
        if (inventory->pieces[i].end_lsn != 0)
            continue;
        if (history_path(inventory, &inventory->pieces[i], &(*paths)[*count], err) != 0)
            return -1;
        (*count)++;
    }
    return 0;
}

int
hq_wal_inventory_timelines(const struct hq_wal_inventory *inventory, uint32_t **timelines,
                           size_t *count, struct hq_error *err)
{
    *count = 0;
    *timelines = calloc(inventory->count + 1, sizeof **timelines);
    if (*timelines == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of timelines");
    for (size_t i = inventory->count; i-- > 0;) {
        const struct hq_wal_piece *piece = &inventory->pieces[i];

        if (piece->end_lsn != 0 && (*count == 0 || (*timelines)[*count - 1] != piece->timeline))
            (*timelines)[(*count)++] = piece->timeline;
    }
    return 0;
}

static int
single_step(uint32_t timeline, struct hq_timeline_path *out, struct hq_error *err)
{
    return hq_timeline_path_decode(timeline, "", 0, out, err);
}

int
hq_wal_inventory_path(const struct hq_wal_inventory *inventory, uint32_t timeline,
                      uint32_t from_timeline, uint64_t after_lsn, struct hq_timeline_path *out,
                      struct hq_error *err)
{
    *out = (struct hq_timeline_path){0};
    for (size_t i = inventory->count; i-- > 0;) {
        const struct hq_wal_piece *piece = &inventory->pieces[i];

        if (piece->end_lsn != 0 || piece->timeline <= from_timeline ||
            (timeline != 0 && piece->timeline != timeline))
            continue;
        if (history_path(inventory, piece, out, err) != 0)
            return -1;
        if (hq_timeline_path_passes(out, from_timeline, after_lsn))
            return 0;
        hq_timeline_path_clear(out);
    }
    if (timeline == 0 || timeline == from_timeline)
        return single_step(from_timeline, out, err);
    hq_fail(err, HQ_E_RANGE, "timeline %u does not descend from timeline %u after the backup",
            timeline, from_timeline);
    return hq_error_hint(err, "`hq-restore points` lists what can be recovered");
}
