#include "chain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "crc32c.h"

/* Page headers (access/xlog_internal.h): short, and long at the start of a segment. */
enum {
    PAGE_SHORT_BYTES = 24,
    PAGE_LONG_BYTES = WALCHAIN_PAGE_BYTES,
    PAGE_FIRST_CONTINUES = 0x0001,
    PAGE_LONG = 0x0002,
    PAGE_OVERWRITES = 0x0008,
    PAGE_FLAGS = 0x000F
};

enum {
    BLOCK_DEFAULT = 8192,
    BLOCK_MIN = 1024,
    BLOCK_MAX = 65536,
    RECORD_ALIGNMENT = 8,
    HEADER = HQ_WAL_RECORD_HEADER_BYTES,
    CRC_OFFSET = 20,
    RMGR_XLOG = 0,
    XLOG_OPERATION = 0xF0,
    XLOG_SWITCH = 0x40
};
/* XLogRecordMaxSize. */
#define RECORD_MAX (UINT32_C(1020) << 20)

/* Who is told, for the time of one feed. */
struct sink {
    const struct walchain_user *user;
    void *context;
};

struct walchain *
walchain_new(uint32_t segment_size, size_t head_max)
{
    struct walchain *c = calloc(1, sizeof *c + head_max);

    assert(segment_size >= BLOCK_MAX && (segment_size & (segment_size - 1)) == 0);
    assert(head_max >= HEADER);
    if (c == NULL)
        return NULL;
    c->segment_size = segment_size;
    c->block_size = BLOCK_DEFAULT;
    c->head_max = head_max;
    return c;
}

static void
lose(struct walchain *c, const char *why, const struct sink *sink)
{
    if (c->since != 0 && sink->user->lost != NULL)
        sink->user->lost(sink->context, c->lsn, why);
    c->state = WALCHAIN_LOST;
    c->previous = c->since = 0;
}

/* Both sizes are powers of two, and this is asked for every record. */
static uint64_t
within_page(const struct walchain *c)
{
    return c->lsn & (c->block_size - 1);
}

static bool
at_segment_start(const struct walchain *c)
{
    return (c->lsn & (c->segment_size - 1)) < c->block_size;
}

static size_t
page_header_len(const struct walchain *c)
{
    return at_segment_start(c) ? PAGE_LONG_BYTES : PAGE_SHORT_BYTES;
}

static bool
magic_known(uint16_t magic)
{
    return magic == HQ_WAL_MAGIC_14 || magic == HQ_WAL_MAGIC_15 || magic == HQ_WAL_MAGIC_16 ||
           magic == HQ_WAL_MAGIC_17 || magic == HQ_WAL_MAGIC_18;
}

/* What a segment's first page says of all of it. */
static bool
take_long_header(struct walchain *c)
{
    uint64_t system = hq_get_u64(c->page + 24);
    uint32_t segment = hq_get_u32(c->page + 32), block = hq_get_u32(c->page + 36);

    if (segment != c->segment_size || block < BLOCK_MIN || block > BLOCK_MAX ||
        (block & (block - 1)) != 0 || (c->system != 0 && system != c->system))
        return false;
    c->block_size = block;
    return true;
}

static bool
page_header_valid(struct walchain *c, size_t len)
{
    uint64_t address = c->lsn - within_page(c);
    unsigned flags = hq_get_u16(c->page + 2);

    c->magic = hq_get_u16(c->page);
    return magic_known(c->magic) && (flags & ~(unsigned)PAGE_FLAGS) == 0 &&
           ((flags & PAGE_LONG) != 0) == (len == PAGE_LONG_BYTES) &&
           hq_get_u64(c->page + 8) == address && (len != PAGE_LONG_BYTES || take_long_header(c));
}

/* Begin at this page, knowing nothing of what came before. */
static void
begin_here(struct walchain *c, uint32_t rest)
{
    if (rest == 0) {
        c->state = WALCHAIN_BETWEEN;
        c->since = c->lsn - within_page(c);
        return;
    }
    c->state = WALCHAIN_IN_RECORD;
    c->begin = 0;
    c->left = rest;
}

