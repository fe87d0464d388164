#include "postgres/walscan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "postgres/xactrecord.h"

/* Page headers (access/xlog_internal.h): short, and long at the start of a segment. */
enum {
    PAGE_SHORT_BYTES = 24,
    PAGE_LONG_BYTES = 40,
    PAGE_FIRST_CONTINUES = 0x0001,
    PAGE_LONG = 0x0002,
    PAGE_FLAGS = 0x000F
};

enum {
    BLOCK_DEFAULT = 8192,
    BLOCK_MIN = 1024,
    BLOCK_MAX = 65536,
    RECORD_ALIGNMENT = 8,
    /* Of a prepared transaction's end what it concerns stands behind lists of what it changed. */
    POINT_MAX = 1 << 20
};
/* XLogRecordMaxSize. */
#define RECORD_MAX (UINT32_C(1020) << 20)

enum state {
    LOST,     /* waits for a page header to begin again at */
    BETWEEN,  /* the next aligned byte begins a record */
    IN_HEAD,  /* within a record whose length is not known yet: its first 4 bytes */
    IN_RECORD /* `left` bytes of one are still to come */
};

/*
 * Invariants:
 *   lsn is where the next byte belongs; page_used bytes of its page's header are in `page`, and
 *   the page is taken apart only when all are there.
 *   head holds the first head_len bytes of the record that begins at `begin`; it fills no further
 *   once `wanted` is false. A record of which only the end is seen has `begin` 0, not wanted.
 */
struct hq_walscan {
    uint32_t segment_size;
    uint32_t block_size;
    uint64_t lsn;
    enum state state;
    uint16_t magic;
    uint64_t begin, previous; /* previous: where the record before began; 0: not known */
    uint32_t total, left;
    bool wanted, points;
    size_t head_len, head_max, page_used;
    uint8_t page[PAGE_LONG_BYTES];
    uint8_t head[]; /* head_max bytes */
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
    struct hq_walscan *s = calloc(1, sizeof *s + head_max);

    assert(segment_size >= BLOCK_MAX && (segment_size & (segment_size - 1)) == 0);
    if (s == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "WAL scanner");
        return NULL;
    }
    s->segment_size = segment_size;
    s->block_size = BLOCK_DEFAULT;
    s->head_max = head_max;
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
    free(s);
}

static void
lose(struct hq_walscan *s)
{
    s->state = LOST;
    s->previous = 0;
}

static bool
at_segment_start(const struct hq_walscan *s)
{
    return s->lsn / s->segment_size * s->segment_size == s->lsn - s->lsn % s->block_size;
}

static size_t
page_header_len(const struct hq_walscan *s)
{
    return at_segment_start(s) ? PAGE_LONG_BYTES : PAGE_SHORT_BYTES;
}

static bool
magic_known(uint16_t magic)
{
    return magic == HQ_WAL_MAGIC_14 || magic == HQ_WAL_MAGIC_15 || magic == HQ_WAL_MAGIC_16 ||
           magic == HQ_WAL_MAGIC_17 || magic == HQ_WAL_MAGIC_18;
}

/* The sizes that a segment's first page states. */
static bool
take_sizes(struct hq_walscan *s)
{
    uint32_t segment = hq_get_u32(s->page + 32), block = hq_get_u32(s->page + 36);

    if (segment != s->segment_size || block < BLOCK_MIN || block > BLOCK_MAX ||
        (block & (block - 1)) != 0)
        return false;
    s->block_size = block;
    return true;
}

static bool
page_header_valid(struct hq_walscan *s, size_t len)
{
    uint64_t address = s->lsn - s->lsn % s->block_size;
    unsigned flags = hq_get_u16(s->page + 2);

    s->magic = hq_get_u16(s->page);
    return magic_known(s->magic) && (flags & ~(unsigned)PAGE_FLAGS) == 0 &&
           ((flags & PAGE_LONG) != 0) == (len == PAGE_LONG_BYTES) &&
           hq_get_u64(s->page + 8) == address && (len != PAGE_LONG_BYTES || take_sizes(s));
}

/* What the page's content begins with: the rest of a record, ours or not, or a new one. */
static void
take_page_header(struct hq_walscan *s, size_t len)
{
    bool continues = (hq_get_u16(s->page + 2) & PAGE_FIRST_CONTINUES) != 0;
    uint32_t rest = hq_get_u32(s->page + 16);

    if (!page_header_valid(s, len) || (continues && (rest == 0 || rest > RECORD_MAX))) {
        lose(s);
        return;
    }
    if (continues && s->state == IN_RECORD && rest == s->left)
        return;
    if (!continues && s->state == BETWEEN)
        return;
    /* Begun again here; or the record before was given up by its server at a crash. */
    lose(s);
    s->state = BETWEEN;
    if (continues) {
        s->state = IN_RECORD;
        s->begin = 0;
        s->wanted = false;
        s->left = rest;
    }
}

static size_t
feed_page_header(struct hq_walscan *s, const uint8_t *data, size_t len)
{
    size_t whole = page_header_len(s);
    size_t take = whole - s->page_used < len ? whole - s->page_used : len;

    memcpy(s->page + s->page_used, data, take);
    s->page_used += take;
    if (s->page_used == whole)
        take_page_header(s, whole);
    return take;
}

