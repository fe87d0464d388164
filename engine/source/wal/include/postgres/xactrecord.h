/**
 * @file xactrecord.h
 * A WAL record's fixed header and, of transaction records, the time in them
 * (src/include/access/xlogrecord.h, access/xact.h).
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_XACTRECORD_H
#define HQ_POSTGRES_XACTRECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Record header; and more than all headers of a record with every block reference take. */
enum {
    HQ_WAL_RECORD_HEADER_BYTES = 24,
    HQ_WAL_RECORD_HEAD_MAX = 1280
};

/** Page magic: changes with the major version. */
enum {
    HQ_WAL_MAGIC_14 = 0xD10D,
    HQ_WAL_MAGIC_15 = 0xD110,
    HQ_WAL_MAGIC_16 = 0xD113,
    HQ_WAL_MAGIC_17 = 0xD116,
    HQ_WAL_MAGIC_18 = 0xD118
};

/** Whether the record with this header (24 bytes) commits or aborts a transaction. */
bool hq_xact_record_ends(const uint8_t *header);
/**
 * The time of a commit or abort record of @p total bytes, of which the first @p len are at
 * @p record; microseconds, Unix epoch. @return false when there is none to be found.
 */
bool hq_xact_record_time(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                         int64_t *time_us);
/**
 * The transaction that a commit or abort record is the end of: of a prepared one not the record's
 * own. @return false when it can't be found in the first @p len bytes.
 */
bool hq_xact_record_xid(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                        uint32_t *xid);
/** Whether the record with this header (24 bytes) is a restore point. */
bool hq_restore_point_record(const uint8_t *header);
/** Its name, always terminated. @return false when the record does not hold one. */
bool hq_restore_point_name(const uint8_t *record, size_t len, uint32_t total, uint16_t magic,
                           char name[64]);

#endif
