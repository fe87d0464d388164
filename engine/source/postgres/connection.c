#include "postgres_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

/*
 * A dead host must not stop a list of hosts, so a connection attempt gives up after
 * CONNECT_TIMEOUT_S each; an established connection bears a longer silence (USER_TIMEOUT_MS).
 */
enum {
    CONNECT_TIMEOUT_S = 10,
    CONNECT_TIMEOUT_MAX_S = 3600,
    USER_TIMEOUT_MS = 60000
};
enum {
    PASSWORD_MAX = 4096,
    PARAMETERS_MAX = 16,
    VERSION_TESTED_MAX = 190000
};

/* What hq_pg_connect() must know of the connection string before libpq acts on it. */
struct request {
    int64_t timeout_ms; /* for all hosts together */
    bool own_user_timeout;
};

struct parameters {
    const char *keywords[PARAMETERS_MAX];
    const char *values[PARAMETERS_MAX];
    size_t count;
};

static void
add(struct parameters *p, const char *keyword, const char *value)
{
    p->keywords[p->count] = keyword;
    p->values[p->count++] = value;
}

/* Later parameters win: what stands before dbname are defaults, what stands after is fixed. */
static void
fill_parameters(struct parameters *p, const struct hq_pg_options *options, const char *password)
{
    add(p, "fallback_application_name", "hq-backup");
    add(p, "keepalives_idle", "30");
    add(p, "keepalives_interval", "10");
    add(p, "keepalives_count", "3");
    add(p, "tcp_user_timeout", "10000"); /* CONNECT_TIMEOUT_S */
    add(p, "dbname", options->conninfo);
    if (options->application != NULL)
        add(p, "application_name", options->application);
    if (password != NULL)
        add(p, "password", password);
    add(p, "replication", "true");
    add(p, "client_encoding", "UTF8");
}

static void
auto_options(PQconninfoOption **options)
{
    PQconninfoFree(*options);
}

static size_t
count_hosts(const char *value)
{
    size_t count = 1;

    for (; value != NULL && *value != '\0'; value++)
        count += *value == ',';
    return count;
}

/* libpq's words on a bad connection string may repeat a secret in it, so they are not passed on. */
static int
read_request(const char *conninfo, struct request *out, struct hq_error *err)
{
    char *words = NULL;
    HQ_AUTO(auto_options)
    PQconninfoOption *all = PQconninfoParse(conninfo, &words);
    int64_t timeout_s = 0;
    size_t hosts = 1;

    if (words != NULL)
        PQfreemem(words);
    if (all == NULL) {
        hq_fail(err, HQ_E_CONFIG, "the connection string is not what libpq understands");
        return hq_error_hint(err, "key words (host=db.example port=5432 user=hq_backup) or a URI "
                                  "(postgresql://hq_backup@db.example:5432)");
    }
    *out = (struct request){0};
    for (const PQconninfoOption *o = all; o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        if (strcmp(o->keyword, "password") == 0) {
            hq_fail(err, HQ_E_CONFIG, "the connection string holds a password");
            return hq_error_hint(err, "put it into a file of its own and name that");
        }
        if (strcmp(o->keyword, "connect_timeout") == 0)
            timeout_s = strtoll(o->val, NULL, 10);
        else if (strcmp(o->keyword, "tcp_user_timeout") == 0)
            out->own_user_timeout = true;
        else if (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0)
            hosts = count_hosts(o->val) > hosts ? count_hosts(o->val) : hosts;
    }
    if (timeout_s <= 0 || timeout_s > CONNECT_TIMEOUT_MAX_S)
        timeout_s = CONNECT_TIMEOUT_S;
    hosts = hosts > 100 ? 100 : hosts;
    /* One round more than there are hosts: some of target_session_attrs' values take two. */
    out->timeout_ms = timeout_s * 1000 * (int64_t)(hosts + 1);
    return 0;
}

/* The password alone is in the file; one newline at its end is not part of it. */
static int
read_password(const char *path, struct hq_buf *out, struct hq_error *err)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return hq_fail_sys(err, errno, "password file %s", path);
    if ((status.st_mode & S_IRWXO) != 0) {
        hq_fail(err, HQ_E_REFUSED, "password file %s is open to everybody", path);
        return hq_error_hint(err, "chmod o-rwx %s", path);
    }
    if (hq_buf_reserve(out, PASSWORD_MAX + 1, err) != 0)
        return -1;
    if (hq_io_read_file(path, PASSWORD_MAX, out, err) != 0)
        return hq_error_prefix(err, "password file");
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        out->len--;
    if (out->len == 0 || memchr(out->data, '\0', out->len) != NULL)
        return hq_fail(err, HQ_E_CONFIG, "password file %s holds no password", path);
    hq_buf_put_u8(out, 0);
    return hq_buf_check(out, "the password", err);
}

