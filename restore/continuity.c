#include "restore/continuity.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "continuity_internal.h"

const char *
hq_gap_state(const struct hq_gap *gap)
{
    return gap->covered ? "covered" : gap->acknowledged ? "acknowledged" : "open";
}

void
hq_continuity_clear(struct hq_continuity *c)
{
    free(c->ranges);
    free(c->branches);
    free(c->gaps);
    free(c->complete);
    *c = (struct hq_continuity){0};
}

size_t
hq_continuity_gaps(const struct hq_continuity *c, bool acknowledged)
{
    size_t count = 0;

    for (size_t i = 0; i < c->gap_count; i++)
        count += !c->gaps[i].covered && c->gaps[i].acknowledged == acknowledged;
    return count;
}

static bool
goes_further(const struct hq_recovery_range *a, const struct hq_recovery_range *b)
{
    return a->timeline != b->timeline ? a->timeline > b->timeline : a->from_us > b->from_us;
}

const struct hq_recovery_range *
hq_continuity_newest(const struct hq_continuity *c)
{
    const struct hq_recovery_range *last = NULL, *newest = NULL;

    for (size_t i = 0; i < c->range_count; i++)
        if (last == NULL || strcmp(c->ranges[i].last_backup, last->last_backup) > 0)
            last = &c->ranges[i];
    for (size_t i = 0; i < c->range_count; i++)
        if (c->ranges[i].system_identifier == last->system_identifier &&
            (newest == NULL || goes_further(&c->ranges[i], newest)))
            newest = &c->ranges[i];
    return newest;
}

void
work_clear_paths(struct work *w)
{
    for (size_t i = 0; i < w->path_count; i++)
        path_clear(&w->paths[i]);
    free(w->paths);
    free(w->path_of);
}

static void
work_clear(struct work *w)
{
    work_clear_paths(w);
    for (size_t i = 0; i < w->lineage_count; i++) {
        for (size_t k = 0; k < w->lineages[i].history_count; k++)
            hq_timeline_path_clear(&w->lineages[i].histories[k]);
        free(w->lineages[i].histories);
        hq_wal_inventory_free(w->lineages[i].wal);
    }
    free(w->lineages);
}

static int
find_lineage(struct work *w, const struct hq_root *root, size_t *out, struct hq_error *err)
{
    struct lineage *lineage;

    for (*out = 0; *out < w->lineage_count; (*out)++)
        if (w->lineages[*out].system_identifier == root->system_identifier)
            return 0;
    lineage = &w->lineages[w->lineage_count++];
    lineage->system_identifier = root->system_identifier;
    if (w->input->inventory(w->input->context, root, &lineage->wal, err) != 0)
        return -1;
    return hq_wal_inventory_histories(lineage->wal, &lineage->histories, &lineage->history_count,
                                      err);
}

/*
 * As hq_wal_inventory_path() chooses: the newest timeline that descends from the backup, or
 * @p timeline. @p out stays empty where the backup does not lead to that.
 */
static int
choose_steps(const struct lineage *lineage, const struct hq_root *root, uint32_t timeline,
             struct hq_timeline_path *out, struct hq_error *err)
{
    for (size_t i = 0; i < lineage->history_count; i++) {
        const struct hq_timeline_path *steps = &lineage->histories[i];
        uint32_t last = steps->steps[steps->count - 1].timeline;

        if (last <= root->timeline || (timeline != 0 && last != timeline) ||
            !hq_timeline_path_passes(steps, root->timeline, root->stop_lsn))
            continue;
        out->steps = calloc(steps->count, sizeof *out->steps);
        if (out->steps == NULL)
            return hq_fail(err, HQ_E_NOMEM, "timeline history");
        memcpy(out->steps, steps->steps, steps->count * sizeof *out->steps);
        out->count = steps->count;
        return 0;
    }
    if (timeline != 0 && timeline != root->timeline)
        return 0;
    return hq_timeline_path_decode(root->timeline, "", 0, out, err);
}

/* The last timeline names a path: histories agree about what is before it. */
static struct path *
same_path(struct work *w, size_t lineage, uint32_t last)
{
    for (size_t i = 0; i < w->path_count; i++)
        if (w->paths[i].lineage == lineage &&
            w->paths[i].steps.steps[w->paths[i].steps.count - 1].timeline == last)
            return &w->paths[i];
    return NULL;
}

static int
place_backup(struct work *w, size_t number, struct hq_error *err)
{
    const struct hq_root *root = &w->input->list->roots[number];
    struct hq_timeline_path steps = {0};
    struct path *path;
    size_t lineage;

    if (find_lineage(w, root, &lineage, err) != 0 ||
        choose_steps(&w->lineages[lineage], root, w->input->timeline, &steps, err) != 0)
        return -1;
    w->path_of[number] = NO_PATH;
    if (steps.count == 0)
        return 0;
    path = same_path(w, lineage, steps.steps[steps.count - 1].timeline);
    if (path == NULL) {
        path = &w->paths[w->path_count++];
        *path = (struct path){.lineage = lineage,
                              .steps = steps,
                              .start = root->start_lsn,
                              .segment_size = root->wal_segment_size};
    } else {
        hq_timeline_path_clear(&steps);
    }
    path->start = root->start_lsn < path->start ? root->start_lsn : path->start;
    path->last_backup = number;
    w->path_of[number] = (size_t)(path - w->paths);
    return 0;
}

