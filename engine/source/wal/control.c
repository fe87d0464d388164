#include "postgres/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "crc32c.h"

/*
 * Where the fields lie in ControlFileData: the structure as a 64-bit compiler lays it out. Up to
 * the checksum version nothing moved from 14 to 18; 18 then has one flag more, so the checksum of
 * the structure lies four bytes further.
 */
enum {
    SYSTEM = 0,
    CONTROL_VERSION = 8,
    CATALOG_VERSION = 12,
    STATE = 16,
    CHECKPOINT = 32,
    REDO = 40,
    TIMELINE = 48,
    MIN_RECOVERY = 136,
    BLOCK_SIZE = 216,
    SEGMENT_BLOCKS = 220,
    WAL_SEGMENT_SIZE = 228,
    CHECKSUM_VERSION = 252,
    CRC_1300 = 288, /* and of 1700 */
    CRC_1800 = 292,
};
enum {
    TRIES = 20,
    TRY_AGAIN_MS = 50
};

static const char file_name[] = "global/pg_control";

static int
check_size(const char *what, uint32_t value, uint32_t min, uint32_t max, struct hq_error *err)
{
    if (value >= min && value <= max && (value & (value - 1)) == 0)
        return 0;
    return hq_fail(err, HQ_E_CORRUPT, "%s: a %s of %" PRIu32, file_name, what, value);
}

/* Where the checksum lies; 0: nobody knows. */
static size_t
crc_place(uint32_t control_version)
{
    switch (control_version) {
    case 1300:
    case 1700:
        return CRC_1300;
    case 1800:
        return CRC_1800;
    default:
        return 0;
    }
}

int
hq_control_decode(const void *bytes, size_t len, struct hq_control *out, struct hq_error *err)
{
    const uint8_t *p = bytes;
    size_t crc_at;

    *out = (struct hq_control){0};
    if (len < CRC_1800 + 4)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %zu bytes", file_name, len);
    out->control_version = hq_get_u32(p + CONTROL_VERSION);
    crc_at = crc_place(out->control_version);
    if (crc_at == 0) {
        hq_fail(err, HQ_E_UNSUPPORTED, "%s: version %" PRIu32 ", not that of PostgreSQL 14 to 18",
                file_name, out->control_version);
        return hq_error_hint(err, "is it the data directory of another version?");
    }
    if (~crc32c(CRC32C_BEGIN, p, crc_at) != hq_get_u32(p + crc_at))
        return hq_fail(err, HQ_E_CORRUPT, "%s: its checksum does not fit", file_name);
    out->system_identifier = hq_get_u64(p + SYSTEM);
    out->catalog_version = hq_get_u32(p + CATALOG_VERSION);
    out->state = hq_get_u32(p + STATE);
    out->checkpoint_lsn = hq_get_u64(p + CHECKPOINT);
    out->redo_lsn = hq_get_u64(p + REDO);
    out->timeline = hq_get_u32(p + TIMELINE);
    out->block_size = hq_get_u32(p + BLOCK_SIZE);
    out->segment_blocks = hq_get_u32(p + SEGMENT_BLOCKS);
    out->wal_segment_size = hq_get_u32(p + WAL_SEGMENT_SIZE);
    out->checksum_version = hq_get_u32(p + CHECKSUM_VERSION);
    out->min_recovery_lsn = hq_get_u64(p + MIN_RECOVERY);
    return check_size("block size", out->block_size, 512, 32768, err) != 0 ||
                   check_size("WAL segment size", out->wal_segment_size, 1 << 20, 1 << 30, err) != 0
               ? -1
               : 0;
}

/* One look; the rest of @p bytes is zero. */
static int
read_once(int directory_fd, uint8_t *bytes, struct hq_control *out, struct hq_error *err)
{
    HQ_CLOSE
    int fd = openat(directory_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    size_t got = 0;

    memset(bytes, 0, HQ_CONTROL_FILE_BYTES);
    if (fd < 0)
        return hq_fail_sys(err, errno, "open %s", file_name);
    if (hq_io_pread(fd, bytes, HQ_CONTROL_FILE_BYTES, 0, &got, file_name, err) != 0)
        return -1;
    return hq_control_decode(bytes, got, out, err);
}

int
hq_control_read(int directory_fd, uint8_t bytes[HQ_CONTROL_FILE_BYTES], const atomic_int *stop,
                struct hq_control *out, struct hq_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        if (read_once(directory_fd, bytes, out, err) == 0)
            return 0;
        /* A version or checksum that is not whole yet; all else is not going to change. */
        if (err->code != HQ_E_CORRUPT && err->code != HQ_E_UNSUPPORTED)
            return -1;
        if (i + 1 == TRIES)
            break;
        hq_error_clear(err);
        if (!hq_clock_sleep_ms(TRY_AGAIN_MS, stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while reading %s", file_name);
    }
    return -1;
}
