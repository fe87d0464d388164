/**
 * @file crew.h
 * Threads that share one piece of work: the first failure is kept and ends all of them.
 */
#ifndef HQ_RESTORE_CREW_H
#define HQ_RESTORE_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"

/** `= {.stop = ...}`, then crew_init(). */
struct crew {
    const atomic_int *stop; /**< NULL: none */
    struct hq_queue *queue; /**< what its threads may wait for, aborted by a failure; or NULL */
    pthread_mutex_t lock;   /**< of what the threads share */
    bool failed;
    struct hq_error failure;
};
void crew_init(struct crew *c);
void crew_clear(struct crew *c);
/** Not under the lock. */
void crew_fail(struct crew *c, const struct hq_error *why);
/** Whether to end: something failed, or a signal says so. @pre under the lock. */
bool crew_is_over(struct crew *c);

/** Threads of one kind. */
struct crew_part {
    void *(*run)(void *context);
    unsigned threads;
};
/** Run all parts to their end with @p context; each must end when crew_is_over(). */
int crew_run(struct crew *c, const struct crew_part *parts, size_t count, void *context,
             struct hq_error *err) HQ_MUST_CHECK;

#endif
