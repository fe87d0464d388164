#include "incremental_file.h"

enum {
    HEADER_FIXED = 12
};
#define MAGIC UINT32_C(0xD3AE1F0D)

void
incremental_file_clear(struct incremental_file *f)
{
    hq_buf_clear(&f->header);
}

static int
damaged(struct hq_error *err, const char *what)
{
    return hq_fail(err, HQ_E_CORRUPT, "incremental file: %s", what);
}

static uint32_t
number_at(const struct incremental_file *f, uint32_t index)
{
    return hq_get_u32(f->header.data + HEADER_FIXED + (size_t)4 * index);
}

/* How long the header is, and whether all that is announced fits together. */
static int
read_fixed(struct incremental_file *f, struct hq_error *err)
{
    struct hq_view v = hq_view_of(f->header.data, HEADER_FIXED);
    uint64_t header;

    if (hq_view_u32(&v) != MAGIC)
        return damaged(err, "it does not begin as one of this byte order does");
    f->named = hq_view_u32(&v);
    f->truncation = hq_view_u32(&v);
    if (f->named > f->blocks_max || f->truncation > f->blocks_max)
        return damaged(err, "more blocks than a file can have");
    header = HEADER_FIXED + (uint64_t)4 * f->named;
    if (f->named > 0)
        header += (f->block_size - header % f->block_size) % f->block_size;
    if (f->size != header + (uint64_t)f->named * f->block_size)
        return damaged(err, "its size is not that of the blocks it announces");
    f->wanted = (size_t)header;
    return 0;
}

static int
check_numbers(const struct incremental_file *f, struct hq_error *err)
{
    for (uint32_t i = 0; i < f->named; i++) {
        if (number_at(f, i) >= f->blocks_max)
            return damaged(err, "a block behind the largest file's end");
        if (i > 0 && number_at(f, i) <= number_at(f, i - 1))
            return damaged(err, "block numbers that do not ascend");
    }
    return 0;
}

/* Up to the next block that comes, or to the file's end, none is named. */
static int
pass_unnamed(struct incremental_file *f, struct hq_error *err)
{
    uint32_t end = f->next < f->named ? number_at(f, f->next) : f->truncation;
    uint32_t same_end = end < f->truncation ? end : f->truncation;

    if (f->block < same_end) {
        if (f->sink->same(f->sink->context, same_end - f->block, err) != 0)
            return -1;
        f->block = same_end;
    }
    if (f->block < end) {
        if (f->sink->zeros(f->sink->context, end - f->block, err) != 0)
            return -1;
        f->block = end;
    }
    return 0;
}

static int
begin(struct incremental_file *f, struct hq_error *err)
{
    uint32_t blocks = f->truncation;

    if (check_numbers(f, err) != 0)
        return -1;
    if (f->named > 0 && number_at(f, f->named - 1) >= blocks)
        blocks = number_at(f, f->named - 1) + 1;
    f->begun = true;
    if (f->sink->begin(f->sink->context, blocks, f->named, err) != 0)
        return -1;
    return pass_unnamed(f, err);
}

/* What is known of the header says how long it is. */
static int
take_header(struct incremental_file *f, const uint8_t *data, size_t len, size_t *taken,
            struct hq_error *err)
{
    if (f->wanted == 0)
        f->wanted = HEADER_FIXED;
    *taken = f->wanted - f->header.len < len ? f->wanted - f->header.len : len;
    hq_buf_put(&f->header, data, *taken);
    if (hq_buf_check(&f->header, "incremental file", err) != 0)
        return -1;
    if (f->header.len < f->wanted)
        return 0;
    if (f->wanted == HEADER_FIXED && read_fixed(f, err) != 0)
        return -1;
    return f->header.len == f->wanted ? begin(f, err) : 0;
}

static int
take_block(struct incremental_file *f, const uint8_t *data, size_t len, size_t *taken,
           struct hq_error *err)
{
    if (f->next == f->named)
        return damaged(err, "bytes behind its last block");
    *taken = f->block_size - f->within < len ? f->block_size - f->within : len;
    if (f->sink->data(f->sink->context, data, *taken, err) != 0)
        return -1;
    f->within += (uint32_t)*taken;
    if (f->within < f->block_size)
        return 0;
    f->within = 0;
    f->block++;
    f->next++;
    return pass_unnamed(f, err);
}

int
incremental_file_put(struct incremental_file *f, const uint8_t *data, size_t len,
                     struct hq_error *err)
{
    while (len > 0) {
        size_t taken = 0;

        if ((f->begun ? take_block : take_header)(f, data, len, &taken, err) != 0)
            return -1;
        data += taken;
        len -= taken;
    }
    return 0;
}

int
incremental_file_end(struct incremental_file *f, struct hq_error *err)
{
    if (!f->begun || f->next < f->named)
        return damaged(err, "it ends too early");
    return 0;
}
