#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"

/* So many parts of a segment are joined into a wide one: a recovery reads each of them. */
enum {
    PARTS_MAX = 64,
    LOOK_MS = 50
};

/** A stretch of a segment to put now. */
struct cut {
    struct segment *segment;
    uint64_t from, to;
    bool complete;
    struct commit_times times;
    int64_t sent_us, oldest_sent_us;
};

static uint64_t
segment_end(const struct hq_archiver *a, const struct segment *s)
{
    return s->start + a->system.wal_segment_size;
}

/* A segment whose timeline ended, and all of which is stored, is done with. */
static void
drop_closed(struct hq_archiver *a)
{
    while (a->first != NULL && a->first->closed && a->first->stored == a->first->received) {
        struct segment *s = a->first;

        a->first = s->next;
        a->last = a->first == NULL ? NULL : a->last;
        a->waiting--;
        segment_drop(s);
    }
}

/*
 * Choose what to put. The oldest segment comes first, so that what is stored never has a hole: of a
 * later one nothing is put before the earlier is complete. Caller holds the lock.
 */
static bool
choose(struct hq_archiver *a, int64_t *last_put_us, struct cut *cut)
{
    struct segment *s;
    bool full, due;

    drop_closed(a);
    s = a->first;
    if (s == NULL || s->received == s->stored)
        return false;
    full = s->received == segment_end(a, s);
    due = hq_clock_monotonic_us() - *last_put_us >= a->options.flush_interval_ms * 1000;
    if (!full && !s->closed && !due && !a->finishing)
        return false;
    *cut = (struct cut){.segment = s,
                        .from = s->stored,
                        .to = s->received,
                        .complete = full,
                        .times = s->pending,
                        .sent_us = s->sent_us,
                        .oldest_sent_us = s->oldest_sent_us};
    if (full || s->parts + 1 >= PARTS_MAX) {
        cut->from = s->start;
        cut->times = s->all;
    }
    s->pending = (struct commit_times){0};
    s->oldest_sent_us = 0;
    return true;
}

static void
describe(const struct hq_archiver *a, const struct cut *cut, struct hq_wal_info *info)
{
    *info = (struct hq_wal_info){
        .type = cut->complete ? HQ_WAL_SEGMENT : HQ_WAL_PART,
        .system_identifier = a->system.system_identifier,
        .timeline = cut->segment->timeline,
        .segment_size = a->system.wal_segment_size,
        .start_lsn = cut->from,
        .end_lsn = cut->to,
        .raw_len = (uint32_t)(cut->to - cut->from),
        .first_commit_us = cut->times.first_us,
        .last_commit_us = cut->times.last_us,
        .sent_us = cut->sent_us,
    };
}

static int
put(struct hq_archiver *a, const struct cut *cut, const struct hq_wal_info *info,
    uint64_t *stored_bytes, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf raw = {0}, object = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(a->cluster, info, name);
    /* The spool is the second copy while the first is under way to the store. */
    HQ_CRASH_POINT("wal.spool.before-sync");
    if (segment_sync(cut->segment, err) != 0 ||
        segment_read(cut->segment, cut->from, cut->to, &raw, err) != 0 ||
        hq_wal_seal(a->options.repository, a->cluster, info, raw.data, a->compressor, &object,
                    err) != 0)
        return -1;
    HQ_CRASH_POINT(cut->complete ? "wal.segment.before-put" : "wal.part.before-put");
    if (hq_store_put_bytes(a->options.repository->store, name, object.data, object.len, err) != 0)
        return -1;
    HQ_CRASH_POINT(cut->complete ? "wal.segment.after-put" : "wal.part.after-put");
    *stored_bytes = object.len;
    return 0;
}

struct narrow {
    struct hq_archiver *a;
    const struct hq_wal_info *wide;
};

static int
drop_narrow(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct narrow *n = context;
    struct hq_wal_info info;

    if (!hq_wal_name_parse(object->name, n->a->cluster, n->wide->segment_size, &info) ||
        info.type != HQ_WAL_PART || info.system_identifier != n->wide->system_identifier ||
        info.timeline != n->wide->timeline || info.start_lsn < n->wide->start_lsn ||
        info.end_lsn > n->wide->end_lsn ||
        (n->wide->type == HQ_WAL_PART && info.start_lsn == n->wide->start_lsn &&
         info.end_lsn == n->wide->end_lsn))
        return 0;
    HQ_CRASH_POINT("wal.part.before-delete");
    return hq_store_delete(n->a->options.repository->store, object->name, err);
}

