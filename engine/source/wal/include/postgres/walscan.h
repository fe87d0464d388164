/**
 * @file walscan.h
 * Finds the transaction commit and abort records in a stream of WAL and their times
 * (XLogRecord, XLogPageHeaderData, xl_xact_commit: src/include/access/xlogrecord.h,
 * xlog_internal.h, xact.h; the same in PostgreSQL 14 to 18 as far as it is read here).
 *
 * Follows the chain of record lengths over pages and segments. Where the chain does not hold it
 * stops looking until the next page header that starts a record: times are then missed, never
 * invented. Threads  one.
 */
#ifndef HQ_POSTGRES_WALSCAN_H
#define HQ_POSTGRES_WALSCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct hq_walscan;
/** @pre @p segment_size is a power of two from 1 MiB to 1 GiB. */
struct hq_walscan *hq_walscan_new(uint32_t segment_size, struct hq_error *err) HQ_MUST_CHECK;
void hq_walscan_free(struct hq_walscan *s);
/** Called for each commit or abort record once it is known whole, with the LSN it begins at. */
typedef void hq_walscan_fn(void *context, uint64_t lsn, int64_t time_us);
/** Feed the next bytes; a jump of @p lsn starts afresh. */
void hq_walscan_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                     hq_walscan_fn *each, void *context);

/** A record at which recovery can be told to stop by number or name. */
struct hq_walscan_point {
    uint64_t lsn;  /**< it begins at */
    uint32_t xid;  /**< of the transaction that ends here; 0: a restore point */
    char name[64]; /**< of the restore point */
};
/**
 * A scanner that finds those instead of times. Some 1 MiB of memory; the end of a prepared
 * transaction whose record is longer is not found.
 */
struct hq_walscan *hq_walscan_points_new(uint32_t segment_size, struct hq_error *err) HQ_MUST_CHECK;
typedef void hq_walscan_point_fn(void *context, const struct hq_walscan_point *point);
/** As hq_walscan_feed(). @pre @p s is of hq_walscan_points_new(). */
void hq_walscan_points_feed(struct hq_walscan *s, uint64_t lsn, const uint8_t *data, size_t len,
                            hq_walscan_point_fn *each, void *context);

#endif
