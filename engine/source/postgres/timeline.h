/**
 * @file timeline.h
 * Timeline history files: "parent timeline <tab> LSN of the switch <tab> reason", a line each,
 * oldest first (src/backend/access/transam/timeline.c).
 * Threads  one.
 */
#ifndef HQ_POSTGRES_TIMELINE_H
#define HQ_POSTGRES_TIMELINE_H

#include "postgres/connection.h"

/** A timeline's ancestors, oldest first; it itself is not among them. */
struct timeline_history {
    struct timeline_step {
        uint32_t timeline;
        uint64_t end; /**< LSN from which on the next timeline holds */
    } * steps;
    size_t count;
};
void timeline_history_clear(struct timeline_history *history);
/** Decode @p timeline's file. SERVER when it is none. */
int timeline_history_decode(uint32_t timeline, const char *text, size_t len,
                            struct timeline_history *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
