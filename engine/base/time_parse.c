#include <string.h>
#include <time.h>

#include "base/clock.h"

/* What a text says, before it is clear whether such a moment exists. */
struct written_time {
    int year, month, day, hour, minute, second;
    int64_t fraction_us;
    bool has_zone;
    int offset_s; /* east of Greenwich */
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly @p count digits from *at; moves *at past them. */
static bool
take_digits(const char **at, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!is_digit(**at))
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return !is_digit(**at);
}

static bool
take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool
take_date(const char **at, struct written_time *t)
{
    return take_digits(at, 4, &t->year) && take_char(at, '-') && take_digits(at, 2, &t->month) &&
           take_char(at, '-') && take_digits(at, 2, &t->day) &&
           (take_char(at, 'T') || take_char(at, ' '));
}

/* One to six digits of a second's fraction. */
static bool
take_fraction(const char **at, int64_t *us)
{
    int64_t unit = 100000;

    *us = 0;
    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); (*at)++, unit /= 10) {
        if (unit == 0)
            return false;
        *us += unit * (**at - '0');
    }
    return true;
}

static bool
take_clock(const char **at, struct written_time *t)
{
    if (!take_digits(at, 2, &t->hour) || !take_char(at, ':') || !take_digits(at, 2, &t->minute))
        return false;
    if (!take_char(at, ':'))
        return true;
    if (!take_digits(at, 2, &t->second))
        return false;
    return !take_char(at, '.') || take_fraction(at, &t->fraction_us);
}

/* "Z", "UTC", "+03", "+03:00", each after a blank or not, or nothing. */
static bool
take_zone(const char **at, struct written_time *t)
{
    int hours, minutes = 0, sign;

    if (**at == '\0')
        return true;
    t->has_zone = true;
    (void)take_char(at, ' ');
    if (strcmp(*at, "Z") == 0 || strcmp(*at, "UTC") == 0) {
        *at += strlen(*at);
        return true;
    }
    sign = **at == '-' ? -1 : 1;
    if (!take_char(at, '+') && !take_char(at, '-'))
        return false;
    if (!take_digits(at, 2, &hours) || (take_char(at, ':') && !take_digits(at, 2, &minutes)))
        return false;
    t->offset_s = sign * (hours * 3600 + minutes * 60);
    return hours <= 15 && minutes <= 59;
}

static struct tm
to_tm(const struct written_time *t)
{
    return (struct tm){.tm_year = t->year - 1900,
                       .tm_mon = t->month - 1,
                       .tm_mday = t->day,
                       .tm_hour = t->hour,
                       .tm_min = t->minute,
                       .tm_sec = t->second};
}

/* Seconds since the epoch if the text meant UTC; false where the calendar has no such moment. */
static bool
as_utc(const struct written_time *t, time_t *seconds)
{
    struct tm tm = to_tm(t);

    if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > 31)
        return false;
    if (t->hour > 23 || t->minute > 59 || t->second > 59)
        return false;
    /* timegm() turns 30 February into 2 March: a changed day is a day that isn't there. */
    *seconds = timegm(&tm);
    return tm.tm_mday == t->day;
}

/* Seconds east of Greenwich that the local time zone has at @p at. */
static long
local_offset(time_t at)
{
    struct tm tm;

    return localtime_r(&at, &tm) != NULL ? tm.tm_gmtoff : 0;
}

/*
 * When clocks change, an hour of local time is missing or comes twice. A restore to the wrong one
 * of two hours loses data quietly, so both cases are refused. The offsets a day before and a day
 * after are the only candidates; one is right if the zone indeed has it at the moment it leads to.
 */
static int
from_local(const char *text, time_t utc, time_t *seconds, struct hq_error *err)
{
    const time_t day_s = 86400;
    long before, after;
    bool before_fits, after_fits;

    tzset();
    before = local_offset(utc - day_s);
    after = local_offset(utc + day_s);
    before_fits = local_offset(utc - before) == before;
    after_fits = local_offset(utc - after) == after;
    if (!before_fits && !after_fits)
        (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": clocks are set forward over it", text);
    else if (before_fits && after_fits && before != after)
        (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": it comes twice, clocks are set back", text);
    else {
        *seconds = utc - (before_fits ? before : after);
        return 0;
    }
    return hq_error_hint(err, "write the zone, as in \"2026-11-21 03:04:05+03\"");
}

static int
hint_form(struct hq_error *err)
{
    return hq_error_hint(err, "write it as \"2026-11-21 03:04:05+03\" or "
                              "\"2026-11-21T03:04:05Z\"");
}

int
hq_time_parse(const char *text, int64_t *us, struct hq_error *err)
{
    struct written_time t = {0};
    const char *at = text;
    time_t seconds;

    if (!take_date(&at, &t) || !take_clock(&at, &t) || !take_zone(&at, &t) || *at != '\0') {
        if (at == text)
            (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": not understood", text);
        else if (*at == '\0')
            (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": not understood, it ends too early", text);
        else
            (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": not understood from \"%s\" on", text, at);
        return hint_form(err);
    }
    if (!as_utc(&t, &seconds)) {
        (void)hq_fail(err, HQ_E_USAGE, "time \"%s\": no such day or hour", text);
        return hint_form(err);
    }
    if (t.has_zone)
        seconds -= t.offset_s;
    else if (from_local(text, seconds, &seconds, err) != 0)
        return -1;
    *us = (int64_t)seconds * 1000000 + t.fraction_us;
    return 0;
}
