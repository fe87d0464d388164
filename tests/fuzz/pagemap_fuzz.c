#include <stdlib.h>
#include <string.h>

#include "repository/pagemap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * What is accepted keeps every rule that a restore relies on, and is encoded as it was; a map of
 * version 1, which has no sums, becomes one of version 2 without.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_page_map map = {0};
    struct hq_buf again = {0};
    struct hq_error err;
    uint64_t blocks = 0;

    if (hq_page_map_decode(data, size, &map, &err) != 0)
        return 0;
    for (uint32_t i = 0; i < map.run_count; i++) {
        const struct hq_page_run *run = &map.runs[i];

        blocks += run->length;
        if (run->chunk != HQ_PAGE_RUN_ZERO &&
            (run->chunk >= map.chunk_count ||
             (uint64_t)run->slot + run->length > map.chunks[run->chunk].pages))
            abort();
    }
    if (blocks != map.blocks || hq_page_map_encode(&map, &again, &err) != 0)
        abort();
    if (data[0] != 1 && (again.len != size || memcmp(again.data, data, size) != 0))
        abort();
    hq_page_map_clear(&map);
    hq_buf_clear(&again);
    return 0;
}
