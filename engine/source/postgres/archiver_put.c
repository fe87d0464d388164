#include <stdlib.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "repository/timeline.h"

/* A whole segment, or the part that replaces many, begins at the segment's start. */
static void
describe(const struct cut *cut, struct hq_wal_info *info)
{
    const struct segment *s = cut->segment;
    bool wide = cut->whole || s->parts.count + 1 >= ARCHIVER_PARTS_MAX || cut->from == s->start;
    const struct commit_times *times = wide ? &cut->all : &cut->unstored;

    *info = (struct hq_wal_info){
        .type = cut->whole ? HQ_WAL_SEGMENT : HQ_WAL_PART,
        .system_identifier = s->id->system_identifier,
        .timeline = s->id->timeline,
        .segment_size = s->id->segment_size,
        .start_lsn = wide ? s->start : cut->from,
        .end_lsn = cut->to,
        .first_commit_us = times->first_us,
        .last_commit_us = times->last_us,
        .sent_us = cut->sent_us,
    };
    info->raw_len = (uint32_t)(info->end_lsn - info->start_lsn);
    if (s->id->kind == SPOOL_HISTORY) {
        info->type = HQ_WAL_HISTORY;
        info->start_lsn = info->end_lsn = 0;
    }
}

/* What is still in memory need not come from the spool's disk. */
static int
read_raw(const struct cut *cut, uint64_t from, struct hq_buf *raw, const uint8_t **out,
         struct hq_error *err)
{
    *out = spool_file_memory(cut->segment->file, from);
    if (*out != NULL)
        return 0;
    if (spool_file_read(cut->segment->file, from, cut->to, raw, err) != 0)
        return -1;
    *out = raw->data;
    return 0;
}

static int
read_and_seal(struct hq_archiver *a, const struct cut *cut, struct hq_wal_info *info,
              struct tools *tools, struct hq_error *err)
{
    const uint8_t *raw;

    if (read_raw(cut, info->start_lsn, &tools->raw, &raw, err) != 0 ||
        /* Into the header: who can't open the content must know what leads where. */
        (info->type == HQ_WAL_HISTORY &&
         hq_timeline_branch((const char *)raw, info->raw_len, &info->parent, &info->begin_lsn,
                            err) != 0))
        return -1;
    tools->object.len = 0;
    return hq_wal_seal(a->options.repository, a->options.cluster, info, raw, tools->compressor,
                       &tools->object, err);
}

static const char *
label(const struct hq_wal_info *info, bool after)
{
    static const char *const labels[][2] = {
        [HQ_WAL_SEGMENT] = {"wal.segment.before-put", "wal.segment.after-put"},
        [HQ_WAL_PART] = {"wal.part.before-put", "wal.part.after-put"},
        [HQ_WAL_HISTORY] = {"wal.history.before-put", "wal.history.after-put"},
    };

    return labels[info->type][after];
}

/*
 * A history file never changes. Put again, as after a death between the put and the end of its
 * spool file, it would be under another key, and a restore planned in between could not open it.
 */
static int
is_stored(struct hq_archiver *a, const char *name, bool *stored, struct hq_error *err)
{
    struct hq_object_info object;

    *stored = hq_store_head(a->options.repository->store, name, &object, err) == 0;
    if (*stored)
        return 0;
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    return 0;
}

static int
put_object(struct hq_archiver *a, const struct hq_wal_info *info, const struct hq_buf *object,
           struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    bool stored = false;

    hq_wal_name(a->options.cluster, info, name);
    if (info->type == HQ_WAL_HISTORY && is_stored(a, name, &stored, err) != 0)
        return -1;
    if (stored)
        return 0;
    HQ_CRASH_POINT(label(info, false));
    if (hq_store_put_bytes(a->options.repository->store, name, object->data, object->len, err) !=
        0) {
        /* That is the store's answer; CORRUPT is kept for the spool. */
        if (err->code == HQ_E_CORRUPT)
            err->code = HQ_E_TRANSIENT;
        return -1;
    }
    HQ_CRASH_POINT(label(info, true));
    return 0;
}

