#include "record.h"

#include "base/buffer.h"

/* What the first byte of each header after the record's own says. */
enum {
    ID_TOPLEVEL_XID = 252,
    ID_ORIGIN = 253,
    ID_DATA_LONG = 254,
    ID_DATA_SHORT = 255
};

enum {
    BLOCK_FORK = 0x0F,
    BLOCK_HAS_IMAGE = 0x10,
    BLOCK_HAS_DATA = 0x20,
    BLOCK_SAME_RELATION = 0x80,
    IMAGE_HAS_HOLE = 0x01,
    IMAGE_COMPRESSED_14 = 0x02,
    IMAGE_COMPRESSED_15 = 0x04 | 0x08 | 0x10 /* pglz, lz4, zstd */
};

enum {
    RELATION_BYTES = 12,
    IMAGE_BYTES = 5
};

/* Headers are read through this, not through hq_view: every record of a server passes here. */
struct cursor {
    const uint8_t *at, *end;
    uint64_t data; /* bytes that the headers so far say follow them */
};

static bool
has(const struct cursor *c, size_t len)
{
    return (size_t)(c->end - c->at) >= len;
}

/* The header of a full page image. */
static bool
take_image(struct cursor *c, uint16_t magic)
{
    unsigned compressed = magic == HQ_WAL_MAGIC_14 ? IMAGE_COMPRESSED_14 : IMAGE_COMPRESSED_15;
    unsigned info;

    if (!has(c, IMAGE_BYTES))
        return false;
    c->data += hq_get_u16(c->at);
    info = c->at[4];
    c->at += IMAGE_BYTES;
    if ((info & IMAGE_HAS_HOLE) == 0 || (info & compressed) == 0)
        return true;
    if (!has(c, 2))
        return false;
    c->at += 2; /* length of the hole */
    return true;
}

/* Whose block it is: said, or that of the block before. */
static bool
take_relation(struct cursor *c, unsigned flags, const struct walrecord *r,
              struct hq_relation_fork *out)
{
    if ((flags & BLOCK_SAME_RELATION) != 0) {
        if (r->block_count == 0)
            return false;
        *out = r->blocks[r->block_count - 1].fork;
    } else {
        if (!has(c, RELATION_BYTES))
            return false;
        out->tablespace = hq_get_u32(c->at);
        out->database = hq_get_u32(c->at + 4);
        out->relation = hq_get_u32(c->at + 8);
        c->at += RELATION_BYTES;
    }
    out->fork = flags & BLOCK_FORK;
    return out->fork <= HQ_FORK_INIT;
}

/* One block's header, its id already taken. */
static bool
take_block(struct cursor *c, struct walrecord *r)
{
    struct walrecord_block *block = &r->blocks[r->block_count];
    unsigned flags, data;

    if (r->block_count == WALRECORD_BLOCKS_MAX || !has(c, 3))
        return false;
    flags = c->at[0];
    data = hq_get_u16(c->at + 1);
    c->at += 3;
    if (((flags & BLOCK_HAS_DATA) != 0) != (data != 0))
        return false;
    c->data += data;
    if ((flags & BLOCK_HAS_IMAGE) != 0 && !take_image(c, r->magic))
        return false;
    if (!take_relation(c, flags, r, &block->fork) || !has(c, 4))
        return false;
    block->block = hq_get_u32(c->at);
    c->at += 4;
    r->block_count++;
    return true;
}

/* The length of the main data, whose header is the last. */
static bool
take_main(struct cursor *c, unsigned id, struct walrecord *r)
{
    size_t width = id == ID_DATA_SHORT ? 1 : 4;

    if (!has(c, width))
        return false;
    r->main_len = id == ID_DATA_SHORT ? *c->at : hq_get_u32(c->at);
    c->at += width;
    c->data += r->main_len;
    return true;
}

static bool
take_headers(struct cursor *c, uint32_t total, struct walrecord *r)
{
    unsigned next_block = 0;

    /* They end where what they announce fills the rest of the record. */
    while (c->data < total - (uint64_t)(c->at - r->data)) {
        unsigned id;

        if (!has(c, 1))
            return false;
        id = *c->at++;
        if (id == ID_DATA_SHORT || id == ID_DATA_LONG)
            return take_main(c, id, r);
        if (id == ID_ORIGIN || id == ID_TOPLEVEL_XID) {
            size_t width = id == ID_ORIGIN ? 2 : 4;

            if (!has(c, width))
                return false;
            c->at += width;
        } else if (id >= WALRECORD_BLOCKS_MAX || id < next_block || !take_block(c, r)) {
            return false;
        } else {
            next_block = id + 1;
        }
    }
    return true;
}

bool
walrecord_parse(const uint8_t *data, size_t len, uint32_t total, uint16_t magic,
                struct walrecord *out)
{
    struct cursor c;

    if (len < HQ_WAL_RECORD_HEADER_BYTES || total < len)
        return false;
    out->data = data;
    out->len = len;
    out->magic = magic;
    out->info = data[16] & 0xF0;
    out->rmgr = data[17];
    out->main_len = 0;
    out->block_count = 0;
    c = (struct cursor){data + HQ_WAL_RECORD_HEADER_BYTES, data + len, 0};
    if (!take_headers(&c, total, out) || c.data != total - (uint64_t)(c.at - data))
        return false;
    out->main_at = total - out->main_len;
    return true;
}

bool
walrecord_main(const struct walrecord *r, const uint8_t **data, uint32_t *len)
{
    if (r->len < r->main_at || r->len - r->main_at < r->main_len)
        return false;
    *data = r->data + r->main_at;
    *len = r->main_len;
    return true;
}
