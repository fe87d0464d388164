#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"

typedef int parse_fn(const char *text, uint64_t *value, struct hq_error *err);

static void
check_value(parse_fn *parse, const char *text, uint64_t expected)
{
    struct hq_error err = {0};
    uint64_t value = 0;

    if (parse(text, &value, &err) != 0)
        fail_msg("'%s': %s", text, err.message);
    assert_int_equal(value, expected);
}

static void
check_refused(parse_fn *parse, const char *text, const char *part)
{
    struct hq_error err = {0};
    uint64_t value;

    if (parse(text, &value, &err) == 0)
        fail_msg("'%s' was accepted", text);
    assert_int_equal(err.code, HQ_E_USAGE);
    if (strstr(err.message, part) == NULL)
        fail_msg("'%s': %s", text, err.message);
}

static void
durations_are_milliseconds(void **state)
{
    (void)state;
    check_value(hq_duration_parse, "0s", 0);
    check_value(hq_duration_parse, "100ms", 100);
    check_value(hq_duration_parse, "1s", 1000);
    check_value(hq_duration_parse, "5 min", 300000);
    check_value(hq_duration_parse, "2h", 7200000);
    check_value(hq_duration_parse, "7d", 604800000);
    check_value(hq_duration_parse, "18446744073709551615ms", UINT64_MAX);
}

static void
counts_have_no_unit(void **state)
{
    (void)state;
    check_value(hq_count_parse, "0", 0);
    check_value(hq_count_parse, "18446744073709551615", UINT64_MAX);
    check_refused(hq_count_parse, "18446744073709551616", "too large");
    check_refused(hq_count_parse, "", "not a whole number");
    check_refused(hq_count_parse, "-1", "not a whole number");
    check_refused(hq_count_parse, "8 ", "not a whole number");
    check_refused(hq_count_parse, "8s", "not a whole number");
}

static void
sizes_are_bytes(void **state)
{
    (void)state;
    check_value(hq_size_parse, "0B", 0);
    check_value(hq_size_parse, "17B", 17);
    check_value(hq_size_parse, "4 KiB", 4096);
    check_value(hq_size_parse, "32MiB", UINT64_C(33554432));
    check_value(hq_size_parse, "1GiB", UINT64_C(1073741824));
    check_value(hq_size_parse, "2TiB", UINT64_C(2199023255552));
}

static void
mistakes_are_refused(void **state)
{
    static const char *const no_duration[] = {
        "30", "1m", "1S", "1.5s", "1h30min", "1 s ", "1\ts", "5 minutes", "1e3s", "0x10s",
    };
    static const char *const no_size[] = {"32", "32MB", "32mib", "1.5GiB", "1 Gi B", "10K"};

    (void)state;
    for (size_t i = 0; i < sizeof no_duration / sizeof no_duration[0]; i++)
        check_refused(hq_duration_parse, no_duration[i], "one of ms, s, min, h, d");
    for (size_t i = 0; i < sizeof no_size / sizeof no_size[0]; i++)
        check_refused(hq_size_parse, no_size[i], "one of B, KiB, MiB, GiB, TiB");
    check_refused(hq_duration_parse, "", "no digit");
    check_refused(hq_duration_parse, "s", "no digit");
    check_refused(hq_duration_parse, "-1s", "no digit");
    check_refused(hq_duration_parse, " 1s", "no digit");
    check_refused(hq_size_parse, "+1MiB", "no digit");
}

static void
overflow_is_refused(void **state)
{
    (void)state;
    check_refused(hq_duration_parse, "18446744073709551616ms", "too large");
    check_refused(hq_duration_parse, "18446744073709551615s", "too large");
    check_refused(hq_duration_parse, "99999999999999999999999999999999d", "too large");
    check_refused(hq_size_parse, "16777216TiB", "too large");
    check_value(hq_size_parse, "16777215TiB", UINT64_C(16777215) << 40);
}

static void
text_is_short_and_exact(void **state)
{
    char text[HQ_UNITS_TEXT_MAX];

    (void)state;
    assert_string_equal(hq_duration_text(0, text), "0ms");
    assert_string_equal(hq_duration_text(1500, text), "1500ms");
    assert_string_equal(hq_duration_text(60000, text), "1min");
    assert_string_equal(hq_duration_text(5400000, text), "90min");
    assert_string_equal(hq_duration_text(86400000, text), "1d");
    assert_string_equal(hq_size_text(4097, text), "4097B");
    assert_string_equal(hq_size_text(UINT64_C(32) << 20, text), "32MiB");
    assert_string_equal(hq_size_text(UINT64_MAX, text), "18446744073709551615B");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_no_unit), cmocka_unit_test(durations_are_milliseconds),
        cmocka_unit_test(sizes_are_bytes),     cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(overflow_is_refused), cmocka_unit_test(text_is_short_and_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
