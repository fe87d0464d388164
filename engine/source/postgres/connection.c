#include "postgres_internal.h"

#include <errno.h>
#include <inttypes.h>
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
#include "hosts.h"

/*
 * A dead host must not stop a list of hosts, so a connection attempt gives up after
 * CONNECT_TIMEOUT_S for each address; an established connection bears a longer silence
 * (USER_TIMEOUT_MS).
 */
enum {
    CONNECT_TIMEOUT_S = 10,
    CONNECT_TIMEOUT_MAX_S = 3600,
    ADDRESSES_MAX = 8,
    SLACK_MS = 500, /* for libpq to go on to the next address first */
    USER_TIMEOUT_MS = 60000
};
enum {
    PASSWORD_MAX = 4096,
    PARAMETERS_MAX = 128,
    VERSION_TESTED_MAX = 190000
};

struct parameters {
    const char *keywords[PARAMETERS_MAX + 1];
    const char *values[PARAMETERS_MAX + 1];
    size_t count;
};

/* Later ones win; what is not given is libpq's to find. */
static void
add(struct parameters *p, const char *keyword, const char *value)
{
    if (value == NULL || p->count == PARAMETERS_MAX)
        return;
    p->keywords[p->count] = keyword;
    p->values[p->count++] = value;
}

static const char *
given(const struct pg_request *r, const char *keyword)
{
    for (const PQconninfoOption *o = r->parsed; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0)
            return o->val;
    }
    return NULL;
}

/* The host list and what is wanted of it are dealt with here where the string has them. */
static bool
is_chosen(const struct pg_request *r, const char *keyword)
{
    static const char *const list[] = {"host", "hostaddr", "port", "target_session_attrs"};

    for (size_t i = 0; r->hosts.named && i < sizeof list / sizeof list[0]; i++) {
        if (strcmp(keyword, list[i]) == 0)
            return true;
    }
    return false;
}

/* Defaults, then what the string says, then what is fixed. */
static void
fill_parameters(struct parameters *p, const struct pg_request *r, const struct pg_host *host,
                const char *user_timeout_ms)
{
    add(p, "fallback_application_name", "hq-backup");
    add(p, "keepalives_idle", "30");
    add(p, "keepalives_interval", "10");
    add(p, "keepalives_count", "3");
    add(p, "tcp_user_timeout", user_timeout_ms);
    for (const PQconninfoOption *o = r->parsed; o->keyword != NULL; o++) {
        if (!is_chosen(r, o->keyword))
            add(p, o->keyword, o->val);
    }
    add(p, "host", host->host);
    add(p, "hostaddr", host->hostaddr);
    add(p, "port", host->port);
    if (r->hosts.named)
        add(p, "target_session_attrs", "any");
    add(p, "application_name", r->options->application);
    add(p, "password", r->password);
    if (r->options->database != NULL && given(r, "dbname") == NULL)
        add(p, "dbname", r->options->database);
    add(p, "replication", r->options->database == NULL ? "true" : "");
    add(p, "client_encoding", "UTF8");
}

/* libpq's words on a bad connection string may repeat a secret in it, so they are not passed on. */
static int
read_request(struct pg_request *r, struct hq_error *err)
{
    char *words = NULL;
    const char *timeout;
    int64_t timeout_s;

    r->parsed = PQconninfoParse(r->options->conninfo, &words);
    if (words != NULL)
        PQfreemem(words);
    if (r->parsed == NULL) {
        hq_fail(err, HQ_E_CONFIG, "the connection string is not what libpq understands");
        return hq_error_hint(err, "key words (host=db.example port=5432 user=hq_backup) or a URI "
                                  "(postgresql://hq_backup@db.example:5432)");
    }
    if (given(r, "password") != NULL) {
        hq_fail(err, HQ_E_CONFIG, "the connection string holds a password");
        return hq_error_hint(err, "put it into a file of its own and name that");
    }
    timeout = given(r, "connect_timeout");
    timeout_s = timeout != NULL ? strtoll(timeout, NULL, 10) : 0;
    if (timeout_s <= 0 || timeout_s > CONNECT_TIMEOUT_MAX_S)
        timeout_s = CONNECT_TIMEOUT_S;
    r->timeout_ms = timeout_s * 1000;
    return pg_hosts_parse(r->parsed, &r->hosts, err);
}

