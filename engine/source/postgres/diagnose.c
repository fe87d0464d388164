#include "postgres_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/*
 * Decisions hang on the SQLSTATE and on names of settings and files, which no server translates;
 * never on its sentences, which come in the language of lc_messages.
 */
struct meaning {
    const char *sqlstate; /* a prefix: 5 characters, or a class of 2 */
    const char *word;     /* must be in message, detail or hint; NULL: need not */
    enum hq_code code;
    const char *hint; /* NULL: none, or made by a function of its own */
};

/* First match wins: the narrower lines come before the wider ones. */
static const struct meaning meanings[] = {
    {"28P01", NULL, HQ_E_REFUSED,
     "the password is not the role's: check the password file, or ALTER ROLE ... PASSWORD"},
    {"28000", "pg_hba.conf", HQ_E_SERVER, NULL},
    {"28", NULL, HQ_E_REFUSED, NULL},
    {"42501", NULL, HQ_E_REFUSED, NULL},
    {"53300", "max_wal_senders", HQ_E_SERVER,
     "raise max_wal_senders in postgresql.conf, for instance `max_wal_senders = 10` (more than 0 "
     "needs `wal_level = replica`), and restart PostgreSQL"},
    {"53300", NULL, HQ_E_TRANSIENT,
     "all connections are taken: raise max_connections or find out who holds them"},
    {"53400", NULL, HQ_E_SERVER,
     "raise max_replication_slots in postgresql.conf, for instance `max_replication_slots = 10`, "
     "and restart PostgreSQL; or drop a slot nobody needs (pg_replication_slots lists them)"},
    {"55000", "idle_timeout", HQ_E_MISSING,
     "it is made anew; set `idle_replication_slot_timeout = 0`, or longer than hq-backupd may be "
     "away"},
    {"55000", "wal_removed", HQ_E_MISSING,
     "it is made anew; raise max_slot_wal_keep_size, or see why WAL was not fetched in time"},
    /* For logical slots there is more; whatever it was, the slot is gone. */
    {"55000", "rows_removed", HQ_E_MISSING, NULL},
    {"55000", "wal_level_insufficient", HQ_E_MISSING, NULL},
    {"55000", "max_replication_slots", HQ_E_SERVER,
     "set `max_replication_slots = 10` in postgresql.conf and restart PostgreSQL"},
    {"55000", "wal_level", HQ_E_SERVER,
     "set `wal_level = replica` in postgresql.conf and restart PostgreSQL"},
    {"55006", NULL, HQ_E_BUSY,
     "another process uses it: pg_stat_replication and pg_replication_slots say which"},
    {"3D000", NULL, HQ_E_MISSING,
     "name a database that exists with dbname= in the connection string"},
    {"42704", NULL, HQ_E_MISSING, NULL},
    {"42710", NULL, HQ_E_EXISTS, NULL},
    {"58P01", NULL, HQ_E_MISSING, NULL},
    {"0A", NULL, HQ_E_UNSUPPORTED, NULL},
    {"08", NULL, HQ_E_TRANSIENT, NULL},
    {"57", NULL, HQ_E_TRANSIENT, NULL}, /* starting up, shutting down, cancelled */
    {"53200", NULL, HQ_E_TRANSIENT, NULL},
    {"XX001", NULL, HQ_E_CORRUPT, NULL},
    {"XX002", NULL, HQ_E_CORRUPT, NULL},
};

static bool
has(const char *text, const char *word)
{
    return text != NULL && strstr(text, word) != NULL;
}

static const struct meaning *
find_meaning(const struct hq_pg_trouble *t)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        const struct meaning *m = &meanings[i];

        if (strncmp(t->sqlstate, m->sqlstate, strlen(m->sqlstate)) == 0 &&
            (m->word == NULL || has(t->message, m->word) || has(t->detail, m->word) ||
             has(t->hint, m->word)))
            return m;
    }
    return NULL;
}

