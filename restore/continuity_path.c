#include <stdlib.h>

#include "base/cleanup.h"
#include "continuity_internal.h"

void
path_clear(struct path *path)
{
    hq_timeline_path_clear(&path->steps);
    free(path->stretches);
    *path = (struct path){0};
}

static int
add_stretch(struct path *path, const struct stretch *stretch, struct hq_error *err)
{
    if (path->count == path->cap) {
        size_t cap = path->cap == 0 ? 8 : 2 * path->cap;
        struct stretch *stretches = reallocarray(path->stretches, cap, sizeof *stretches);

        if (stretches == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu stretches of WAL", cap);
        path->stretches = stretches;
        path->cap = cap;
    }
    path->stretches[path->count++] = *stretch;
    return 0;
}

/* What is stored without a hole from the segment at @p start on; end == start: nothing. */
static int
cover(const struct path *path, const struct lineage *lineage, uint64_t start, struct stretch *out,
      struct hq_error *err)
{
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage coverage = {0};

    if (hq_wal_inventory_cover(lineage->wal, &path->steps, start, &coverage, err) != 0)
        return -1;
    *out = (struct stretch){.start = start - start % path->segment_size,
                            .end = coverage.end_lsn,
                            .end_timeline = coverage.end_timeline};
    if (out->end == out->start)
        return 0;
    if (hq_wal_coverage_first_commit(lineage->wal, &coverage, &out->first_commit_us, err) != 0)
        return -1;
    return hq_wal_coverage_last_commit(lineage->wal, &coverage, &out->last_commit_us, err);
}

static bool
gap_is_known(const struct hq_continuity *c, const struct hq_gap *gap)
{
    for (size_t i = 0; i < c->gap_count; i++)
        if (c->gaps[i].system_identifier == gap->system_identifier &&
            c->gaps[i].timeline == gap->timeline && c->gaps[i].from_lsn == gap->from_lsn &&
            c->gaps[i].to_lsn == gap->to_lsn)
            return true;
    return false;
}

/* Paths part where timelines do: what is missing before that is missing once. */
static int
add_gap(const struct path *path, const struct lineage *lineage, const struct stretch *before,
        const struct stretch *behind, uint64_t to, struct hq_continuity *out, struct hq_error *err)
{
    uint64_t size = path->segment_size;
    struct hq_gap gap = {.system_identifier = lineage->system_identifier,
                         .timeline =
                             hq_wal_inventory_timeline_at(lineage->wal, &path->steps, before->end),
                         .from_lsn = before->end,
                         .to_lsn = to,
                         .segments = (to - 1) / size - before->end / size + 1,
                         .last_commit_us = before->last_commit_us,
                         .next_commit_us = behind->first_commit_us};
    struct hq_gap *gaps;

    if (gap_is_known(out, &gap))
        return 0;
    hq_wal_file_name(gap.timeline, gap.from_lsn, path->segment_size, gap.first_segment);
    hq_wal_file_name(hq_wal_inventory_timeline_at(lineage->wal, &path->steps, to - 1), to - 1,
                     path->segment_size, gap.last_segment);
    gaps = reallocarray(out->gaps, out->gap_count + 1, sizeof *gaps);
    if (gaps == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of %zu gaps", out->gap_count + 1);
    out->gaps = gaps;
    out->gaps[out->gap_count++] = gap;
    return 0;
}

/*
 * WAL that is stored without the beginning of its segment serves no recovery: the search goes on
 * behind it. When nothing that serves is found, the gap ends where the first stored byte is.
 */
static int
resume(const struct path *path, const struct lineage *lineage, uint64_t hole,
       struct stretch *behind, uint64_t *to, struct hq_error *err)
{
    uint64_t segment, piece;

    hq_wal_inventory_resume(lineage->wal, &path->steps, hole, &segment, to);
    *behind = (struct stretch){0};
    while (segment != UINT64_MAX) {
        if (cover(path, lineage, segment, behind, err) != 0)
            return -1;
        if (behind->end > behind->start) {
            *to = behind->start;
            return 0;
        }
        hq_wal_inventory_resume(lineage->wal, &path->steps, segment, &segment, &piece);
    }
    *behind = (struct stretch){0};
    return 0;
}

int
path_walk(struct path *path, const struct lineage *lineage, struct hq_continuity *out,
          struct hq_error *err)
{
    struct stretch now, behind;
    uint64_t to;

    if (cover(path, lineage, path->start, &now, err) != 0)
        return -1;
    for (;;) {
        if ((now.end > now.start && add_stretch(path, &now, err) != 0) ||
            resume(path, lineage, now.end, &behind, &to, err) != 0)
            return -1;
        if (to == UINT64_MAX)
            return 0;
        if (add_gap(path, lineage, &now, &behind, to, out, err) != 0)
            return -1;
        if (behind.end == 0)
            return 0;
        now = behind;
    }
}

const struct stretch *
path_find(const struct path *path, uint64_t start, uint64_t stop)
{
    uint64_t segment = start - start % path->segment_size;

    for (size_t i = 0; i < path->count; i++)
        if (path->stretches[i].start <= segment && segment < path->stretches[i].end)
            return path->stretches[i].end >= stop ? &path->stretches[i] : NULL;
    return NULL;
}
