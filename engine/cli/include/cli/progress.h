/**
 * @file progress.h
 * How far a long job is: on a terminal one line that is redrawn, elsewhere a plain line now and
 * then (a CronJob's log), both on standard error.
 *
 * Threads  _add, _total, _stage and _done from any thread; _new and _end from one, while no other
 *          uses it. A thread of its own draws, so that a stalled job shows as stalled.
 */
#ifndef HQ_CLI_PROGRESS_H
#define HQ_CLI_PROGRESS_H

#include <stdint.h>

#include "base/error.h"

struct hq_progress;

struct hq_progress_options {
    const char *label; /**< what is done, "restore"; copied, cut at 40 bytes */
    uint64_t total;    /**< bytes; 0: unknown */
    bool quiet;        /**< draw nothing */
    int fd;            /**< where to; 0: standard error */
    int64_t every_ms;  /**< time between lines; 0: 200 on a terminal, 10 000 elsewhere */
};

/** @return owned, or NULL (NOMEM, SYS). */
struct hq_progress *hq_progress_new(const struct hq_progress_options *options,
                                    struct hq_error *err) HQ_MUST_CHECK;
/** @p bytes more are done. Costs an atomic addition. */
void hq_progress_add(struct hq_progress *p, uint64_t bytes);
/** @p done bytes of @p total are done, which may change; 0: unknown. What was done once stays so.
 */
void hq_progress_reach(struct hq_progress *p, uint64_t done, uint64_t total);
/**
 * From now on lines say @p text ("waiting for WAL", cut at 120 bytes) and the time, not bytes and
 * their rate. "": bytes again.
 */
void hq_progress_say(struct hq_progress *p, const char *text);
/** Print the last line ("done" or "stopped" by @p success) and free. NULL: no-op. */
void hq_progress_end(struct hq_progress *p, bool success);

#endif
