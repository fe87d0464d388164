#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "plan_internal.h"
#include "target_find.h"

/* All ranges of a cluster, and those before and behind a target that lies in none of them. */
struct whole_range {
    const struct hq_target *target;
    struct hq_recovery_range first, last, before, behind;
    size_t count;
    bool has_before, has_behind;
};

static bool
ends_before(const struct hq_recovery_range *range, const struct hq_target *target)
{
    if (target->type == HQ_TARGET_TIME)
        return range->to_us != 0 && range->to_us < target->time_us;
    return target->type == HQ_TARGET_LSN && range->to_lsn < target->lsn;
}

static bool
begins_behind(const struct hq_recovery_range *range, const struct hq_target *target)
{
    if (target->type == HQ_TARGET_TIME)
        return range->from_us > target->time_us;
    return target->type == HQ_TARGET_LSN && range->from_lsn > target->lsn;
}

static int
note_range(const struct hq_recovery_range *range, void *context, struct hq_error *err)
{
    struct whole_range *whole = context;

    (void)err;
    if (whole->count++ == 0)
        whole->first = *range;
    whole->last = *range;
    if (ends_before(range, whole->target)) {
        whole->before = *range;
        whole->has_before = true;
    } else if (begins_behind(range, whole->target) && !whole->has_behind) {
        whole->behind = *range;
        whole->has_behind = true;
    }
    return 0;
}

/* The nearest points on both sides of a gap. */
static int
refuse_in_gap(const struct whole_range *whole, struct hq_error *err)
{
    const struct hq_recovery_range *before = &whole->before, *behind = &whole->behind;
    char to[HQ_TIME_TEXT_MAX], from[HQ_TIME_TEXT_MAX], to_lsn[24], from_lsn[24];

    hq_time_format(before->to_us, to);
    hq_time_format(behind->from_us, from);
    hq_lsn_format(before->to_lsn, to_lsn);
    hq_lsn_format(behind->from_lsn, from_lsn);
    hq_fail(err, HQ_E_RANGE,
            "the target lies in a gap: nothing between %s (%s) and %s (%s) can be recovered",
            before->to_us == 0 ? "the end of a backup" : to, to_lsn, from, from_lsn);
    return hq_error_hint(err,
                         "the last point before it: --target-lsn %s; the first behind it: "
                         "--target-lsn %s",
                         to_lsn, from_lsn);
}

/* Refuse @p what, naming what could be recovered instead. */
static int
refuse(const struct hq_repository *repository, const struct hq_plan *plan, const char *what,
       struct hq_error *err)
{
    struct whole_range whole = {.target = &plan->target};
    char from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], from_lsn[24], to_lsn[24];

    if (hq_recovery_ranges(repository, plan->cluster, note_range, &whole, err) != 0)
        return hq_error_prefix(err, "%s", what);
    if (whole.count == 0) {
        hq_fail(err, HQ_E_RANGE, "%s: no backup of cluster %s has its WAL complete", what,
                plan->cluster);
        return hq_error_hint(err, "is hq-backupd running? `hq-restore points` shows what is there");
    }
    if (whole.has_before && whole.has_behind)
        return refuse_in_gap(&whole, err);
    hq_time_format(whole.first.from_us, from);
    hq_time_format(whole.last.to_us, to);
    hq_fail(err, HQ_E_RANGE, "%s; cluster %s is recoverable from %s (%s) to %s (%s)%s", what,
            plan->cluster, from, hq_lsn_format(whole.first.from_lsn, from_lsn),
            whole.last.to_us == 0 ? "the end of its backup" : to,
            hq_lsn_format(whole.last.to_lsn, to_lsn), whole.count > 1 ? ", with holes" : "");
    return hq_error_hint(err, "choose a point in that range, or --latest for all there is; "
                              "`hq-restore points` shows every range");
}

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

static int
choose(const struct hq_repository *repository, struct hq_plan *plan, struct hq_backup_list *list,
       struct hq_error *err)
{
    struct search s = {
        .repository = repository, .plan = plan, .list = list, .timeline = plan->target.timeline};
    int taken;

    if (plan->target.backup != NULL)
        taken = search_backup(&s, err);
    else if (plan->target.type == HQ_TARGET_TIME)
        taken = search_time(&s, err);
    else /* what only counts within a system is of the newest */
        taken = search_system(&s, list->roots[list->count - 1].system_identifier, err);
    if (taken > 0)
        return 0;
    forget_wal(plan);
    if (taken < 0)
        return -1;
    if (s.unreadable.code != HQ_E_OK) {
        *err = s.unreadable;
        return hq_error_hint(err, "the target may lie behind it; `hq-backup verify` lists what is "
                                  "damaged");
    }
    return refuse(
        repository, plan,
        s.why_not != NULL ? s.why_not : "the target is before the first recoverable point", err);
}

static int
check_end(const struct hq_repository *repository, struct hq_plan *plan, struct hq_error *err)
{
    const struct hq_target *target = &plan->target;

    if (target->type == HQ_TARGET_TIME && target->time_us > plan->last_commit_us)
        return refuse(repository, plan, "the target is after the last recoverable commit", err);
    if (target->type == HQ_TARGET_LSN && target->lsn > plan->coverage.end_lsn)
        return refuse(repository, plan, "the target is after the last recoverable LSN", err);
    plan->at_end = (target->type == HQ_TARGET_TIME && target->time_us == plan->last_commit_us &&
                    !target->exclusive) ||
                   (target->type == HQ_TARGET_LSN && target->lsn == plan->coverage.end_lsn);
    return 0;
}

int
plan_choose(const struct hq_repository *repository, struct hq_plan *plan, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list list = {0};

    if (hq_backup_list_load(repository, plan->cluster, &list, err) != 0)
        return -1;
    if (list.count == 0) {
        hq_fail(err, HQ_E_MISSING, "no %sbackup of cluster %s in %s",
                list.unreadable > 0 ? "readable " : "", plan->cluster,
                hq_store_url(repository->store));
        return hq_error_hint(err, "`hq-restore points` lists the clusters and their backups");
    }
    if (choose(repository, plan, &list, err) != 0)
        return -1;
    return check_end(repository, plan, err);
}