/*
 * The address this host has in the server's eyes is quoted in its message, in quotation marks
 * of its language: the first run of address characters that is an address is taken. Local
 * sockets say "[local]". @return the prefix length, 0 for a local socket, -1 if there is none.
 */
static int
find_address(const char *message, char out[INET6_ADDRSTRLEN])
{
    static const char characters[] = "0123456789abcdefABCDEF.:";
    struct in6_addr ignored;

    if (strstr(message, "[local]") != NULL)
        return 0;
    for (const char *p = message; *p != '\0';) {
        size_t len = strspn(p, characters);

        if (len > 1 && len < INET6_ADDRSTRLEN) {
            memcpy(out, p, len);
            out[len] = '\0';
            if (inet_pton(AF_INET, out, &ignored) == 1)
                return 32;
            if (inet_pton(AF_INET6, out, &ignored) == 1)
                return 128;
        }
        p += len > 0 ? len : 1;
    }
    return -1;
}

/* A name as pg_hba.conf and SQL want it: quoted unless it is a plain lower-case word. */
static void
quote_name(const char *name, const char *otherwise, char *out, size_t size)
{
    size_t used = 0;

    if (name == NULL || name[0] == '\0') {
        snprintf(out, size, "%s", otherwise);
        return;
    }
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name)) {
        snprintf(out, size, "%s", name);
        return;
    }
    out[used++] = '"';
    for (; *name != '\0' && used + 4 < size; name++) {
        if (*name == '"')
            out[used++] = '"';
        out[used++] = *name;
    }
    out[used++] = '"';
    out[used] = '\0';
}

static void
hint_hba(const struct hq_pg_trouble *t, const char *role, const char *database,
         struct hq_error *err)
{
    char address[INET6_ADDRSTRLEN] = "";
    int prefix = find_address(t->message, address);

    if (prefix == 0)
        hq_error_hint(err,
                      "add to pg_hba.conf: `local %s %s scram-sha-256`, then reload "
                      "PostgreSQL (SELECT pg_reload_conf())",
                      database, role);
    else if (prefix > 0)
        hq_error_hint(err,
                      "add to pg_hba.conf: `host %s %s %s/%d scram-sha-256`, then reload "
                      "PostgreSQL (SELECT pg_reload_conf())",
                      database, role, address, prefix);
    else
        hq_error_hint(err,
                      "add to pg_hba.conf: `host %s %s <address of this host>/32 "
                      "scram-sha-256`, then reload PostgreSQL (SELECT pg_reload_conf())",
                      database, role);
}

/*
 * The methods that ask who the system's user is have their names in the message, whatever its
 * language.
 */
static bool
hint_peer(const struct hq_pg_trouble *t, const char *role, const char *database,
          struct hq_error *err)
{
    bool peer = strcasestr(t->message, "peer") != NULL;

    if (!t->connecting || strcmp(t->sqlstate, "28000") != 0 ||
        (!peer && strcasestr(t->message, "ident") == NULL))
        return false;
    hq_error_hint(err,
                  "run this as the system user %s, or put `%s %s %s%s scram-sha-256` above that "
                  "line of pg_hba.conf, give the role a password and reload PostgreSQL",
                  role, peer ? "local" : "host", database, role,
                  peer ? "" : " <address of this host>/32");
    return true;
}

