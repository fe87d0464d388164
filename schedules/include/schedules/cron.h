/**
 * @file cron.h
 * Cron expressions: when does a schedule fire next?
 *
 *     minute 0-59 | hour 0-23 | day of month 1-31 | month 1-12 | day of week 0-7 (0, 7: Sunday)
 *
 * A field is a list ("1,15") of numbers, ranges ("1-5"), "*", and steps on the latter two ("*"
 * followed by "/15", "8-18/2"). Months and days of the week may be English three-letter names.
 * "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight" and "@hourly" stand for
 * whole expressions.
 *
 * Days     where neither day field begins with "*", a day fits that fits either one; otherwise
 *          it must fit both: the rule of every cron since the seventh edition.
 * Zone     the process's time zone (TZ), so that "0 1 * * *" is one o'clock on the wall.
 * Summer   times in an hour that is skipped run together, once, at the moment the clock jumps;
 *          times in an hour that is repeated run in its first passage only. An expression that
 *          names no hour (all 24) follows elapsed time instead: "0 * * * *" is every 60 minutes.
 * Threads  reentrant, as long as nobody changes TZ.
 */
#ifndef HQ_SCHEDULES_CRON_H
#define HQ_SCHEDULES_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    HQ_CRON_TEXT_MAX = 256
};

/** A parsed expression; bit n of a set stands for the value n. Copy freely, owns nothing. */
struct hq_cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;     /**< of the month, bits 1 to 31 */
    uint32_t months;   /**< bits 1 to 12 */
    uint32_t weekdays; /**< bits 0 (Sunday) to 6 */
    bool either_day;   /**< a day fits that fits `days` or `weekdays`, not necessarily both */
};

/**
 * Parse @p text, at most HQ_CRON_TEXT_MAX bytes. One that can never fire (30 February) is
 * refused too. @return 0, or -1 CONFIG naming the field and what is wrong with it.
 */
int hq_cron_parse(const char *text, struct hq_cron *out, struct hq_error *err) HQ_MUST_CHECK;

/**
 * The first time @p cron fires strictly after @p after_us (from 1970 to the year 9000).
 * @return 0, or -1: USAGE when @p after_us is out of range, INTERNAL when @p cron did not come
 * from hq_cron_parse() and never fires.
 */
int hq_cron_next(const struct hq_cron *cron, int64_t after_us, int64_t *next_us,
                 struct hq_error *err) HQ_MUST_CHECK;

#endif
