#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "blockchange.h"
#include "chain.h"

/* A stream as walscan_fuzz.c has it; CRCs are not asked for, so that records are taken apart. */
static size_t
wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    return blockchange_wanted(header, total);
}

static const char *
take(void *context, const struct walchain_record *r)
{
    return blockchange_take(context, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum {
        SEGMENT = 1 << 20
    };
    static const struct walchain_user user = {.wanted = wanted, .record = take};
    struct blockset set = {.memory_max = (size_t)16 << 20};
    struct walchain *c;
    size_t piece;

    if (size < 1 || (c = walchain_new(SEGMENT, BLOCKCHANGE_RECORD_MAX)) == NULL)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size; at += piece)
        walchain_feed(c, SEGMENT + at - 1, data + at, size - at < piece ? size - at : piece, &user,
                      &set);
    free(c);
    blockset_clear(&set);
    return 0;
}