static void
request_clear(struct pg_request *r)
{
    PQconninfoFree(r->parsed);
    pg_hosts_clear(&r->hosts);
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
fail_connect(const struct hq_pg *pg, struct hq_error *err)
{
    PGconn *conn = pg->conn;
    struct hq_pg_trouble t = {.user = PQuser(conn),
                              .database = pg->ordinary ? PQdb(conn) : NULL,
                              .connecting = true,
                              .password_missing = PQconnectionNeedsPassword(conn) != 0};

    return hq_pg_explain_text(&t, PQerrorMessage(conn), err);
}

/*
 * PQconnectdb()'s loop, with the time-out that libpq leaves to callers of PQconnectPoll(). It
 * begins anew with each address of the host: libpq gives a silent one up by itself, a bit earlier.
 */
static int
finish_connecting(struct hq_pg *pg, int64_t timeout_ms, struct hq_error *err)
{
    int64_t end_us = hq_clock_monotonic_us() + timeout_ms * 1000;
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    char address[64] = "";
    int addresses = 0;

    while (want != PGRES_POLLING_OK) {
        struct pollfd fd = {.fd = PQsocket(pg->conn),
                            .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int64_t left_ms;

        if (want == PGRES_POLLING_FAILED || fd.fd < 0)
            return fail_connect(pg, err);
        if (strcmp(address, PQhostaddr(pg->conn)) != 0 && addresses++ < ADDRESSES_MAX) {
            snprintf(address, sizeof address, "%s", PQhostaddr(pg->conn));
            end_us = hq_clock_monotonic_us() + timeout_ms * 1000;
        }
        left_ms = (end_us - hq_clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return hq_fail(err, HQ_E_TRANSIENT, "no answer within %" PRId64 " s",
                           timeout_ms / 1000);
        if (poll(&fd, 1, (int)left_ms) < 0 && errno != EINTR)
            return hq_fail_sys(err, errno, "wait for PostgreSQL");
        if (fd.revents != 0)
            want = PQconnectPoll(pg->conn);
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

/* As people write it. Before libpq has looked it up it is what the string says. */
static void
name_place(struct hq_pg *pg, const struct pg_host *host)
{
    const char *name = PQhost(pg->conn), *port = PQport(pg->conn);

    if (name == NULL || name[0] == '\0')
        name = host->host != NULL ? host->host : host->hostaddr;
    snprintf(pg->place, sizeof pg->place, "%s:%s", name != NULL ? name : "the default host",
             port != NULL ? port : "");
}

static int
connect_host(const struct pg_request *r, size_t number, int64_t timeout_ms, struct hq_pg **out,
             struct hq_error *err)
{
    const struct pg_host *host = &r->hosts.items[number];
    struct parameters p = {.count = 0};
    char user_timeout_ms[24];
    struct hq_pg *pg = calloc(1, sizeof *pg);

    if (pg == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a connection");
    snprintf(user_timeout_ms, sizeof user_timeout_ms, "%" PRId64, timeout_ms);
    fill_parameters(&p, r, host, user_timeout_ms);
    pg->number = number;
    pg->several = r->hosts.count > 1;
    pg->ordinary = r->options->database != NULL;
    pg->conn = PQconnectStartParams(p.keywords, p.values, 0);
    if (pg->conn == NULL) {
        hq_pg_close(pg);
        return hq_fail(err, HQ_E_NOMEM, "a connection");
    }
    name_place(pg, host);
    /* The only way to learn the SQLSTATE of a refused connection: see find_sqlstate(). */
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(pg->conn, log_notice, NULL);
    if (finish_connecting(pg, timeout_ms + SLACK_MS, err) != 0 || check_version(pg, err) != 0) {
        hq_error_prefix(err, "%s", pg->place);
        hq_pg_close(pg);
        return -1;
    }
    name_place(pg, host);
    if (given(r, "tcp_user_timeout") == NULL)
        relax_user_timeout(pg->conn);
    *out = pg;
    return 0;
}

/* @p password backs the request and is the caller's to wipe. */
static int
make_request(const struct hq_pg_options *options, struct hq_buf *password, struct pg_request *r,
             struct hq_error *err)
{
    *r = (struct pg_request){.options = options, .connect = connect_host};
    if (options->password_file != NULL && read_password(options->password_file, password, err) != 0)
        return -1;
    r->password = (const char *)password->data;
    return read_request(r, err) == 0 ? 0 : hq_error_prefix(err, "connect to PostgreSQL");
}

int
hq_pg_connect(const struct hq_pg_options *options, struct hq_pg **out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf password = {.limit = PASSWORD_MAX + 1};
    HQ_AUTO(request_clear)
    struct pg_request request = {.options = NULL};

    *out = NULL;
    if (make_request(options, &password, &request, err) != 0)
        return -1;
    return pg_choose_host(&request, out, err) == 0 ? 0
                                                   : hq_error_prefix(err, "connect to PostgreSQL");
}

int
hq_pg_connect_sql(const struct hq_pg_options *options, const char *host, struct hq_pg **out,
                  struct hq_error *err)
{
    struct hq_pg_options sql = *options;

    sql.database = "postgres";
    if (hq_pg_connect(&sql, out, err) != 0)
        return -1;
    if (strcmp((*out)->place, host) == 0)
        return 0;
    hq_fail(err, HQ_E_TRANSIENT, "%s answers, not %s", (*out)->place, host);
    hq_pg_close(*out);
    *out = NULL;
    return -1;
}

int
hq_pg_find_newer(const struct hq_pg_options *options, struct hq_pg_newer *newer,
                 const atomic_int *stop, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf password = {.limit = PASSWORD_MAX + 1};
    HQ_AUTO(request_clear)
    struct pg_request request = {.options = NULL};

    if (make_request(options, &password, &request, err) != 0)
        return -1;
    return pg_find_newer(&request, newer, stop, err);
}

void
hq_pg_close(struct hq_pg *pg)
{
    if (pg == NULL)
        return;
    PQfinish(pg->conn);
    free(pg);
}
