/**
 * @file control.h
 * A data directory's global/pg_control, of PostgreSQL 14 to 18 (src/include/catalog/pg_control.h):
 * which system the directory belongs to, and how its files are laid out.
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_CONTROL_H
#define HQ_POSTGRES_CONTROL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** Bytes of the file, whatever the version. */
enum {
    HQ_CONTROL_FILE_BYTES = 8192
};

/** States that are looked for. */
enum {
    HQ_CONTROL_SHUT_DOWN_IN_RECOVERY = 2,
    HQ_CONTROL_IN_ARCHIVE_RECOVERY = 5
};

struct hq_control {
    uint64_t system_identifier;
    uint32_t control_version; /**< 1300: PostgreSQL 13 to 16; 1700; 1800 */
    uint32_t catalog_version; /**< 202209061 */
    uint32_t state;           /**< DBState as stored: 1 shut down, 6 in production, others above */
    uint64_t checkpoint_lsn;  /**< of the newest checkpoint record */
    uint64_t redo_lsn;        /**< where replay from it begins */
    uint32_t timeline;        /**< of that checkpoint */
    uint32_t block_size;
    uint32_t segment_blocks; /**< blocks in a full segment of a relation */
    uint32_t wal_segment_size;
    uint32_t checksum_version; /**< 0: pages have none */
    uint64_t min_recovery_lsn; /**< replay must end behind it; 0: no recovery was under way */
};

/**
 * Decode the file's bytes. CORRUPT when they are too few, their CRC-32C does not fit or a size is
 * none; UNSUPPORTED for a version of the file that this program does not know.
 */
int hq_control_decode(const void *bytes, size_t len, struct hq_control *out,
                      struct hq_error *err) HQ_MUST_CHECK;
/**
 * Read global/pg_control below @p directory_fd into @p bytes, zeros behind its end, and decode it.
 * The server writes it while it runs, so a file that is not whole is read again for up to a second,
 * or until @p stop (may be NULL) is set: INTERRUPTED.
 */
int hq_control_read(int directory_fd, uint8_t bytes[HQ_CONTROL_FILE_BYTES], const atomic_int *stop,
                    struct hq_control *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
