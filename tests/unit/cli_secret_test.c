/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/secret.h"

static char root[] = "/tmp/hq-secret-XXXXXX";
static char path[64];
static struct hq_error err;

static int
make_root(void **state)
{
    (void)state;
    if (mkdtemp(root) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/passphrase", root);
    return 0;
}

static int
remove_root(void **state)
{
    (void)state;
    return hq_io_remove_tree(root, &err);
}

/* Read a file of these bytes as the passphrase file. */
static int
read_bytes(const void *bytes, size_t len, mode_t mode, struct hq_buf *out)
{
    const struct hq_secret_source source = {.file = path};

    assert_int_equal(hq_io_replace(path, bytes, len, mode, &err), 0);
    return hq_secret_read(&source, out, &err);
}

static void
reads_as(const char *text, const char *wanted)
{
    HQ_AUTO(hq_secret_clear)
    struct hq_buf secret = {0};

    assert_int_equal(read_bytes(text, strlen(text), 0640, &secret), 0);
    assert_int_equal(secret.len, strlen(wanted));
    assert_memory_equal(secret.data, wanted, secret.len);
}

static void
a_file_holds_one_line(void **state)
{
    char longest[HQ_SECRET_MAX + 2];

    (void)state;
    reads_as("correct horse\n", "correct horse");
    reads_as("correct horse", "correct horse");
    reads_as("windows\r\n", "windows");
    reads_as(" blanks stay ", " blanks stay ");
    memset(longest, 'x', HQ_SECRET_MAX);
    longest[HQ_SECRET_MAX] = '\0';
    reads_as(longest, longest);
}

static void
bytes_refused(const void *bytes, size_t len, mode_t mode, enum hq_code code)
{
    struct hq_buf secret = {0};

    assert_int_equal(read_bytes(bytes, len, mode, &secret), -1);
    assert_int_equal(err.code, code);
    assert_null(secret.data);
    /* What was in the file is not in the message. */
    assert_null(strstr(err.message, "hunter"));
}

static void
other_files_are_refused(void **state)
{
    char big[HQ_SECRET_MAX + 10];
    struct hq_buf secret = {0};
    const struct hq_secret_source absent = {.file = "/nonexistent/file"};

    (void)state;
    memset(big, 'x', sizeof big);
    bytes_refused("", 0, 0600, HQ_E_CONFIG);
    bytes_refused("\n", 1, 0600, HQ_E_CONFIG);
    bytes_refused("hunter2\nmore\n", 13, 0600, HQ_E_CONFIG);
    bytes_refused("hunter\0two", 10, 0600, HQ_E_CONFIG);
    bytes_refused(big, HQ_SECRET_MAX + 1, 0600, HQ_E_CONFIG);
    bytes_refused(big, sizeof big, 0600, HQ_E_CONFIG);
    bytes_refused("hunter2", 7, 0644, HQ_E_REFUSED);
    assert_memory_equal(err.hint, "chmod o= ", 9);
    assert_int_equal(hq_secret_read(&absent, &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
}

static void
the_environment_names_a_file(void **state)
{
    const struct hq_secret_source source = {.variable = "HQ_TEST_PASSPHRASE_FILE"};
    struct hq_buf secret = {0};

    (void)state;
    assert_int_equal(hq_io_replace(path, "from file\n", 10, 0600, &err), 0);
    assert_int_equal(setenv("HQ_TEST_PASSPHRASE_FILE", path, 1), 0);
    assert_int_equal(hq_secret_read(&source, &secret, &err), 0);
    assert_memory_equal(secret.data, "from file", 9);
    hq_secret_clear(&secret);
    assert_null(secret.data);
    hq_secret_clear(&secret);
    hq_secret_clear(NULL);

    assert_int_equal(setenv("HQ_TEST_PASSPHRASE_FILE", "/nonexistent/file", 1), 0);
    assert_int_equal(hq_secret_read(&source, &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_memory_equal(err.message, "$HQ_TEST_PASSPHRASE_FILE: ", 26);
    assert_int_equal(setenv("HQ_TEST_PASSPHRASE_FILE", "", 1), 0);
    assert_int_equal(hq_secret_read(&source, &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_string_equal(
        err.hint,
        "give --passphrase-file FILE, or let $HQ_TEST_PASSPHRASE_FILE name a file that holds the "
        "passphrase");
}

/* In a child on a terminal of its own: ask, and end with 0 when "secret" was typed. */
static int
ask(bool twice)
{
    const struct hq_secret_source source = {.prompt = "Passphrase", .twice = twice};
    struct hq_buf secret = {0};
    int rc = hq_secret_read(&source, &secret, &err);

    if (rc == 0)
        rc = secret.len == 6 && memcmp(secret.data, "secret", 6) == 0 ? 0 : 99;
    else
        rc = hq_code_exit_status(err.code);
    hq_secret_clear(&secret);
    return rc;
}

struct dialogue {
    pid_t child;
    int master;
    char shown[4096];
    size_t len;
};

static bool
has_echo(int fd)
{
    struct termios settings;

    assert_int_equal(tcgetattr(fd, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
}

static void
dialogue_begin(struct dialogue *d, bool twice)
{
    memset(d, 0, sizeof *d);
    d->child = forkpty(&d->master, NULL, NULL, NULL);
    assert_true(d->child >= 0);
    if (d->child == 0)
        _exit(ask(twice));
}

/* Wait until the terminal shows @p text. */
static void
shows(struct dialogue *d, const char *text)
{
    while (strstr(d->shown, text) == NULL) {
        ssize_t n = read(d->master, d->shown + d->len, sizeof d->shown - 1 - d->len);

        if (n <= 0)
            fail_msg("ended without \"%s\": \"%s\"", text, d->shown);
        d->len += (size_t)n;
    }
    d->len = 0;
    memset(d->shown, 0, sizeof d->shown);
}

static void
type(const struct dialogue *d, const char *text)
{
    assert_int_equal(write(d->master, text, strlen(text)), strlen(text));
}

/* How the child ended; what was typed must not have been shown, and the echo is on again. */
static int
dialogue_end(struct dialogue *d)
{
    int status;

    while (d->len < sizeof d->shown - 1) {
        ssize_t n = read(d->master, d->shown + d->len, sizeof d->shown - 1 - d->len);

        if (n <= 0)
            break;
        d->len += (size_t)n;
    }
    assert_null(strstr(d->shown, "secret"));
    assert_int_equal(waitpid(d->child, &status, 0), d->child);
    assert_true(has_echo(d->master));
    (void)close(d->master);
    return status;
}

static void
a_person_is_asked_without_echo(void **state)
{
    struct dialogue d;

    (void)state;
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    assert_false(has_echo(d.master));
    type(&d, "secret\n");
    assert_int_equal(dialogue_end(&d), 0);
}

static void
a_new_passphrase_is_asked_for_twice(void **state)
{
    struct dialogue d;

    (void)state;
    dialogue_begin(&d, true);
    shows(&d, "Passphrase: ");
    type(&d, "secret\n");
    shows(&d, "Again: ");
    type(&d, "secret\n");
    assert_int_equal(dialogue_end(&d), 0);
    dialogue_begin(&d, true);
    shows(&d, "Passphrase: ");
    type(&d, "secret\n");
    shows(&d, "Again: ");
    type(&d, "secreT\n");
    assert_int_equal(WEXITSTATUS(dialogue_end(&d)), 2);
}

static void
no_answer_is_no_passphrase(void **state)
{
    char longest[HQ_SECRET_MAX + 3];
    struct dialogue d;

    (void)state;
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    type(&d, "\n");
    assert_int_equal(WEXITSTATUS(dialogue_end(&d)), 12);
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    type(&d, "\x04");
    assert_int_equal(WEXITSTATUS(dialogue_end(&d)), 12);
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    memset(longest, 'x', sizeof longest - 2);
    longest[sizeof longest - 2] = '\n';
    longest[sizeof longest - 1] = '\0';
    type(&d, longest);
    assert_int_equal(WEXITSTATUS(dialogue_end(&d)), 2);
}

static void
a_signal_leaves_the_terminal_as_it_was(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct dialogue d;
    int status;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        dialogue_begin(&d, false);
        shows(&d, "Passphrase: ");
        type(&d, "sec");
        assert_int_equal(kill(d.child, numbers[i]), 0);
        status = dialogue_end(&d);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
    }
    /* As typed. */
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    type(&d, "\x03");
    status = dialogue_end(&d);
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static void
a_stopped_dialogue_goes_on(void **state)
{
    struct dialogue d;
    int status;

    (void)state;
    dialogue_begin(&d, false);
    shows(&d, "Passphrase: ");
    type(&d, "sec");
    assert_int_equal(kill(d.child, SIGTSTP), 0);
    /* A session leader's orphaned group is not stopped by SIGTSTP; then it asks again at once. */
    shows(&d, "Passphrase: ");
    type(&d, "secret\n");
    status = dialogue_end(&d);
    assert_int_equal(status, 0);
}

static void
without_a_terminal_nobody_is_asked(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        (void)setsid();
        _exit(ask(false));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 12);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_holds_one_line),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(the_environment_names_a_file),
        cmocka_unit_test(a_person_is_asked_without_echo),
        cmocka_unit_test(a_new_passphrase_is_asked_for_twice),
        cmocka_unit_test(no_answer_is_no_passphrase),
        cmocka_unit_test(a_signal_leaves_the_terminal_as_it_was),
        cmocka_unit_test(a_stopped_dialogue_goes_on),
        cmocka_unit_test(without_a_terminal_nobody_is_asked),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
