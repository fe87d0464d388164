/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"

/* Where LeakSanitizer needs ptrace, the process stays dumpable. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_LEAK_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_LEAK_SANITIZER 1
#endif
#endif

/* What a child wrote, and how it ended. */
static char out_text[8192];
static char err_text[8192];
static int status;

static void
read_all(int fd, char *text, size_t size)
{
    ssize_t len = pread(fd, text, size - 1, 0);

    assert_true(len >= 0);
    text[len] = '\0';
    (void)close(fd);
}

static int
unnamed_file(void)
{
    char path[] = "/tmp/hq-output-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    (void)unlink(path);
    return fd;
}

/* Run @p body in a child whose standard output is @p out_fd, or captured when it is -1. */
static void
in_child(int (*body)(void), int out_fd)
{
    int captured_out = unnamed_file(), captured_err = unnamed_file();
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(out_fd >= 0 ? out_fd : captured_out, STDOUT_FILENO);
        (void)dup2(captured_err, STDERR_FILENO);
        status = body();
        (void)fflush(NULL);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    read_all(captured_out, out_text, sizeof out_text);
    read_all(captured_err, err_text, sizeof err_text);
}

static int
fail_in_text(void)
{
    struct hq_error err;

    hq_cli_setup("hq-restore");
    (void)hq_fail(&err, HQ_E_MISSING, "pack \x1b[31m9f \xff");
    (void)hq_error_hint(&err, "run verify");
    hq_cli_warn("careful:\n%d", 7);
    return hq_cli_fail(&err);
}

static void
a_failure_is_told_with_its_hint(void **state)
{
    (void)state;
    in_child(fail_in_text, -1);
    assert_int_equal(WEXITSTATUS(status), 8);
    assert_string_equal(out_text, "");
    assert_string_equal(err_text, "hq-restore: careful: 7\n"
                                  "hq-restore: pack  [31m9f \xEF\xBF\xBD\nhint: run verify\n");
}

static int
fail_in_json(void)
{
    hq_cli_set_json(true);
    return fail_in_text();
}

static void
a_failure_is_one_json_object(void **state)
{
    json_t *root, *error;

    (void)state;
    in_child(fail_in_json, -1);
    assert_int_equal(WEXITSTATUS(status), 8);
    root = json_loads(out_text, 0, NULL);
    error = json_object_get(root, "error");
    assert_non_null(error);
    assert_string_equal(json_string_value(json_object_get(error, "code")), "MISSING");
    assert_int_equal(json_integer_value(json_object_get(error, "number")), 7);
    assert_int_equal(json_integer_value(json_object_get(error, "exit_status")), 8);
    assert_string_equal(json_string_value(json_object_get(error, "hint")), "run verify");
    assert_string_equal(json_string_value(json_object_get(error, "message")),
                        "pack  [31m9f \xEF\xBF\xBD");
    json_decref(root);
}

static int
fail_after_a_result(void)
{
    struct hq_error err;
    json_t *object = json_pack("{s:b}", "ok", 0);
    int rc;

    hq_cli_set_json(true);
    rc = hq_cli_print_json(object, &err);
    json_decref(object);
    return rc == 0 ? fail_in_text() : rc;
}

static void
a_result_is_the_only_json_object(void **state)
{
    (void)state;
    in_child(fail_after_a_result, -1);
    assert_int_equal(WEXITSTATUS(status), 8);
    assert_string_equal(out_text, "{\n  \"ok\": false\n}\n");
    assert_non_null(strstr(err_text, "hint: run verify"));
}

static int
print_something(void)
{
    struct hq_error err;
    json_t *object = json_pack("{s:i}", "a", 1);
    int rc;

    hq_cli_setup("hq-test");
    rc = hq_cli_print_json(object, &err);
    json_decref(object);
    if (rc == 0)
        rc = hq_cli_flush(&err);
    return rc == 0 ? 0 : hq_cli_fail(&err);
}

