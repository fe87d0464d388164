/**
 * @file walpage.h
 * The long page header that every WAL segment begins with: whose it is, and which
 * (XLogLongPageHeaderData: src/include/access/xlog_internal.h; the same in PostgreSQL 14 to 18).
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_WALPAGE_H
#define HQ_POSTGRES_WALPAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    HQ_WAL_LONG_PAGE_BYTES = 40
};

struct hq_wal_page {
    uint32_t timeline; /**< that wrote the page: of a segment copied at a switch, an older one */
    uint64_t lsn;      /**< of the page's first byte: a multiple of segment_size */
    uint64_t system_identifier;
    uint32_t segment_size; /**< a power of two, 1 MiB to 1 GiB */
    uint32_t block_size;   /**< a power of two, 1 KiB to 64 KiB */
};

/**
 * Decode the first @p len bytes of a segment. CORRUPT: not such a header. UNSUPPORTED: one of a
 * version of PostgreSQL that this build does not know.
 */
int hq_wal_page_decode(const void *data, size_t len, struct hq_wal_page *out,
                       struct hq_error *err) HQ_MUST_CHECK;

#endif