static void
begin_range(struct hq_recovery_range *range, const struct hq_root *root, size_t lineage,
            const struct stretch *stretch)
{
    *range = (struct hq_recovery_range){.system_identifier = root->system_identifier,
                                        .lineage = lineage,
                                        .timeline = stretch->end_timeline,
                                        .from_us = root->finished_us,
                                        .to_us = stretch->last_commit_us,
                                        .from_lsn = root->stop_lsn,
                                        .to_lsn = stretch->end};
    memcpy(range->first_backup, root->backup, sizeof root->backup);
}

static size_t
lineage_number(const struct hq_backup_list *list, const struct hq_root *root)
{
    return hq_lineages_number(
        &list->lineages,
        hq_lineages_since(&list->lineages, root->system_identifier, root->started_us));
}

/* Backups of a lineage in the same stretch of the same path share a range. */
static void
count_backup(struct work *w, size_t number, const struct stretch **range_of)
{
    const struct hq_root *root = &w->input->list->roots[number];
    const struct path *path = w->path_of[number] == NO_PATH ? NULL : &w->paths[w->path_of[number]];
    const struct stretch *stretch =
        path == NULL ? NULL : path_find(path, root->start_lsn, root->stop_lsn);
    struct hq_recovery_range *range;
    size_t i = 0, lineage = lineage_number(w->input->list, root);

    w->out->complete[number] = stretch != NULL;
    if (stretch == NULL)
        return;
    while (i < w->out->range_count &&
           (range_of[i] != stretch || w->out->ranges[i].lineage != lineage))
        i++;
    range = &w->out->ranges[i];
    if (i == w->out->range_count) {
        range_of[w->out->range_count++] = stretch;
        begin_range(range, root, lineage, stretch);
    }
    range->backups++;
    memcpy(range->last_backup, root->backup, sizeof root->backup);
}

/*
 * A backup of the same path covers a gap when it begins behind it; one of another path, which is
 * what the cluster is now, when it is newer than all of the gap's.
 */
static bool
is_covered(const struct work *w, const struct hq_gap *gap, const struct path *path)
{
    for (size_t i = 0; i < w->input->list->count; i++)
        if (w->out->complete[i] && (w->path_of[i] == (size_t)(path - w->paths)
                                        ? w->input->list->roots[i].start_lsn >= gap->to_lsn
                                        : i > path->last_backup))
            return true;
    return false;
}

static void
judge_gap(const struct work *w, struct hq_gap *gap, const struct path *path)
{
    gap->covered = is_covered(w, gap, path);
    for (size_t i = 0; i < w->input->record_count; i++) {
        const struct hq_audit_record *r = &w->input->records[i];

        if (r->kind == HQ_AUDIT_GAP_ACKNOWLEDGED &&
            r->system_identifier == gap->system_identifier && r->timeline == gap->timeline &&
            r->from_lsn <= gap->from_lsn && gap->to_lsn <= r->to_lsn) {
            gap->acknowledged = true;
            gap->by = *r;
        }
    }
}

static int
compute(struct work *w, const struct stretch **range_of, struct hq_error *err)
{
    size_t *first_gap = calloc(w->input->list->count + 1, sizeof *first_gap);
    int result = first_gap == NULL ? hq_fail(err, HQ_E_NOMEM, "gaps") : 0;

    for (size_t i = 0; result == 0 && i < w->input->list->count; i++)
        result = place_backup(w, i, err);
    for (size_t i = 0; result == 0 && i < w->path_count; i++) {
        first_gap[i] = w->out->gap_count;
        result = path_walk(&w->paths[i], &w->lineages[w->paths[i].lineage], w->out, err);
    }
    for (size_t i = 0; result == 0 && i < w->input->list->count; i++)
        count_backup(w, i, range_of);
    for (size_t i = 0; result == 0 && i < w->path_count; i++) {
        size_t end = i + 1 < w->path_count ? first_gap[i + 1] : w->out->gap_count;

        for (size_t k = first_gap[i]; k < end; k++)
            judge_gap(w, &w->out->gaps[k], &w->paths[i]);
    }
    free(first_gap);
    return result;
}

int
work_run(struct work *w, struct hq_error *err)
{
    size_t count = w->input->list->count;
    HQ_FREE const struct stretch **range_of = calloc(count + 1, sizeof *range_of);

    *w->out = (struct hq_continuity){.backup_count = count};
    w->paths = calloc(count + 1, sizeof *w->paths);
    w->path_of = calloc(count + 1, sizeof *w->path_of);
    w->out->ranges = calloc(count + 1, sizeof *w->out->ranges);
    w->out->complete = calloc(count + 1, sizeof *w->out->complete);
    if (range_of == NULL || w->paths == NULL || w->path_of == NULL || w->out->ranges == NULL ||
        w->out->complete == NULL)
        return hq_fail(err, HQ_E_NOMEM, "continuity of %zu backups", count);
    return compute(w, range_of, err);
}

int
hq_continuity_make(const struct hq_continuity_input *input, struct hq_continuity *out,
                   struct hq_error *err)
{
    HQ_AUTO(work_clear)
    struct work w = {.input = input, .out = out};

    *out = (struct hq_continuity){0};
    w.lineages = calloc(input->list->count + 1, sizeof *w.lineages);
    if (w.lineages == NULL)
        return hq_fail(err, HQ_E_NOMEM, "continuity of %zu backups", input->list->count);
    if (work_run(&w, err) != 0)
        return -1;
    return input->timeline == 0 ? work_branches(&w, err) : 0;
}
