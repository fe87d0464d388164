#include <stdlib.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"

enum {
    /* So many parts of a segment are replaced by one: a recovery reads each of them. */
    PARTS_MAX = 64,
    SCAN_STEP = 1 << 20
};

static void
add_time(struct commit_times *times, int64_t time_us)
{
    if (times->first_us == 0)
        times->first_us = time_us;
    times->last_us = time_us;
}

static void
note_commit(void *context, uint64_t lsn, int64_t time_us)
{
    struct segment *s = context;

    (void)lsn;
    add_time(&s->all, time_us);
    add_time(&s->unstored, time_us);
}

static void
scan(struct hq_archiver *a, struct segment *s, const uint8_t *data, size_t len)
{
    hq_walscan_feed(a->scan, s->scanned, data, len, note_commit, s);
    s->scanned += len;
}

/* Search what was stored before this run and came again: it counts for the whole segment only. */
static int
scan_stored(struct hq_archiver *a, struct segment *s, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf step = {0};

    while (s->scanned < s->stored) {
        uint64_t to = s->scanned + SCAN_STEP < s->stored ? s->scanned + SCAN_STEP : s->stored;

        if (segment_read(s, s->scanned, to, &step, err) != 0)
            return -1;
        scan(a, s, step.data, step.len);
        s->unstored = (struct commit_times){0};
    }
    return 0;
}

/* A whole segment, or the part that replaces many, begins at the segment's start. */
static void
describe(const struct hq_archiver *a, const struct cut *cut, struct hq_wal_info *info)
{
    const struct segment *s = cut->segment;
    bool whole = cut->to == s->end;
    bool wide = whole || s->parts.count + 1 >= PARTS_MAX;

    *info = (struct hq_wal_info){
        .type = whole ? HQ_WAL_SEGMENT : HQ_WAL_PART,
        .system_identifier = a->system.system_identifier,
        .timeline = s->timeline,
        .segment_size = a->system.wal_segment_size,
        .start_lsn = wide ? s->start : cut->from,
        .end_lsn = cut->to,
        .sent_us = cut->sent_us,
    };
    info->raw_len = (uint32_t)(info->end_lsn - info->start_lsn);
}

static int
read_and_seal(struct hq_archiver *a, struct segment *s, struct hq_wal_info *info,
              struct hq_buf *object, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf raw = {0};
    const struct commit_times *times = info->start_lsn == s->start ? &s->all : &s->unstored;

    if (scan_stored(a, s, err) != 0 ||
        segment_read(s, info->start_lsn, info->end_lsn, &raw, err) != 0)
        return -1;
    if (s->scanned < info->end_lsn) {
        size_t known = (size_t)(s->scanned - info->start_lsn);

        scan(a, s, raw.data + known, raw.len - known);
    }
    info->first_commit_us = times->first_us;
    info->last_commit_us = times->last_us;
    return hq_wal_seal(a->options.repository, a->options.cluster, info, raw.data, a->compressor,
                       object, err);
}

static int
put_object(struct hq_archiver *a, const struct hq_wal_info *info, const struct hq_buf *object,
           struct hq_error *err)
{
    bool whole = info->type == HQ_WAL_SEGMENT;
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(a->options.cluster, info, name);
    HQ_CRASH_POINT(whole ? "wal.segment.before-put" : "wal.part.before-put");
    if (hq_store_put_bytes(a->options.repository->store, name, object->data, object->len, err) != 0)
        return -1;
    HQ_CRASH_POINT(whole ? "wal.segment.after-put" : "wal.part.after-put");
    return 0;
}

static void
note_delay(struct hq_archiver_position *p, int64_t oldest_sent_us)
{
    int64_t delay = hq_clock_wall_us() - oldest_sent_us;

    /* The server's clock may be ahead of this host's. */
    p->delay_us = delay > 0 ? delay : 0;
    if (p->delay_us > p->delay_max_us)
        p->delay_max_us = p->delay_us;
}

