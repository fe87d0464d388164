/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void
messages_read_outermost_first(void **state)
{
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_fail(&err, HQ_E_TRANSIENT, "HTTP %d", 503), -1);
    assert_int_equal(hq_error_prefix(&err, "GET %s", "packs/9f"), -1);
    assert_int_equal(hq_error_prefix(&err, "restore %s", "base/16384/2619"), -1);
    assert_string_equal(err.message, "restore base/16384/2619: GET packs/9f: HTTP 503");
    assert_int_equal(err.code, HQ_E_TRANSIENT);
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.hint, "");
}

static void
a_new_failure_forgets_the_old_one(void **state)
{
    struct hq_error err;

    (void)state;
    (void)hq_fail_sys(&err, ENOENT, "open a");
    assert_int_equal(hq_error_hint(&err, "make it"), -1);
    (void)hq_error_hint(&err, "a later hint loses");
    assert_string_equal(err.hint, "make it");
    (void)hq_fail(&err, HQ_E_USAGE, "b");
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.hint, "");
    hq_error_clear(&err);
    assert_int_equal(err.code, HQ_E_OK);
    assert_string_equal(err.message, "");
}

static void
errno_decides_the_code(void **state)
{
    static const struct {
        int sys_errno;
        enum hq_code code;
    } rows[] = {
        {ENOSPC, HQ_E_NO_SPACE}, {EDQUOT, HQ_E_NO_SPACE}, {EACCES, HQ_E_REFUSED},
        {EPERM, HQ_E_REFUSED},   {EROFS, HQ_E_REFUSED},   {ENOENT, HQ_E_MISSING},
        {EEXIST, HQ_E_EXISTS},   {ENOMEM, HQ_E_NOMEM},    {EIO, HQ_E_SYS},
        {99999, HQ_E_SYS},
    };
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(hq_fail_sys(&err, rows[i].sys_errno, "open %s", "x"), -1);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(err.sys_errno, rows[i].sys_errno);
    }
    assert_string_equal(err.message, "open x: unknown error number");
    (void)hq_fail_sys(&err, ENOSPC, "write %s", "pack");
    assert_string_equal(err.message, "write pack: No space left on device");
}

static void
an_overlong_message_keeps_its_beginning(void **state)
{
    char text[3000];
    struct hq_error err;

    (void)state;
    memset(text, 'x', sizeof text);
    text[0] = 'A';
    text[sizeof text - 1] = '\0';
    (void)hq_fail(&err, HQ_E_SYS, "%s", text);
    assert_int_equal(strlen(err.message), HQ_ERROR_MESSAGE_MAX - 1);
    assert_int_equal(err.message[0], 'A');
    (void)hq_error_prefix(&err, "outer");
    assert_int_equal(strlen(err.message), HQ_ERROR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "outer: Axx", 10);
    (void)hq_error_hint(&err, "%s", text);
    assert_int_equal(strlen(err.hint), HQ_ERROR_HINT_MAX - 1);

    /* What the system said is the part an operator needs: it survives the cut. */
    (void)hq_fail_sys(&err, ENOSPC, "%s", text);
    assert_int_equal(strlen(err.message), HQ_ERROR_MESSAGE_MAX - 1);
    assert_non_null(strstr(err.message, "x: No space left on device"));
}

static void
a_cut_never_splits_a_character(void **state)
{
    char text[HQ_ERROR_MESSAGE_MAX + 8];
    struct hq_error err;

    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        size_t at = 0;

        while (at < shift)
            text[at++] = 'a';
        while (at + 3 < sizeof text) {
            memcpy(text + at, "\xE2\x82\xAC", 3);
            at += 3;
        }
        text[at] = '\0';
        (void)hq_fail(&err, HQ_E_SYS, "%s", text);
        assert_int_equal((strlen(err.message) - shift) % 3, 0);
        assert_true(strlen(err.message) >= HQ_ERROR_MESSAGE_MAX - 3);
    }
}

static void
control_characters_are_taken_out(void **state)
{
    struct hq_error err;

    (void)state;
    (void)hq_fail(&err, HQ_E_SERVER, "%s",
                  "a\nb\x1b[2J\x7f \xc2\x9b"
                  "31m\xc3\xa9\r\n\n");
    assert_string_equal(err.message, "a b [2J    31m\xc3\xa9");
}

static void
an_error_may_quote_itself(void **state)
{
    struct hq_error err;

    (void)state;
    (void)hq_fail(&err, HQ_E_SYS, "inner");
    (void)hq_error_prefix(&err, "saw '%s'", err.message);
    assert_string_equal(err.message, "saw 'inner': inner");
    (void)hq_fail(&err, HQ_E_PARTIAL, "because %s", err.message);
    assert_string_equal(err.message, "because saw 'inner': inner");
}

static void
the_list_has_no_doubles(void **state)
{
    static const enum hq_code codes[] = {
#define X(name, number, status, retry, meaning) HQ_E_##name,
        HQ_ERROR_CODES(X)
#undef X
    };
    const size_t count = sizeof codes / sizeof codes[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_in_range(hq_code_exit_status(codes[i]), 0, 125);
        assert_true(strlen(hq_code_meaning(codes[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
            assert_int_not_equal(hq_code_exit_status(codes[i]), hq_code_exit_status(codes[j]));
            assert_string_not_equal(hq_code_name(codes[i]), hq_code_name(codes[j]));
        }
    }
}

static void
the_list_is_looked_up(void **state)
{
    (void)state;
    assert_string_equal(hq_code_name(HQ_E_CORRUPT), "CORRUPT");
    assert_int_equal(hq_code_exit_status(HQ_E_CHECK), 1);
    assert_int_equal(hq_code_exit_status(HQ_E_OK), 0);
    assert_true(hq_code_retryable(HQ_E_BUSY));
    assert_false(hq_code_retryable(HQ_E_CORRUPT));
    assert_string_equal(hq_code_name((enum hq_code)4711), "INTERNAL");
    assert_int_equal(hq_code_exit_status((enum hq_code)4711), 70);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_read_outermost_first),
        cmocka_unit_test(a_new_failure_forgets_the_old_one),
        cmocka_unit_test(errno_decides_the_code),
        cmocka_unit_test(an_overlong_message_keeps_its_beginning),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(control_characters_are_taken_out),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(the_list_has_no_doubles),
        cmocka_unit_test(the_list_is_looked_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
