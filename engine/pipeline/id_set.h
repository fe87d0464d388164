/**
 * @file id_set.h
 * A growing set of chunk ids: what this backup has stored already. Threads  the caller locks.
 */
#ifndef HQ_PIPELINE_ID_SET_H
#define HQ_PIPELINE_ID_SET_H

#include "base/error.h"
#include "crypto/hash.h"

/** `= {0}` is empty. Open addressing; an id of all zeros marks a free place. */
struct id_set {
    struct hq_id *slots;
    size_t count;
    size_t capacity; /**< a power of two, or 0 */
};

void id_set_clear(struct id_set *set);
/** @return 1 added, 0 was there, -1 NOMEM. */
int id_set_add(struct id_set *set, const struct hq_id *id, struct hq_error *err) HQ_MUST_CHECK;

/** Remove what is in @p other. */
int id_set_subtract(struct id_set *set, const struct id_set *other,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
