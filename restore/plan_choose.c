#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan_internal.h"
#include "target_find.h"

/* Whether recovery from @p root can stop at the target at all: consistency must come first. */
static bool
early_enough(const struct hq_target *target, const struct hq_root *root)
{
    switch (target->type) {
    case HQ_TARGET_TIME:
        return root->finished_us <= target->time_us;
    case HQ_TARGET_LSN:
        return root->stop_lsn <= target->lsn;
    case HQ_TARGET_LATEST:
    case HQ_TARGET_IMMEDIATE:
    case HQ_TARGET_XID:
    case HQ_TARGET_NAME:
        return true;
    }
    return false;
}

static void
forget_wal(struct hq_plan *plan)
{
    hq_wal_inventory_free(plan->wal);
    plan->wal = NULL;
    hq_timeline_path_clear(&plan->path);
    hq_wal_coverage_clear(&plan->coverage);
}

static int64_t
since_of(const struct hq_backup_list *list, size_t number)
{
    const struct hq_root *root = &list->roots[number];

    return hq_lineages_since(&list->lineages, root->system_identifier, root->started_us);
}

/* A walk through the backups of one system, newest first. */
struct search {
    const struct hq_repository *repository;
    struct hq_plan *plan;
    struct hq_backup_list *list;
    uint32_t timeline;         /* to go on to; 0: the newest after the backup */
    uint64_t system;           /* that plan->wal is of, */
    uint32_t wal_segment_size; /* in segments of that size */
    const char *why_not;       /* of the last one looked at; NULL: none comes before the target */
    size_t taken;              /* number of the backup that is plan->root */
    /* Of a target that is sought: the WAL from here on, of this path, is known not to hold it. */
    uint64_t searched_from;
    uint32_t searched_timeline; /* the path's last; 0: nothing was searched */
    struct hq_error unreadable; /* why some of it could not be */
};

/* plan->wal, which the backups of a system share. */
static int
open_wal(struct search *s, const struct hq_root *root, struct hq_error *err)
{
    struct hq_plan *plan = s->plan;

    if (plan->wal != NULL && s->system == root->system_identifier &&
        s->wal_segment_size == root->wal_segment_size)
        return 0;
    forget_wal(plan);
    s->system = root->system_identifier;
    s->wal_segment_size = root->wal_segment_size;
    return hq_wal_inventory_load(s->repository, plan->cluster, root->system_identifier,
                                 root->wal_segment_size, &plan->wal, err);
}

static int
follow_wal(struct search *s, const struct hq_root *root, struct hq_error *err)
{
    struct hq_plan *plan = s->plan;

    hq_timeline_path_clear(&plan->path);
    hq_wal_coverage_clear(&plan->coverage);
    if (open_wal(s, root, err) != 0 ||
        hq_wal_inventory_path(plan->wal, s->timeline, root->timeline, root->stop_lsn, &plan->path,
                              err) != 0 ||
        hq_wal_inventory_cover(plan->wal, &plan->path, root->start_lsn, &plan->coverage, err) != 0)
        return -1;
    return hq_wal_coverage_last_commit(plan->wal, &plan->coverage, &plan->last_commit_us, err);
}

/* A running daemon replaces parts of a segment by the whole of it while they are read here. */
static int
follow_current_wal(struct search *s, const struct hq_root *root, struct hq_error *err)
{
    for (int attempt = 1;; attempt++) {
        if (follow_wal(s, root, err) == 0)
            return 0;
        if (err->code != HQ_E_MISSING || attempt == PLAN_ATTEMPTS)
            return -1;
        hq_error_clear(err);
        forget_wal(s->plan);
    }
}

/* Look for the target in the WAL of @p root that has not been looked at yet. @return 1, 0, -1 */
static int
seek_once(struct search *s, const struct hq_root *root, struct hq_error *err)
{
    struct hq_plan *plan = s->plan;
    uint32_t timeline = plan->path.steps[plan->path.count - 1].timeline;
    uint64_t until = plan->coverage.end_lsn;
    int found;

    if (s->searched_timeline == timeline && s->searched_from < until)
        until = s->searched_from;
    found = target_find(s->repository, plan, root->wal_segment_size, root->stop_lsn, until,
                        &plan->target_lsn, err);
    if (found == 0) {
        s->searched_from = root->stop_lsn;
        s->searched_timeline = timeline;
    }
    return found;
}

/*
 * What can't be read can't be replayed either, so an older backup may still have the target before
 * it: the damage is reported only if none does.
 */
static int
seek(struct search *s, const struct hq_root *root, struct hq_error *err)
{
    for (int attempt = 1;; attempt++) {
        int found = seek_once(s, root, err);

        if (found >= 0) {
            s->why_not = "no stored WAL behind a backup holds the target";
            return found;
        }
        if (err->code == HQ_E_CORRUPT || (err->code == HQ_E_MISSING && attempt == PLAN_ATTEMPTS)) {
            s->unreadable = *err;
            hq_error_clear(err);
            s->why_not = "the WAL behind a backup can't be read";
            return 0;
        }
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        forget_wal(s->plan);
        if (follow_current_wal(s, root, err) != 0)
            return -1;
    }
}

