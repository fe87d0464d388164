#include "postgres/walsummary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "blockset.h"
#include "summaryfile.h"

struct hq_wal_summary {
    struct blockset set;
    uint64_t files;
};

/* A range on its way to be covered. */
struct loading {
    const struct hq_wal_summary_request *request;
    struct hq_wal_summary *summary;
    uint64_t at; /* everything in [from, at) is merged */
    char why[sizeof((struct hq_wal_summary_hole *)0)->why];
};

void
hq_wal_summary_free(struct hq_wal_summary *s)
{
    if (s == NULL)
        return;
    blockset_clear(&s->set);
    free(s);
}

/* Whether what a file says it is of is what its name says, and it helps. */
static bool
is_of(const struct summaryfile *found, const struct summaryfile *wanted, struct loading *l)
{
    if (found->system_identifier != wanted->system_identifier ||
        found->timeline != wanted->timeline || found->segment_lsn != wanted->segment_lsn ||
        found->segment_size != wanted->segment_size)
        (void)snprintf(l->why, sizeof l->why, "the file is another's");
    else if (found->from_lsn > l->at || found->to_lsn <= l->at)
        (void)snprintf(l->why, sizeof l->why,
                       "the segment's records are known from %" PRIX32 "/%08" PRIX32 " to %" PRIX32
                       "/%08" PRIX32,
                       (uint32_t)(found->from_lsn >> 32), (uint32_t)found->from_lsn,
                       (uint32_t)(found->to_lsn >> 32), (uint32_t)found->to_lsn);
    else
        return true;
    return false;
}

static int
read_file(const struct loading *l, const struct summaryfile *wanted, struct hq_buf *out,
          struct hq_error *err)
{
    HQ_FREE char *path = NULL;
    char name[SUMMARYFILE_NAME_MAX];

    summaryfile_name(wanted, name);
    path = hq_path_join(l->request->directory, name, err);
    return path == NULL ? -1 : hq_io_read_file(path, SUMMARYFILE_BYTES_MAX, out, err);
}

/*
 * Merge what timeline number @p step has of the segment at l->at. @return 1 when that helped, 0
 * when not (l->why), -1.
 */
static int
merge_file(struct loading *l, size_t step, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct summaryfile found, wanted = {.system_identifier = l->request->system_identifier,
                                        .timeline = l->request->steps[step].timeline,
                                        .segment_size = l->request->segment_size,
                                        .segment_lsn = l->at - l->at % l->request->segment_size};
    uint64_t end = l->request->steps[step].end_lsn;
    struct hq_view state;

    if (read_file(l, &wanted, &bytes, err) != 0 ||
        summaryfile_decode(bytes.data, bytes.len, &found, &state, &l->summary->set, err) != 0) {
        if (err->code == HQ_E_NOMEM)
            return -1;
        (void)snprintf(l->why, sizeof l->why, "%.*s", (int)sizeof l->why - 1, err->message);
        hq_error_clear(err);
        return 0;
    }
    if (!is_of(&found, &wanted, l))
        return 0;
    l->summary->files++;
    l->at = found.to_lsn < end ? found.to_lsn : end;
    return 1;
}

/*
 * The segment at l->at is there under the name of the timeline that l->at is of, and, when a later
 * one begins in it, again under that one's with all that came before.
 */
static int
merge_segment(struct loading *l, struct hq_error *err)
{
    const struct hq_wal_summary_request *r = l->request;
    uint64_t segment = l->at - l->at % r->segment_size;
    size_t step = 0;

    (void)snprintf(l->why, sizeof l->why, "no timeline is known there");
    while (step < r->step_count && r->steps[step].end_lsn <= l->at)
        step++;
    for (size_t i = step; i < r->step_count; i++) {
        int merged;

        if (i > step && r->steps[i - 1].end_lsn - segment >= r->segment_size)
            break;
        if ((merged = merge_file(l, i, err)) != 0)
            return merged;
    }
    return 0;
}

static void
tell_hole(const struct loading *l, struct hq_wal_summary_hole *hole)
{
    const struct hq_wal_summary_request *r = l->request;
    uint64_t next = l->at - l->at % r->segment_size + r->segment_size;

    hole->from_lsn = l->at;
    hole->to_lsn = next < r->to_lsn ? next : r->to_lsn;
    (void)snprintf(hole->why, sizeof hole->why, "%s", l->why);
}

