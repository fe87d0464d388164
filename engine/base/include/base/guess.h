/**
 * @file guess.h
 * What somebody may have meant by a name that does not exist.
 * Threads  reentrant.
 */
#ifndef HQ_BASE_GUESS_H
#define HQ_BASE_GUESS_H

#include <stdbool.h>
#include <stddef.h>

/** The best candidate so far; start with {0}. */
struct hq_guess {
    const char *name; /**< NULL: none was near; else borrowed from hq_guess_offer() */
    size_t distance;
};
/**
 * Consider @p candidate as what @p written may have meant: a slip or two, or its beginning.
 * @return whether it is the best so far.
 */
bool hq_guess_offer(struct hq_guess *guess, const char *written, const char *candidate);

#endif
