#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "plan_internal.h"
#include "postgres/walscan.h"
#include "wal_object.h"

/* Commits behind the point where two paths part; 0: none. */
struct commits {
    uint64_t parted_at;
    int64_t first_us, last_us;
};

static void
add_commit(void *context, uint64_t lsn, int64_t time_us)
{
    struct commits *c = context;

    if (lsn < c->parted_at)
        return;
    c->first_us = c->first_us == 0 || time_us < c->first_us ? time_us : c->first_us;
    c->last_us = time_us > c->last_us ? time_us : c->last_us;
}

/* One that is on both sides: its header can't tell of which its commits are. */
static bool
straddles(const struct hq_wal_piece *piece, uint64_t lsn)
{
    return piece->start_lsn < lsn && piece->end_lsn > lsn;
}

/*
 * What headers tell: of the objects that begin at or behind c->parted_at, and with @p all of one
 * that straddles it too. Reading ends with the first that has a commit; the last has c->last_us.
 */
static int
read_headers(const struct hq_wal_inventory *wal, const struct hq_wal_coverage *coverage, bool all,
             struct commits *c, struct hq_error *err)
{
    struct hq_wal_coverage behind = {0};

    for (size_t i = 0; i < coverage->count; i++) {
        const struct hq_wal_piece *piece = &coverage->pieces[i];

        if (piece->end_lsn > c->parted_at && (all || !straddles(piece, c->parted_at))) {
            behind.pieces = &coverage->pieces[i];
            behind.count = coverage->count - i;
            break;
        }
    }
    if (behind.count == 0)
        return 0;
    if (hq_wal_coverage_first_commit(wal, &behind, &c->first_us, err) != 0)
        return -1;
    return hq_wal_coverage_last_commit(wal, &behind, &c->last_us, err);
}

static int
scan_piece(const struct hq_repository *repository, const struct hq_wal_inventory *wal,
           const struct hq_wal_piece *piece, struct hq_walscan *scan, uint64_t *reached,
           struct commits *c, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    uint64_t begin = piece->start_lsn > *reached ? piece->start_lsn : *reached;

    hq_wal_piece_name(wal, piece, name);
    if (wal_object_read(repository, name, &bytes, err) != 0)
        return -1;
    if (bytes.len != piece->end_lsn - piece->start_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "%s: not of the length its name says", name);
    hq_walscan_feed(scan, begin, bytes.data + (begin - piece->start_lsn),
                    (size_t)(piece->end_lsn - begin), add_commit, c);
    *reached = piece->end_lsn;
    return 0;
}

/* The segment in which the paths part, from its beginning: there a scan finds where records are. */
static int
scan_segment(const struct hq_repository *repository, const struct hq_wal_inventory *wal,
             const struct hq_wal_coverage *coverage, uint32_t segment_size, struct commits *c,
             struct hq_error *err)
{
    uint64_t segment = c->parted_at - c->parted_at % segment_size, reached = segment;
    struct hq_walscan *scan = hq_walscan_new(segment_size, err);
    int result = scan == NULL ? -1 : 0;

    for (size_t i = 0; result == 0 && i < coverage->count; i++) {
        const struct hq_wal_piece *piece = &coverage->pieces[i];

        if (piece->start_lsn >= segment && piece->start_lsn < segment + segment_size &&
            piece->end_lsn > reached)
            result = scan_piece(repository, wal, piece, scan, &reached, c, err);
    }
    hq_walscan_free(scan);
    return result;
}

static bool
is_straddled(const struct hq_wal_coverage *coverage, uint64_t lsn)
{
    for (size_t i = 0; i < coverage->count; i++)
        if (straddles(&coverage->pieces[i], lsn))
            return true;
    return false;
}

