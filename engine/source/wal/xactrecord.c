#include "postgres/xactrecord.h"

#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "record.h"

enum {
    XID_OFFSET = 4,
    INFO_OFFSET = 16,
    RMGR_OFFSET = 17,
    RELATION_BYTES = 12
};

/* Upper bits of xl_info of a record of the log itself; xl_restore_point (access/xlog_internal.h).
 */
enum {
    XLOG_OPERATION = 0xF0,
    XLOG_RESTORE_POINT = 0x70,
    RESTORE_POINT_BYTES = 72,
    RESTORE_POINT_NAME_MAX = 64
};

/* What follows the time of a commit or abort, in this order (ParseCommitRecord() in xactdesc.c). */
enum {
    XACT_HAS_INFO = 0x80,
    XINFO_DATABASE = 1 << 0,
    XINFO_SUBXACTS = 1 << 1,
    XINFO_RELATIONS = 1 << 2,
    XINFO_INVALIDATIONS = 1 << 3,
    XINFO_PREPARED = 1 << 4,
    XINFO_DROPPED_STATISTICS = 1 << 8
};

/* Upper bits of xl_info: what a transaction record says. */
enum {
    XACT_OPERATION = 0x70,
    XACT_COMMIT = 0x00,
    XACT_ABORT = 0x20,
    XACT_COMMIT_PREPARED = 0x30,
    XACT_ABORT_PREPARED = 0x40
};

bool
hq_xact_record_ends(const uint8_t *header)
{
    unsigned operation = header[INFO_OFFSET] & XACT_OPERATION;

    return header[RMGR_OFFSET] == WALRECORD_RMGR_XACT &&
           (operation == XACT_COMMIT || operation == XACT_ABORT ||
            operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED);
}

/* Where the main data begins, which ends the record; it may not be there whole. */
static bool
find_main_data(const uint8_t *record, size_t len, uint32_t total, uint16_t magic, uint32_t *at,
               uint32_t *main_len)
{
    struct walrecord r;

    if (!walrecord_parse(record, len, total, magic, &r))
        return false;
    *at = r.main_at;
    *main_len = r.main_len;
    return true;
}

bool
hq_xact_record_time(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                    int64_t *time_us)
{
    uint32_t main_len, at;
    int64_t time;

    if (!find_main_data(record, len, total, magic, &at, &main_len) || main_len < 8 ||
        (uint64_t)at + 8 > len)
        return false;
    time = (int64_t)hq_get_u64(record + at);
    /* A time before 1970 is no commit's, and 0 stands for none. */
    if (__builtin_add_overflow(time, HQ_POSTGRES_EPOCH_US, time_us) || *time_us <= 0)
        return false;
    return true;
}

/* A list: its length, and that many items. */
static void
skip_list(struct hq_view *v, size_t item)
{
    uint32_t count = hq_view_u32(v);

    (void)hq_view_take(v, count * item);
}

/* Up to the relations that were dropped. @return what else there is. */
static uint32_t
skip_to_relations(struct hq_view *v, unsigned record_info)
{
    uint32_t info;

    (void)hq_view_u64(v); /* time */
    if ((record_info & XACT_HAS_INFO) == 0)
        return 0;
    info = hq_view_u32(v);
    if ((info & XINFO_DATABASE) != 0)
        (void)hq_view_take(v, 8);
    if ((info & XINFO_SUBXACTS) != 0)
        skip_list(v, 4);
    return info;
}

static bool
prepared_xid(struct hq_view v, unsigned record_info, uint16_t magic, uint32_t *xid)
{
    uint32_t info = skip_to_relations(&v, record_info);

    if ((info & XINFO_RELATIONS) != 0)
        skip_list(&v, RELATION_BYTES);
    if ((info & XINFO_DROPPED_STATISTICS) != 0)
        skip_list(&v, magic >= HQ_WAL_MAGIC_18 ? 16 : 12);
    if ((info & XINFO_INVALIDATIONS) != 0)
        skip_list(&v, 16);
    if ((info & XINFO_PREPARED) == 0)
        return false;
    *xid = hq_view_u32(&v);
    return !v.failed;
}

bool
walrecord_dropped(const struct walrecord *r, const uint8_t **relations, uint32_t *count)
{
    size_t there = r->len > r->main_at ? r->len - r->main_at : 0;
    struct hq_view v =
        hq_view_of(r->data + (r->len - there), there < r->main_len ? there : r->main_len);
    uint32_t info = skip_to_relations(&v, r->info);

    *count = (info & XINFO_RELATIONS) != 0 ? hq_view_u32(&v) : 0;
    *relations = hq_view_take(&v, *count * (size_t)RELATION_BYTES);
    return !v.failed;
}

bool
hq_xact_record_xid(const uint8_t *record, size_t len, uint32_t total, uint16_t magic, uint32_t *xid)
{
    unsigned operation = record[INFO_OFFSET] & XACT_OPERATION;
    uint32_t at, main_len;

    if (operation == XACT_COMMIT || operation == XACT_ABORT) {
        *xid = hq_get_u32(record + XID_OFFSET);
        return *xid != 0;
    }
    if (!find_main_data(record, len, total, magic, &at, &main_len) || at > len)
        return false;
    return prepared_xid(hq_view_of(record + at, len - at), record[INFO_OFFSET], magic, xid) &&
           *xid != 0;
}

bool
hq_restore_point_record(const uint8_t *header)
{
    return header[RMGR_OFFSET] == WALRECORD_RMGR_XLOG &&
           (header[INFO_OFFSET] & XLOG_OPERATION) == XLOG_RESTORE_POINT;
}

bool
hq_restore_point_name(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                      char name[64])
{
    uint32_t at, main_len;

    if (!find_main_data(record, len, total, magic, &at, &main_len) ||
        main_len != RESTORE_POINT_BYTES || (uint64_t)at + main_len > len)
        return false;
    memcpy(name, record + at + 8, RESTORE_POINT_NAME_MAX);
    name[RESTORE_POINT_NAME_MAX - 1] = '\0';
    return true;
}
