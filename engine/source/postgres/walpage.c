#include "postgres/walpage.h"

#include <stdbool.h>

#include "base/buffer.h"
#include "postgres/xactrecord.h"

/* xlp_info: this page has the long header. */
enum {
    PAGE_LONG = 0x0002,
    PAGE_FLAGS = 0x000F
};

enum {
    SEGMENT_MIN = 1 << 20,
    SEGMENT_MAX = 1 << 30,
    BLOCK_MIN = 1 << 10,
    BLOCK_MAX = 1 << 16
};

static bool
power_of_two_within(uint32_t value, uint32_t least, uint32_t most)
{
    return value >= least && value <= most && (value & (value - 1)) == 0;
}

/* The magic counts up from 0xD100 on, by at least one with every version. */
static int
check_magic(uint16_t magic, struct hq_error *err)
{
    switch (magic) {
    case HQ_WAL_MAGIC_14:
    case HQ_WAL_MAGIC_15:
    case HQ_WAL_MAGIC_16:
    case HQ_WAL_MAGIC_17:
    case HQ_WAL_MAGIC_18:
        return 0;
    default:
        break;
    }
    if (magic >> 8 != HQ_WAL_MAGIC_14 >> 8)
        return hq_fail(err, HQ_E_CORRUPT, "does not begin as WAL does");
    hq_fail(err, HQ_E_UNSUPPORTED, "WAL of an unknown version of PostgreSQL (page magic %04X)",
            magic);
    return hq_error_hint(err, "PostgreSQL 14 to 18 are supported");
}

int
hq_wal_page_decode(const void *data, size_t len, struct hq_wal_page *out, struct hq_error *err)
{
    const uint8_t *page = data;
    unsigned flags;

    if (len < HQ_WAL_LONG_PAGE_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%zu bytes are no WAL segment", len);
    if (check_magic(hq_get_u16(page), err) != 0)
        return -1;
    flags = hq_get_u16(page + 2);
    *out = (struct hq_wal_page){
        .timeline = hq_get_u32(page + 4),
        .lsn = hq_get_u64(page + 8),
        .system_identifier = hq_get_u64(page + 24),
        .segment_size = hq_get_u32(page + 32),
        .block_size = hq_get_u32(page + 36),
    };
    if ((flags & PAGE_LONG) == 0 || (flags & ~(unsigned)PAGE_FLAGS) != 0 || out->timeline == 0 ||
        out->system_identifier == 0 ||
        !power_of_two_within(out->segment_size, SEGMENT_MIN, SEGMENT_MAX) ||
        !power_of_two_within(out->block_size, BLOCK_MIN, BLOCK_MAX) ||
        out->lsn % out->segment_size != 0)
        return hq_fail(err, HQ_E_CORRUPT, "its first page has no header of a WAL segment");
    return 0;
}