static bool
same_part(const struct wal_part *a, const struct wal_part *b)
{
    return a->timeline == b->timeline && a->start == b->start && a->end == b->end;
}

/*
 * The parts that lie within what was put can go, but not one of the very same name: that is what
 * was put. One that reaches further stays.
 */
static void
supersede(struct hq_archiver *a, struct segment *s, const struct hq_wal_info *info)
{
    struct wal_part put = {info->timeline, info->start_lsn, info->end_lsn};
    struct wal_parts *parts = &s->parts;
    struct hq_error err = {0};
    size_t kept = 0;
    int failed = 0;

    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < parts->count; i++) {
        const struct wal_part *part = &parts->items[i];

        if (part->start < put.start || part->end > put.end)
            parts->items[kept++] = *part;
        else if (!same_part(part, &put) && failed == 0)
            failed = wal_parts_add(&a->superseded, part, &err);
    }
    parts->count = kept;
    if (info->type == HQ_WAL_PART && failed == 0)
        failed = wal_parts_add(parts, &put, &err);
    pthread_mutex_unlock(&a->lock);
    if (failed != 0)
        hq_log_error(HQ_LOG_WARNING, "parts of a WAL segment stay until the next start", &err);
}

int
archiver_put(struct hq_archiver *a, const struct cut *cut, struct tools *tools, struct put *out,
             struct hq_error *err)
{
    struct segment *s = cut->segment;

    describe(cut, &out->info);
    if (read_and_seal(a, cut, &out->info, tools, err) != 0 ||
        put_object(a, &out->info, &tools->object, err) != 0)
        return -1;
    out->bytes = tools->object.len;
    out->supersedes = out->info.start_lsn == s->start && s->parts.count > 0;
    if (out->info.type != HQ_WAL_HISTORY)
        supersede(a, s, &out->info);
    return 0;
}

static void
tell(const struct hq_archiver *a, const struct cut *cut, const struct put *put)
{
    const struct hq_wal_info *info = &put->info;

    if (info->type == HQ_WAL_HISTORY) {
        hq_log(HQ_LOG_INFO, "timeline history stored", HQ_F_TEXT("cluster", a->options.cluster),
               HQ_F_U64("timeline", info->timeline));
        return;
    }
    hq_log(HQ_LOG_DEBUG, info->type == HQ_WAL_SEGMENT ? "WAL segment stored" : "WAL part stored",
           HQ_F_TEXT("cluster", a->options.cluster), HQ_F_LSN("start", info->start_lsn),
           HQ_F_LSN("end", info->end_lsn), HQ_F_U64("bytes", put->bytes),
           HQ_F_I64("delay_us",
                    cut->oldest_sent_us != 0 ? hq_clock_wall_us() - cut->oldest_sent_us : 0));
}

void
archiver_record(struct hq_archiver *a, const struct cut *cut, const struct put *put)
{
    struct hq_error err = {0};

    tell(a, cut, put);
    if (hq_catalog_add_wal(a->options.catalog, a->options.cluster, &put->info, &err) != 0 ||
        (put->supersedes &&
         hq_catalog_drop_wal_parts(a->options.catalog, a->options.cluster, &put->info, &err) != 0))
        hq_log_error(HQ_LOG_WARNING, "stored WAL is not in the catalog", &err);
}

void
archiver_delete(struct hq_archiver *a, const struct superseded *old)
{
    struct hq_wal_info info = {.type = HQ_WAL_PART,
                               .system_identifier = old->system_identifier,
                               .timeline = old->part.timeline,
                               .segment_size = old->segment_size,
                               .start_lsn = old->part.start,
                               .end_lsn = old->part.end};
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(a->options.cluster, &info, name);
    HQ_CRASH_POINT("wal.part.before-delete");
    if (hq_store_delete(a->options.repository->store, name, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "a superseded WAL part stays until the next start", &err);
    HQ_CRASH_POINT("wal.part.after-delete");
}
