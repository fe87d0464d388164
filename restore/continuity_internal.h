/**
 * @file continuity_internal.h
 * The parts of the computation: continuity.c finds paths and backups, continuity_path.c what of one
 * path is stored, continuity_branches.c what else is recoverable.
 *
 * A lineage is one system's WAL. A path is what recovery from a backup to the end passes through;
 * backups whose recovery ends on the same timeline share one. A stretch is a maximal piece of a
 * path, from the first byte of a segment on, that is stored without a hole.
 */
#ifndef HQ_RESTORE_CONTINUITY_INTERNAL_H
#define HQ_RESTORE_CONTINUITY_INTERNAL_H

#include "restore/continuity.h"

struct lineage {
    uint64_t system_identifier;
    struct hq_wal_inventory *wal;
    struct hq_timeline_path *histories; /* newest first */
    size_t history_count;
};

struct stretch {
    uint64_t start, end;
    uint32_t end_timeline;
    int64_t first_commit_us, last_commit_us;
};

struct path {
    size_t lineage;
    struct hq_timeline_path steps;
    uint64_t start; /* of its earliest backup */
    uint32_t segment_size;
    size_t last_backup; /* the newest one's number */
    struct stretch *stretches;
    size_t count, cap;
};

#define NO_PATH SIZE_MAX

struct work {
    const struct hq_continuity_input *input;
    struct lineage *lineages; /* found on the way; room for one a backup */
    size_t lineage_count;
    struct path *paths;
    size_t path_count;
    size_t *path_of; /* by backup, or NO_PATH */
    struct hq_continuity *out;
};

/** Fill in w->out but for its branches. work_clear_paths() in any case. */
int work_run(struct work *w, struct hq_error *err) HQ_MUST_CHECK;
void work_clear_paths(struct work *w);
/** Fill in the branches of w->out, of which work_run() has filled in the rest. */
int work_branches(struct work *w, struct hq_error *err) HQ_MUST_CHECK;

void path_clear(struct path *path);
/** Fill in the stretches, and append the gaps between them to @p out. */
int path_walk(struct path *path, const struct lineage *lineage, struct hq_continuity *out,
              struct hq_error *err) HQ_MUST_CHECK;
/** The stretch that holds all from the segment of @p start up to @p stop; NULL: there is none. */
const struct stretch *path_find(const struct path *path, uint64_t start, uint64_t stop);

#endif
