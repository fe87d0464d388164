#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "control_internal.h"

/* A server with its state directory, and operations that say what they were told. */
struct site_fixture {
    char directory[64];
    struct hq_config config;
    struct hq_site site;
    struct hq_control *control;
    pthread_barrier_t both; /* of two askers of "wait" */
};

static void
do_echo(void *context, const char *argument, struct hq_control_reply *reply)
{
    json_t *body = json_pack("{s:s}", "argument", argument);

    (void)context;
    hq_control_answer(reply, NULL, body);
    hq_control_answer(reply, NULL, NULL); /* not sent */
    json_decref(body);
}

static void
do_fail(void *context, const char *argument, struct hq_control_reply *reply)
{
    struct hq_error err = {0};

    (void)context;
    hq_fail(&err, HQ_E_EXISTS, "%s is there", argument);
    hq_error_hint(&err, "take another");
    hq_control_answer(reply, &err, NULL);
}

static void
do_nothing(void *context, const char *argument, struct hq_control_reply *reply)
{
    (void)context;
    (void)argument;
    (void)reply;
}

static void
do_wait(void *context, const char *argument, struct hq_control_reply *reply)
{
    struct site_fixture *f = context;

    (void)argument;
    pthread_barrier_wait(&f->both);
    pthread_barrier_wait(&f->both);
    hq_control_answer(reply, NULL, NULL);
}

static const struct hq_control_operation operations[] = {
    {"echo", do_echo, HQ_CONTROL_THREADS},
    {"fail", do_fail, 1},
    {"nothing", do_nothing, 1},
    {"wait", do_wait, 1},
    {0},
};

static int
setup(void **state)
{
    struct site_fixture *f = calloc(1, sizeof *f);
    struct hq_error err = {0};

    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/hq-control.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->config.state_directory = f->directory;
    f->config.cluster.name = (char *)(uintptr_t) "main";
    f->site.config = &f->config;
    assert_int_equal(pthread_barrier_init(&f->both, NULL, 2), 0);
    if (hq_control_start(&f->site, operations, f, &f->control, &err) != 0)
        fail_msg("%s", err.message);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct site_fixture *f = *state;
    struct hq_error err;

    hq_control_stop(f->control);
    pthread_barrier_destroy(&f->both);
    assert_int_equal(hq_io_remove_tree(f->directory, &err), 0);
    free(f);
    return 0;
}

static int
ask(struct site_fixture *f, const char *operation, const char *argument, json_t **body,
    struct hq_error *err)
{
    *err = (struct hq_error){0};
    return hq_control_ask(&f->config, operation, argument, 5000, NULL, body, err);
}