/* Take backup @p i if its WAL leads on from it. @return 1, 0 with the reason, -1. */
static int
take(struct search *s, size_t i, struct hq_error *err)
{
    struct hq_root *root = &s->list->roots[i];
    struct hq_plan *plan = s->plan;
    const struct hq_lineages *l = &s->list->lineages;

    if (follow_current_wal(s, root, err) != 0) {
        /* An older backup may lie on the timeline asked for where this one does not. */
        if (err->code != HQ_E_RANGE || plan->target.backup != NULL)
            return -1;
        hq_error_clear(err);
        s->why_not = "no backup before the target leads to the timeline asked for";
        return 0;
    }
    if (plan->coverage.end_lsn < root->stop_lsn) {
        s->why_not = "the WAL from the backup's start to its end is not complete";
        return 0;
    }
    if (target_is_sought(&plan->target)) {
        int found = seek(s, root, err);

        if (found <= 0)
            return found;
    }
    plan->lineage = hq_lineages_number(l, since_of(s->list, i));
    plan->former =
        l->count > 0 && l->items[l->count - 1].system_identifier != root->system_identifier;
    plan->root = *root;
    *root = (struct hq_root){0};
    s->taken = i;
    return 1;
}

static bool
comes_before(const struct search *s, size_t i, uint64_t system)
{
    const struct hq_root *root = &s->list->roots[i];

    return root->system_identifier == system && early_enough(&s->plan->target, root);
}

/* The newest timeline that a backup before the target is in the past of; 0: none has a history. */
static uint32_t
newest_led_to(const struct search *s, uint64_t system, const struct hq_timeline_path *paths,
              size_t count)
{
    for (size_t p = 0; p < count; p++) {
        const struct hq_timeline_path *path = &paths[p];

        for (size_t i = 0; i < s->list->count; i++) {
            const struct hq_root *root = &s->list->roots[i];

            if (comes_before(s, i, system) &&
                hq_timeline_path_passes(path, root->timeline, root->stop_lsn))
                return path->steps[path->count - 1].timeline;
        }
    }
    return 0;
}

/*
 * A former primary may have finished the newest backup of all behind the point where the cluster
 * left its timeline. What was committed since is on the newer one, so the timeline is chosen before
 * the backup.
 */
static int
choose_timeline(struct search *s, uint64_t system, struct hq_error *err)
{
    struct hq_timeline_path *paths = NULL;
    size_t count = 0, i = s->list->count;
    int result;

    s->timeline = s->plan->target.timeline;
    while (i > 0 && !comes_before(s, i - 1, system))
        i--;
    if (s->timeline != 0 || i == 0)
        return 0;
    result = open_wal(s, &s->list->roots[i - 1], err);
    if (result == 0)
        result = hq_wal_inventory_histories(s->plan->wal, &paths, &count, err);
    if (result == 0)
        s->timeline = newest_led_to(s, system, paths, count);
    for (size_t p = 0; p < count; p++)
        hq_timeline_path_clear(&paths[p]);
    free(paths);
    return result;
}

/* The newest backup of @p system that comes before the target and whose own WAL is there. */
static int
search_system(struct search *s, uint64_t system, struct hq_error *err)
{
    if (choose_timeline(s, system, err) != 0)
        return -1;
    for (size_t i = s->list->count; i-- > 0;) {
        int taken;

        if (!comes_before(s, i, system))
            continue;
        taken = take(s, i, err);
        if (taken != 0)
            return taken;
    }
    return 0;
}

/* Whether @p system became the cluster, or became it again, after @p time_us. */
static bool
comes_later(const struct hq_lineages *l, uint64_t system, int64_t time_us)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].since_us > time_us && l->items[i].system_identifier == system)
            return true;
    }
    return false;
}

/*
 * A time is of the system that was the cluster then (docs/format.md §9b). Where that has no backup
 * from before, the switch may have come after its acceptance, and the system before it is looked
 * at: its WAL ends with it, unless it came back. A backup that can't be used leads to no other
 * system.
 */
static int
search_time(struct search *s, struct hq_error *err)
{
    const struct hq_lineages *l = &s->list->lineages;
    int64_t time_us = s->plan->target.time_us;
    bool current = true;
    int taken = 0;

    for (size_t i = l->count; i-- > 0 && taken == 0 && s->why_not == NULL;) {
        uint64_t system = l->items[i].system_identifier;

        if (l->items[i].since_us > time_us)
            continue;
        if (current || !comes_later(l, system, time_us))
            taken = search_system(s, system, err);
        current = false;
    }
    for (size_t i = s->list->count; i-- > 0 && taken == 0 && s->why_not == NULL;) {
        uint64_t system = s->list->roots[i].system_identifier;

        if (since_of(s->list, i) == 0 && (current || !comes_later(l, system, time_us)))
            taken = search_system(s, system, err);
    }
    return taken;
}

