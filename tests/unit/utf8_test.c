/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/utf8.h"

static void
characters_have_their_length(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(hq_utf8_length(rows[i].text), rows[i].length);
}

static void
other_bytes_are_no_character(void **state)
{
    static const char *const texts[] = {
        "\x80",             /* a middle without a beginning */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3", /* the end comes too early, in each place */
        "\xe2\x82",
        "\xe2",
        "\xf0\x9f\x98",
        "\xf0\x9f",
        "\xf0",
        "\xc3(",
        "\xe2\x82(",
        "\xf0\x9f\x98(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(hq_utf8_length(texts[i]), 0);
}

static void
control_characters_are_known(void **state)
{
    (void)state;
    assert_true(hq_utf8_is_control("\n", 1));
    assert_true(hq_utf8_is_control("\x1f", 1));
    assert_true(hq_utf8_is_control("\x7f", 1));
    assert_true(hq_utf8_is_control("\xc2\x80", 2));
    assert_true(hq_utf8_is_control("\xc2\x9f", 2));
    assert_false(hq_utf8_is_control("\xc2\xa0", 2));
    assert_false(hq_utf8_is_control(" ", 1));
    assert_false(hq_utf8_is_control("\xe2\x82\xac", 3));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_their_length),
        cmocka_unit_test(other_bytes_are_no_character),
        cmocka_unit_test(control_characters_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
