#include "target_find.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "postgres/walscan.h"
#include "wal_object.h"

struct sought {
    const struct hq_target *target;
    uint32_t xid; /* as the records have it: without its epoch */
    uint32_t segment_size;
    uint64_t from, until;
    uint64_t lsn;
    bool found;
};

bool
target_is_sought(const struct hq_target *target)
{
    return target->type == HQ_TARGET_XID || target->type == HQ_TARGET_NAME;
}

static void
compare(void *context, const struct hq_walscan_point *point)
{
    struct sought *s = context;
    bool same = s->target->type == HQ_TARGET_XID
                    ? point->xid == s->xid
                    : point->xid == 0 && strcmp(point->name, s->target->text) == 0;

    if (!same || s->found || point->lsn < s->from || point->lsn >= s->until)
        return;
    s->found = true;
    s->lsn = point->lsn;
}

/* Feed what @p piece has beyond @p reached: parts of one segment overlap. */
static int
feed_piece(const struct hq_repository *repository, const struct hq_plan *plan,
           const struct hq_wal_piece *piece, struct hq_walscan *scan, uint64_t *reached,
           struct sought *s, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    uint64_t begin = piece->start_lsn > *reached ? piece->start_lsn : *reached;

    hq_wal_piece_name(plan->wal, piece, name);
    if (wal_object_read(repository, name, &bytes, err) != 0)
        return -1;
    if (bytes.len != piece->end_lsn - piece->start_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "%s: not of the length its name says", name);
    hq_walscan_points_feed(scan, begin, bytes.data + (begin - piece->start_lsn),
                           (size_t)(piece->end_lsn - begin), compare, s);
    *reached = piece->end_lsn;
    if (plan->target.watch != NULL)
        plan->target.watch->searched(plan->target.watch->context, piece->object_size);
    return 0;
}

static int
search(const struct hq_repository *repository, const struct hq_plan *plan, struct hq_walscan *scan,
       struct sought *s, struct hq_error *err)
{
    const struct hq_wal_coverage *c = &plan->coverage;
    uint64_t reached = 0;

    for (size_t i = 0; i < c->count && !s->found; i++) {
        const struct hq_wal_piece *piece = &c->pieces[i];
        uint64_t segment = piece->start_lsn - piece->start_lsn % s->segment_size;

        /* From the start of a segment on: only there a scan finds where records begin. */
        if (piece->end_lsn == 0 || piece->end_lsn <= reached ||
            segment + s->segment_size <= s->from)
            continue;
        /* A record that begins before `until` may end far behind it; its successor tells. */
        if (piece->start_lsn >= s->until + s->segment_size)
            break;
        if (plan->target.watch != NULL && plan->target.watch->stop != NULL &&
            *plan->target.watch->stop != 0)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while the target was searched for");
        if (feed_piece(repository, plan, piece, scan, &reached, s, err) != 0)
            return -1;
    }
    return s->found ? 1 : 0;
}

int
target_find(const struct hq_repository *repository, const struct hq_plan *plan,
            uint32_t segment_size, uint64_t from, uint64_t until, uint64_t *lsn,
            struct hq_error *err)
{
    struct sought s = {
        .target = &plan->target, .segment_size = segment_size, .from = from, .until = until};
    struct hq_walscan *scan = hq_walscan_points_new(segment_size, err);
    int result;

    if (scan == NULL)
        return -1;
    if (plan->target.type == HQ_TARGET_XID)
        s.xid = (uint32_t)strtoull(plan->target.text, NULL, 10);
    result = search(repository, plan, scan, &s, err);
    hq_walscan_free(scan);
    *lsn = s.lsn;
    return result < 0 ? hq_error_prefix(err, "search the WAL for the target") : result;
}