static void
answers(void **state)
{
    struct site_fixture *f = *state;
    struct hq_error err;
    json_t *body = NULL;

    assert_int_equal(ask(f, "echo", "\xC3\xA7 / \" \\", &body, &err), 0);
    assert_string_equal(json_string_value(json_object_get(body, "argument")), "\xC3\xA7 / \" \\");
    json_decref(body);
    assert_int_equal(ask(f, "fail", "it", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_EXISTS);
    assert_string_equal(err.message, "it is there");
    assert_string_equal(err.hint, "take another");
    assert_int_equal(ask(f, "nothing", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_INTERNAL);
    assert_int_equal(ask(f, "unknown", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_UNSUPPORTED);
}

static void
what_cannot_be_asked(void **state)
{
    struct site_fixture *f = *state;
    char long_text[HQ_CONTROL_ARGUMENT_MAX + 2];
    struct hq_error err;

    memset(long_text, 'a', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(ask(f, "echo", long_text, NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    long_text[sizeof long_text - 2] = '\0';
    assert_int_equal(ask(f, "echo", long_text, NULL, &err), 0);
    assert_int_equal(ask(f, "echo", "\xFF", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
}

static void
only_its_owner_may_connect(void **state)
{
    struct site_fixture *f = *state;
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/main.sock", f->directory);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
one_server_at_a_time(void **state)
{
    struct site_fixture *f = *state;
    struct hq_control *second;
    struct hq_error err = {0};

    assert_int_equal(hq_control_start(&f->site, operations, f, &second, &err), -1);
    assert_int_equal(err.code, HQ_E_BUSY);
    /* The refusal leaves the first one's socket alone. */
    assert_int_equal(ask(f, "echo", "", NULL, &err), 0);
}

static void
nobody_there(void **state)
{
    struct site_fixture *f = *state;
    struct hq_error err;

    hq_control_stop(f->control);
    f->control = NULL;
    assert_int_equal(ask(f, "echo", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    f->config.state_directory = (char *)(uintptr_t) "/nowhere/at/all";
    assert_int_equal(ask(f, "echo", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    f->config.state_directory = f->directory;
}

static void
a_dead_servers_socket_is_replaced(void **state)
{
    struct site_fixture *f = *state;
    struct sockaddr_un address;
    struct hq_error err = {0};
    HQ_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int directory;

    hq_control_stop(f->control);
    f->control = NULL;
    directory = control_address(&f->config, &address, &err);
    assert_true(directory >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(directory);
    assert_int_equal(ask(f, "echo", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(hq_control_start(&f->site, operations, f, &f->control, &err), 0);
    assert_int_equal(ask(f, "echo", "", NULL, &err), 0);
}

static int
connect_raw(struct site_fixture *f)
{
    struct sockaddr_un address;
    struct hq_error err = {0};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int directory = control_address(&f->config, &address, &err);

    assert_true(fd >= 0 && directory >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(directory);
    return fd;
}

/* More silent clients than there are threads: they are dropped, and others are served. */
static void
silent_clients_are_dropped(void **state)
{
    struct site_fixture *f = *state;
    int fds[HQ_CONTROL_THREADS];
    struct hq_error err = {0};
    int64_t began = hq_clock_monotonic_us();

    for (size_t i = 0; i < HQ_CONTROL_THREADS; i++)
        fds[i] = connect_raw(f);
    assert_int_equal(hq_control_ask(&f->config, "echo", "", 20000, NULL, NULL, &err), 0);
    assert_true(hq_clock_monotonic_us() - began < INT64_C(15000000));
    for (size_t i = 0; i < HQ_CONTROL_THREADS; i++)
        (void)close(fds[i]);
}

static void
what_is_no_question(void **state)
{
    static const char *const packets[] = {
        "x",
        "{}",
        "[]",
        "{\"version\":2,\"operation\":\"echo\",\"argument\":\"\"}",
        "{\"version\":1,\"operation\":\"echo\"}",
        "{\"version\":1,\"operation\":7,\"argument\":\"\"}",
        "{\"version\":1,\"operation\":\"echo\",\"argument\":\"\",\"argument\":\"\"}",
    };
    struct site_fixture *f = *state;
    uint8_t back[4096];

    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        HQ_CLOSE int fd = connect_raw(f);
        struct hq_error err = {0};
        ssize_t got;

        assert_true(send(fd, packets[i], strlen(packets[i]), MSG_NOSIGNAL) > 0);
        got = recv(fd, back, sizeof back, 0);
        assert_true(got > 0);
        assert_int_equal(control_answer_decode(back, (size_t)got, NULL, &err), -1);
        assert_true(err.code == HQ_E_CORRUPT || err.code == HQ_E_UNSUPPORTED);
    }
}

static void *
ask_and_wait(void *argument)
{
    struct hq_error err;

    return ask(argument, "wait", "", NULL, &err) == 0 ? argument : NULL;
}

static void
too_many_at_once(void **state)
{
    struct site_fixture *f = *state;
    pthread_t first;
    void *served;
    struct hq_error err;

    assert_int_equal(pthread_create(&first, NULL, ask_and_wait, f), 0);
    pthread_barrier_wait(&f->both);
    assert_int_equal(ask(f, "wait", "", NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_BUSY);
    assert_int_equal(ask(f, "echo", "", NULL, &err), 0);
    pthread_barrier_wait(&f->both);
    assert_int_equal(pthread_join(first, &served), 0);
    assert_ptr_equal(served, f);
}

static void
strange_answers(void **state)
{
    static const char *const packets[] = {
        "",
        "{\"version\":1}",
        "{\"version\":1,\"code\":\"0\",\"message\":\"\",\"hint\":\"\"}",
        "{\"version\":1,\"code\":99,\"message\":\"m\",\"hint\":\"\"}",
        "{\"version\":1,\"code\":-1,\"message\":\"m\",\"hint\":\"\"}",
        "{\"version\":3,\"code\":0,\"message\":\"\",\"hint\":\"\"}",
    };
    struct hq_error err = {0};
    json_t *body = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        err = (struct hq_error){0};
        assert_int_equal(control_answer_decode(packets[i], strlen(packets[i]), &body, &err), -1);
        assert_int_not_equal(err.code, HQ_E_OK);
        assert_null(body);
    }
}

static void
a_body_too_long_is_said_so(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    char *text = malloc(HQ_CONTROL_MESSAGE_MAX + 1);
    struct hq_error err = {0};
    json_t *body;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', HQ_CONTROL_MESSAGE_MAX);
    text[HQ_CONTROL_MESSAGE_MAX] = '\0';
    body = json_pack("{s:s}", "text", text);
    assert_int_equal(control_answer_encode(NULL, body, &out, &err), -1);
    assert_int_equal(err.code, HQ_E_INTERNAL);
    assert_int_equal(out.len, 0);
    json_decref(body);
    free(text);
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(answers),
        SERVED(what_cannot_be_asked),
        SERVED(only_its_owner_may_connect),
        SERVED(one_server_at_a_time),
        SERVED(nobody_there),
        SERVED(a_dead_servers_socket_is_replaced),
        SERVED(silent_clients_are_dropped),
        SERVED(what_is_no_question),
        SERVED(too_many_at_once),
        cmocka_unit_test(strange_answers),
        cmocka_unit_test(a_body_too_long_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
