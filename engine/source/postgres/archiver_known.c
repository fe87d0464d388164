#include <inttypes.h>

#include "archiver_facts.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "postgres_internal.h"
#include "repository/lineage.h"
#include "repository/timeline.h"

/* Of several hosts another one is taken next time, if there is one. */
static void
avoid(struct hq_archiver *a)
{
    a->options.connection.avoid |= UINT64_C(1) << a->pg->number;
    a->wrong_server = a->known.any || a->pg->several;
}

/* Who else than a newer primary wrote on that timeline? */
int
archiver_refuse_timeline(struct hq_archiver *a, uint32_t timeline, struct hq_error *err)
{
    avoid(a);
    a->wrong_server = true;
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of timeline %" PRIu32
            ", and the server is on timeline %" PRIu32,
            timeline, a->system.timeline);
    return hq_error_hint(err, "is this a former primary after a failover? Connect to the present "
                              "one, or give this cluster a name of its own");
}

int
archiver_refuse_rollback(struct hq_archiver *a, uint64_t end, struct hq_error *err)
{
    const char *standby = PQparameterStatus(a->pg->conn, "in_hot_standby");
    uint64_t lsn = a->system.flush_lsn;
    bool passes = standby != NULL && standby[0] == 'o' && standby[1] == 'n';
    struct hq_error ignored = {0};

    /* A standby that was restarted first receives again what it had. */
    hq_fail(err, passes ? HQ_E_TRANSIENT : HQ_E_REFUSED,
            "the server's WAL ends at %X/%08X, before the repository's at %X/%08X of the same "
            "timeline %" PRIu32,
            (unsigned)(lsn >> 32), (unsigned)lsn, (unsigned)(end >> 32), (unsigned)end,
            a->system.timeline);
    if (passes)
        return -1;
    avoid(a);
    a->wrong_server = true;
    /* Later it may be past that point again, with other pages than backups have. */
    if (hq_catalog_forget_notes(a->options.catalog, a->options.cluster, &ignored) != 0)
        hq_log_error(HQ_LOG_WARNING, "the catalog can't be told of it", &ignored);
    return hq_error_hint(err, "it was put back in time without a recovery: recover it with "
                              "hq-restore, which begins a new timeline, or give it a name of its "
                              "own");
}

int
archiver_refuse_branch(struct hq_archiver *a, struct hq_error *err)
{
    avoid(a);
    a->wrong_server = true;
    hq_fail(err, HQ_E_REFUSED,
            "the repository has WAL of a timeline %" PRIu32
            " that began elsewhere than the server's of that number",
            a->system.timeline);
    return hq_error_hint(err, "two servers began a timeline of the same number: connect to the one "
                              "that was followed so far, or give this one a name of its own");
}

uint64_t
facts_begin_of(const struct hq_archiver *a, const struct facts *f, uint32_t timeline)
{
    size_t i = f->history.count;

    if (timeline != a->system.timeline)
        while (i > 0 && f->history.steps[i - 1].timeline != timeline)
            i--;
    else
        i++;
    return i > 1 ? f->history.steps[i - 2].end : 0;
}

/* What a history file that is still in the spool says. */
static bool
find_in_spool(struct hq_archiver *a, uint64_t system, uint32_t timeline, uint64_t *begin)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error ignored = {0};
    uint32_t parent;
    bool found = false;

    /* Under the lock no storer ends a file. */
    pthread_mutex_lock(&a->lock);
    for (struct segment *s = a->first; s != NULL && !found; s = s->next)
        found = s->id->kind == SPOOL_HISTORY && s->id->timeline == timeline &&
                s->id->system_identifier == system &&
                spool_file_read(s->file, 0, s->synced, &text, &ignored) == 0;
    pthread_mutex_unlock(&a->lock);
    return found &&
           hq_timeline_branch((const char *)text.data, text.len, &parent, begin, &ignored) == 0;
}

struct wanted_begin {
    uint32_t timeline;
    uint64_t begin;
    bool found;
};

static int
take_begin(const struct hq_wal_info *info, void *context, struct hq_error *err)
{
    struct wanted_begin *w = context;

    (void)err;
    if (info->type == HQ_WAL_HISTORY && info->timeline == w->timeline) {
        w->begin = info->begin_lsn;
        w->found = true;
    }
    return 0;
}

