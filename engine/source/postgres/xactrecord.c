#include "xactrecord.h"

#include "base/buffer.h"
#include "base/clock.h"

enum {
    INFO_OFFSET = 16,
    RMGR_OFFSET = 17,
    RMGR_XACT = 1
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

bool
hq_xact_record_time(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                    int64_t *time_us)
{
    struct hq_view v = hq_view_of(record, len);
    uint32_t main_len, at;
    int64_t time;

    (void)hq_view_take(&v, HQ_WAL_RECORD_HEADER_BYTES);
    main_len = main_data_len(&v, magic);
    if (v.failed || main_len < 8 || main_len > total)
        return false;
    /* Headers, then what belongs to blocks, then the main data up to the record's end. */
    at = total - main_len;
    if (at < len - v.len || (uint64_t)at + 8 > len)
        return false;
    time = (int64_t)hq_get_u64(record + at);
    /* A time before 1970 is no commit's, and 0 stands for none. */
    if (__builtin_add_overflow(time, HQ_POSTGRES_EPOCH_US, time_us) || *time_us <= 0)
        return false;
    return true;
}
