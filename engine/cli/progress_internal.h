/**
 * @file progress_internal.h
 * The texts of progress reports, apart from threads and clocks so that they can be tested.
 */
#ifndef HQ_PROGRESS_INTERNAL_H
#define HQ_PROGRESS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

enum {
    HQ_PROGRESS_LINE_MAX = 320,
    HQ_PROGRESS_LABEL_MAX = 40,
    HQ_PROGRESS_SAYING_MAX = 120
};

/** How far one stage is. */
struct hq_progress_state {
    const char *label;
    const char *saying; /**< instead of bytes; NULL or "": bytes */
    uint64_t done;
    uint64_t total;      /**< 0: unknown */
    int64_t elapsed_us;  /**< since the stage began */
    uint64_t per_second; /**< bytes, of late */
};

/** One line for a terminal @p columns wide, without control characters. @return @p out. */
char *hq_progress_bar(const struct hq_progress_state *state, size_t columns,
                      char out[HQ_PROGRESS_LINE_MAX]);
/** One plain line, without its newline. @return @p out. */
char *hq_progress_line(const struct hq_progress_state *state, char out[HQ_PROGRESS_LINE_MAX]);
/** The last line, ending in "done" or "stopped". @return @p out. */
char *hq_progress_last(const struct hq_progress_state *state, const char *outcome,
                       char out[HQ_PROGRESS_LINE_MAX]);

#endif
