/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int saved_stderr = -1;
static int log_fd = -1;
static char captured[1 << 20];

/* Send standard error to an unnamed file until captured_text(). */
static void
capture(enum hq_log_level least, enum hq_log_format format)
{
    char path[] = "/tmp/hq-log-XXXXXX";

    log_fd = mkstemp(path);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(log_fd >= 0 && saved_stderr >= 0);
    (void)unlink(path);
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
    hq_log_setup(least, format);
}

static const char *
captured_text(void)
{
    ssize_t len = pread(log_fd, captured, sizeof captured - 1, 0);

    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(log_fd);
    assert_true(len >= 0);
    captured[len] = '\0';
    return captured;
}

/* The line behind its time stamp, which differs every time. */
static const char *
after_time(const char *line, const char *start)
{
    assert_memory_equal(line, start, strlen(start));
    line = strchr(line, 'Z');
    assert_non_null(line);
    return line + 1;
}

static void
fields_are_logfmt(void **state)
{
    (void)state;
    capture(HQ_LOG_INFO, HQ_LOG_LOGFMT);
    hq_log(HQ_LOG_INFO, "wal part stored", HQ_F_TEXT("segment", "000000010000000000000001"),
           HQ_F_U64("bytes", UINT64_MAX), HQ_F_I64("lag", INT64_MIN),
           HQ_F_LSN("lsn", UINT64_C(0x16B3748)), HQ_F_TEXT("none", NULL),
           HQ_F_TEXT("odd", "a=\"b\\c\""));
    assert_string_equal(after_time(captured_text(), "time="),
                        " level=info message=\"wal part stored\" segment=000000010000000000000001 "
                        "bytes=18446744073709551615 lag=-9223372036854775808 lsn=0/16B3748 "
                        "none=\"\" odd=\"a=\\\"b\\\\c\\\"\"\n");
}

static void
fields_are_json(void **state)
{
    (void)state;
    capture(HQ_LOG_INFO, HQ_LOG_JSON);
    hq_log(HQ_LOG_WARNING, "a\nb", HQ_F_U64("n", 7), HQ_F_LSN("lsn", UINT64_C(0xAB00000001)),
           HQ_F_TEXT("t", "\x1b[31m\x7f \xc2\x9b \xff\xc3 \xed\xa0\x80 \xe2\x82\xac"));
    assert_string_equal(after_time(captured_text(), "{\"time\":\""),
                        "\",\"level\":\"warning\",\"message\":\"a\\nb\",\"n\":7,\"lsn\":\"AB/1\","
                        "\"t\":\"\\u001b[31m\\u007f \\u009b \xEF\xBF\xBD\xEF\xBF\xBD "
                        "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xe2\x82\xac\"}\n");
}

static void
quiet_levels_are_left_out(void **state)
{
    (void)state;
    capture(HQ_LOG_WARNING, HQ_LOG_LOGFMT);
    hq_log(HQ_LOG_DEBUG, "no");
    hq_log(HQ_LOG_INFO, "no");
    errno = EXDEV;
    hq_log(HQ_LOG_ERROR, "yes");
    assert_int_equal(errno, EXDEV);
    assert_string_equal(after_time(captured_text(), "time="), " level=error message=yes\n");
}

static void
an_error_is_logged_with_its_hint(void **state)
{
    struct hq_error err;

    (void)state;
    (void)hq_fail(&err, HQ_E_REGION, "eu is not us");
    capture(HQ_LOG_INFO, HQ_LOG_LOGFMT);
    hq_log_error(HQ_LOG_ERROR, "backup failed", &err);
    assert_string_equal(after_time(captured_text(), "time="),
                        " level=error message=\"backup failed\" code=REGION "
                        "error=\"eu is not us\"\n");
    (void)hq_error_hint(&err, "move");
    capture(HQ_LOG_INFO, HQ_LOG_LOGFMT);
    hq_log_error(HQ_LOG_ERROR, "backup failed", &err);
    assert_non_null(strstr(captured_text(), " error=\"eu is not us\" hint=move\n"));
}

/* Whatever is too long, the line ends as a line of its format does. */
static void
overlong_lines_stay_whole(void **state)
{
    char text[9000];

    (void)state;
    for (size_t len = 3900; len < 4200; len++) {
        const char *line;

        memset(text, '\x01', len);
        memset(text, 'x', len - 100);
        text[len] = '\0';
        capture(HQ_LOG_INFO, HQ_LOG_JSON);
        hq_log(HQ_LOG_INFO, "m", HQ_F_TEXT("long", text), HQ_F_TEXT("last", "y"),
               HQ_F_U64("n", UINT64_MAX));
        line = captured_text();
        assert_true(strlen(line) <= 4096);
        assert_string_equal(line + strlen(line) - 2, "}\n");
        assert_null(strstr(line, "\"\"}"));
        assert_true(line[strlen(line) - 3] == '"' || line[strlen(line) - 3] == '5');
        if (len > 4100)
            assert_string_equal(line + strlen(line) - 3, "\"}\n");
    }
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture(HQ_LOG_INFO, HQ_LOG_LOGFMT);
    hq_log(HQ_LOG_INFO, text, HQ_F_TEXT("a", text));
    assert_string_equal(captured_text() + strlen(captured) - 3, "x\"\n");
}

static void *
log_many(void *arg)
{
    for (unsigned i = 0; i < 500; i++)
        hq_log(HQ_LOG_INFO, "line", HQ_F_TEXT("who", arg), HQ_F_U64("i", i), HQ_F_TEXT("z", "end"));
    return NULL;
}

static void
threads_do_not_mix_lines(void **state)
{
    static char name[] = "abc";
    pthread_t threads[3];
    size_t lines = 0;
    char *rest;

    (void)state;
    capture(HQ_LOG_INFO, HQ_LOG_LOGFMT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, name + i), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)captured_text();
    for (char *line = strtok_r(captured, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest), lines++) {
        assert_memory_equal(line, "time=", 5);
        assert_memory_equal(line + strlen(line) - 6, " z=end", 6);
    }
    assert_int_equal(lines, 1500);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_logfmt),
        cmocka_unit_test(fields_are_json),
        cmocka_unit_test(quiet_levels_are_left_out),
        cmocka_unit_test(an_error_is_logged_with_its_hint),
        cmocka_unit_test(overlong_lines_stay_whole),
        cmocka_unit_test(threads_do_not_mix_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
