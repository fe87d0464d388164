#include "postgres/xactrecord.h"

#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"

enum {
    XID_OFFSET = 4,
    INFO_OFFSET = 16,
    RMGR_OFFSET = 17,
    RMGR_XLOG = 0,
    RMGR_XACT = 1
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

/* What the first byte of each header after the record's own says. */
enum {
    BLOCK_ID_MAX = 32,
    ID_TOPLEVEL_XID = 252,
    ID_ORIGIN = 253,
    ID_DATA_LONG = 254,
    ID_DATA_SHORT = 255
};

enum {
    BLOCK_HAS_IMAGE = 0x10,
    BLOCK_SAME_RELATION = 0x80,
    IMAGE_HAS_HOLE = 0x01,
    IMAGE_COMPRESSED_14 = 0x02,
    IMAGE_COMPRESSED_15 = 0x04 | 0x08 | 0x10 /* pglz, lz4, zstd */
};

bool
hq_xact_record_ends(const uint8_t *header)
{
    unsigned operation = header[INFO_OFFSET] & XACT_OPERATION;

    return header[RMGR_OFFSET] == RMGR_XACT &&
           (operation == XACT_COMMIT || operation == XACT_ABORT ||
            operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED);
}

/* Pass one block's header, its id already taken. */
static void
skip_block_header(struct hq_view *v, uint16_t magic)
{
    unsigned flags = hq_view_u8(v);

    (void)hq_view_u16(v); /* length of its data */
    if ((flags & BLOCK_HAS_IMAGE) != 0) {
        unsigned compressed = magic == HQ_WAL_MAGIC_14 ? IMAGE_COMPRESSED_14 : IMAGE_COMPRESSED_15;
        unsigned image;

        (void)hq_view_take(v, 4); /* length, offset of the hole */
        image = hq_view_u8(v);
        if ((image & IMAGE_HAS_HOLE) != 0 && (image & compressed) != 0)
            (void)hq_view_u16(v); /* length of the hole */
    }
    if ((flags & BLOCK_SAME_RELATION) == 0)
        (void)hq_view_take(v, 12); /* tablespace, database, relation */
    (void)hq_view_take(v, 4);      /* block number */
}

/* The length of the main data, whose header comes last; 0 when there is none. */
static uint32_t
main_data_len(struct hq_view *v, uint16_t magic)
{
    while (!v->failed && v->len > 0) {
        unsigned id = hq_view_u8(v);

        if (id == ID_DATA_SHORT)
            return hq_view_u8(v);
        if (id == ID_DATA_LONG)
            return hq_view_u32(v);
        if (id == ID_ORIGIN)
            (void)hq_view_take(v, 2);
        else if (id == ID_TOPLEVEL_XID)
            (void)hq_view_take(v, 4);
        else if (id <= BLOCK_ID_MAX)
            skip_block_header(v, magic);
        else
            return 0;
    }
    return 0;
}

/* Where the main data begins, which ends the record: headers, what belongs to blocks, and it. */
static bool
find_main_data(const uint8_t *record, size_t len, uint32_t total, uint16_t magic, uint32_t *at,
               uint32_t *main_len)
{
    struct hq_view v = hq_view_of(record, len);

    (void)hq_view_take(&v, HQ_WAL_RECORD_HEADER_BYTES);
    *main_len = main_data_len(&v, magic);
    if (v.failed || *main_len > total)
        return false;
    *at = total - *main_len;
    return *at >= len - v.len;
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

static bool
prepared_xid(struct hq_view v, unsigned record_info, uint16_t magic, uint32_t *xid)
{
    uint32_t info;

    (void)hq_view_u64(&v); /* time */
    if ((record_info & XACT_HAS_INFO) == 0)
        return false;
    info = hq_view_u32(&v);
    if ((info & XINFO_DATABASE) != 0)
        (void)hq_view_take(&v, 8);
    if ((info & XINFO_SUBXACTS) != 0)
        skip_list(&v, 4);
    if ((info & XINFO_RELATIONS) != 0)
        skip_list(&v, 12);
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
    return header[RMGR_OFFSET] == RMGR_XLOG &&
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
