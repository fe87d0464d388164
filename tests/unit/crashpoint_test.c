/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"

#ifdef HQ_CRASH_POINTS

/* Pass a, b, a, ab, a in a child with HQ_CRASH_POINT=@p wanted. @return its wait status. */
static int
status_of(const char *wanted, const char *list)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("HQ_CRASH_POINT", wanted, 1);
        (void)unsetenv("HQ_CRASH_LIST");
        if (list != NULL)
            (void)setenv("HQ_CRASH_LIST", list, 1);
        HQ_CRASH_POINT("a");
        HQ_CRASH_POINT("b");
        HQ_CRASH_POINT("a");
        HQ_CRASH_POINT("ab");
        HQ_CRASH_POINT("a");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
the_nth_passage_kills(void **state)
{
    (void)state;
    assert_int_equal(status_of("a", NULL), SIGKILL);
    assert_int_equal(status_of("a:3", NULL), SIGKILL);
    assert_int_equal(status_of("ab", NULL), SIGKILL);
    assert_int_equal(status_of("a:4", NULL), 0);
    assert_int_equal(status_of("b:2", NULL), 0);
    assert_int_equal(status_of("a:0", NULL), 0);
    assert_int_equal(status_of("c", NULL), 0);
    assert_int_equal(status_of("", NULL), 0);
}

static void
each_label_is_listed_once(void **state)
{
    char path[] = "/tmp/hq-crash-XXXXXX";
    int fd = mkstemp(path);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    struct hq_error err;

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(status_of("c", path), 0);
    /* A label is listed before it kills. */
    assert_int_equal(status_of("b", path), SIGKILL);
    assert_int_equal(hq_io_read_file(path, 1000, &b, &err), 0);
    (void)unlink(path);
    assert_string_equal(hq_buf_text(&b), "a\nb\nab\na\nb\n");
}

#else

static void
points_are_nothing(void **state)
{
    (void)state;
    (void)setenv("HQ_CRASH_POINT", "a", 1);
    HQ_CRASH_POINT("a");
}

#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef HQ_CRASH_POINTS
        cmocka_unit_test(the_nth_passage_kills),
        cmocka_unit_test(each_label_is_listed_once),
#else
        cmocka_unit_test(points_are_nothing),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