static int
search_backup(struct search *s, struct hq_error *err)
{
    const struct hq_target *target = &s->plan->target;

    for (size_t i = 0; i < s->list->count; i++) {
        if (strcmp(target->backup, s->list->roots[i].backup) == 0)
            return early_enough(target, &s->list->roots[i]) ? take(s, i, err) : 0;
    }
    hq_fail(err, HQ_E_MISSING, "cluster %s has no backup %s", s->plan->cluster, target->backup);
    return hq_error_hint(err, "`hq-restore points` lists the backups");
}

/* NULL: what is stored leads to the target. */
static const char *
beyond_end(const struct hq_plan *plan)
{
    const struct hq_target *target = &plan->target;

    if (target->type == HQ_TARGET_TIME && target->time_us > plan->last_commit_us)
        return "the target is after the last recoverable commit";
    if (target->type == HQ_TARGET_LSN && target->lsn > plan->coverage.end_lsn)
        return "the target is after the last recoverable LSN";
    return NULL;
}

static bool
is_end(const struct hq_plan *plan)
{
    const struct hq_target *target = &plan->target;

    return (target->type == HQ_TARGET_TIME && target->time_us == plan->last_commit_us &&
            !target->exclusive) ||
           (target->type == HQ_TARGET_LSN && target->lsn == plan->coverage.end_lsn);
}

static int
search_target(struct search *s, struct hq_error *err)
{
    const struct hq_target *target = &s->plan->target;

    if (target->backup != NULL)
        return search_backup(s, err);
    if (target->type == HQ_TARGET_TIME)
        return search_time(s, err);
    /* What only counts within a system is of the newest. */
    return search_system(s, s->list->roots[s->list->count - 1].system_identifier, err);
}

/* Fill in the plan if the target can be reached. @return 1; 0, @p why says what is wrong; -1 */
static int
reach(const struct hq_repository *repository, struct hq_plan *plan, struct hq_backup_list *list,
      const char **why, struct hq_error *err)
{
    struct search s = {
        .repository = repository, .plan = plan, .list = list, .timeline = plan->target.timeline};
    int taken = search_target(&s, err);

    if (taken < 0)
        return -1;
    if (taken > 0) {
        *why = beyond_end(plan);
        plan->at_end = is_end(plan);
        if (*why == NULL)
            return 1;
        list->roots[s.taken] = plan->root;
        plan->root = (struct hq_root){0};
        return 0;
    }
    if (s.unreadable.code != HQ_E_OK) {
        *err = s.unreadable;
        return hq_error_hint(err, "the target may lie behind it; `hq-backup verify` lists what is "
                                  "damaged");
    }
    *why = s.why_not != NULL ? s.why_not : "the target is before the first recoverable point";
    return 0;
}

/*
 * The newest timeline beside the one that was chosen along which the target can be reached; 0:
 * there is none. A timeline that fails to be looked at is none: the refusal stands without it.
 */
static uint32_t
find_other(const struct hq_repository *repository, const struct hq_plan *plan,
           struct hq_backup_list *list)
{
    HQ_FREE uint32_t *timelines = NULL;
    struct hq_error ignored = {0};
    uint32_t other = 0;
    size_t count;

    if (plan->wal == NULL || plan->target.timeline != 0 || target_is_sought(&plan->target) ||
        hq_wal_inventory_timelines(plan->wal, &timelines, &count, &ignored) != 0)
        return 0;
    for (size_t i = 0; i < count && other == 0; i++) {
        struct hq_plan trial = {.target = plan->target};
        const char *why;

        memcpy(trial.cluster, plan->cluster, sizeof trial.cluster);
        trial.target.timeline = timelines[i];
        hq_error_clear(&ignored);
        if (reach(repository, &trial, list, &why, &ignored) > 0)
            other = timelines[i];
        hq_plan_clear(&trial);
    }
    return other;
}

int
plan_choose(const struct hq_repository *repository, struct hq_plan *plan, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};
    const char *why;
    int reached;

    if (hq_backup_list_load(repository, plan->cluster, &list, err) != 0)
        return -1;
    if (list.count == 0) {
        hq_fail(err, HQ_E_MISSING, "no %sbackup of cluster %s in %s",
                list.unreadable > 0 ? "readable " : "", plan->cluster,
                hq_store_url(repository->store));
        return hq_error_hint(err, "`hq-restore points` lists the clusters and their backups");
    }
    reached = reach(repository, plan, &list, &why, err);
    if (reached < 0)
        return -1;
    if (reached > 0) {
        plan_find_branches(repository, plan, &list);
        return 0;
    }
    return plan_refuse(repository, plan, why, find_other(repository, plan, &list), err);
}
