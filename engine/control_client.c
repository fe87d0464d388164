#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "control_internal.h"

enum {
    LOOK_MS = 100
};

static int
fail_connect(const struct hq_config *config, int why, struct hq_error *err)
{
    if (why == ENOENT || why == ECONNREFUSED) {
        hq_fail(err, HQ_E_MISSING, "no hq-backupd runs here for cluster %s", config->cluster.name);
        return hq_error_hint(err,
                             "start it: `systemctl start hq-backupd`; its control socket is "
                             "in %s",
                             config->state_directory);
    }
    hq_fail_sys(err, why, "ask hq-backupd of cluster %s", config->cluster.name);
    if (err->code == HQ_E_REFUSED)
        hq_error_hint(err, "it answers its own user, and root");
    if (why == EAGAIN)
        err->code = HQ_E_TRANSIENT;
    return -1;
}

static int
connect_daemon(const struct hq_config *config, int fd, struct hq_error *err)
{
    struct sockaddr_un address;
    HQ_CLOSE int directory = control_address(config, &address, err);

    if (directory < 0)
        return err->code == HQ_E_MISSING ? fail_connect(config, ENOENT, err) : -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return fail_connect(config, errno, err);
    return 0;
}

/* The answer comes when the operation is done: that may take its time. */
static int
wait_readable(int fd, int64_t timeout_ms, const atomic_int *stop, struct hq_error *err)
{
    int64_t deadline = hq_clock_monotonic_us() + timeout_ms * 1000;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        int rc = poll(&p, 1, LOOK_MS);

        if (rc > 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return hq_fail_sys(err, errno, "wait for hq-backupd");
        if (stop != NULL && *stop)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while hq-backupd was at work");
        if (hq_clock_monotonic_us() >= deadline)
            return hq_fail(err, HQ_E_TRANSIENT, "hq-backupd did not answer within %lld s",
                           (long long)(timeout_ms / 1000));
    }
}

static int
receive(int fd, struct hq_buf *out, struct hq_error *err)
{
    uint8_t *to = hq_buf_grow(out, HQ_CONTROL_MESSAGE_MAX);
    ssize_t got;

    if (to == NULL)
        return hq_buf_check(out, "answer", err);
    do
        got = recv(fd, to, HQ_CONTROL_MESSAGE_MAX, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return hq_fail(err, HQ_E_TRANSIENT, "hq-backupd ended before it answered");
    out->len = (size_t)got;
    return 0;
}

int
hq_control_ask(const struct hq_config *config, const char *operation, const char *argument,
               int64_t timeout_ms, const atomic_int *stop, struct json_t **body,
               struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf question = {0}, answer = {0};
    HQ_CLOSE int fd = -1;

    if (body != NULL)
        *body = NULL;
    if (control_question_encode(operation, argument, &question, err) != 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return hq_fail_sys(err, errno, "make a socket");
    if (control_set_timeouts(fd, err) != 0 || connect_daemon(config, fd, err) != 0)
        return -1;
    if (send(fd, question.data, question.len, MSG_NOSIGNAL) != (ssize_t)question.len)
        return hq_fail(err, HQ_E_TRANSIENT, "hq-backupd does not take questions");
    if (wait_readable(fd, timeout_ms, stop, err) != 0 || receive(fd, &answer, err) != 0)
        return -1;
    return control_answer_decode(answer.data, answer.len, body, err);
}