/* What the server says besides: warnings are worth a line, the rest is for debugging. */
static void
log_notice(void *context, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool warning = severity != NULL && strcmp(severity, "WARNING") == 0;

    (void)context;
    if (message != NULL)
        hq_log(warning ? HQ_LOG_WARNING : HQ_LOG_DEBUG, "PostgreSQL says",
               HQ_F_TEXT("text", message));
}

static int
fail_connect(PGconn *conn, struct hq_error *err)
{
    struct hq_pg_trouble t = {.user = PQuser(conn),
                              .connecting = true,
                              .password_missing = PQconnectionNeedsPassword(conn) != 0};

    return hq_pg_explain_text(&t, PQerrorMessage(conn), err);
}

/* PQconnectdb()'s loop, with the time-out that libpq leaves to callers of PQconnectPoll(). */
static int
finish_connecting(PGconn *conn, int64_t timeout_ms, struct hq_error *err)
{
    int64_t end_us = hq_clock_monotonic_us() + timeout_ms * 1000;
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;

    while (want != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(conn),
                            .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int64_t left_ms = (end_us - hq_clock_monotonic_us()) / 1000;

        if (want == PGRES_POLLING_FAILED || fd.fd < 0)
            return fail_connect(conn, err);
        if (left_ms <= 0)
            return hq_fail(err, HQ_E_TRANSIENT, "%s:%s did not answer in time", PQhost(conn),
                           PQport(conn));
        if (poll(&fd, 1, (int)left_ms) < 0 && errno != EINTR)
            return hq_fail_sys(err, errno, "wait for PostgreSQL");
        if (fd.revents != 0)
            want = PQconnectPoll(conn);
    }
    return 0;
}

static void
relax_user_timeout(PGconn *conn)
{
    unsigned ms = USER_TIMEOUT_MS;

    /* Fails on a local socket, where there is nothing to set. */
    (void)setsockopt(PQsocket(conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static int
check_version(struct hq_pg *pg, struct hq_error *err)
{
    int version = PQserverVersion(pg->conn);

    if (version < HQ_PG_VERSION_MIN) {
        hq_fail(err, HQ_E_UNSUPPORTED, "the server is PostgreSQL %d.%d, older than 14",
                version / 10000, version % 10000);
        return hq_error_hint(err, "upgrade it: PostgreSQL 14 to 18 are backed up");
    }
    if (version >= VERSION_TESTED_MAX)
        hq_log(HQ_LOG_WARNING, "the server is newer than this program was tested with",
               HQ_F_I64("version", version));
    pg->version_number = (uint32_t)version;
    return 0;
}

static int
open_connection(struct hq_pg *pg, const struct hq_pg_options *options, const char *password,
                struct hq_error *err)
{
    struct parameters p = {.count = 0};
    struct request request = {0};

    if (read_request(options->conninfo, &request, err) != 0)
        return -1;
    fill_parameters(&p, options, password);
    pg->conn = PQconnectStartParams(p.keywords, p.values, 1);
    if (pg->conn == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a connection");
    /* The only way to learn the SQLSTATE of a refused connection: see find_sqlstate(). */
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(pg->conn, log_notice, NULL);
    if (finish_connecting(pg->conn, request.timeout_ms, err) != 0)
        return -1;
    if (!request.own_user_timeout)
        relax_user_timeout(pg->conn);
    return check_version(pg, err);
}

int
hq_pg_connect(const struct hq_pg_options *options, struct hq_pg **out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf password = {.limit = PASSWORD_MAX + 1};
    struct hq_pg *pg;

    *out = NULL;
    if (options->password_file != NULL &&
        read_password(options->password_file, &password, err) != 0)
        return -1;
    pg = calloc(1, sizeof *pg);
    if (pg == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a connection");
    if (open_connection(pg, options, (const char *)password.data, err) != 0) {
        hq_pg_close(pg);
        return hq_error_prefix(err, "connect to PostgreSQL");
    }
    *out = pg;
    return 0;
}

void
hq_pg_close(struct hq_pg *pg)
{
    if (pg == NULL)
        return;
    PQfinish(pg->conn);
    free(pg);
}
