#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control_internal.h"

enum {
    BACKLOG = 16,
    OPERATIONS_MAX = 16
};

struct hq_control {
    const struct hq_site *site;
    const struct hq_control_operation *operations;
    void *context;
    int lock;     /**< held as long as this daemon may own the socket */
    int listener; /**< not blocking: another thread may have taken the connection */
    int stop;     /**< eventfd: readable for ever once the server is to end */
    atomic_uint running[OPERATIONS_MAX];
    pthread_t threads[HQ_CONTROL_THREADS];
    size_t thread_count;
};

struct hq_control_reply {
    int fd;
    atomic_bool answered;
};

void
hq_control_answer(struct hq_control_reply *reply, const struct hq_error *why,
                  const struct json_t *body)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf packet = {0};
    struct hq_error err = {0};

    if (atomic_exchange(&reply->answered, true))
        return;
    if (control_answer_encode(why, body, &packet, &err) != 0) {
        hq_buf_clear(&packet);
        if (control_answer_encode(&err, NULL, &packet, &err) != 0)
            return;
    }
    /* A client that went away asked for nothing any more. */
    (void)send(reply->fd, packet.data, packet.len, MSG_NOSIGNAL);
}

static void
run_operation(struct hq_control *c, size_t index, const char *argument,
              struct hq_control_reply *reply)
{
    const struct hq_control_operation *operation = &c->operations[index];
    struct hq_error err = {0};

    if (atomic_fetch_add(&c->running[index], 1) >= operation->at_once) {
        hq_fail(&err, HQ_E_BUSY, "hq-backupd does as many of \"%s\" as it can", operation->name);
        hq_control_answer(reply, &err, NULL);
    } else {
        operation->run(c->context, argument, reply);
        hq_fail(&err, HQ_E_INTERNAL, "\"%s\" ended without an answer", operation->name);
        hq_control_answer(reply, &err, NULL);
    }
    atomic_fetch_sub(&c->running[index], 1);
}

static void
dispatch(struct hq_control *c, const struct control_question *question,
         struct hq_control_reply *reply)
{
    struct hq_error err = {0};

    for (size_t i = 0; c->operations[i].name != NULL; i++) {
        if (strcmp(c->operations[i].name, question->operation) == 0) {
            run_operation(c, i, question->argument, reply);
            return;
        }
    }
    hq_fail(&err, HQ_E_UNSUPPORTED, "hq-backupd %s knows no operation \"%s\"", HQ_VERSION,
            question->operation);
    hq_control_answer(reply, &err, NULL);
}

/* File permissions keep others out already; a state directory may have been opened up by mistake.
 */
static bool
may_ask(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    if (peer.uid == geteuid() || peer.uid == 0)
        return true;
    hq_log(HQ_LOG_WARNING, "another user's question is not answered", HQ_F_U64("uid", peer.uid));
    return false;
}

static void
serve(struct hq_control *c, int fd)
{
    struct hq_control_reply reply = {.fd = fd};
    struct control_question question;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf packet = {0};
    struct hq_error err = {0};
    uint8_t *to;
    ssize_t got;

    if (!may_ask(fd) || control_set_timeouts(fd, &err) != 0 ||
        (to = hq_buf_grow(&packet, HQ_CONTROL_MESSAGE_MAX)) == NULL)
        return;
    do
        got = recv(fd, to, HQ_CONTROL_MESSAGE_MAX, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return;
    if (control_question_decode(to, (size_t)got, &question, &err) != 0)
        hq_control_answer(&reply, &err, NULL);
    else
        dispatch(c, &question, &reply);
}

static void *
run(void *argument)
{
    struct hq_control *c = argument;

    for (;;) {
        struct pollfd fds[] = {{.fd = c->stop, .events = POLLIN},
                               {.fd = c->listener, .events = POLLIN}};
        HQ_CLOSE int fd = -1;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[0].revents != 0)
            return NULL;
        fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(c, fd);
    }
}

/* The lock is held: a socket that lies there is a dead daemon's. */
static int
listen_at(struct hq_control *c, struct hq_error *err)
{
    struct sockaddr_un address;
    HQ_CLOSE int directory = control_address(c->site->config, &address, err);

    if (directory < 0)
        return -1;
    c->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listener < 0)
        return hq_fail_sys(err, errno, "make a socket");
    if (unlink(address.sun_path) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove the old control socket in %s",
                           c->site->config->state_directory);
    /* Between bind and listen nobody can connect: the mode is right before that. */
    if (bind(c->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(address.sun_path, 0600) != 0 || listen(c->listener, BACKLOG) != 0)
        return hq_fail_sys(err, errno, "make the control socket in %s",
                           c->site->config->state_directory);
    return 0;
}

static int
start(struct hq_control *c, struct hq_error *err)
{
    if ((c->lock = hq_site_lock(c->site, "control", err)) < 0) {
        if (err->code == HQ_E_BUSY)
            hq_error_hint(err, "hq-backupd runs already for this cluster");
        return -1;
    }
    if ((c->stop = eventfd(0, EFD_CLOEXEC)) < 0)
        return hq_fail_sys(err, errno, "make an eventfd");
    if (listen_at(c, err) != 0)
        return -1;
    for (; c->thread_count < HQ_CONTROL_THREADS; c->thread_count++) {
        int rc = pthread_create(&c->threads[c->thread_count], NULL, run, c);

        if (rc != 0)
            return hq_fail_sys(err, rc, "start a control thread");
    }
    return 0;
}

int
hq_control_start(const struct hq_site *site, const struct hq_control_operation *operations,
                 void *context, struct hq_control **out, struct hq_error *err)
{
    struct hq_control *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL)
        return hq_fail(err, HQ_E_NOMEM, "control socket");
    c->site = site;
    c->operations = operations;
    c->context = context;
    c->lock = c->listener = c->stop = -1;
    if (start(c, err) != 0) {
        hq_control_stop(c);
        return -1;
    }
    *out = c;
    return 0;
}

static void
remove_socket(const struct hq_control *c)
{
    struct sockaddr_un address;
    struct hq_error err = {0};
    HQ_CLOSE int directory = control_address(c->site->config, &address, &err);

    if (directory >= 0)
        (void)unlink(address.sun_path);
}

void
hq_control_stop(struct hq_control *c)
{
    const uint64_t one = 1;

    if (c == NULL)
        return;
    if (c->stop >= 0 && write(c->stop, &one, sizeof one) != (ssize_t)sizeof one)
        hq_log(HQ_LOG_ERROR, "the control threads can't be told to end");
    for (size_t i = 0; i < c->thread_count; i++)
        (void)pthread_join(c->threads[i], NULL);
    if (c->listener >= 0)
        remove_socket(c);
    hq_auto_close(&c->listener);
    hq_auto_close(&c->stop);
    hq_auto_close(&c->lock);
    free(c);
}
