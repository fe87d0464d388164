#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archiver_facts.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "postgres_internal.h"
#include "repository/lineage.h"

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

uint64_t
archiver_segment_start(const struct hq_archiver *a, uint64_t lsn)
{
    return lsn - lsn % a->system.wal_segment_size;
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
 * one that a new slot keeps. A slot whose WAL is missing keeps the wrong WAL. No slot is made on a
 * server that is another cluster's.
 */
static int
gather(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    if (hq_pg_identify(a->pg, &a->system, err) != 0 || read_history(a, &f->history, err) != 0 ||
        archiver_check_server(a, f, err) != 0)
        return -1;
    /* Another server may have it. */
    if (strcmp(a->system.host, a->missing_host) != 0)
        a->missing = ARCHIVER_NOT_MISSING;
    return archiver_slot_ready(a, a->missing == ARCHIVER_MISSING_ALL, &f->slot_lsn, err);
}

/*
 * Segments are put side by side: a crash may have left holes. @return the first that the slot still
 * has the WAL of; 0: there is none.
 */
static uint64_t
first_hole(const struct hq_archiver *a, const struct facts *f, const struct wal_branch *branch)
{
    for (size_t i = 0; f->slot_lsn != 0 && i < branch->hole_count; i++)
        if (branch->holes[i] >= archiver_segment_start(a, f->slot_lsn))
            return branch->holes[i];
    return 0;
}

/* Go on behind what is stored of @p branch. */
static void
resume(struct hq_archiver *a, const struct facts *f, struct wal_branch *branch)
{
    uint64_t end = wal_branch_end(branch, a->system.wal_segment_size);
    struct archive_start *start = &a->start;
    uint64_t hole;

    *start = (struct archive_start){.timeline = branch->timeline, .had = end, .base = end};
    start->lsn = branch->complete ? end : branch->last_segment;
    start->parts = branch->parts;
    branch->parts = (struct wal_parts){0};
    hole = first_hole(a, f, branch);
    if (hole != 0) {
        archive_start_clear(start);
        *start = (struct archive_start){
            .timeline = branch->timeline, .lsn = hole, .had = hole, .base = hole};
    }
}

/* On the server's own timeline. */
static int
resume_here(struct hq_archiver *a, const struct facts *f, struct wal_branch *branch,
            struct hq_error *err)
{
    uint64_t end = wal_branch_end(branch, a->system.wal_segment_size);

    if (end > a->system.flush_lsn)
        return archiver_refuse_rollback(a, end, err);
    if (branch->first_segment < archiver_segment_start(a, facts_begin_of(a, f, branch->timeline)))
        return archiver_refuse_branch(a, err);
    resume(a, f, branch);
    return 0;
}

/* On an ancestor, or where it ended: history->steps[i], and the timeline after it. */
static void
resume_ancestor(struct hq_archiver *a, const struct facts *f, size_t i, struct wal_branch *branch)
{
    if (wal_branch_end(branch, a->system.wal_segment_size) < f->history.steps[i].end ||
        first_hole(a, f, branch) != 0)
        resume(a, f, branch);
    else
        archiver_begin_next(a, f, i);
}

/* The timeline of this server's history that has the segment at @p lsn: of several the newest. */
static uint32_t
timeline_at(const struct hq_archiver *a, const struct facts *f, uint64_t lsn)
{
    uint32_t timeline = a->system.timeline;

    for (size_t i = f->history.count;
         i-- > 0 && lsn < archiver_segment_start(a, f->history.steps[i].end);)
        timeline = f->history.steps[i].timeline;
    return timeline;
}

/* Nothing of this server's past is stored, or what comes next is lost: begin with what is kept. */
static void
begin(struct hq_archiver *a, const struct facts *f)
{
    uint64_t lsn = archiver_segment_start(a, f->slot_lsn != 0 ? f->slot_lsn : a->system.flush_lsn);

    archive_start_clear(&a->start);
    a->start = (struct archive_start){
        .timeline = timeline_at(a, f, lsn), .lsn = lsn, .had = lsn, .base = lsn};
}

/* By what the store holds. */
static int
decide_by_shelf(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    struct wal_shelf *shelf = &f->shelf;
    struct wal_branch *branch;

    if (!f->lineage_checked && hq_lineage_check(a->options.repository, a->options.cluster,
                                                a->system.system_identifier, err) != 0)
        return -1;
    if (shelf->count > 0 && shelf->branches[shelf->count - 1].timeline > a->system.timeline)
        return archiver_refuse_timeline(a, shelf->branches[shelf->count - 1].timeline, err);
    branch = wal_shelf_find(shelf, a->system.timeline);
    if (branch != NULL && branch->any)
        return archiver_check_branch(a, f, branch->timeline, err) == 0
                   ? resume_here(a, f, branch, err)
                   : -1;
    for (size_t i = f->history.count; i-- > 0;) {
        branch = wal_shelf_find(shelf, f->history.steps[i].timeline);
        if (branch != NULL && branch->any) {
            if (archiver_check_branch(a, f, branch->timeline, err) != 0)
                return -1;
            resume_ancestor(a, f, i, branch);
            return 0;
        }
    }
    begin(a, f);
    return 0;
}

/* What the spool has of a past that is not this server's is stored before the store is asked. */
static int
load_shelf(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    bool empty;

    pthread_mutex_lock(&a->lock);
    empty = a->first == NULL;
    pthread_mutex_unlock(&a->lock);
    if (!empty) {
        archiver_close_segment(a);
        return hq_fail(err, HQ_E_TRANSIENT,
                       "the spool still has WAL of another past than this server's, which is "
                       "stored first");
    }
    return wal_shelf_load(a->options.repository, a->options.cluster, a->system.system_identifier,
                          a->system.wal_segment_size, &f->shelf, err);
}

static int
decide(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    a->from_shelf = false;
    if (a->missing == ARCHIVER_NOT_MISSING && archiver_decide_by_known(a, f))
        return 0;
    if (load_shelf(a, f, err) != 0 || decide_by_shelf(a, f, err) != 0)
        return -1;
    a->known.any = false;
    a->from_shelf = true;
    return 0;
}

/* The server has removed WAL from a->start on: go on with what it keeps. */
static void
leap(struct hq_archiver *a, const struct facts *f)
{
    uint64_t from = a->known.any ? a->known.end : a->start.base;
    uint32_t timeline = a->start.timeline;

    begin(a, f);
    a->gap_pending = a->start.lsn > from;
    a->gap = (struct hq_wal_gap){.system_identifier = a->system.system_identifier,
                                 .timeline = timeline,
                                 .from_lsn = from,
                                 .to_lsn = a->start.lsn};
}

/*
 * @return whether it is in the store, or on its way there. Put twice it would be under another key,
 * and a restore that was planned in between could not open it.
 */
static bool
history_known(struct hq_archiver *a, const struct facts *f, uint32_t timeline)
{
    const struct wal_branch *branch = wal_shelf_find(&f->shelf, timeline);
    bool known = timeline == 1 || (branch != NULL && branch->history) ||
                 (a->known.any && timeline <= a->known.timeline);

    pthread_mutex_lock(&a->lock);
    known = known ||
            (a->history_system == a->system.system_identifier && timeline <= a->history_stored);
    for (const struct segment *s = a->first; s != NULL && !known; s = s->next)
        known = s->id->kind == SPOOL_HISTORY && s->id->timeline == timeline &&
                s->id->system_identifier == a->system.system_identifier;
    pthread_mutex_unlock(&a->lock);
    return known;
}

static int
queue_history(struct hq_archiver *a, const struct facts *f, uint32_t timeline, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {.limit = SPOOL_HISTORY_MAX};
    HQ_AUTO(timeline_history_clear)
    struct timeline_history history = {0};

    if (history_known(a, f, timeline))
        return 0;
    if (hq_pg_timeline_history(a->pg, timeline, &text, err) != 0)
        return -1;
    /* What nobody can read must not hold up what comes behind it. */
    if (timeline_history_decode(timeline, (const char *)text.data, text.len, &history, err) != 0 ||
        history.count == 0) {
        (void)hq_fail(err, HQ_E_MISSING,
                      "the server's history file of timeline %" PRIu32 " can't be read", timeline);
        return -1;
    }
    archiver_close_segment(a);
    return archiver_append_history(a, timeline, &text, err);
}

/*
 * Before any WAL of theirs. A server may have lost the files of older timelines; its own repeats
 * all that they say.
 */
static int
queue_histories(struct hq_archiver *a, const struct facts *f, struct hq_error *err)
{
    for (size_t i = 0; i < f->history.count; i++) {
        if (queue_history(a, f, f->history.steps[i].timeline, err) == 0)
            continue;
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_log_error(HQ_LOG_WARNING, "an older timeline's history is not to be had", err);
    }
    return queue_history(a, f, a->system.timeline, err);
}

void
archiver_note_shelf(struct hq_archiver *a, struct wal_shelf *shelf)
{
    pthread_mutex_lock(&a->lock);
    wal_parts_clear(&a->superseded);
    a->superseded = shelf->superseded;
    shelf->superseded = (struct wal_parts){0};
    a->shelf_system = shelf->system_identifier;
    a->shelf_segment_size = shelf->segment_size;
    a->learned = true;
    pthread_cond_signal(&a->work);
    pthread_mutex_unlock(&a->lock);
}

int
archiver_find_start(struct hq_archiver *a, struct hq_error *err)
{
    HQ_AUTO(facts_clear)
    struct facts f = {0};

    if (gather(a, &f, err) != 0 || decide(a, &f, err) != 0)
        return -1;
    if (a->missing == ARCHIVER_MISSING_ALL)
        leap(a, &f);
    a->start.begin = facts_begin_of(a, &f, a->start.timeline);
    if (queue_histories(a, &f, err) != 0)
        return -1;
    if (f.shelf.cluster != NULL)
        archiver_note_shelf(a, &f.shelf);
    hq_error_clear(err);
    return 0;
}
