#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hosts.h"

static int
parse(const char *conninfo, struct pg_hosts *out, struct hq_error *err)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    int failed;

    assert_non_null(options);
    failed = pg_hosts_parse(options, out, err);
    PQconninfoFree(options);
    return failed;
}

static void
expect(const struct pg_host *found, const char *host, const char *address, const char *port)
{
    const char *wanted[] = {host, address, port},
               *is[] = {found->host, found->hostaddr, found->port};

    for (int i = 0; i < 3; i++) {
        if (wanted[i] == NULL)
            assert_null(is[i]);
        else
            assert_string_equal(is[i], wanted[i]);
    }
}

static void
test_lists(void **state)
{
    struct pg_hosts hosts;
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(parse("host=a,b,c port=1,2,3 target_session_attrs=primary", &hosts, &err), 0);
    assert_int_equal(hosts.count, 3);
    assert_true(hosts.named);
    assert_int_equal(hosts.wanted, PG_WANT_PRIMARY);
    expect(&hosts.items[0], "a", NULL, "1");
    expect(&hosts.items[2], "c", NULL, "3");
    pg_hosts_clear(&hosts);

    /* One port for all; addresses beside names; an empty item is libpq's default. */
    assert_int_equal(parse("host=a,,c hostaddr=10.0.0.1,10.0.0.2, port=7", &hosts, &err), 0);
    assert_int_equal(hosts.count, 3);
    assert_int_equal(hosts.wanted, PG_WANT_ANY);
    expect(&hosts.items[0], "a", "10.0.0.1", "7");
    expect(&hosts.items[1], NULL, "10.0.0.2", "7");
    expect(&hosts.items[2], "c", NULL, "7");
    pg_hosts_clear(&hosts);

    assert_int_equal(parse("hostaddr=10.0.0.1,::1", &hosts, &err), 0);
    assert_int_equal(hosts.count, 2);
    expect(&hosts.items[1], NULL, "::1", NULL);
    pg_hosts_clear(&hosts);

    assert_int_equal(
        parse("postgresql://u@a:5433,b/x?target_session_attrs=prefer-standby", &hosts, &err), 0);
    assert_int_equal(hosts.count, 2);
    assert_int_equal(hosts.wanted, PG_WANT_PREFER_STANDBY);
    expect(&hosts.items[0], "a", NULL, "5433");
    expect(&hosts.items[1], "b", NULL, NULL);
    pg_hosts_clear(&hosts);

    /* Nothing named: a service file or the environment may name hosts, and libpq knows. */
    assert_int_equal(parse("service=x port=1,2 target_session_attrs=standby", &hosts, &err), 0);
    assert_int_equal(hosts.count, 1);
    assert_false(hosts.named);
    expect(&hosts.items[0], NULL, NULL, NULL);
    pg_hosts_clear(&hosts);
}

static void
refuse(const char *conninfo, const char *message)
{
    struct pg_hosts hosts;
    struct hq_error err = {0};

    assert_int_equal(parse(conninfo, &hosts, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s", err.message);
    assert_int_equal(hosts.count, 0);
}

static void
test_refused(void **state)
{
    char many[4 * PG_HOSTS_MAX] = "host=";

    (void)state;
    refuse("host=a,b hostaddr=10.0.0.1", "2 host and 1 hostaddr");
    refuse("host=a,b,c port=1,2", "3 hosts and 2 ports");
    refuse("host=a port=1,2", "1 hosts and 2 ports");
    refuse("host=a target_session_attrs=master", "target_session_attrs is \"master\"");
    for (int i = 0; i < PG_HOSTS_MAX; i++)
        strcat(many, "h,");
    refuse(many, "more than 64 hosts");
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(pg_wanted_name(PG_WANT_READ_WRITE), "read-write");
    assert_string_equal(pg_wanted_name(PG_WANT_PREFER_STANDBY), "prefer-standby");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