/* The commits behind c->parted_at, to the microsecond. */
static int
read_commits(const struct hq_repository *repository, const struct hq_plan *plan,
             const struct hq_wal_coverage *coverage, struct commits *c, struct hq_error *err)
{
    struct commits later = {.parted_at = c->parted_at};

    if (is_straddled(coverage, c->parted_at) &&
        scan_segment(repository, plan->wal, coverage, plan->root.wal_segment_size, c, err) != 0)
        return -1;
    if (read_headers(plan->wal, coverage, false, &later, err) != 0)
        return -1;
    if (c->first_us == 0)
        c->first_us = later.first_us;
    c->last_us = later.last_us > c->last_us ? later.last_us : c->last_us;
    return 0;
}

/* A backup behind the parting is of the plan's own: that one was in use by then. */
static bool
judge(const struct hq_plan *plan, const struct commits *own, const struct commits *other,
      struct hq_plan_branch *out)
{
    int64_t time_us = plan->target.time_us;
    bool used = plan->root.stop_lsn > other->parted_at;

    out->first_commit_us = other->first_us;
    out->last_commit_us = other->last_us;
    out->own_commit_us = own->first_us;
    out->only_there = !used && (own->first_us == 0 || own->first_us > time_us);
    return other->first_us != 0 && other->first_us <= time_us &&
           (out->only_there || other->last_us >= time_us);
}

/*
 * Headers first: they clear nearly every branch. What they leave open is read, where that is
 * possible; where it is not, a warning too many is better than one too few.
 */
static int
compare_times(const struct hq_repository *repository, const struct hq_plan *plan,
              const struct hq_wal_coverage *branch, struct hq_plan_branch *out,
              struct hq_error *err)
{
    struct commits own = {.parted_at = out->parted_lsn}, other = own;
    struct commits own_read = own, other_read = own;

    if (read_headers(plan->wal, &plan->coverage, false, &own, err) != 0 ||
        read_headers(plan->wal, branch, true, &other, err) != 0)
        return -1;
    if (!judge(plan, &own, &other, out))
        return 0;
    if (hq_keyring_role(repository->keyring) != HQ_ROLE_RESTORE)
        return 1;
    if (read_commits(repository, plan, &plan->coverage, &own_read, err) != 0 ||
        read_commits(repository, plan, branch, &other_read, err) != 0) {
        hq_log(HQ_LOG_WARNING, "WAL where two timelines part can't be read",
               HQ_F_TEXT("cluster", plan->cluster), HQ_F_U64("timeline", out->timeline),
               HQ_F_TEXT("detail", err->message));
        hq_error_clear(err);
        return 1;
    }
    return judge(plan, &own_read, &other_read, out) ? 1 : 0;
}

/* Whether @p path has the target too, where it is no longer the plan's. @return 1, 0, -1 */
static int
compare(const struct hq_repository *repository, const struct hq_plan *plan,
        const struct hq_timeline_path *path, struct hq_plan_branch *out, struct hq_error *err)
{
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage branch = {0};

    if (hq_wal_inventory_cover(plan->wal, path, out->parted_lsn, &branch, err) != 0)
        return -1;
    if (branch.end_lsn <= out->parted_lsn)
        return 0;
    if (plan->target.type == HQ_TARGET_LSN)
        return plan->target.lsn > out->parted_lsn && plan->target.lsn <= branch.end_lsn ? 1 : 0;
    return compare_times(repository, plan, &branch, out, err);
}

static bool
comes_before(const struct hq_plan *plan, const struct hq_root *root)
{
    return root->system_identifier == plan->root.system_identifier &&
           (plan->target.type == HQ_TARGET_TIME ? root->finished_us <= plan->target.time_us
                                                : root->stop_lsn <= plan->target.lsn);
}

/* Whether a backup before the target leads to @p path: what can't be had is not offered. */
static bool
is_led_to(const struct hq_plan *plan, const struct hq_backup_list *list,
          const struct hq_timeline_path *path)
{
    if (hq_timeline_path_passes(path, plan->root.timeline, plan->root.stop_lsn))
        return true;
    for (size_t i = 0; plan->target.backup == NULL && i < list->count; i++)
        if (comes_before(plan, &list->roots[i]) &&
            hq_timeline_path_passes(path, list->roots[i].timeline, list->roots[i].stop_lsn))
            return true;
    return false;
}

