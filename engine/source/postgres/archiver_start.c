#include <inttypes.h>
#include <stdio.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "postgres_internal.h"

/* What the decision is made of. */
struct facts {
    struct wal_shelf shelf;
    struct timeline_history history; /* of the server's timeline */
    uint64_t slot_lsn;               /* from which on the slot keeps WAL; 0: not known */
};

static void
facts_clear(struct facts *f)
{
    wal_shelf_clear(&f->shelf);
    timeline_history_clear(&f->history);
}

void
archive_start_clear(struct archive_start *start)
{
    wal_parts_clear(&start->parts);
}

static uint64_t
segment_start(const struct hq_archiver *a, uint64_t lsn)
{
    return lsn - lsn % a->system.wal_segment_size;
}

/* Before version 15 only SQL could tell, which this connection does not speak. */
static int
read_slot(struct hq_archiver *a, uint64_t *lsn, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[128];

    *lsn = 0;
    if (a->system.version_number < HQ_PG_VERSION_OPTIONS)
        return 0;
    snprintf(command, sizeof command, "READ_REPLICATION_SLOT \"%s\"", a->options.slot);
    if (hq_pg_command(a->pg, command, 2, &result, err) != 0 ||
        (!PQgetisnull(result, 0, 1) && hq_pg_field_lsn(result, 0, 1, lsn, err) != 0))
        return hq_error_prefix(err, "%s", command);
    return 0;
}

static int
read_history(struct hq_archiver *a, struct timeline_history *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (a->system.timeline == 1)
        return 0;
    if (hq_pg_timeline_history(a->pg, a->system.timeline, &text, err) != 0)
        return -1;
    return timeline_history_decode(a->system.timeline, (const char *)text.data, text.len, out, err);
}

/*
 * Where the server is must be known from before the slot was made: the segment of that position is
 * one that a new slot keeps.
 */
static int
gather(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    bool created;

    if (hq_pg_identify(a->pg, &a->system, err) != 0 ||
        hq_pg_slot_ensure(a->pg, a->options.slot, &created, err) != 0 ||
        read_slot(a, &f->slot_lsn, err) != 0 || read_history(a, &f->history, err) != 0)
        return -1;
    if (created)
        hq_log(HQ_LOG_INFO, "replication slot created", HQ_F_TEXT("slot", a->options.slot));
    return wal_shelf_load(a->options.repository, a->options.cluster, a->system.system_identifier,
                          a->system.wal_segment_size, &f->shelf, err);
}

static int
refuse_system(const struct hq_archiver *a, const struct wal_shelf *shelf, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of system %" PRIu64 " under the name %s, and the server is "
            "system %" PRIu64,
            shelf->other_system, a->options.cluster, a->system.system_identifier);
    return hq_error_hint(err, "it was created anew or upgraded, or is another cluster: give it a "
                              "name of its own");
}

/* Who else than a newer primary wrote on that timeline? */
static int
refuse_timeline(const struct hq_archiver *a, uint32_t timeline, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of timeline %" PRIu32
            ", and the server is on timeline %" PRIu32,
            timeline, a->system.timeline);
    return hq_error_hint(err, "is this a former primary after a failover? Connect to the present "
                              "one, or give this cluster a name of its own");
}

static int
refuse_rollback(const struct hq_archiver *a, uint64_t end, struct hq_error *err)
{
    const char *standby = PQparameterStatus(a->pg->conn, "in_hot_standby");
    uint64_t lsn = a->system.flush_lsn;
    bool passes = standby != NULL && standby[0] == 'o' && standby[1] == 'n';

    /* A standby that was restarted first receives again what it had. */
    hq_fail(err, passes ? HQ_E_TRANSIENT : HQ_E_REFUSED,
            "the server's WAL ends at %X/%08X, before the repository's at %X/%08X of the same "
            "timeline %" PRIu32,
            (unsigned)(lsn >> 32), (unsigned)lsn, (unsigned)(end >> 32), (unsigned)end,
            a->system.timeline);
    if (passes)
        return -1;
    return hq_error_hint(err, "it was put back in time without a recovery: recover it with "
                              "hq-restore, which begins a new timeline, or give it a name of its "
                              "own");
}

static int
refuse_branch(const struct hq_archiver *a, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of timeline %" PRIu32 " from before the server's timeline "
            "of that number began",
            a->system.timeline);
    return hq_error_hint(err, "two servers began a timeline of the same number: give this one a "
                              "name of its own");
}

/* Go on behind what is stored of @p branch. */
static void
resume(struct hq_archiver *a, struct wal_branch *branch)
{
    uint64_t end = wal_branch_end(branch, a->system.wal_segment_size);
    struct archive_start *start = &a->start;

    *start = (struct archive_start){.timeline = branch->timeline, .durable = end, .stored = end};
    start->lsn = branch->complete ? end : branch->last_segment;
    /* All of it in parts and yet not whole: something must be left to be put. */
    if (end - start->lsn == a->system.wal_segment_size)
        start->stored--;
    start->parts = branch->parts;
    branch->parts = (struct wal_parts){0};
}

