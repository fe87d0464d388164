#include "schedules/cron.h"

#include <time.h>

/*
 * Two kinds of seconds are used here. An instant is seconds since the epoch. A wall time is what
 * a clock on the wall shows, as seconds of a calendar without zones (gmtime_r and timegm only
 * split and join it). Wall times are stepped through; each is then looked up in the zone, where
 * it may be one instant, two (a repeated hour) or none (a skipped one).
 */

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400
};

static const int64_t after_most = INT64_C(221845392000); /* the year 9000 */
/* A 29 February that must be a certain weekday comes back after at most 40 years. */
static const int64_t horizon_s = INT64_C(41) * 366 * DAY_S;
/* No zone repeats more than this; wall times so far back may still have an instant to come. */
static const int64_t longest_repeat_s = INT64_C(26) * HOUR_S;
/* Zones lie within 14 hours of UTC: one this far away on either side is before and after. */
static const int64_t around_s = INT64_C(40) * HOUR_S;

static int64_t
zone_offset(int64_t instant)
{
    time_t t = (time_t)instant;
    struct tm tm;

    return localtime_r(&t, &tm) != NULL ? tm.tm_gmtoff : 0;
}

/* The instant in (before, after] at which the zone's offset changes. */
static int64_t
transition(int64_t before, int64_t after)
{
    int64_t old = zone_offset(before);

    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;

        if (zone_offset(middle) == old)
            before = middle;
        else
            after = middle;
    }
    return after;
}

/*
 * The instants, ascending, at which a wall time counts. With follow_elapsed both passages of a
 * repeated time count and a skipped one never does; otherwise there is always exactly one.
 */
static unsigned
instants_of(int64_t wall, bool follow_elapsed, int64_t out[2])
{
    int64_t old = zone_offset(wall - around_s);
    int64_t new = zone_offset(wall + around_s);
    bool in_old = zone_offset(wall - old) == old;
    bool in_new = zone_offset(wall - new) == new;

    if (in_old && in_new && old != new) {
        out[0] = wall - old < wall - new ? wall - old : wall - new;
        out[1] = wall - old < wall - new ? wall - new : wall - old;
        return follow_elapsed ? 2 : 1;
    }
    if (in_old || in_new) {
        out[0] = in_old ? wall - old : wall - new;
        return 1;
    }
    out[0] = transition(wall - around_s, wall + around_s);
    return follow_elapsed ? 0 : 1;
}

static bool
day_fits(const struct hq_cron *cron, const struct tm *tm)
{
    bool day = (cron->days >> tm->tm_mday & 1) != 0;
    bool weekday = (cron->weekdays >> tm->tm_wday & 1) != 0;

    return cron->either_day ? day || weekday : day && weekday;
}

/* The first wall time from @p wall (a whole minute) to @p last that fits; -1 if there is none. */
static int64_t
next_wall(const struct hq_cron *cron, int64_t wall, int64_t last)
{
    while (wall <= last) {
        time_t t = (time_t)wall;
        struct tm tm;

        (void)gmtime_r(&t, &tm);
        if ((cron->months >> (tm.tm_mon + 1) & 1) == 0) {
            struct tm month = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};

            wall = timegm(&month);
        } else if (!day_fits(cron, &tm)) {
            wall += DAY_S - wall % DAY_S;
        } else if ((cron->hours >> tm.tm_hour & 1) == 0) {
            wall += HOUR_S - wall % HOUR_S;
        } else if ((cron->minutes >> tm.tm_min & 1) == 0) {
            wall += MINUTE_S;
        } else {
            return wall;
        }
    }
    return -1;
}

int
hq_cron_next(const struct hq_cron *cron, int64_t after_us, int64_t *next_us, struct hq_error *err)
{
    int64_t after = after_us / 1000000;
    bool follow_elapsed = cron->hours == 0xffffff;
    int64_t best = INT64_MAX;
    int64_t wall, last;

    if (after_us < 0 || after > after_most)
        return hq_fail(err, HQ_E_USAGE, "a schedule is asked for a time before 1970 or after 9000");
    wall = after + zone_offset(after);
    last = wall + horizon_s;
    wall -= longest_repeat_s;
    wall = wall < 0 ? 0 : wall - wall % MINUTE_S;
    for (;;) {
        int64_t instants[2];
        unsigned count;

        wall = next_wall(cron, wall, last);
        if (wall < 0)
            break;
        count = instants_of(wall, follow_elapsed, instants);
        /* First instants never go back as wall times advance, so nothing better can follow. */
        if (count > 0 && instants[0] >= best)
            break;
        for (unsigned i = 0; i < count; i++) {
            if (instants[i] > after && instants[i] < best)
                best = instants[i];
        }
        wall += MINUTE_S;
    }
    if (best == INT64_MAX)
        return hq_fail(err, HQ_E_INTERNAL, "a schedule that never fires");
    *next_us = best * 1000000;
    return 0;
}
