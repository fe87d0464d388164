#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "schedules/cron.h"

static void
use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static int64_t
utc(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return (int64_t)timegm(&tm) * 1000000;
}

static struct hq_cron
parsed(const char *text)
{
    struct hq_cron cron;
    struct hq_error err = {0};

    if (hq_cron_parse(text, &cron, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return cron;
}

/* From @p after on, @p text fires at exactly these times (UTC, NULL at the end). */
static void
check_runs(const char *text, const char *after, const char *const *expected)
{
    struct hq_cron cron = parsed(text);
    int64_t now = utc(after);

    for (; *expected != NULL; expected++) {
        struct hq_error err = {0};
        int64_t next = 0;

        assert_int_equal(hq_cron_next(&cron, now, &next, &err), 0);
        if (next != utc(*expected))
            fail_msg("%s: %lld, not %s", text, (long long)(next / 1000000), *expected);
        now = next;
    }
}

#define RUNS(text, after, ...) check_runs(text, after, (const char *const[]){__VA_ARGS__, NULL})

static void
sets_are_read(void **state)
{
    struct hq_cron cron = parsed("0-10/5,59 22-23 1,31 jan,DEC mon-fri");

    (void)state;
    assert_int_equal(cron.minutes,
                     UINT64_C(1) << 0 | UINT64_C(1) << 5 | UINT64_C(1) << 10 | UINT64_C(1) << 59);
    assert_int_equal(cron.hours, 1u << 22 | 1u << 23);
    assert_int_equal(cron.days, 1u << 1 | 1u << 31);
    assert_int_equal(cron.months, 1u << 1 | 1u << 12);
    assert_int_equal(cron.weekdays, 0x3e);
    assert_true(cron.either_day);
    assert_false(parsed("0 0 * * 1").either_day);
    assert_false(parsed("0 0 */2 * 1").either_day);
    assert_false(parsed("0 0 1 * *").either_day);
}

static void
sunday_is_zero_and_seven(void **state)
{
    (void)state;
    assert_int_equal(parsed("0 0 * * 0").weekdays, 1);
    assert_int_equal(parsed("0 0 * * 7").weekdays, 1);
    assert_int_equal(parsed("0 0 * * 5-7").weekdays, 0x61);
    assert_int_equal(parsed("0 0 * * sat-sun").weekdays, 0x41);
    assert_int_equal(parsed("0 0 * * *").weekdays, 0x7f);
    assert_int_equal(parsed("0 0 * * */7").weekdays, 1);
}

static void
shorthands_are_expanded(void **state)
{
    (void)state;
    use_zone("UTC");
    RUNS("@yearly", "2026-05-05 05:05:05", "2027-01-01 00:00:00");
    RUNS("@annually", "2026-05-05 05:05:05", "2027-01-01 00:00:00");
    RUNS("@monthly", "2026-05-05 05:05:05", "2026-06-01 00:00:00");
    RUNS("@weekly", "2026-05-05 05:05:05", "2026-05-10 00:00:00");
    RUNS(" @Daily ", "2026-05-05 05:05:05", "2026-05-06 00:00:00");
    RUNS("@midnight", "2026-05-05 05:05:05", "2026-05-06 00:00:00");
    RUNS("@hourly", "2026-05-05 05:05:05", "2026-05-05 06:00:00");
}

static void
mistakes_name_their_field(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } wrong[] = {
        {"", "has 0"},
        {"0 1 * *", "has 4"},
        {"0 1 * * * root", "has 6"},
        {"60 1 * * *", "minute: 60 is not in 0-59"},
        {"0 24 * * *", "hour: 24 is not in 0-23"},
        {"0 1 0 * *", "day of month: 0 is not in 1-31"},
        {"0 1 * 13 *", "month: 13 is not in 1-12"},
        {"0 1 * * 8", "day of week: 8 is not in 0-7"},
        {"0 1 * foo *", "month: 'foo' is not a number or a three-letter name"},
        {"0 1 * january *", "month: 'january'"},
        {"mon 1 * * *", "minute: 'mon' is not a number"},
        {"0 5-2 * * *", "hour: the range 5-2 runs backwards"},
        {"0/5 1 * * *", "minute: a step (/) needs a range"},
        {"*/0 1 * * *", "minute: the step 0"},
        {"*/60 1 * * *", "minute: the step 60"},
        {"*/x 1 * * *", "minute: 'x' is not a step"},
        {"1, 1 * * *", "minute: '' is not a number"},
        {"1- 1 * * *", "minute: '' is not a number"},
        {"1-2-3 1 * * *", "minute: '-3' is not expected here"},
        {"** 1 * * *", "minute: '*' is not expected here"},
        {"-1 1 * * *", "minute: '-1' is not a number"},
        {"99999999999999999999 1 * * *", "minute: "},
        {"0 0 30 2 *", "day of month: no month chosen has such a day"},
        {"0 0 31 2,4,6,9,11 *", "day of month: no month"},
        {"@reboot", "'@reboot' is not a known shorthand"},
        {"@", "'@' is not a known shorthand"},
        {"@daily x", "'@daily x' is not a known shorthand"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct hq_cron cron;
        struct hq_error err = {0};

        if (hq_cron_parse(wrong[i].text, &cron, &err) != -1)
            fail_msg("'%s' was accepted", wrong[i].text);
        assert_int_equal(err.code, HQ_E_CONFIG);
        if (strstr(err.message, wrong[i].part) == NULL)
            fail_msg("'%s': %s", wrong[i].text, err.message);
    }
}

static void
length_is_bounded(void **state)
{
    char text[HQ_CRON_TEXT_MAX + 2];
    struct hq_cron cron;
    struct hq_error err = {0};

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, "0 1 * * *", 9);
    text[HQ_CRON_TEXT_MAX] = '\0';
    assert_int_equal(hq_cron_parse(text, &cron, &err), 0);
    text[HQ_CRON_TEXT_MAX] = ' ';
    text[HQ_CRON_TEXT_MAX + 1] = '\0';
    assert_int_equal(hq_cron_parse(text, &cron, &err), -1);
    assert_non_null(strstr(err.message, "256"));
}

static void
next_is_strictly_later(void **state)
{
    struct hq_cron cron = parsed("*/15 * * * *");
    struct hq_error err = {0};
    int64_t next;

    (void)state;
    use_zone("UTC");
    RUNS("*/15 8-9 * * *", "2026-11-20 08:20:01", "2026-11-20 08:30:00", "2026-11-20 08:45:00",
         "2026-11-20 09:00:00", "2026-11-20 09:15:00");
    RUNS("0 1 * * *", "2026-12-31 01:00:00", "2027-01-01 01:00:00");
    RUNS("0 1 * * *", "2026-12-31 00:59:59", "2026-12-31 01:00:00");
    assert_int_equal(hq_cron_next(&cron, utc("2026-11-20 08:15:00") - 1, &next, &err), 0);
    assert_int_equal(next, utc("2026-11-20 08:15:00"));
}

static void
either_day_fits_when_both_are_named(void **state)
{
    (void)state;
    use_zone("UTC");
    /* 2026-11-13 is a Friday. */
    RUNS("0 0 13 * fri", "2026-11-12 12:00:00", "2026-11-13 00:00:00", "2026-11-20 00:00:00");
    RUNS("0 0 */13 * fri", "2026-11-01 12:00:00", "2026-11-27 00:00:00", "2027-01-01 00:00:00");
    RUNS("0 0 31 * *", "2026-11-01 00:00:00", "2026-12-31 00:00:00", "2027-01-31 00:00:00",
         "2027-03-31 00:00:00");
}

static void
leap_days_come_back(void **state)
{
    (void)state;
    use_zone("UTC");
    RUNS("30 4 29 2 *", "2026-01-01 00:00:00", "2028-02-29 04:30:00", "2032-02-29 04:30:00");
    /* 2100 is no leap year. */
    RUNS("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00");
    /* A leap day on a Saturday ("on any day", a step of 6 on "*": Sunday and Saturday). */
    RUNS("0 0 29 2 */6", "2076-03-01 00:00:00", "2088-02-29 00:00:00", "2116-02-29 00:00:00");
    RUNS("0 0 28 2 *", "2026-02-28 00:00:00", "2027-02-28 00:00:00");
}

/* Madrid: at 01:00 UTC on 2026-03-29 the clock jumps from 02:00 to 03:00. */
static void
skipped_hour_runs_once_when_the_clock_jumps(void **state)
{
    (void)state;
    use_zone("Europe/Madrid");
    RUNS("30 2 * * *", "2026-03-27 12:00:00", "2026-03-28 01:30:00", "2026-03-29 01:00:00",
         "2026-03-30 00:30:00");
    RUNS("*/20 2 * * *", "2026-03-28 02:00:00", "2026-03-29 01:00:00", "2026-03-30 00:00:00",
         "2026-03-30 00:20:00");
    /* What is due at the jump itself joins what was skipped. */
    RUNS("0 2,3 * * *", "2026-03-29 00:30:00", "2026-03-29 01:00:00", "2026-03-30 00:00:00");
    RUNS("30 1-3 * * *", "2026-03-29 00:00:00", "2026-03-29 00:30:00", "2026-03-29 01:00:00",
         "2026-03-29 01:30:00");
}

/* Madrid: at 01:00 UTC on 2026-10-25 the clock goes back from 03:00 to 02:00. */
static void
repeated_hour_runs_in_its_first_passage(void **state)
{
    (void)state;
    use_zone("Europe/Madrid");
    RUNS("30 2 * * *", "2026-10-24 12:00:00", "2026-10-25 00:30:00", "2026-10-26 01:30:00");
    RUNS("*/30 2-3 * * *", "2026-10-24 23:00:00", "2026-10-25 00:00:00", "2026-10-25 00:30:00",
         "2026-10-25 02:00:00", "2026-10-25 02:30:00", "2026-10-26 01:00:00");
    /* Asked during the second passage, what the first had is over. */
    RUNS("45 2 * * *", "2026-10-25 01:10:00", "2026-10-26 01:45:00");
}

static void
every_hour_follows_elapsed_time(void **state)
{
    (void)state;
    use_zone("Europe/Madrid");
    RUNS("30 * * * *", "2026-03-29 00:00:00", "2026-03-29 00:30:00", "2026-03-29 01:30:00",
         "2026-03-29 02:30:00");
    RUNS("*/30 * * * *", "2026-10-25 00:00:00", "2026-10-25 00:30:00", "2026-10-25 01:00:00",
         "2026-10-25 01:30:00", "2026-10-25 02:00:00");
}

static void
unusual_zones_hold(void **state)
{
    (void)state;
    /* Half an hour of summer time: back from 02:00 to 01:30 at 15:00 UTC. */
    use_zone("Australia/Lord_Howe");
    RUNS("45 1 * * *", "2026-04-04 00:00:00", "2026-04-04 14:45:00", "2026-04-05 15:15:00");
    /* Samoa had no 30 December 2011: at 10:00 UTC it went from the 29th to the 31st. */
    use_zone("Pacific/Apia");
    RUNS("0 12 * * *", "2011-12-29 00:00:00", "2011-12-29 22:00:00", "2011-12-30 10:00:00",
         "2011-12-30 22:00:00");
    use_zone("Asia/Kathmandu");
    RUNS("0 1 * * *", "2026-01-01 00:00:00", "2026-01-01 19:15:00");
}

static void
out_of_range_is_refused(void **state)
{
    struct hq_cron cron = parsed("@daily");
    struct hq_cron never = {
        .minutes = 1, .hours = 1, .days = 1u << 30, .months = 1u << 2, .weekdays = 0x7f};
    struct hq_error err = {0};
    int64_t next;

    (void)state;
    use_zone("UTC");
    assert_int_equal(hq_cron_next(&cron, -1, &next, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(hq_cron_next(&cron, INT64_MAX, &next, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(hq_cron_next(&cron, 0, &next, &err), 0);
    assert_int_equal(next, utc("1970-01-02 00:00:00"));
    assert_int_equal(hq_cron_next(&never, 0, &next, &err), -1);
    assert_int_equal(err.code, HQ_E_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_read),
        cmocka_unit_test(sunday_is_zero_and_seven),
        cmocka_unit_test(shorthands_are_expanded),
        cmocka_unit_test(mistakes_name_their_field),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(next_is_strictly_later),
        cmocka_unit_test(either_day_fits_when_both_are_named),
        cmocka_unit_test(leap_days_come_back),
        cmocka_unit_test(skipped_hour_runs_once_when_the_clock_jumps),
        cmocka_unit_test(repeated_hour_runs_in_its_first_passage),
        cmocka_unit_test(every_hour_follows_elapsed_time),
        cmocka_unit_test(unusual_zones_hold),
        cmocka_unit_test(out_of_range_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
