#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define US_PER_S INT64_C(1000000)

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    /* Can't fail: these clocks exist on every Linux, and the pointer is good. */
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t
hq_clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t
hq_clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

bool
hq_clock_sleep_ms(int64_t ms, const atomic_int *stop)
{
    const int64_t slice_us = 50 * 1000;
    const int64_t start = hq_clock_monotonic_us();

    for (;;) {
        /* Compared in milliseconds: an enormous ms must not wrap. */
        int64_t gone_us = hq_clock_monotonic_us() - start;
        int64_t left_us;
        struct timespec slice;

        if (stop != NULL && *stop != 0)
            return false;
        if (gone_us / 1000 >= ms)
            return true;
        left_us = ms - gone_us / 1000 > slice_us / 1000 ? slice_us : ms * 1000 - gone_us;
        slice = (struct timespec){.tv_nsec = (long)left_us * 1000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &slice, NULL);
    }
}

char *
hq_time_format(int64_t us, char out[HQ_TIME_TEXT_MAX])
{
    int64_t fraction = us % US_PER_S;
    time_t seconds = us / US_PER_S;
    struct tm tm;
    size_t len;

    if (fraction < 0) {
        fraction += US_PER_S;
        seconds--;
    }
    /* The years of an int64 of microseconds (292 277 either way) always fit struct tm. */
    (void)gmtime_r(&seconds, &tm);
    len = (size_t)snprintf(out, HQ_TIME_TEXT_MAX - 1, "%04ld-", (long)tm.tm_year + 1900);
    len += strftime(out + len, HQ_TIME_TEXT_MAX - len, "%m-%dT%H:%M:%S", &tm);
    if (fraction != 0)
        len += (size_t)snprintf(out + len, HQ_TIME_TEXT_MAX - 1 - len, ".%06d", (int)fraction);
    out[len] = 'Z';
    out[len + 1] = '\0';
    return out;
}

char *
hq_duration_format(int64_t us, char out[HQ_TIME_TEXT_MAX])
{
    const char *sign = us < 0 ? "-" : "";
    uint64_t whole = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    unsigned long long ms = (whole + 500) / 1000;
    unsigned long long s = (whole + 500000) / 1000000;

    /* Each unit rounds before it is compared, so that "60.0 s" and "1000 ms" never appear. */
    if (ms < 1000)
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%s%llu ms", sign, ms);
    else if ((ms + 50) / 100 < 600)
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%s%llu.%llu s", sign, (ms + 50) / 1000,
                       (ms + 50) / 100 % 10);
    else if (s < 3600)
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%s%llum %02llus", sign, s / 60, s % 60);
    else
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%s%lluh %02llum %02llus", sign, s / 3600,
                       s / 60 % 60, s % 60);
    return out;
}
