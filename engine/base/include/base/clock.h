/**
 * @file clock.h
 * Time: microseconds since 1970-01-01T00:00:00Z (`*_us`, int64) everywhere in this project;
 * PostgreSQL's own epoch (2000-01-01) is converted where its bytes are read.
 * Threads  all functions are reentrant.
 */
#ifndef HQ_BASE_CLOCK_H
#define HQ_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

enum {
    HQ_TIME_TEXT_MAX = 40
};

/** Microseconds between the Unix epoch and PostgreSQL's (2000-01-01T00:00:00Z). */
#define HQ_POSTGRES_EPOCH_US INT64_C(946684800000000)

/** Wall clock, for records and display; it may jump. */
int64_t hq_clock_wall_us(void);
/** Monotonic clock, for intervals and timeouts. */
int64_t hq_clock_monotonic_us(void);
/** Sleep; returns early (false) when @p stop is set, looked at every 50 ms. NULL: no stop. */
bool hq_clock_sleep_ms(int64_t ms, const atomic_int *stop);

/** "2026-11-21T03:04:05.678901Z" (no fraction if it is zero) into @p out; returns @p out. */
char *hq_time_format(int64_t us, char out[HQ_TIME_TEXT_MAX]);
/**
 * Parse a point in time as an operator writes it: "2026-11-21 03:04[:05[.678901]]" with 'T' or a
 * blank between, then "Z", "+03", "+03:00", " UTC"; without a zone it is the local time zone
 * (TZ). @return 0, or -1 USAGE naming what is wrong.
 */
int hq_time_parse(const char *text, int64_t *us, struct hq_error *err) HQ_MUST_CHECK;
/** "1h 02m 03s", "4.2 s", "120 ms" for people. */
char *hq_duration_format(int64_t us, char out[HQ_TIME_TEXT_MAX]);

#endif
