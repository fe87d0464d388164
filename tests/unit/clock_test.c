/* clang-format off */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void
times_are_printed_in_utc(void **state)
{
    char text[HQ_TIME_TEXT_MAX];

    (void)state;
    assert_string_equal(hq_time_format(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(hq_time_format(HQ_POSTGRES_EPOCH_US, text), "2000-01-01T00:00:00Z");
    assert_string_equal(hq_time_format(INT64_C(1795230245678901), text),
                        "2026-11-21T03:04:05.678901Z");
    assert_string_equal(hq_time_format(1, text), "1970-01-01T00:00:00.000001Z");
    assert_string_equal(hq_time_format(-1, text), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(hq_time_format(INT64_MAX, text), "294247-01-10T04:00:54.775807Z");
    assert_string_equal(hq_time_format(INT64_MIN, text), "-290308-12-21T19:59:05.224192Z");
}

static void
parsed_as(const char *text, const char *wanted)
{
    char shown[HQ_TIME_TEXT_MAX];
    struct hq_error err = {0};
    int64_t us = 0;

    if (hq_time_parse(text, &us, &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(hq_time_format(us, shown), wanted);
}

static void
times_with_a_zone_are_read(void **state)
{
    (void)state;
    parsed_as("2026-11-21T03:04:05.678901Z", "2026-11-21T03:04:05.678901Z");
    parsed_as("2026-11-21 03:04 UTC", "2026-11-21T03:04:00Z");
    parsed_as("2026-11-21 03:04:05+03", "2026-11-21T00:04:05Z");
    parsed_as("2026-11-21 03:04:05 +03:30", "2026-11-20T23:34:05Z");
    parsed_as("2026-12-31 23:59:59.5-01", "2027-01-01T00:59:59.500000Z");
    parsed_as("2024-02-29 00:00Z", "2024-02-29T00:00:00Z");
    parsed_as("1969-12-31 23:59:59.000001Z", "1969-12-31T23:59:59.000001Z");
}

static void
use_zone(const char *name)
{
    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
}

/* The rules are spelled out, so that the test needs no time zone files. */
static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

static void
times_without_a_zone_are_local(void **state)
{
    (void)state;
    use_zone(berlin);
    parsed_as("2026-07-01 12:00", "2026-07-01T10:00:00Z");
    parsed_as("2026-11-21 12:00:00.25", "2026-11-21T11:00:00.250000Z");
    /* Last moment before and first after each change of clocks. */
    parsed_as("2026-03-29 01:59:59", "2026-03-29T00:59:59Z");
    parsed_as("2026-03-29 03:00:00", "2026-03-29T01:00:00Z");
    parsed_as("2026-10-25 01:59:59", "2026-10-24T23:59:59Z");
    parsed_as("2026-10-25 03:00:00", "2026-10-25T02:00:00Z");
    use_zone("UTC0");
    parsed_as("2026-07-01 12:00", "2026-07-01T12:00:00Z");
    use_zone("XXX12");
    parsed_as("2026-07-01 12:00", "2026-07-02T00:00:00Z");
}

static void
refused_with(const char *text, const char *part)
{
    struct hq_error err = {0};
    int64_t us;

    assert_int_equal(hq_time_parse(text, &us, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    if (strstr(err.message, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.message, part);
}

static void
hours_that_clocks_skip_or_repeat_are_refused(void **state)
{
    (void)state;
    use_zone(berlin);
    refused_with("2026-03-29 02:30", "set forward");
    refused_with("2026-10-25 02:00", "twice");
    refused_with("2026-10-25 02:59:59", "twice");
    parsed_as("2026-10-25 02:30+02", "2026-10-25T00:30:00Z");
    parsed_as("2026-10-25 02:30+01", "2026-10-25T01:30:00Z");
}

static void
nonsense_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "yesterday",
        "2026-11-21",
        "2026-11-21 ",
        "2026-11-21T03",
        "2026-11-21 3:04",
        "26-11-21 03:04",
        "2026-11-21 03:04:",
        "2026-11-21 03:04:05.",
        "2026-11-21 03:04:05.1234567",
        "2026-11-21 03:04:05X",
        "2026-11-21 03:04:05Z ",
        "2026-11-21 03:04:05+3",
        "2026-11-21 03:04:05+16",
        "2026-11-21 03:04:05+03:60",
        "2026-11-21 03:04:05+03:",
        "2026-11-21  03:04",
        "+026-11-21 03:04Z",
        " 2026-11-21 03:04",
        "20261-11-21 03:04",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refused_with(texts[i], "not understood");
    refused_with("yesterday", "time \"yesterday\": not understood");
    refused_with("2026-11-21 03", "ends too early");
    refused_with("2026-11-21 03:04 noon", "not understood from \"noon\" on");
    refused_with("2026-02-29 00:00Z", "no such day");
    refused_with("2026-04-31 00:00Z", "no such day");
    refused_with("2026-00-10 00:00Z", "no such day");
    refused_with("2026-13-10 00:00Z", "no such day");
    refused_with("2026-01-00 00:00Z", "no such day");
    refused_with("2026-01-01 24:00Z", "no such day");
    refused_with("2026-01-01 00:60Z", "no such day");
    refused_with("2026-01-01 00:00:60Z", "no such day");
}

static void
durations_are_short(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "0 ms"},
        {120 * 1000, "120 ms"},
        {999499, "999 ms"},
        {999500, "1.0 s"},
        {4240 * 1000, "4.2 s"},
        {59949 * 1000, "59.9 s"},
        {59950 * 1000, "1m 00s"},
        {INT64_C(3599499) * 1000, "59m 59s"},
        {INT64_C(3599500) * 1000, "1h 00m 00s"},
        {INT64_C(3723) * 1000000, "1h 02m 03s"},
        {-4200 * 1000, "-4.2 s"},
        {INT64_MIN, "-2562047788h 00m 55s"},
    };
    char text[HQ_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(hq_duration_format(rows[i].us, text), rows[i].text);
}

static void
sleep_ends_in_time_or_at_the_stop(void **state)
{
    const atomic_int stop = 1;
    int64_t start = hq_clock_monotonic_us();

    (void)state;
    assert_true(hq_clock_sleep_ms(30, NULL));
    assert_true(hq_clock_monotonic_us() - start >= 30000);
    assert_false(hq_clock_sleep_ms(INT64_MAX, &stop));
    assert_true(hq_clock_sleep_ms(-1, NULL));
    assert_true(hq_clock_wall_us() > INT64_C(1700000000000000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_printed_in_utc),
        cmocka_unit_test(times_with_a_zone_are_read),
        cmocka_unit_test(times_without_a_zone_are_local),
        cmocka_unit_test(hours_that_clocks_skip_or_repeat_are_refused),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(durations_are_short),
        cmocka_unit_test(sleep_ends_in_time_or_at_the_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
