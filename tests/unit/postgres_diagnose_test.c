#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "postgres_internal.h"

static void
expect(const struct hq_error *err, enum hq_code code, const char *message, const char *hint)
{
    if (err->code != code || strstr(err->message, message) == NULL ||
        strstr(err->hint, hint) == NULL || (hint[0] == '\0' && err->hint[0] != '\0'))
        fail_msg("%s \"%s\" hint \"%s\"; wanted %s \"%s\" hint \"%s\"", hq_code_name(err->code),
                 err->message, err->hint, hq_code_name(code), message, hint);
}

/* Texts of failed connections as libpq gives them at PQERRORS_VERBOSE. */
static void
test_connection_texts(void **state)
{
    static const struct {
        const char *user, *text;
        enum hq_code code;
        const char *message, *hint;
    } cases[] = {
        {"backup",
         "connection to server at \"192.0.2.1\", port 5432 failed: FATAL:  28000: no pg_hba.conf "
         "entry for replication connection from host \"10.0.0.5\", user \"backup\", no "
         "encryption\nLOCATION:  ClientAuthentication, auth.c:543\n",
         HQ_E_SERVER, "no pg_hba.conf entry for replication connection from host \"10.0.0.5\"",
         "`host replication backup 10.0.0.5/32 scram-sha-256`"},
        {"Backup \"1\"",
         "connection to server at \"2001:db8::1\", port 5432 failed: FATALE:  28000: nessuna voce "
         "in pg_hba.conf per la replica dall'host \xC2\xAB"
         "2001:db8::5\xC2\xBB\nPOSIZIONE:  x\n",
         HQ_E_SERVER, "nessuna voce",
         "`host replication \"Backup \"\"1\"\"\" 2001:db8::5/128 scram-sha-256`"},
        {"b",
         "connection to server on socket \"/run/x\" failed: FATAL:  28000: no pg_hba.conf entry "
         "for replication connection from host \"[local]\", user \"b\", no encryption\n",
         HQ_E_SERVER, "[local]", "`local replication b scram-sha-256`"},
        {"b", "x: FATAL:  28000: pg_hba.conf rejects it\n", HQ_E_SERVER, "rejects",
         "<address of this host>/32"},
        {"b", "x: FATAL:  28000: role \"b\" does not exist\n", HQ_E_REFUSED, "does not exist",
         "CREATE ROLE b LOGIN"},
        {"b", "x: FATAL:  28P01: password authentication failed for user \"b\"\n", HQ_E_REFUSED,
         "password authentication failed", "password file"},
        {"b", "x: FATAL:  42501: must be superuser or replication role to start walsender\n",
         HQ_E_REFUSED, "must be superuser", "ALTER ROLE b REPLICATION"},
        {"b", "x: FATAL:  57P03: the database system is starting up\n", HQ_E_TRANSIENT,
         "starting up", ""},
        {"b",
         "x: FATAL:  53300: number of requested standby connections exceeds max_wal_senders "
         "(currently 10)\n",
         HQ_E_SERVER, "exceeds", "max_wal_senders"},
        {"b", "x: FATAL:  53300: sorry, too many clients already\n", HQ_E_TRANSIENT, "too many",
         "max_connections"},
        {"b",
         "connection to server at \"10.0.0.1\", port 5432 failed: Connection refused\n\tIs the "
         "server running on that host and accepting TCP/IP connections?\n",
         HQ_E_TRANSIENT, "Connection refused", ""},
        {"b", "connection to server at \"x\" failed: SSL error: certificate verify failed\n",
         HQ_E_REFUSED, "verify failed", ""},
        {"b", "", HQ_E_TRANSIENT, "", ""},
        /* Not an SQLSTATE: too long, too short, no colon, lower case. */
        {"b", "x:  280000: y", HQ_E_TRANSIENT, "x:  280000: y", ""},
        {"b", "x:  2800: y", HQ_E_TRANSIENT, "x:  2800: y", ""},
        {"b", "x:  28000 y", HQ_E_TRANSIENT, "x:  28000 y", ""},
        {"b", "x:  28p01: y", HQ_E_TRANSIENT, "x:  28p01: y", ""},
        {"b", "x:  280", HQ_E_TRANSIENT, "x:  280", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_pg_trouble t = {.user = cases[i].user, .connecting = true};
        struct hq_error err = {0};

        assert_int_equal(hq_pg_explain_text(&t, cases[i].text, &err), -1);
        expect(&err, cases[i].code, cases[i].message, cases[i].hint);
        assert_null(strstr(err.message, "LOCATION"));
    }
}

/* An ordinary connection needs other lines than one for replication. */
static void
test_ordinary_connections(void **state)
{
    static const struct {
        const char *database, *text;
        enum hq_code code;
        const char *message, *hint;
    } cases[] = {
        {"postgres",
         "x: FATAL:  28000: no pg_hba.conf entry for host \"10.0.0.5\", user \"b\", database "
         "\"postgres\", no encryption\n",
         HQ_E_SERVER, "no pg_hba.conf entry", "`host postgres b 10.0.0.5/32 scram-sha-256`"},
        {"App",
         "x: FATAL:  28000: no pg_hba.conf entry for host \"[local]\", user \"b\", database "
         "\"App\", no encryption\n",
         HQ_E_SERVER, "no pg_hba.conf entry", "`local \"App\" b scram-sha-256`"},
        {"app", "x: FATAL:  42501: permission denied for database \"app\"\n", HQ_E_REFUSED,
         "permission denied", "GRANT CONNECT ON DATABASE app TO b"},
        {"app", "x: FATAL:  3D000: database \"app\" does not exist\n", HQ_E_MISSING,
         "does not exist", "dbname="},
        {NULL, "x: FATAL:  28000: Peer authentication failed for user \"b\"\n", HQ_E_REFUSED,
         "Peer", "system user b, or put `local replication b scram-sha-256`"},
        {"app", "x: FATAL:  28000: Ident-Authentifizierung schlug fehl\n", HQ_E_REFUSED, "Ident",
         "`host app b <address of this host>/32 scram-sha-256`"},
        {"app", "x: FATAL:  28000: role \"b\" does not exist\n", HQ_E_REFUSED, "does not exist",
         "CREATE ROLE b LOGIN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_pg_trouble t = {.user = "b", .database = cases[i].database, .connecting = true};
        struct hq_error err = {0};

        assert_int_equal(hq_pg_explain_text(&t, cases[i].text, &err), -1);
        expect(&err, cases[i].code, cases[i].message, cases[i].hint);
    }
}

static void
test_password_missing(void **state)
{
    struct hq_pg_trouble t = {.user = "b", .connecting = true, .password_missing = true};
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(hq_pg_explain_text(&t, "fe_sendauth: no password supplied\n", &err), -1);
    expect(&err, HQ_E_REFUSED, "no password supplied", "password file");
}

static void
test_results(void **state)
{
    static const struct {
        struct hq_pg_trouble t;
        enum hq_code code;
        const char *message, *hint;
    } cases[] = {
        {{.sqlstate = "55006", .message = "replication slot \"a\" is active for PID 7"},
         HQ_E_BUSY,
         "active for PID 7",
         "pg_replication_slots"},
        {{.sqlstate = "53400",
          .message = "all replication slots are in use",
          .hint = "Free one or increase max_replication_slots."},
         HQ_E_SERVER,
         "in use",
         "max_replication_slots = 10"},
        {{.sqlstate = "55000",
          .message = "WAL level not sufficient for making an online backup",
          .hint = "wal_level must be set to \"replica\" or \"logical\" at server start."},
         HQ_E_SERVER,
         "not sufficient",
         "`wal_level = replica`"},
        {{.sqlstate = "55000",
          .message = "replication slots can only be used if max_replication_slots > 0"},
         HQ_E_SERVER,
         "can only be used",
         "`max_replication_slots = 10`"},
        /* PostgreSQL 18; the cause is not translated. */
        {{.sqlstate = "55000",
          .message = "can no longer access replication slot \"a\"",
          .detail = "This replication slot has been invalidated due to \"idle_timeout\"."},
         HQ_E_MISSING,
         "idle_timeout",
         "idle_replication_slot_timeout = 0"},
        {{.sqlstate = "55000",
          .message = "can no longer access replication slot \"a\"",
          .detail = "This replication slot has been invalidated due to \"wal_removed\"."},
         HQ_E_MISSING,
         "wal_removed",
         "max_slot_wal_keep_size"},
        {{.sqlstate = "55000",
          .message = "can no longer access replication slot \"a\"",
          .detail = "... \"wal_level_insufficient\"."},
         HQ_E_MISSING,
         "insufficient",
         ""},
        {{.sqlstate = "55000", .message = "other", .detail = "more of it", .hint = "its own"},
         HQ_E_SERVER,
         "other (more of it) (SQLSTATE 55000)",
         "its own"},
        {{.sqlstate = "58P01", .message = "requested WAL segment x has already been removed"},
         HQ_E_MISSING,
         "already been removed",
         ""},
        {{.sqlstate = "42704", .message = "replication slot \"a\" does not exist"},
         HQ_E_MISSING,
         "does not exist",
         ""},
        {{.sqlstate = "42710", .message = "exists"}, HQ_E_EXISTS, "exists", ""},
        {{.sqlstate = "57P01", .message = "terminating connection"}, HQ_E_TRANSIENT, "term", ""},
        {{.sqlstate = "0A000", .message = "logical"}, HQ_E_UNSUPPORTED, "logical", ""},
        {{.sqlstate = "XX001", .message = "checksum"}, HQ_E_CORRUPT, "checksum", ""},
        {{.sqlstate = "XX000", .message = "internal"}, HQ_E_SERVER, "internal", ""},
        {{.sqlstate = "08006", .message = "lost"}, HQ_E_TRANSIENT, "lost", ""},
        /* Outside of connecting a missing privilege is not that of REPLICATION. */
        {{.sqlstate = "42501", .message = "permission denied"}, HQ_E_REFUSED, "denied", ""},
        {{.message = "server closed the connection"}, HQ_E_TRANSIENT, "closed", ""},
        {{.sqlstate = NULL}, HQ_E_TRANSIENT, "no answer", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_error err = {0};

        assert_int_equal(hq_pg_explain(&cases[i].t, &err), -1);
        expect(&err, cases[i].code, cases[i].message, cases[i].hint);
    }
}

static void
test_long_role(void **state)
{
    char user[400];
    struct hq_pg_trouble t = {.user = user, .connecting = true};
    struct hq_error err = {0};

    (void)state;
    memset(user, '"', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    assert_int_equal(hq_pg_explain_text(&t, "x:  42501: no\n", &err), -1);
    expect(&err, HQ_E_REFUSED, "no", "ALTER ROLE \"\"");
    t.user = NULL;
    assert_int_equal(hq_pg_explain_text(&t, "x:  42501: no\n", &err), -1);
    expect(&err, HQ_E_REFUSED, "no", "ALTER ROLE <role> REPLICATION");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_texts), cmocka_unit_test(test_ordinary_connections),
        cmocka_unit_test(test_password_missing), cmocka_unit_test(test_results),
        cmocka_unit_test(test_long_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
