#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/listen.h"
#include "engine/metrics.h"

/* A collector or two, and people with curl; whoever dawdles is cut off. */
enum {
    CONNECTIONS = 32,
    TIMEOUT_S = 10,
    CONNECTION_MEMORY = 16 << 10,
    BACKLOG = 16,
    ANSWER_MAX = 1 << 20,
    TRY_AGAIN_MS = 5000
};

struct hq_metrics_server {
    struct hq_metrics_options options;
    struct MHD_Daemon *http;
    pthread_t thread; /* tries again to listen */
    bool trying;      /* `thread` is to be joined */
    atomic_int stop;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of a UNIX socket; or "" */
};

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type,
       const struct hq_buf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (response == NULL)
        return MHD_NO;
    if (MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
        MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(response, "Allow", "GET, HEAD") == MHD_YES))
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned
make_answer(struct hq_metrics_server *s, const char *url, const char **type, struct hq_buf *body)
{
    struct hq_error err = {0};
    struct hq_metrics metrics;

    *type = "text/plain; charset=utf-8";
    if (strcmp(url, "/livez") == 0) {
        hq_buf_printf(body, "ok\n");
        return MHD_HTTP_OK;
    }
    if (strcmp(url, "/metrics") != 0 && strcmp(url, "/healthz") != 0) {
        hq_buf_printf(body, "/metrics, /healthz and /livez are here\n");
        return MHD_HTTP_NOT_FOUND;
    }
    s->options.collect(s->options.context, &metrics);
    if (strcmp(url, "/healthz") == 0)
        return hq_metrics_health(&metrics, body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    *type = "text/plain; version=0.0.4; charset=utf-8";
    return hq_metrics_write(&metrics, body, &err) == 0 ? MHD_HTTP_OK
                                                       : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

static enum MHD_Result
serve(void *context, struct MHD_Connection *connection, const char *url, const char *method,
      const char *version, const char *upload, size_t *upload_size, void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {.limit = ANSWER_MAX};
    const char *type = "text/plain; charset=utf-8";
    unsigned status;

    (void)version;
    (void)upload;
    (void)upload_size;
    (void)state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        hq_buf_printf(&body, "GET and HEAD are understood\n");
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, type, &body);
    }
    status = make_answer(context, url, &type, &body);
    return answer(connection, status, type, &body);
}

/* What a killed daemon left; one that is in use answers, and is left alone. */
static int
remove_stale(const struct sockaddr_un *address, struct hq_error *err)
{
    HQ_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    if (lstat(address->sun_path, &st) != 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return hq_fail(err, HQ_E_EXISTS, "%s is there and is no socket", address->sun_path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return hq_fail(err, HQ_E_BUSY, "another process listens on %s", address->sun_path);
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove the socket %s", address->sun_path);
    return 0;
}

static int
listen_on(struct hq_metrics_server *s, int *out, struct hq_error *err)
{
    struct sockaddr_storage address;
    socklen_t len;
    const int one = 1;
    int fd;

    if (hq_listen_parse(s->options.listen, &address, &len, err) != 0)
        return -1;
    if (address.ss_family == AF_UNIX &&
        remove_stale((const struct sockaddr_un *)(const void *)&address, err) != 0)
        return -1;
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0) {
        (void)hq_fail_sys(err, errno, "listen on %s", s->options.listen);
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    if (address.ss_family == AF_UNIX)
        memcpy(s->path, s->options.listen, strlen(s->options.listen) + 1);
    *out = fd;
    return 0;
}

static int
start(struct hq_metrics_server *s, struct hq_error *err)
{
    int fd;

    if (listen_on(s, &fd, err) != 0)
        return -1;
    /* The file mode of the process would keep the collector, another user, out. */
    if (s->path[0] != '\0' && chmod(s->path, 0666) != 0) {
        (void)hq_fail_sys(err, errno, "open %s to others", s->path);
        (void)close(fd);
        return -1;
    }
    s->http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, serve,
                               s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                               (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                               (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                               (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (s->http != NULL)
        return 0;
    (void)close(fd);
    return hq_fail(err, HQ_E_SYS, "start the HTTP server on %s", s->options.listen);
}

static void *
try_again(void *argument)
{
    struct hq_metrics_server *s = argument;

    while (hq_clock_sleep_ms(TRY_AGAIN_MS, &s->stop)) {
        struct hq_error err = {0};

        if (start(s, &err) == 0) {
            hq_log(HQ_LOG_INFO, "metrics are served", HQ_F_TEXT("listen", s->options.listen));
            break;
        }
    }
    return NULL;
}

/* Who monitors may miss the metrics; WAL must not wait for them. */
static int
try_later(struct hq_metrics_server *s, struct hq_error *err)
{
    int rc;

    (void)hq_error_hint(err,
                        "give metrics.listen an address and port of this host that nobody "
                        "else uses (`ss -ltnp` says who does); it is tried again every %d s",
                        TRY_AGAIN_MS / 1000);
    hq_log_error(HQ_LOG_ERROR, "metrics are not served", err);
    hq_error_clear(err);
    rc = pthread_create(&s->thread, NULL, try_again, s);
    if (rc != 0)
        return hq_fail_sys(err, rc, "start the thread that tries again to serve metrics");
    s->trying = true;
    return 0;
}

int
hq_metrics_start(const struct hq_metrics_options *options, struct hq_metrics_server **out,
                 struct hq_error *err)
{
    struct hq_metrics_server *s = calloc(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return hq_fail(err, HQ_E_NOMEM, "metrics");
    s->options = *options;
    if (start(s, err) != 0 && (err->code == HQ_E_CONFIG || try_later(s, err) != 0)) {
        hq_metrics_stop(s);
        return -1;
    }
    *out = s;
    return 0;
}

void
hq_metrics_stop(struct hq_metrics_server *s)
{
    if (s == NULL)
        return;
    s->stop = 1;
    if (s->trying)
        (void)pthread_join(s->thread, NULL);
    if (s->http != NULL)
        MHD_stop_daemon(s->http);
    if (s->path[0] != '\0')
        (void)unlink(s->path);
    free(s);
}