/* Parts within what was just made durable are superseded. Failing to delete them is harmless. */
static void
delete_parts(struct hq_archiver *a, const struct hq_wal_info *wide)
{
    struct narrow n = {.a = a, .wide = wide};
    struct hq_error err = {0};
    struct hq_wal_info segment = *wide;
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    segment.type = HQ_WAL_SEGMENT;
    segment.end_lsn = wide->start_lsn + wide->segment_size;
    hq_wal_name(a->cluster, &segment, prefix);
    if (hq_store_list(a->options.repository->store, prefix, drop_narrow, &n, &err) != 0 ||
        hq_catalog_drop_wal_parts(a->options.catalog, a->cluster, wide, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "superseded parts of a segment are left behind", &err);
}

/* Everything up to cut->to is in the store: only now may it be told. */
static void
advance(struct hq_archiver *a, const struct cut *cut, uint64_t bytes)
{
    struct segment *s = cut->segment;

    pthread_mutex_lock(&a->lock);
    s->stored = cut->to;
    s->parts = cut->from == s->start ? 1 : s->parts + 1;
    s->closed = s->closed || cut->complete;
    a->position.timeline = s->timeline;
    if (cut->to > a->position.durable_lsn)
        a->position.durable_lsn = cut->to;
    if (cut->times.last_us != 0)
        a->position.last_commit_us = cut->times.last_us;
    if (cut->oldest_sent_us != 0) {
        a->position.delay_us = hq_clock_wall_us() - cut->oldest_sent_us;
        if (a->position.delay_us > a->position.delay_max_us)
            a->position.delay_max_us = a->position.delay_us;
    }
    a->position.stored_bytes += bytes;
    a->position.puts++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static int
store_cut(struct hq_archiver *a, const struct cut *cut, struct hq_error *err)
{
    struct hq_error catalog_err = {0};
    struct hq_wal_info info;
    bool wide = cut->from == cut->segment->start && (cut->complete || cut->segment->parts > 0);
    uint64_t bytes;

    describe(a, cut, &info);
    if (put(a, cut, &info, &bytes, err) != 0)
        return -1;
    if (hq_catalog_add_wal(a->options.catalog, a->cluster, &info, &catalog_err) != 0)
        hq_log_error(HQ_LOG_WARNING, "stored WAL is not in the catalog yet", &catalog_err);
    hq_log(HQ_LOG_DEBUG, cut->complete ? "WAL segment stored" : "WAL part stored",
           HQ_F_LSN("from", cut->from), HQ_F_LSN("to", cut->to), HQ_F_U64("bytes", bytes),
           HQ_F_I64("delay_us",
                    cut->oldest_sent_us != 0 ? hq_clock_wall_us() - cut->oldest_sent_us : 0));
    if (wide)
        delete_parts(a, &info);
    advance(a, cut, bytes);
    return 0;
}

/* Woken at once by a full segment or the end, else looks now and then whether a part is due. */
static bool
wait_for_cut(struct hq_archiver *a, int64_t *last_put_us, struct cut *cut)
{
    bool chosen = false;

    pthread_mutex_lock(&a->lock);
    while (a->storing && !(chosen = choose(a, last_put_us, cut)) && !a->finishing) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&a->changed, &a->lock, &until);
    }
    if (!chosen && a->storing && a->finishing)
        chosen = choose(a, last_put_us, cut);
    pthread_mutex_unlock(&a->lock);
    return chosen;
}

void *
archiver_store(void *archiver)
{
    struct hq_archiver *a = archiver;
    int64_t last_put_us = 0;
    struct cut cut;

    while (wait_for_cut(a, &last_put_us, &cut)) {
        struct hq_error err = {0};

        last_put_us = hq_clock_monotonic_us();
        if (store_cut(a, &cut, &err) == 0)
            continue;
        pthread_mutex_lock(&a->lock);
        a->failed = true;
        a->failure = err;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        break;
    }
    return NULL;
}