/* Add to the record's first bytes as far as they are wanted. */
static void
keep(struct hq_walscan *s, const uint8_t *data, size_t len)
{
    size_t room = s->head_max - s->head_len;

    if (len > room)
        len = room;
    memcpy(s->head + s->head_len, data, len);
    s->head_len += len;
}

/* With the whole record header there: is it what it must be, and of interest? */
static void
look_at_header(struct hq_walscan *s)
{
    if (s->previous != 0 && hq_get_u64(s->head + 8) != s->previous) {
        lose(s);
        return;
    }
    s->wanted = hq_xact_record_ends(s->head) || (s->points && hq_restore_point_record(s->head));
}

static void
tell_point(const struct hq_walscan *s, const struct sink *sink)
{
    struct hq_walscan_point point = {.lsn = s->begin};

    if (hq_restore_point_record(s->head)) {
        if (hq_restore_point_name(s->head, s->head_len, s->total, s->magic, point.name))
            sink->point(sink->context, &point);
    } else if (hq_xact_record_xid(s->head, s->head_len, s->total, s->magic, &point.xid)) {
        sink->point(sink->context, &point);
    }
}

static void
end_record(struct hq_walscan *s, const struct sink *sink)
{
    int64_t time_us;

    s->state = BETWEEN;
    if (s->wanted && s->points)
        tell_point(s, sink);
    else if (s->wanted && hq_xact_record_time(s->head, s->head_len, s->total, s->magic, &time_us))
        sink->each(sink->context, s->begin, time_us);
    s->previous = s->begin;
    s->wanted = false;
}

static size_t
feed_between(struct hq_walscan *s, size_t len)
{
    size_t pad = (size_t)(-s->lsn % RECORD_ALIGNMENT);

    if (pad > 0)
        return pad < len ? pad : len;
    s->begin = s->lsn;
    s->head_len = 0;
    s->wanted = true; /* until the header says what it is */
    s->state = IN_HEAD;
    return 0;
}

static size_t
feed_length(struct hq_walscan *s, const uint8_t *data, size_t len)
{
    size_t take = 4 - s->head_len < len ? 4 - s->head_len : len;

    keep(s, data, take);
    if (s->head_len < 4)
        return take;
    s->total = hq_get_u32(s->head);
    /* Zeros follow the record that ends a segment early. */
    if (s->total < HQ_WAL_RECORD_HEADER_BYTES || s->total > RECORD_MAX) {
        lose(s);
        return take;
    }
    s->left = s->total - 4;
    s->state = IN_RECORD;
    return take;
}

static size_t
feed_record(struct hq_walscan *s, const uint8_t *data, size_t len, const struct sink *sink)
{
    size_t take = s->left < len ? s->left : len;

    if (s->wanted) {
        bool header_open = s->head_len < HQ_WAL_RECORD_HEADER_BYTES;

        if (header_open && take > HQ_WAL_RECORD_HEADER_BYTES - s->head_len)
            take = HQ_WAL_RECORD_HEADER_BYTES - s->head_len;
        keep(s, data, take);
        if (header_open && s->head_len == HQ_WAL_RECORD_HEADER_BYTES)
            look_at_header(s);
    }
    s->left -= (uint32_t)take;
    if (s->left == 0 && s->state == IN_RECORD)
        end_record(s, sink);
    return take;
}

/* Bytes of one page's content. @return how many were used up. */
static size_t
feed_content(struct hq_walscan *s, const uint8_t *data, size_t len, const struct sink *sink)
{
    switch (s->state) {
    case BETWEEN:
        return feed_between(s, len);
    case IN_HEAD:
        return feed_length(s, data, len);
    case IN_RECORD:
        return feed_record(s, data, len, sink);
    case LOST:
    default:
        return len;
    }
}

static void
start_afresh(struct hq_walscan *s, uint64_t lsn)
{
    s->lsn = lsn;
    /* Within a page there is no header to begin at: its rest is passed over. */
    s->page_used = lsn % s->block_size == 0 ? 0 : PAGE_LONG_BYTES;
    lose(s);
}

static void
feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len, const struct sink *sink)
{
    if (lsn != s->lsn)
        start_afresh(s, lsn);
    while (len > 0) {
        uint64_t page_left = s->block_size - s->lsn % s->block_size;
        size_t used, most = page_left < len ? (size_t)page_left : len;

        if (s->page_used < page_header_len(s))
            used = feed_page_header(s, data, most);
        else
            used = feed_content(s, data, most, sink);
        data += used;
        len -= used;
        s->lsn += used;
        if (used > 0 && s->lsn % s->block_size == 0)
            s->page_used = 0;
    }
}

void
hq_walscan_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                hq_walscan_fn *each, void *context)
{
    const struct sink sink = {.each = each, .context = context};

    assert(!s->points);
    feed(s, lsn, data, len, &sink);
}

void
hq_walscan_points_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                       hq_walscan_point_fn *each, void *context)
{
    const struct sink sink = {.point = each, .context = context};

    assert(s->points);
    feed(s, lsn, data, len, &sink);
}