static void
lost_output_is_a_failure(void **state)
{
    int full = open("/dev/full", O_WRONLY);
    int ends[2];

    (void)state;
    in_child(print_something, -1);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(out_text, "{\n  \"a\": 1\n}\n");
    in_child(print_something, full);
    assert_int_equal(WEXITSTATUS(status), 6);
    (void)close(full);
    /* But a reader that has enough is none. */
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    in_child(print_something, ends[1]);
    (void)close(ends[1]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int
report_setup(void)
{
    struct rlimit core;
    struct hq_error err;

    hq_cli_setup("hq-test");
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
        return 20;
    if (umask(0) != 077)
        return 21;
#ifndef UNDER_LEAK_SANITIZER
    if (prctl(PR_GET_DUMPABLE) != 0)
        return 22;
#endif
    if (*hq_cli_stop() != 0 || hq_cli_check_stop(&err) != 0)
        return 23;
    (void)raise(SIGTERM);
    (void)raise(SIGTERM);
    if (*hq_cli_stop() != SIGTERM || hq_cli_check_stop(&err) == 0)
        return 24;
    (void)puts(err.message);
    return hq_cli_fail(&err);
}

static void
setup_hardens_and_hears_signals(void **state)
{
    (void)state;
    in_child(report_setup, -1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 18);
    assert_string_equal(out_text, "stopped by SIGTERM\n");
}

static int
ignore_one_interrupt(void)
{
    hq_cli_setup("hq-test");
    (void)raise(SIGINT);
    (void)raise(SIGINT);
    return 0;
}

static void
a_second_interrupt_ends_the_process(void **state)
{
    (void)state;
    in_child(ignore_one_interrupt, -1);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static int
run_failing(const struct hq_command_line *line, struct hq_error *err)
{
    (void)line;
    return hq_fail(err, HQ_E_CHECK, "answered no");
}

static int
run_whole_program(void)
{
    static const struct hq_command commands[] = {{.name = "ask", .run = run_failing}, {0}};
    const struct hq_program program = {.name = "hq-x", .summary = "x", .commands = commands};
    char *argv[] = {(char[]){"hq-x"}, (char[]){"ask"}, NULL};

    return hq_cli_main(&program, 2, argv);
}

static int
run_whole_version(void)
{
    static const struct hq_command commands[] = {{.name = "ask", .run = run_failing}, {0}};
    const struct hq_program program = {.name = "hq-x", .summary = "x", .commands = commands};
    char *argv[] = {(char[]){"hq-x"}, (char[]){"--version"}, NULL};

    return hq_cli_main(&program, 2, argv);
}

static void
main_returns_the_status_of_the_code(void **state)
{
    (void)state;
    in_child(run_whole_program, -1);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_string_equal(err_text, "hq-x: answered no\n");
    in_child(run_whole_version, -1);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(out_text, "hq-x " HQ_VERSION "\n");
}

static void
sizes_are_short(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.0 KiB"},
        {1024, "1.0 KiB"},
        {1234, "1.2 KiB"},
        {102348, "99.9 KiB"},
        {102349, "100 KiB"},
        {1023487, "999 KiB"},
        {1023488, "1.0 MiB"},
        {UINT64_C(1288490189), "1.2 GiB"},
        {UINT64_C(1) << 50, "1.0 PiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char text[HQ_BYTES_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(hq_bytes_format(rows[i].bytes, text), rows[i].text);
}

static void
json_takes_any_file_name(void **state)
{
    static const struct {
        const char *name, *wanted;
    } rows[] = {
        {"", ""},
        {"a\xc3\xa9", "a\xc3\xa9"},
        {"a\xc3", "a\xEF\xBF\xBD"},
        {"\xff/\xe2\x82\xac\xed\xa0\x80", "\xEF\xBF\xBD/\xe2\x82\xac\xEF\xBF\xBD\xEF\xBF\xBD"
                                          "\xEF\xBF\xBD"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *text = hq_json_text(rows[i].name);

        assert_string_equal(json_string_value(text), rows[i].wanted);
        json_decref(text);
    }
}

static void
tables_are_aligned(void **state)
{
    static const struct hq_column columns[] = {
        {"name", HQ_COLUMN_LEFT}, {"bytes", HQ_COLUMN_RIGHT}, {"note", HQ_COLUMN_LEFT}};
    struct hq_error err;
    struct hq_table *table = hq_table_new(columns, 3, &err);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(table);
    hq_table_row(table, (const char *const[]){"m\xc3\xbcnchen", "1", ""});
    hq_table_row(table, (const char *const[]){"a\x1b", "1234567", NULL});
    assert_int_equal(hq_table_print(table, out, &err), 0);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "name       bytes  note\n"
                              "m\xc3\xbcnchen        1\n"
                              "a?       1234567  -\n");
    hq_table_free(table);
    hq_table_free(NULL);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_with_its_hint),
        cmocka_unit_test(a_failure_is_one_json_object),
        cmocka_unit_test(a_result_is_the_only_json_object),
        cmocka_unit_test(lost_output_is_a_failure),
        cmocka_unit_test(setup_hardens_and_hears_signals),
        cmocka_unit_test(a_second_interrupt_ends_the_process),
        cmocka_unit_test(main_returns_the_status_of_the_code),
        cmocka_unit_test(sizes_are_short),
        cmocka_unit_test(json_takes_any_file_name),
        cmocka_unit_test(tables_are_aligned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
