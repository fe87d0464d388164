/*
 * Files as a server sends them in place of a relation's in an incremental base backup.
 */
#ifndef HQ_TEST_INCREMENTAL_MAKER_H
#define HQ_TEST_INCREMENTAL_MAKER_H

#include <stdlib.h>

#include "base/buffer.h"

enum {
    BLOCK = 512,
    BLOCKS_MAX = 64
};
#define MAGIC UINT32_C(0xD3AE1F0D)

/* Its blocks hold 'A', 'B' … */
static inline void
make(struct hq_buf *out, uint32_t truncation, const uint32_t *numbers, uint32_t count)
{
    hq_buf_put_u32(out, MAGIC);
    hq_buf_put_u32(out, count);
    hq_buf_put_u32(out, truncation);
    for (uint32_t i = 0; i < count; i++)
        hq_buf_put_u32(out, numbers[i]);
    if (count > 0)
        hq_buf_put_zero(out, (BLOCK - out->len % BLOCK) % BLOCK);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < BLOCK; k++)
            hq_buf_put_u8(out, (uint8_t)('A' + i));
    if (out->failed)
        abort();
}

#endif
