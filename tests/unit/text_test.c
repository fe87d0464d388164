/* Paths and hexadecimal numbers as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

static struct hq_error err;

static void
joined_as(const char *a, const char *b, const char *wanted)
{
    HQ_FREE char *path = hq_path_join(a, b, &err);

    assert_string_equal(path, wanted);
}

static void
paths_have_one_slash_between(void **state)
{
    (void)state;
    joined_as("a", "b", "a/b");
    joined_as("a//", "//b", "a/b");
    joined_as("/", "b", "/b");
    joined_as("a", "", "a/");
}

static void
hexadecimal_has_one_spelling(void **state)
{
    const uint8_t bytes[] = {0x00, 0x9F, 0xFF};
    uint8_t back[3];
    char text[7];

    (void)state;
    assert_string_equal(hq_hex_encode(bytes, 3, text), "009fff");
    assert_int_equal(hq_hex_decode(text, 6, back, 3), 0);
    assert_memory_equal(back, bytes, 3);
    assert_int_equal(hq_hex_decode("009FFF", 6, back, 3), -1);
    assert_int_equal(hq_hex_decode("009ff", 5, back, 3), -1);
    assert_int_equal(hq_hex_decode("009fff0", 7, back, 3), -1);
    assert_int_equal(hq_hex_decode("009fff00", 8, back, 3), -1);
    assert_int_equal(hq_hex_decode("0g9fff", 6, back, 3), -1);
    assert_int_equal(hq_hex_decode("", 0, back, 0), 0);
    assert_string_equal(hq_hex_encode(NULL, 0, text), "");
}

static void
paths_become_absolute(void **state)
{
    char here[PATH_MAX], *path;

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(hq_path_absolute("a/b", &path, &err), 0);
    joined_as(here, "a/b", path);
    free(path);
    assert_int_equal(hq_path_absolute("/a/../b", &path, &err), 0);
    assert_string_equal(path, "/a/../b");
    free(path);
    assert_int_equal(hq_path_absolute(NULL, &path, &err), 0);
    assert_null(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_one_slash_between),
        cmocka_unit_test(hexadecimal_has_one_spelling),
        cmocka_unit_test(paths_become_absolute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
