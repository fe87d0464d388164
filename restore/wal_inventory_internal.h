/**
 * @file wal_inventory_internal.h
 * What the files of the inventory share: wal_inventory.c (what is stored, how far it reaches),
 * wal_history.c (what leads where).
 */
#ifndef HQ_RESTORE_WAL_INVENTORY_INTERNAL_H
#define HQ_RESTORE_WAL_INVENTORY_INTERNAL_H

#include "restore/wal_inventory.h"

/* Pieces sorted by timeline, start, complete ones first, then by end descending. */
struct hq_wal_inventory {
    const struct hq_repository *repository; /* NULL: it was fed, every piece is known */
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    uint64_t system_identifier;
    uint32_t segment_size;
    struct hq_wal_piece *pieces;
    size_t count, cap;
};

/** First piece of @p timeline that starts at or after @p lsn. */
size_t inventory_lower_bound(const struct hq_wal_inventory *inventory, uint32_t timeline,
                             uint64_t lsn);
/** What the header of @p piece says: known, or read now. */
int inventory_header(const struct hq_wal_inventory *inventory, const struct hq_wal_piece *piece,
                     struct hq_wal_piece *out, struct hq_error *err) HQ_MUST_CHECK;
#endif
