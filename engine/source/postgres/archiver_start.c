#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/log.h"

/* What a listing of the cluster's WAL tells, for the newest segment of the newest timeline. */
struct stored {
    const struct hq_archiver *a;
    bool ours, other;
    uint64_t other_system;
    uint32_t timeline;
    uint64_t segment; /**< start of the newest segment of that timeline */
    uint64_t end;     /**< how far it is stored from its beginning on */
    bool any;
};

/*
 * Names come in ascending order: a segment's complete object first, then its parts by their
 * beginning. A part that begins past what is there so far does not count.
 */
static int
look(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct stored *s = context;
    uint32_t size = s->a->system.wal_segment_size;
    struct hq_wal_info info;
    uint64_t segment;

    (void)err;
    if (!hq_wal_name_parse(object->name, s->a->cluster, size, &info))
        return 0;
    if (info.system_identifier != s->a->system.system_identifier) {
        s->other = true;
        s->other_system = info.system_identifier;
        return 0;
    }
    s->ours = true;
    if (info.type == HQ_WAL_HISTORY || info.timeline < s->timeline ||
        info.timeline > s->a->system.timeline)
        return 0;
    segment = info.start_lsn - info.start_lsn % size;
    if (!s->any || info.timeline > s->timeline || segment > s->segment) {
        s->any = true;
        s->timeline = info.timeline;
        s->segment = segment;
        s->end = segment;
    }
    if (info.start_lsn <= s->end && info.end_lsn > s->end)
        s->end = info.end_lsn;
    return 0;
}

static int
refuse_other(const struct hq_archiver *a, const struct stored *s, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED,
            "cluster %s in this repository is system %" PRIu64 ", the server is %" PRIu64,
            a->cluster, s->other_system, a->system.system_identifier);
    return hq_error_hint(err, "this is another database: give it a cluster.name of its own");
}

static int
refuse_rollback(const struct hq_archiver *a, const struct stored *s, struct hq_error *err)
{
    hq_fail(
        err, HQ_E_REFUSED,
        "the server's WAL ends at %X/%X, the repository's at %X/%X on the same timeline %" PRIu32,
        (unsigned)(a->system.flush_lsn >> 32), (unsigned)a->system.flush_lsn,
        (unsigned)(s->end >> 32), (unsigned)s->end, s->timeline);
    return hq_error_hint(err, "the server went back in time without recovery: restore it with "
                              "hq-restore, which begins a new timeline, or use a new cluster.name");
}

/* Where the timeline that follows @p timeline begins, by the server's history file. */
static int
find_switch(struct hq_archiver *a, uint32_t timeline, uint32_t *next, uint64_t *begin,
            struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf history = {0};
    const char *line;

    *next = a->system.timeline;
    *begin = 0;
    if (hq_pg_timeline_history(a->pg, a->system.timeline, &history, err) != 0)
        return -1;
    line = hq_buf_text(&history);
    while (line != NULL && *line != '\0') {
        unsigned ancestor, high, low;

        if (sscanf(line, "%9u\t%8X/%8X", &ancestor, &high, &low) == 3) {
            if (*begin != 0) {
                *next = ancestor;
                return 0;
            }
            if (ancestor == timeline)
                *begin = (uint64_t)high << 32 | low;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

static int
cross_switch(struct hq_archiver *a, const struct stored *s, struct archive_start *out,
             struct hq_error *err)
{
    uint32_t size = a->system.wal_segment_size, next;
    uint64_t begin;

    if (find_switch(a, s->timeline, &next, &begin, err) != 0)
        return -1;
    if (begin == 0) {
        hq_fail(err, HQ_E_REFUSED,
                "the repository holds WAL of timeline %" PRIu32
                ", which is no ancestor of the server's timeline %" PRIu32,
                s->timeline, a->system.timeline);
        return hq_error_hint(err, "the server follows another branch: take it into the repository "
                                  "under another cluster.name");
    }
    if (s->end < begin)
        return 0;
    *out = (struct archive_start){
        .timeline = next, .lsn = begin - begin % size, .durable = begin - begin % size};
    return 0;
}

int
archiver_find_start(struct hq_archiver *a, struct archive_start *out, struct hq_error *err)
{
    uint32_t size = a->system.wal_segment_size;
    struct stored s = {.a = a};
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    snprintf(prefix, sizeof prefix, "wal/%s/", a->cluster);
    if (hq_store_list(a->options.repository->store, prefix, look, &s, err) != 0)
        return -1;
    if (s.other && !s.ours)
        return refuse_other(a, &s, err);
    if (!s.any) {
        uint64_t lsn = a->system.flush_lsn - a->system.flush_lsn % size;

        *out = (struct archive_start){.timeline = a->system.timeline, .lsn = lsn, .durable = lsn};
        return 0;
    }
    *out = (struct archive_start){
        .timeline = s.timeline, .lsn = s.end - s.end % size, .durable = s.end};
    if (s.timeline != a->system.timeline)
        return cross_switch(a, &s, out, err);
    return a->system.flush_lsn < s.end ? refuse_rollback(a, &s, err) : 0;
}

/* Store the history of @p timeline unless it is there. */
static int
store_history(struct hq_archiver *a, struct hq_pg *pg, uint32_t timeline, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0}, object = {0};
    struct hq_wal_info info = {.type = HQ_WAL_HISTORY,
                               .system_identifier = a->system.system_identifier,
                               .timeline = timeline};
    struct hq_object_info there;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_store *store = a->options.repository->store;

    hq_wal_name(a->cluster, &info, name);
    if (hq_store_head(store, name, &there, err) == 0)
        return 0;
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    if (hq_pg_timeline_history(pg, timeline, &text, err) != 0)
        return -1;
    info.raw_len = (uint32_t)text.len;
    if (hq_wal_seal(a->options.repository, a->cluster, &info, text.data, a->compressor, &object,
                    err) != 0 ||
        hq_store_put_bytes(store, name, object.data, object.len, err) != 0)
        return -1;
    hq_log(HQ_LOG_INFO, "timeline history stored", HQ_F_TEXT("cluster", a->cluster),
           HQ_F_U64("timeline", timeline));
    return hq_catalog_add_wal(a->options.catalog, a->cluster, &info, err);
}

int
archiver_store_histories(struct hq_archiver *a, uint32_t timeline, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf newest = {0};
    const char *line;

    if (timeline <= 1)
        return 0;
    if (store_history(a, a->pg, timeline, err) != 0)
        return -1;
    if (hq_pg_timeline_history(a->pg, timeline, &newest, err) != 0)
        return -1;
    for (line = hq_buf_text(&newest); line != NULL && *line != '\0';) {
        unsigned ancestor;

        if (sscanf(line, "%9u\t", &ancestor) == 1 && ancestor > 1 && ancestor < timeline &&
            store_history(a, a->pg, ancestor, err) != 0) {
            /* A server may have lost old histories; the newest one repeats what they say. */
            hq_log_error(HQ_LOG_WARNING, "an older timeline's history is not to be had", err);
            hq_error_clear(err);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}
