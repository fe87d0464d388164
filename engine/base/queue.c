#include "base/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * A ring of pointers under one mutex: items are big (chunks, packs), so there are some hundred
 * exchanges a second and nothing cleverer pays.
 *
 * Invariants while `lock` is held:
 *   used <= capacity, oldest < capacity; aborted implies used == 0; `why` is set iff aborted.
 */
struct hq_queue {
    pthread_mutex_t lock;
    pthread_cond_t has_room;
    pthread_cond_t has_item;
    hq_queue_drop *drop;
    struct hq_error why;
    bool closed;
    bool aborted;
    size_t oldest;
    size_t used;
    size_t capacity;
    void *ring[];
};

/* Drop what waits. The caller holds the lock, or is the only user. */
static void
drop_all(struct hq_queue *q)
{
    for (; q->used > 0; q->used--) {
        q->drop(q->ring[q->oldest]);
        q->oldest = (q->oldest + 1) % q->capacity;
    }
}

static void
wake_all(struct hq_queue *q)
{
    (void)pthread_cond_broadcast(&q->has_room);
    (void)pthread_cond_broadcast(&q->has_item);
}

struct hq_queue *
hq_queue_new(size_t capacity, hq_queue_drop *drop, struct hq_error *err)
{
    struct hq_queue *q = NULL;
    size_t size;

    assert(capacity >= 1 && drop != NULL);
    if (!__builtin_mul_overflow(capacity, sizeof q->ring[0], &size) &&
        !__builtin_add_overflow(size, sizeof *q, &size))
        q = calloc(1, size);
    if (q == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "queue of %zu items", capacity);
        return NULL;
    }
    /* With default attributes none of these three can fail on Linux. */
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->has_room, NULL);
    (void)pthread_cond_init(&q->has_item, NULL);
    q->drop = drop;
    q->capacity = capacity;
    return q;
}

void
hq_queue_free(struct hq_queue *q)
{
    if (q == NULL)
        return;
    drop_all(q);
    (void)pthread_cond_destroy(&q->has_item);
    (void)pthread_cond_destroy(&q->has_room);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

enum hq_queue_result
hq_queue_push(struct hq_queue *q, void *item)
{
    enum hq_queue_result result = HQ_QUEUE_OK;

    (void)pthread_mutex_lock(&q->lock);
    while (q->used == q->capacity && !q->closed && !q->aborted)
        (void)pthread_cond_wait(&q->has_room, &q->lock);
    if (q->aborted) {
        result = HQ_QUEUE_ABORTED;
    } else if (q->closed) {
        result = HQ_QUEUE_END;
    } else {
        q->ring[(q->oldest + q->used) % q->capacity] = item;
        q->used++;
        (void)pthread_cond_signal(&q->has_item);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

enum hq_queue_result
hq_queue_pop(struct hq_queue *q, void **item)
{
    enum hq_queue_result result = HQ_QUEUE_OK;

    *item = NULL;
    (void)pthread_mutex_lock(&q->lock);
    while (q->used == 0 && !q->closed && !q->aborted)
        (void)pthread_cond_wait(&q->has_item, &q->lock);
    if (q->aborted) {
        result = HQ_QUEUE_ABORTED;
    } else if (q->used == 0) {
        result = HQ_QUEUE_END;
    } else {
        *item = q->ring[q->oldest];
        q->oldest = (q->oldest + 1) % q->capacity;
        q->used--;
        (void)pthread_cond_signal(&q->has_room);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return result;
}

void
hq_queue_close(struct hq_queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    q->closed = true;
    wake_all(q);
    (void)pthread_mutex_unlock(&q->lock);
}

void
hq_queue_abort(struct hq_queue *q, const struct hq_error *why)
{
    (void)pthread_mutex_lock(&q->lock);
    if (!q->aborted) {
        q->aborted = true;
        q->why = *why;
        drop_all(q);
        wake_all(q);
    }
    (void)pthread_mutex_unlock(&q->lock);
}

void
hq_queue_error(struct hq_queue *q, struct hq_error *out)
{
    (void)pthread_mutex_lock(&q->lock);
    assert(q->aborted);
    *out = q->why;
    (void)pthread_mutex_unlock(&q->lock);
}
