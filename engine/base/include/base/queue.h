/**
 * @file queue.h
 * Bounded FIFO of owned pointers: the only way two threads of a pipeline exchange data.
 *
 * Threads  all functions but _new and _free may be called from any thread at any time.
 * Bound    capacity counts items; memory is bounded because every item is.
 * Ending   _close(): no more pushes, consumers drain what is left, then see END.
 *          _abort(): a stage failed; waiting items are destroyed, everybody sees ABORTED.
 */
#ifndef HQ_BASE_QUEUE_H
#define HQ_BASE_QUEUE_H

#include <stddef.h>

#include "base/error.h"

struct hq_queue;

/** Destroys an item nobody will take any more. */
typedef void hq_queue_drop(void *item);

enum hq_queue_result {
    HQ_QUEUE_OK,      /**< the item changed hands */
    HQ_QUEUE_END,     /**< push: closed; pop: closed and drained */
    HQ_QUEUE_ABORTED, /**< hq_queue_error() says why */
};

/** @param capacity items, >= 1. @return owned, or NULL (NOMEM). */
struct hq_queue *hq_queue_new(size_t capacity, hq_queue_drop *drop,
                              struct hq_error *err) HQ_MUST_CHECK;
/** Destroy the queue and what is in it. @pre no other thread uses it any more. NULL: no-op. */
void hq_queue_free(struct hq_queue *q);
/** Append @p item, waiting for room. The queue owns it only after OK. */
enum hq_queue_result hq_queue_push(struct hq_queue *q, void *item) HQ_MUST_CHECK;
/** Take the oldest item, waiting for one. */
enum hq_queue_result hq_queue_pop(struct hq_queue *q, void **item) HQ_MUST_CHECK;
void hq_queue_close(struct hq_queue *q);
/** The first reason wins; later ones are its echo. */
void hq_queue_abort(struct hq_queue *q, const struct hq_error *why);
/** Copy the reason of the abort. @pre some call returned HQ_QUEUE_ABORTED. */
void hq_queue_error(struct hq_queue *q, struct hq_error *out);

#endif