/* Where the timeline of that number began of which WAL was stored or received. */
static bool
find_begin(struct hq_archiver *a, uint64_t system, uint32_t timeline, uint64_t *begin)
{
    struct wanted_begin w = {.timeline = timeline};
    struct hq_error err = {0};

    if (find_in_spool(a, system, timeline, begin))
        return true;
    /* A cache that can't be read proves nothing. */
    if (hq_catalog_wal_objects(a->options.catalog, a->options.cluster, system, take_begin, &w,
                               &err) != 0)
        return false;
    *begin = w.begin;
    return w.found && w.begin != 0;
}

int
archiver_check_branch(struct hq_archiver *a, const struct facts *f, uint32_t timeline,
                      struct hq_error *err)
{
    const struct archive_known *known = &a->known;
    uint64_t system = a->system.system_identifier, begin;

    if (timeline == 1)
        return 0;
    if (known->any && known->begin != 0 && known->timeline == timeline)
        begin = known->begin;
    else if (!find_begin(a, system, timeline, &begin))
        return 0;
    return begin == facts_begin_of(a, f, timeline) ? 0 : archiver_refuse_branch(a, err);
}

/* A system that is not the one which was received: only the store can say that it is the cluster.
 */
static int
check_other_system(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    if (hq_lineage_check(a->options.repository, a->options.cluster, a->system.system_identifier,
                         err) == 0) {
        f->lineage_checked = true;
        return 0;
    }
    if (err->code == HQ_E_REFUSED) {
        avoid(a);
    } else if (!a->known.any) {
        /* From now on WAL must be kept, even while nothing can be stored. */
        hq_error_clear(err);
        return 0;
    }
    return -1;
}

/* history->steps[i] is what was received last; its count: the server's own timeline, or none. */
static size_t
find_step(const struct hq_archiver *a, const struct facts *f)
{
    size_t i = f->history.count;

    while (i > 0 && f->history.steps[i - 1].timeline != a->known.timeline)
        i--;
    return i > 0 ? i - 1 : f->history.count;
}

int
archiver_check_server(struct hq_archiver *a, struct facts *f, struct hq_error *err)
{
    const struct archive_known *known = &a->known;

    if (!known->any || known->system_identifier != a->system.system_identifier)
        return check_other_system(a, f, err);
    if (known->timeline > a->system.timeline)
        return archiver_refuse_timeline(a, known->timeline, err);
    if (known->timeline == a->system.timeline && known->end > a->system.flush_lsn)
        return archiver_refuse_rollback(a, known->end, err);
    if (known->timeline < a->system.timeline && find_step(a, f) == f->history.count)
        return 0; /* a second recovery from the same past */
    return archiver_check_branch(a, f, known->timeline, err);
}

void
archiver_begin_next(struct hq_archiver *a, const struct facts *f, size_t step)
{
    uint64_t switched = f->history.steps[step].end;
    uint64_t lsn = archiver_segment_start(a, switched);

    a->start = (struct archive_start){.lsn = lsn, .had = lsn, .base = switched};
    a->start.timeline =
        step + 1 < f->history.count ? f->history.steps[step + 1].timeline : a->system.timeline;
}

/* Go on behind what was received; within a segment only where its file is still at hand. */
static void
resume_known(struct hq_archiver *a)
{
    const struct archive_known *known = &a->known;
    const struct segment *s = a->current;
    bool at_hand = s != NULL && s->id->timeline == known->timeline && s->synced == known->end;
    uint64_t lsn = at_hand ? known->end : archiver_segment_start(a, known->end);

    a->start = (struct archive_start){
        .timeline = known->timeline, .lsn = lsn, .had = known->end, .base = known->end};
}

bool
archiver_decide_by_known(struct hq_archiver *a, const struct facts *f)
{
    const struct archive_known *known = &a->known;
    size_t i;

    if (!known->any || known->system_identifier != a->system.system_identifier)
        return false;
    if (known->timeline == a->system.timeline) {
        resume_known(a);
        return true;
    }
    i = find_step(a, f);
    if (i == f->history.count)
        return false;
    if (known->end < f->history.steps[i].end) {
        resume_known(a);
        return true;
    }
    if (known->end > f->history.steps[i].end)
        hq_log(HQ_LOG_WARNING, "WAL of a branch that was abandoned is kept as well",
               HQ_F_U64("timeline", known->timeline), HQ_F_LSN("left_at", f->history.steps[i].end),
               HQ_F_LSN("received", known->end));
    archiver_begin_next(a, f, i);
    return true;
}