/* Those that have what the plan lacks come first. */
static int
keep(struct hq_plan *plan, const struct hq_plan_branch *branch, struct hq_error *err)
{
    struct hq_plan_branch *bigger =
        reallocarray(plan->branches, plan->branch_count + 1, sizeof *bigger);
    size_t at = plan->branch_count;

    if (bigger == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of branches");
    plan->branches = bigger;
    for (; branch->only_there && at > 0 && !bigger[at - 1].only_there; at--)
        bigger[at] = bigger[at - 1];
    bigger[at] = *branch;
    plan->branch_count++;
    return 0;
}

/* What the timelines of the inventory are compared with. */
struct comparison {
    const struct hq_repository *repository;
    struct hq_plan *plan;
    const struct hq_backup_list *list;
    struct hq_timeline_path *paths; /* of all history files */
    size_t count;
};

static const struct hq_timeline_path *
find_path(const struct comparison *c, uint32_t timeline)
{
    for (size_t p = 0; p < c->count; p++)
        if (c->paths[p].steps[c->paths[p].count - 1].timeline == timeline)
            return &c->paths[p];
    return NULL;
}

/* Of a backup on its own timeline the plan's path is that one alone: its history says more. */
static const struct hq_timeline_path *
own_path(const struct comparison *c)
{
    const struct hq_timeline_path *path = &c->plan->path;
    const struct hq_timeline_path *whole = find_path(c, path->steps[path->count - 1].timeline);

    return whole != NULL ? whole : path;
}

static int
look_at(const struct comparison *c, const struct hq_timeline_path *path, struct hq_error *err)
{
    struct hq_plan_branch branch = {.timeline = path->steps[path->count - 1].timeline,
                                    .parted_lsn = hq_timeline_path_parting(own_path(c), path)};
    int has = 0;

    if (branch.parted_lsn != UINT64_MAX && is_led_to(c->plan, c->list, path))
        has = compare(c->repository, c->plan, path, &branch, err);
    return has > 0 ? keep(c->plan, &branch, err) : has;
}

/* Without a history file a timeline is the first of its own. */
static int
look_at_timeline(const struct comparison *c, uint32_t timeline, struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path single = {0};
    const struct hq_timeline_path *path = find_path(c, timeline);

    if (path == NULL && hq_timeline_path_decode(timeline, "", 0, &single, err) != 0)
        return -1;
    return look_at(c, path != NULL ? path : &single, err);
}

static int
look_at_all(struct comparison *c, struct hq_error *err)
{
    const struct hq_wal_inventory *wal = c->plan->wal;
    HQ_FREE uint32_t *timelines = NULL;
    size_t count = 0;
    int result = hq_wal_inventory_timelines(wal, &timelines, &count, err);

    if (result == 0 && count > 1)
        result = hq_wal_inventory_histories(wal, &c->paths, &c->count, err);
    for (size_t i = 0; count > 1 && result == 0 && i < count; i++)
        result = look_at_timeline(c, timelines[i], err);
    for (size_t p = 0; p < c->count; p++)
        hq_timeline_path_clear(&c->paths[p]);
    free(c->paths);
    return result;
}

void
plan_find_branches(const struct hq_repository *repository, struct hq_plan *plan,
                   const struct hq_backup_list *list)
{
    struct comparison c = {.repository = repository, .plan = plan, .list = list};
    enum hq_target_type type = plan->target.type;
    struct hq_error err = {0};

    if (plan->target.timeline != 0 || (type != HQ_TARGET_TIME && type != HQ_TARGET_LSN))
        return;
    if (look_at_all(&c, &err) != 0)
        hq_log(HQ_LOG_WARNING,
               "other timelines could not be looked at: one of them may have the target too",
               HQ_F_TEXT("cluster", plan->cluster), HQ_F_TEXT("detail", err.message));
}