/* @return 1 when the range is covered, 0 when not (l->why), -1. */
static int
merge_range(struct loading *l, struct hq_error *err)
{
    while (l->at < l->request->to_lsn) {
        int merged = merge_segment(l, err);

        if (merged <= 0)
            return merged;
        if (l->summary->set.full) {
            (void)snprintf(l->why, sizeof l->why,
                           "too many blocks changed to be held in %zu MiB of memory",
                           HQ_WAL_SUMMARY_MEMORY_MAX >> 20);
            return 0;
        }
    }
    return 1;
}

int
hq_wal_summary_load(const struct hq_wal_summary_request *request, struct hq_wal_summary **out,
                    struct hq_wal_summary_hole *hole, struct hq_error *err)
{
    struct loading l = {.request = request, .at = request->from_lsn};
    int merged;

    *out = NULL;
    l.summary = calloc(1, sizeof *l.summary);
    if (l.summary == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL summary");
    l.summary->set.memory_max = HQ_WAL_SUMMARY_MEMORY_MAX;
    merged = request->to_lsn < request->from_lsn ? 0 : merge_range(&l, err);
    if (merged == 1) {
        *out = l.summary;
        return 0;
    }
    hq_wal_summary_free(l.summary);
    if (merged < 0)
        return -1;
    tell_hole(&l, hole);
    return 0;
}

void
hq_wal_summary_relation(const struct hq_wal_summary *s, const struct hq_relation_fork *fork,
                        struct hq_wal_summary_view *out)
{
    *out = (struct hq_wal_summary_view){
        .state = HQ_WAL_SUMMARY_UNCHANGED, .limit_block = BLOCKSET_NO_LIMIT, .set = s};
    out->relation = blockset_find_relation(&s->set, fork);
    if (fork->fork == HQ_FORK_FSM || fork->fork == HQ_FORK_VM ||
        blockset_has_database(&s->set, fork->tablespace, fork->database)) {
        out->state = HQ_WAL_SUMMARY_UNTRUSTED;
        out->limit_block = 0;
    } else if (out->relation != BLOCKSET_NONE) {
        out->state = HQ_WAL_SUMMARY_CHANGED;
        out->limit_block = s->set.relations[out->relation].limit;
    }
}

uint32_t
hq_wal_summary_next(const struct hq_wal_summary_view *view, uint32_t block, uint32_t end)
{
    uint32_t known_end = view->limit_block < end ? view->limit_block : end;

    if (view->state == HQ_WAL_SUMMARY_UNCHANGED)
        return end;
    while (block < known_end) {
        const struct blockset_area *a =
            blockset_find_area(&view->set->set, view->relation, block / BLOCKSET_AREA);
        uint32_t within = block % BLOCKSET_AREA, area = block - within, step = BLOCKSET_AREA;

        if (a != NULL) {
            uint64_t bits = a->bits[within / 64] >> within % 64;

            if (bits != 0) {
                uint32_t skipped = (uint32_t)__builtin_ctzll(bits);

                return skipped < known_end - block ? block + skipped : known_end;
            }
            step = (within / 64 + 1) * 64;
        }
        if (known_end - area <= step)
            return known_end;
        block = area + step;
    }
    return block < end ? block : end;
}

bool
hq_wal_summary_block(const struct hq_wal_summary_view *view, uint32_t block)
{
    const struct blockset_area *a;

    if (view->state == HQ_WAL_SUMMARY_UNCHANGED)
        return false;
    if (block >= view->limit_block)
        return true;
    a = blockset_find_area(&view->set->set, view->relation, block / BLOCKSET_AREA);
    return a != NULL && (a->bits[block % BLOCKSET_AREA / 64] >> block % 64 & 1) != 0;
}

void
hq_wal_summary_count(const struct hq_wal_summary *s, struct hq_wal_summary_counts *out)
{
    *out = (struct hq_wal_summary_counts){
        .relations = s->set.relation_count, .untrusted = s->set.database_count, .files = s->files};
    for (size_t i = 0; i < s->set.area_places; i++)
        if (s->set.areas[i].relation != BLOCKSET_NONE)
            for (size_t k = 0; k < BLOCKSET_WORDS; k++)
                out->blocks += (uint64_t)__builtin_popcountll(s->set.areas[i].bits[k]);
}
