/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/progress.h"
#include "progress_internal.h"

#define MIB UINT64_C(1048576)

static void
lines_say_how_far_it_is(void **state)
{
    struct hq_progress_state s = {.label = "restore",
                                  .done = 256 * MIB,
                                  .total = 1024 * MIB,
                                  .elapsed_us = 8000000,
                                  .per_second = 32 * MIB};
    char text[HQ_PROGRESS_LINE_MAX];

    (void)state;
    assert_string_equal(hq_progress_line(&s, text),
                        "restore: 25%, 256 MiB of 1.0 GiB in 8.0 s, 32.0 MiB/s, 24.0 s left");
    assert_string_equal(hq_progress_bar(&s, 120, text),
                        "restore [######..................] 25%, 256 MiB of 1.0 GiB in 8.0 s, "
                        "32.0 MiB/s, 24.0 s left");
    s.saying = "waiting for WAL up to 0/22000000";
    assert_string_equal(hq_progress_line(&s, text),
                        "restore: waiting for WAL up to 0/22000000, 8.0 s");
    assert_string_equal(hq_progress_bar(&s, 120, text),
                        "restore: waiting for WAL up to 0/22000000, 8.0 s");
    s.saying = "";
    s.total = 0;
    assert_string_equal(hq_progress_line(&s, text), "restore: 256 MiB in 8.0 s, 32.0 MiB/s");
    assert_string_equal(hq_progress_last(&s, "done", text),
                        "restore: done, 256 MiB in 8.0 s, 32.0 MiB/s");
}

static void
nothing_is_said_that_is_not_known(void **state)
{
    struct hq_progress_state s = {.label = "x", .total = 1000};
    char text[HQ_PROGRESS_LINE_MAX];

    (void)state;
    /* Nothing done yet: no rate, no forecast. */
    assert_string_equal(hq_progress_line(&s, text), "x: 0%, 0 B of 1.0 KiB in 0 ms, 0 B/s");
    s.done = 999;
    s.total = 1000;
    assert_memory_equal(hq_progress_line(&s, text), "x: 99%", 6);
    s.done = 2000;
    s.per_second = 5;
    assert_memory_equal(hq_progress_line(&s, text), "x: 100%", 7);
    assert_null(strstr(text, "left"));
    /* A stall is no forecast of years. */
    s = (struct hq_progress_state){.label = "x", .total = UINT64_MAX, .done = 1, .per_second = 1};
    assert_null(strstr(hq_progress_line(&s, text), "left"));
}

static void
a_narrow_terminal_gets_one_line(void **state)
{
    const struct hq_progress_state s = {
        .label = "restore", .done = 1, .total = 2 * MIB, .elapsed_us = 1, .per_second = 1};
    char text[HQ_PROGRESS_LINE_MAX];

    (void)state;
    for (size_t columns = 1; columns < 200; columns++)
        assert_true(strlen(hq_progress_bar(&s, columns, text)) < columns);
    assert_null(strchr(hq_progress_bar(&s, 60, text), '['));
}

static struct hq_progress *
progress_on(int fd, uint64_t total, bool quiet, int64_t every_ms)
{
    const struct hq_progress_options options = {
        .label = "restore", .total = total, .quiet = quiet, .fd = fd, .every_ms = every_ms};
    struct hq_error err;
    struct hq_progress *p = hq_progress_new(&options, &err);

    assert_non_null(p);
    return p;
}

/* What is there to read now. */
static const char *
read_now(int fd)
{
    static char text[4096];
    ssize_t len = read(fd, text, sizeof text - 1);

    assert_true(len >= 0 || errno == EAGAIN);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

/* Read until @p wanted has come; all that came. A machine under load may take its time. */
static const char *
read_until(int fd, const char *wanted)
{
    static char text[1 << 20];
    size_t len = 0;

    text[0] = '\0';
    while (strstr(text, wanted) == NULL) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        ssize_t n = -1;

        if (poll(&readable, 1, 10000) == 1)
            n = read(fd, text + len, sizeof text - 1 - len);
        if (n <= 0)
            fail_msg("no \"%s\" in \"%s\"", wanted, text);
        len += (size_t)n;
        text[len] = '\0';
    }
    return text;
}

static void
elsewhere_lines_are_plain_and_few(void **state)
{
    struct hq_progress *p;
    const char *text;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    p = progress_on(ends[1], 4 * MIB, false, 0);
    hq_progress_add(p, MIB);
    (void)hq_clock_sleep_ms(50, NULL);
    assert_string_equal(read_now(ends[0]), "");
    hq_progress_add(p, 2 * MIB);
    hq_progress_end(p, false);
    text = read_now(ends[0]);
    assert_memory_equal(text, "restore: stopped, 3.0 MiB in ", 29);
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));

    p = progress_on(ends[1], 0, false, 20);
    hq_progress_reach(p, MIB, 20 * MIB);
    hq_progress_reach(p, 0, 10 * MIB); /* a second try begins anew, the line does not go back */
    (void)read_until(ends[0], "restore: 10%, 1.0 MiB of 10.0 MiB in ");
    hq_progress_end(p, true);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
quiet_is_silent(void **state)
{
    struct hq_progress *p;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    p = progress_on(ends[1], MIB, true, 1);
    hq_progress_add(p, MIB);
    hq_progress_end(p, true);
    hq_progress_end(NULL, true);
    assert_string_equal(read_now(ends[0]), "");
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
a_terminal_is_redrawn(void **state)
{
    const struct winsize size = {.ws_row = 24, .ws_col = 100};
    struct hq_progress *p;
    const char *text;
    int master, slave;

    (void)state;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    p = progress_on(slave, 4 * MIB, false, 10);
    hq_progress_add(p, MIB);
    assert_memory_equal(read_until(master, "[######..................] 25%, 1.0 MiB of"),
                        "\rrestore [", 10);
    /* The cursor goes back, so that a log line covers the bar. */
    (void)read_until(master, "left\033[K\r\rrestore [");
    hq_progress_end(p, true);
    text = read_until(master, "\n");
    assert_non_null(strstr(text, "\rrestore: done, 1.0 MiB in "));
    assert_string_equal(text + strlen(text) - 5, "\033[K\r\n");
    (void)close(master);
    (void)close(slave);
}

static void *
add_many(void *p)
{
    /* Less than nothing wraps around: what is left is few enough to be shown to the byte. */
    for (int i = 0; i < 10000; i++)
        hq_progress_add(p, i % 2 == 0 ? 3 : UINT64_MAX - 2);
    hq_progress_add(p, 3);
    return NULL;
}

static void
threads_add_up(void **state)
{
    struct hq_progress *p;
    pthread_t threads[4];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    p = progress_on(ends[1], 0, false, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, p), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    hq_progress_end(p, true);
    assert_memory_equal(read_now(ends[0]), "restore: done, 12 B in ", 23);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_how_far_it_is),
        cmocka_unit_test(nothing_is_said_that_is_not_known),
        cmocka_unit_test(a_narrow_terminal_gets_one_line),
        cmocka_unit_test(elsewhere_lines_are_plain_and_few),
        cmocka_unit_test(quiet_is_silent),
        cmocka_unit_test(a_terminal_is_redrawn),
        cmocka_unit_test(threads_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
