#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "postgres/walscan.h"

/*
 * The first byte says in how big pieces the others are fed. Every fault found in an input is a
 * fault in what a server sends; a commit must lie within what was fed, with a time.
 */
struct range {
    uint64_t from, to;
};

static void
note(void *context, uint64_t lsn, int64_t time_us)
{
    const struct range *r = context;

    if (lsn < r->from || lsn >= r->to || lsn % 8 != 0 || time_us <= 0)
        abort();
}

static void
note_point(void *context, const struct hq_walscan_point *point)
{
    const struct range *r = context;

    if (point->lsn < r->from || point->lsn >= r->to || point->lsn % 8 != 0 ||
        (point->xid != 0 && point->name[0] != '\0') || memchr(point->name, '\0', 64) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum {
        SEGMENT = 1 << 20
    };
    struct range r = {.from = SEGMENT, .to = SEGMENT + size};
    struct hq_walscan *s;
    struct hq_error err;
    size_t piece;

    if (size < 1 || (s = hq_walscan_new(SEGMENT, &err)) == NULL)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size; at += piece)
        hq_walscan_feed(s, SEGMENT + at - 1, data + at, size - at < piece ? size - at : piece, note,
                        &r);
    hq_walscan_free(s);
    if ((s = hq_walscan_points_new(SEGMENT, &err)) == NULL)
        return 0;
    for (size_t at = 1; at < size; at += piece)
        hq_walscan_points_feed(s, SEGMENT + at - 1, data + at,
                               size - at < piece ? size - at : piece, note_point, &r);
    hq_walscan_free(s);
    return 0;
}