/* What the page's content begins with: the rest of a record, ours or not, or a new one. */
static void
take_page_header(struct walchain *c, size_t len, const struct sink *sink)
{
    unsigned flags = hq_get_u16(c->page + 2);
    bool continues = (flags & PAGE_FIRST_CONTINUES) != 0;
    uint32_t rest = hq_get_u32(c->page + 16);

    if (!page_header_valid(c, len) || continues != (rest != 0) || rest > RECORD_MAX) {
        lose(c, "a page's header is not what it must be", sink);
        return;
    }
    if (continues && c->state == WALCHAIN_IN_RECORD && rest == c->left)
        return;
    if (!continues && c->state == WALCHAIN_BETWEEN)
        return;
    if (!continues && c->state == WALCHAIN_IN_RECORD && c->begin != 0 &&
        (flags & PAGE_OVERWRITES) != 0) {
        c->state = WALCHAIN_BETWEEN;
        return;
    }
    lose(c, "a page does not continue the one before", sink);
    begin_here(c, rest);
}

static size_t
feed_page_header(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    size_t whole = page_header_len(c);
    size_t take = whole - c->page_used < len ? whole - c->page_used : len;

    memcpy(c->page + c->page_used, data, take);
    c->page_used += take;
    if (c->page_used == whole)
        take_page_header(c, whole, sink);
    return take;
}

/* With a record's whole header there: is it what it must be? How much of the rest is wanted? */
static bool
look_at_header(struct walchain *c, const uint8_t *header, const struct sink *sink)
{
    c->total = hq_get_u32(header);
    if (c->total < HEADER || c->total > RECORD_MAX) {
        lose(c, "there is no record where one must begin", sink);
        return false;
    }
    if (c->previous != 0 && hq_get_u64(header + 8) != c->previous) {
        lose(c, "a record does not follow the one before", sink);
        return false;
    }
    c->keep = sink->user->wanted(sink->context, header, c->total);
    return true;
}

/* The CRC is of everything behind the header, then of the header up to it. */
static bool
crc_holds(uint32_t of_body, const uint8_t *header)
{
    return ~crc32c(of_body, header, CRC_OFFSET) == hq_get_u32(header + CRC_OFFSET);
}

/* @p r has come whole; c->lsn is still before its last bytes, which are @p last many. */
static void
end_record(struct walchain *c, const struct walchain_record *r, uint32_t crc, size_t last,
           const struct sink *sink)
{
    const char *why;

    if (c->check_crc && !crc_holds(crc, r->data)) {
        lose(c, "a record's CRC is wrong", sink);
        return;
    }
    c->state = WALCHAIN_BETWEEN;
    c->previous = r->lsn;
    if (r->data[17] == RMGR_XLOG && (r->data[16] & XLOG_OPERATION) == XLOG_SWITCH &&
        (c->lsn + last) % c->segment_size != 0)
        c->state = WALCHAIN_SKIPPING;
    if (c->keep > 0 && (why = sink->user->record(sink->context, r)) != NULL)
        lose(c, why, sink);
}

/* A record that is there from its first byte to its last: nothing is copied. */
static size_t
feed_whole(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    struct walchain_record r = {.data = data, .lsn = c->lsn, .magic = c->magic};
    uint32_t crc = CRC32C_BEGIN;

    if (!look_at_header(c, data, sink))
        return len;
    r.len = r.total = c->total;
    if (c->check_crc)
        crc = crc32c(crc, data + HEADER, r.total - HEADER);
    end_record(c, &r, crc, r.total, sink);
    return r.total;
}

static size_t
feed_between(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    size_t pad = (size_t)(-c->lsn % RECORD_ALIGNMENT);

    if (pad > 0)
        return pad < len ? pad : len;
    if (len >= HEADER && hq_get_u32(data) <= len)
        return feed_whole(c, data, len, sink);
    c->begin = c->lsn;
    c->head_len = 0;
    c->left = HEADER; /* until the header says more */
    c->crc = CRC32C_BEGIN;
    c->state = WALCHAIN_IN_RECORD;
    return 0;
}

