/**
 * @file chunker.h
 * Content-defined cuts: keyed FastCDC of docs/format.md §7.
 * Source   W. Xia et al., "FastCDC", USENIX ATC 2016; the keyed table is this format's.
 * Threads  immutable; any thread may use one.
 */
#ifndef HQ_PIPELINE_CHUNKER_H
#define HQ_PIPELINE_CHUNKER_H

#include "repository/repository.h"

struct hq_chunker {
    uint64_t gear[256];
    uint64_t mask_small, mask_large;
    struct hq_chunking sizes;
};

/** @p sizes: average a power of two >= 64, minimum < average < maximum (checked at opening). */
void hq_chunker_init(struct hq_chunker *c, const struct hq_keyring *keyring,
                     const struct hq_chunking *sizes);
/**
 * Where to cut the bytes that remain. @p len bytes are at hand; when they are fewer than
 * sizes.maximum they must be the last ones. @return 1 to len.
 */
size_t hq_chunker_cut(const struct hq_chunker *c, const uint8_t *data, size_t len);

#endif