/* On the server's own timeline. */
static int
resume_here(struct hq_archiver *a, const struct facts *f, struct wal_branch *branch,
            struct hq_error *err)
{
    uint64_t end = wal_branch_end(branch, a->system.wal_segment_size);
    size_t steps = f->history.count;

    if (end > a->system.flush_lsn)
        return refuse_rollback(a, end, err);
    if (steps > 0 && branch->first_segment < segment_start(a, f->history.steps[steps - 1].end))
        return refuse_branch(a, err);
    resume(a, branch);
    return 0;
}

/* On an ancestor, or where it ended: history->steps[i], and the timeline after it. */
static void
resume_ancestor(struct hq_archiver *a, const struct facts *f, size_t i, struct wal_branch *branch)
{
    uint64_t switched = f->history.steps[i].end;

    if (wal_branch_end(branch, a->system.wal_segment_size) < switched) {
        resume(a, branch);
        return;
    }
    /* The segment of the switch is there anew, under the next timeline's name, from its start on.
     */
    a->start = (struct archive_start){.lsn = segment_start(a, switched), .durable = switched};
    a->start.stored = a->start.lsn;
    a->start.timeline =
        i + 1 < f->history.count ? f->history.steps[i + 1].timeline : a->system.timeline;
}

/* Nothing of this server's past is stored: begin with what the slot keeps. */
static void
begin(struct hq_archiver *a, const struct facts *f)
{
    uint64_t lsn = segment_start(a, f->slot_lsn != 0 ? f->slot_lsn : a->system.flush_lsn);

    a->start = (struct archive_start){
        .timeline = a->system.timeline, .lsn = lsn, .stored = lsn, .durable = lsn};
    /* Of the timelines that have this segment the newest. */
    for (size_t i = f->history.count; i-- > 0 && lsn < segment_start(a, f->history.steps[i].end);)
        a->start.timeline = f->history.steps[i].timeline;
}

static int
decide(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    struct wal_shelf *shelf = &f->shelf;
    struct wal_branch *branch;

    if (shelf->count == 0 && shelf->other_system != 0)
        return refuse_system(a, shelf, err);
    if (shelf->count > 0 && shelf->branches[shelf->count - 1].timeline > a->system.timeline)
        return refuse_timeline(a, shelf->branches[shelf->count - 1].timeline, err);
    branch = wal_shelf_find(shelf, a->system.timeline);
    if (branch != NULL && branch->any)
        return resume_here(a, f, branch, err);
    for (size_t i = f->history.count; i-- > 0;) {
        branch = wal_shelf_find(shelf, f->history.steps[i].timeline);
        if (branch != NULL && branch->any) {
            resume_ancestor(a, f, i, branch);
            return 0;
        }
    }
    begin(a, f);
    return 0;
}

static int
store_history(struct hq_archiver *a, const struct facts *f, uint32_t timeline, struct hq_error *err)
{
    const struct wal_branch *branch = wal_shelf_find(&f->shelf, timeline);
    struct hq_wal_info info;

    if (timeline == 1 || (branch != NULL && branch->history))
        return 0;
    if (timeline_store(a->pg, a->options.repository, a->options.cluster,
                       a->system.system_identifier, timeline, &info, err) != 0)
        return -1;
    hq_log(HQ_LOG_INFO, "timeline history stored", HQ_F_TEXT("cluster", a->options.cluster),
           HQ_F_U64("timeline", timeline));
    if (hq_catalog_add_wal(a->options.catalog, a->options.cluster, &info, err) != 0)
        hq_log_error(HQ_LOG_WARNING, "a timeline's history is not in the catalog", err);
    return 0;
}

/*
 * Before any WAL of theirs. A server may have lost the files of older timelines; its own repeats
 * all that they say.
 */
static int
store_histories(struct hq_archiver *a, const struct facts *f, struct hq_error *err)
{
    for (size_t i = 0; i < f->history.count; i++) {
        if (store_history(a, f, f->history.steps[i].timeline, err) == 0)
            continue;
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_log_error(HQ_LOG_WARNING, "an older timeline's history is not to be had", err);
    }
    return store_history(a, f, a->system.timeline, err);
}

int
archiver_find_start(struct hq_archiver *a, struct hq_error *err)
{
    HQ_AUTO(facts_clear)
    struct facts f = {0};

    if (gather(a, &f, err) != 0 || decide(a, &f, err) != 0 || store_histories(a, &f, err) != 0)
        return -1;
    a->superseded = f.shelf.superseded;
    f.shelf.superseded = (struct wal_parts){0};
    hq_error_clear(err);
    return 0;
}