/* The first 24 bytes of a record that comes in pieces. */
static size_t
feed_header(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    size_t take = HEADER - c->head_len < len ? HEADER - c->head_len : len;

    memcpy(c->head + c->head_len, data, take);
    c->head_len += take;
    /* A page that comes within the header counts down to the record's end. */
    c->left = c->head_len >= 4 ? hq_get_u32(c->head) - (uint32_t)c->head_len : HEADER;
    if (c->head_len >= 4 && hq_get_u32(c->head) < HEADER) {
        lose(c, "there is no record where one must begin", sink);
        return take;
    }
    if (c->head_len == HEADER)
        (void)look_at_header(c, c->head, sink);
    return take;
}

static size_t
feed_body(struct walchain *c, const uint8_t *data, size_t len)
{
    size_t take = c->left < len ? c->left : len, room = 0;

    if (c->keep > c->head_len)
        room = (c->keep < c->head_max ? c->keep : c->head_max) - c->head_len;
    if (room > take)
        room = take;
    memcpy(c->head + c->head_len, data, room);
    c->head_len += room;
    if (c->check_crc)
        c->crc = crc32c(c->crc, data, take);
    c->left -= (uint32_t)take;
    return take;
}

/* The end of a record that nobody saw begin: from here on all is seen. */
static size_t
feed_tail(struct walchain *c, size_t len)
{
    size_t take = c->left < len ? c->left : len;

    c->left -= (uint32_t)take;
    if (c->left == 0) {
        c->state = WALCHAIN_BETWEEN;
        c->since = c->lsn + take;
    }
    return take;
}

static size_t
feed_record(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    struct walchain_record r;
    size_t take;

    if (c->begin == 0)
        return feed_tail(c, len);
    if (c->head_len < HEADER)
        take = feed_header(c, data, len, sink);
    else
        take = feed_body(c, data, len);
    if (c->state != WALCHAIN_IN_RECORD || c->head_len < HEADER || c->left > 0)
        return take;
    r = (struct walchain_record){c->head, c->head_len, c->total, c->begin, c->magic};
    end_record(c, &r, c->crc, take, sink);
    return take;
}

/* Bytes of one page's content. @return how many were used up. */
static size_t
feed_content(struct walchain *c, const uint8_t *data, size_t len, const struct sink *sink)
{
    switch (c->state) {
    case WALCHAIN_BETWEEN:
        return feed_between(c, data, len, sink);
    case WALCHAIN_IN_RECORD:
        return feed_record(c, data, len, sink);
    case WALCHAIN_SKIPPING:
    case WALCHAIN_LOST:
    default:
        return len;
    }
}

static size_t
skip_segment(struct walchain *c, size_t len)
{
    uint64_t left = c->segment_size - c->lsn % c->segment_size;

    if (left > len)
        return len;
    c->state = WALCHAIN_BETWEEN;
    return (size_t)left;
}

static void
start_afresh(struct walchain *c, uint64_t lsn, const struct sink *sink)
{
    lose(c, "WAL is missing", sink);
    c->lsn = lsn;
    /* Within a page there is no header to begin at: its rest is passed over. */
    c->page_used = within_page(c) == 0 ? 0 : PAGE_LONG_BYTES;
}

void
walchain_feed(struct walchain *c, uint64_t lsn, const uint8_t *data, size_t len,
              const struct walchain_user *user, void *context)
{
    const struct sink sink = {user, context};

    if (lsn != c->lsn)
        start_afresh(c, lsn, &sink);
    while (len > 0) {
        uint64_t page_left = c->block_size - within_page(c);
        size_t used, most = page_left < len ? (size_t)page_left : len;

        if (c->state == WALCHAIN_SKIPPING)
            used = skip_segment(c, len);
        else if (c->page_used < page_header_len(c))
            used = feed_page_header(c, data, most, &sink);
        else
            used = feed_content(c, data, most, &sink);
        data += used;
        len -= used;
        c->lsn += used;
        if (used > 0 && within_page(c) == 0)
            c->page_used = 0;
    }
}
