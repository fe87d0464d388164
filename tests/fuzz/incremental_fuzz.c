/*
 * A file of an incremental base backup. What the sink is told must be a whole file: blocks in
 * order, none twice, none missing. First byte: size of the pieces; second: whether the size
 * announced is the true one.
 */
#include <stddef.h>
#include <stdint.h>

#include "incremental_file.h"

enum {
    BLOCK = 512,
    BLOCKS_MAX = 300
};

struct whole {
    uint64_t announced, bytes;
    uint32_t named;
    uint64_t named_bytes;
    int begun;
};

static void
require(int condition)
{
    if (!condition)
        __builtin_trap();
}

static int
begin(void *context, uint32_t blocks, uint32_t named, struct hq_error *err)
{
    struct whole *w = context;

    (void)err;
    require(w->begun++ == 0 && blocks <= BLOCKS_MAX && named <= blocks);
    w->announced = (uint64_t)blocks * BLOCK;
    w->named = named;
    return 0;
}

static int
unnamed(void *context, uint32_t count, struct hq_error *err)
{
    struct whole *w = context;

    (void)err;
    require(w->begun == 1 && count > 0 && w->bytes % BLOCK == 0);
    w->bytes += (uint64_t)count * BLOCK;
    require(w->bytes <= w->announced);
    return 0;
}

static int
data(void *context, const uint8_t *bytes, size_t len, struct hq_error *err)
{
    struct whole *w = context;

    (void)err;
    require(w->begun == 1 && len > 0 && bytes != NULL);
    w->bytes += len;
    w->named_bytes += len;
    require(w->bytes <= w->announced);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct whole w = {0};
    const struct incremental_sink sink = {begin, unnamed, unnamed, data, &w};
    struct incremental_file f = {.block_size = BLOCK, .blocks_max = BLOCKS_MAX, .sink = &sink};
    struct hq_error err = {0};
    size_t step, len;
    int failed = 0;

    if (size < 2)
        return 0;
    step = 1 + (size_t)bytes[0] * 8;
    len = size - 2;
    f.size = len + (bytes[1] & 1);
    for (size_t at = 0; failed == 0 && at < len; at += step)
        failed = incremental_file_put(&f, bytes + 2 + at, len - at < step ? len - at : step, &err);
    if (failed == 0)
        failed = incremental_file_end(&f, &err);
    require((failed != 0) == (err.code != HQ_E_OK));
    if (failed == 0)
        require(w.bytes == w.announced && w.named_bytes == (uint64_t)w.named * BLOCK);
    incremental_file_clear(&f);
    return 0;
}