/* All up to cut->to is in the store: only now may it be told. */
static void
advance(struct hq_archiver *a, const struct cut *cut, size_t bytes)
{
    struct hq_archiver_position *p = &a->position;
    struct segment *s = cut->segment;

    pthread_mutex_lock(&a->lock);
    s->stored = cut->to;
    if (cut->to > p->durable_lsn)
        p->durable_lsn = cut->to;
    if (s->all.last_us != 0)
        p->last_commit_us = s->all.last_us;
    if (cut->oldest_sent_us != 0)
        note_delay(p, cut->oldest_sent_us);
    p->stored_bytes += bytes;
    p->puts++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    archiver_wake(a);
    s->unstored = (struct commit_times){0};
    s->cut_oldest_us = 0;
}

/* The parts that @p info contains can go; the list of those that count starts afresh. */
static void
supersede(struct hq_archiver *a, struct segment *s, const struct hq_wal_info *info)
{
    struct wal_part part = {info->timeline, info->start_lsn, info->end_lsn};
    struct hq_error err = {0};
    int failed = 0;

    if (info->start_lsn == s->start) {
        for (size_t i = 0; i < s->parts.count && failed == 0; i++)
            failed = wal_parts_add(&a->superseded, &s->parts.items[i], &err);
        s->parts.count = 0;
    }
    if (info->type == HQ_WAL_PART && failed == 0)
        failed = wal_parts_add(&s->parts, &part, &err);
    if (failed != 0)
        hq_log_error(HQ_LOG_WARNING, "parts of a WAL segment stay until the next start", &err);
}

static void
record(struct hq_archiver *a, const struct hq_wal_info *info, bool supersedes)
{
    struct hq_error err = {0};

    if (hq_catalog_add_wal(a->options.catalog, a->options.cluster, info, &err) != 0 ||
        (supersedes &&
         hq_catalog_drop_wal_parts(a->options.catalog, a->options.cluster, info, &err) != 0))
        hq_log_error(HQ_LOG_WARNING, "stored WAL is not in the catalog", &err);
}

int
archiver_put(struct hq_archiver *a, const struct cut *cut, struct hq_error *err)
{
    struct segment *s = cut->segment;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    struct hq_wal_info info;
    bool supersedes;

    describe(a, cut, &info);
    supersedes = info.start_lsn == s->start && s->parts.count > 0;
    HQ_CRASH_POINT("wal.spool.before-sync");
    /* A write that failed late is told here, before the bytes that it lost are read back. */
    if (segment_sync(s, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.spool.after-sync");
    if (read_and_seal(a, s, &info, &object, err) != 0 || put_object(a, &info, &object, err) != 0)
        return -1;
    advance(a, cut, object.len);
    hq_log(HQ_LOG_DEBUG, info.type == HQ_WAL_SEGMENT ? "WAL segment stored" : "WAL part stored",
           HQ_F_TEXT("cluster", a->options.cluster), HQ_F_LSN("start", info.start_lsn),
           HQ_F_LSN("end", info.end_lsn), HQ_F_U64("bytes", object.len),
           HQ_F_I64("delay_us",
                    cut->oldest_sent_us != 0 ? hq_clock_wall_us() - cut->oldest_sent_us : 0));
    record(a, &info, supersedes);
    supersede(a, s, &info);
    return 0;
}

void
archiver_delete_one(struct hq_archiver *a)
{
    const struct wal_part *part = &a->superseded.items[--a->superseded.count];
    struct hq_wal_info info = {.type = HQ_WAL_PART,
                               .system_identifier = a->system.system_identifier,
                               .timeline = part->timeline,
                               .segment_size = a->system.wal_segment_size,
                               .start_lsn = part->start,
                               .end_lsn = part->end};
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(a->options.cluster, &info, name);
    HQ_CRASH_POINT("wal.part.before-delete");
    if (hq_store_delete(a->options.repository->store, name, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "a superseded WAL part stays until the next start", &err);
    HQ_CRASH_POINT("wal.part.after-delete");
}
