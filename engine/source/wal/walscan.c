#include "postgres/walscan.h"

#include <assert.h>
#include <stdlib.h>

#include "chain.h"
#include "postgres/xactrecord.h"

enum {
    /* Of a prepared transaction's end what it concerns stands behind lists of what it changed. */
    POINT_MAX = 1 << 20
};

struct hq_walscan {
    struct walchain *chain;
    bool points;
};

/* Who is told, for the time of one feed. */
struct sink {
    hq_walscan_fn *each;
    hq_walscan_point_fn *point;
    void *context;
};

static struct hq_walscan *
new_scan(uint32_t segment_size, size_t head_max, struct hq_error *err)
{
    struct hq_walscan *s = calloc(1, sizeof *s);

    if (s == NULL || (s->chain = walchain_new(segment_size, head_max)) == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "WAL scanner");
        free(s);
        return NULL;
    }
    return s;
}

struct hq_walscan *
hq_walscan_new(uint32_t segment_size, struct hq_error *err)
{
    return new_scan(segment_size, HQ_WAL_RECORD_HEAD_MAX, err);
}

struct hq_walscan *
hq_walscan_points_new(uint32_t segment_size, struct hq_error *err)
{
    struct hq_walscan *s = new_scan(segment_size, POINT_MAX, err);

    if (s != NULL)
        s->points = true;
    return s;
}

void
hq_walscan_free(struct hq_walscan *s)
{
    if (s == NULL)
        return;
    free(s->chain);
    free(s);
}

static size_t
time_wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    (void)total;
    return hq_xact_record_ends(header) ? HQ_WAL_RECORD_HEAD_MAX : 0;
}

static const char *
tell_time(void *context, const struct walchain_record *r)
{
    const struct sink *sink = context;
    int64_t time_us;

    if (hq_xact_record_time(r->data, r->len, r->total, r->magic, &time_us))
        sink->each(sink->context, r->lsn, time_us);
    return NULL;
}

static size_t
point_wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    (void)total;
    return hq_xact_record_ends(header) || hq_restore_point_record(header) ? POINT_MAX : 0;
}

static const char *
tell_point(void *context, const struct walchain_record *r)
{
    const struct sink *sink = context;
    struct hq_walscan_point point = {.lsn = r->lsn};

    if (hq_restore_point_record(r->data)) {
        if (hq_restore_point_name(r->data, r->len, r->total, r->magic, point.name))
            sink->point(sink->context, &point);
    } else if (hq_xact_record_xid(r->data, r->len, r->total, r->magic, &point.xid)) {
        sink->point(sink->context, &point);
    }
    return NULL;
}

void
hq_walscan_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                hq_walscan_fn *each, void *context)
{
    static const struct walchain_user user = {.wanted = time_wanted, .record = tell_time};
    struct sink sink = {.each = each, .context = context};

    assert(!s->points);
    walchain_feed(s->chain, lsn, data, len, &user, &sink);
}

void
hq_walscan_points_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                       hq_walscan_point_fn *each, void *context)
{
    static const struct walchain_user user = {.wanted = point_wanted, .record = tell_point};
    struct sink sink = {.point = each, .context = context};

    assert(s->points);
    walchain_feed(s->chain, lsn, data, len, &user, &sink);
}
