/**
 * @file wal_keys.h
 * The content keys of a recovery's WAL, out of the headers of its objects.
 */
#ifndef HQ_RESTORE_WAL_KEYS_H
#define HQ_RESTORE_WAL_KEYS_H

#include "restore/plan.h"

struct wal_keys {
    struct wal_key {
        struct hq_wal_piece piece;
        struct hq_key key;
        bool there; /**< false: superseded meanwhile, or of no use */
    } * items;      /**< owned */
    size_t count;
};

/** Wipes the keys. */
void wal_keys_clear(struct wal_keys *keys);
/**
 * The keys of all that @p plan covers and of the history files beyond its last timeline, read by
 * several threads at once: a request each.
 */
int wal_keys_gather(const struct hq_repository *repository, const struct hq_plan *plan,
                    struct wal_keys *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