static void
add_hint(const struct hq_pg_trouble *t, const struct meaning *m, struct hq_error *err)
{
    char role[160], database[160];

    quote_name(t->user, "<role>", role, sizeof role);
    quote_name(t->database, "replication", database, sizeof database);
    if (m != NULL && m->hint != NULL)
        hq_error_hint(err, "%s", m->hint);
    else if (m != NULL && m->code == HQ_E_SERVER && m->word != NULL)
        hint_hba(t, role, database, err);
    else if (hint_peer(t, role, database, err))
        return;
    else if (t->connecting && t->database != NULL && strcmp(t->sqlstate, "42501") == 0)
        hq_error_hint(err, "GRANT CONNECT ON DATABASE %s TO %s", database, role);
    else if (t->connecting && strcmp(t->sqlstate, "42501") == 0)
        hq_error_hint(err, "ALTER ROLE %s REPLICATION", role);
    else if (t->connecting && strcmp(t->sqlstate, "28000") == 0)
        hq_error_hint(err,
                      "is there such a role, and may it log in? CREATE ROLE %s LOGIN "
                      "REPLICATION PASSWORD '...'",
                      role);
    else if (t->hint != NULL)
        hq_error_hint(err, "%s", t->hint);
}

/* libpq's own words: nobody answered, the answer was cut, or the answer is not acceptable. */
static int
explain_local(const struct hq_pg_trouble *t, struct hq_error *err)
{
    const char *message = t->message != NULL ? t->message : "no answer";

    if (t->password_missing) {
        hq_fail(err, HQ_E_REFUSED, "%s", message);
        return hq_error_hint(err, "the server wants a password: name a password file");
    }
    /* OpenSSL's words, which are not translated. */
    if (has(message, "certificate verify failed") || has(message, "alert"))
        return hq_fail(err, HQ_E_REFUSED, "%s", message);
    return hq_fail(err, HQ_E_TRANSIENT, "%s", message);
}

int
hq_pg_explain(const struct hq_pg_trouble *t, struct hq_error *err)
{
    const struct meaning *m;

    if (t->sqlstate == NULL || t->message == NULL)
        return explain_local(t, err);
    m = find_meaning(t);
    hq_fail(err, m != NULL ? m->code : HQ_E_SERVER, "%s%s%s%s (SQLSTATE %.5s)", t->message,
            t->detail != NULL ? " (" : "", t->detail != NULL ? t->detail : "",
            t->detail != NULL ? ")" : "", t->sqlstate);
    add_hint(t, m, err);
    return -1;
}

/*
 * At PQERRORS_VERBOSE libpq writes `FATAL:  28000: no pg_hba.conf entry ...`: two blanks, the
 * code, a colon and a blank, whatever the language of "FATAL". NULL when there is none.
 */
static const char *
find_sqlstate(const char *text)
{
    static const char characters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p += 3) {
        if (strspn(p + 3, characters) == 5 && strncmp(p + 8, ": ", 2) == 0)
            return p + 3;
    }
    return NULL;
}

int
hq_pg_explain_text(const struct hq_pg_trouble *trouble, const char *text, struct hq_error *err)
{
    struct hq_pg_trouble t = *trouble;
    const char *code = find_sqlstate(text);
    char sqlstate[6] = "";
    char message[HQ_ERROR_MESSAGE_MAX];

    t.sqlstate = NULL;
    if (code != NULL) {
        memcpy(sqlstate, code, 5);
        t.sqlstate = sqlstate;
        text = code + 7; /* what follows its line is the place in PostgreSQL's source */
        snprintf(message, sizeof message, "%.*s", (int)strcspn(text, "\n"), text);
    } else {
        snprintf(message, sizeof message, "%s", text);
    }
    t.message = message;
    return hq_pg_explain(&t, err);
}

static int
fail(struct hq_pg *pg, const PGresult *result, struct hq_error *err)
{
    struct hq_pg_trouble t = {.user = PQuser(pg->conn)};

    t.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    t.message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    t.detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    t.hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (t.sqlstate != NULL && t.message != NULL)
        return hq_pg_explain(&t, err);
    t.detail = t.hint = NULL;
    return hq_pg_explain_text(&t, PQerrorMessage(pg->conn), err);
}

int
hq_pg_fail(struct hq_pg *pg, const PGresult *result, struct hq_error *err)
{
    fail(pg, result, err);
    return pg->several ? hq_error_prefix(err, "%s", pg->place) : -1;
}
