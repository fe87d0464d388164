#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

/* What must never turn up in an error. */
#define SECRET "hunter2"

static void
check_refused(const char *text, const char *message, const char *hint)
{
    struct hq_config *config = NULL;
    struct hq_error err = {0};

    if (hq_config_parse("f.yaml", text, strlen(text), &config, &err) == 0)
        fail_msg("accepted: %s", text);
    assert_int_equal(err.code, HQ_E_CONFIG);
    if (strstr(err.message, message) == NULL || strstr(err.hint, hint) == NULL)
        fail_msg("%s [%s], instead of %s [%s]", err.message, err.hint, message, hint);
    assert_null(strstr(err.message, SECRET));
    assert_null(strstr(err.hint, SECRET));
}

static void
literal_secrets_are_refused(void **state)
{
    (void)state;
    check_refused("cluster:\n  password: " SECRET "\n",
                  "f.yaml:2:3: 'cluster.password' is a secret", "cluster.password_file");
    check_refused("password: " SECRET "\n", "f.yaml:1:1: 'password' is a secret",
                  "cluster.password_file");
    check_refused("repository:\n  secret_key: " SECRET "\n",
                  "f.yaml:2:3: 'repository.secret_key' is a secret", "repository.secret_key_file");
    check_refused("repository: {access_key: " SECRET "}\n",
                  "f.yaml:1:14: 'repository.access_key' is a secret", "repository.access_key_file");
    check_refused("key: " SECRET "\n", "f.yaml:1:1: 'key' is a secret", "key_file");
}

static void
misplaced_secrets_are_not_repeated(void **state)
{
    (void)state;
    check_refused("key_file: " SECRET "\n", "f.yaml:1:11: key_file: not an absolute path", "");
    check_refused("cluster: {password_file: " SECRET "}\n", "cluster.password_file: not an", "");
    check_refused("repository: {secret_key_file: " SECRET "}\n", "not an absolute path", "");
    check_refused("repository: {url: 's3://a:" SECRET "@b'}\n", "'@' before", "secret_key_file");
    check_refused("repository: {url: '" SECRET "'}\n", "not the URL", "");
    check_refused("repository: {endpoint: 'https://a:" SECRET "@b'}\n", "'@' before", "");
    check_refused("passphrase: " SECRET "\n", "unknown key 'passphrase'", "");
}

static void
passwords_in_connections_are_refused(void **state)
{
    static const char *const wrong[] = {
        "host=h password=" SECRET,
        "password = " SECRET " host=h",
        "host='a b' password='" SECRET "'",
        "host='a\\' password=x' password=" SECRET,
        "host=a\\ b password=" SECRET,
        "host='' password=" SECRET,
        "host= password=" SECRET " password=" SECRET,
        "sslkey=/k sslpassword=" SECRET,
        "postgresql://u:" SECRET "@h/d",
        "postgres://u:" SECRET "@h",
        "postgresql://u:@h",
        "postgresql://h/d?password=" SECRET,
        "postgresql://h/d?user=u&password=" SECRET,
        "postgresql://h/d?user=u&pass%77ord=" SECRET,
        "postgresql:///?%70%61ssword=" SECRET,
        "postgresql://h?sslpassword=" SECRET,
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "cluster:\n  connection: \"%s\"\n", wrong[i]);
        for (char *p = text; (p = strchr(p, '\\')) != NULL; p += 2) {
            memmove(p + 1, p, strlen(p) + 1);
        }
        check_refused(text, "f.yaml:2:15: cluster.connection: a secret (", "PGPASSFILE");
    }
}

static void
unreadable_connections_are_refused(void **state)
{
    (void)state;
    check_refused("cluster: {connection: '" SECRET "'}\n", "a keyword without '='", "libpq");
    check_refused("cluster: {connection: \"a='" SECRET "\"}\n", "a quote (') is not closed",
                  "libpq");
    check_refused("cluster: {connection: 'postgresql://h?%7=" SECRET "'}\n", "hexadecimal",
                  "libpq");
    check_refused("cluster: {connection: 'postgresql://h?%00a=" SECRET "'}\n", "hexadecimal",
                  "libpq");
}

static void
harmless_connections_pass(void **state)
{
    static const char *const right[] = {
        "host=/run/postgresql",
        "host = h  user = u ",
        "user='password=x' host=h",
        "user=password host=h",
        "application_name='it\\\\'s' passfile=/p",
        "postgresql://",
        "postgresql://u@h:5432/d?sslmode=verify-full&passfile=%2Fp",
        "postgresql://u@[::1]/d",
        "postgresql://[::1]:5432/password=x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        char text[512];
        struct hq_config *config = NULL;
        struct hq_error err = {0};

        (void)snprintf(text, sizeof text,
                       "region: TR\nkey_file: /k\nrepository: {url: /r}\ncluster:\n  name: a\n"
                       "  connection: \"%s\"\n",
                       right[i]);
        if (hq_config_parse("f.yaml", text, strlen(text), &config, &err) != 0)
            fail_msg("%s: %s", right[i], err.message);
        hq_config_free(config);
    }
}

struct file {
    char path[32];
};

static struct file
file_with(const void *bytes, size_t len, mode_t mode)
{
    struct file file = {"/tmp/hq_secret_test_XXXXXX"};
    int fd = mkstemp(file.path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
    return file;
}

static void
check_secret(const char *content, const char *expected)
{
    struct file file = file_with(content, strlen(content), 0640);
    struct hq_buf secret = {0};
    struct hq_error err = {0};

    if (hq_config_read_secret(file.path, &secret, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(secret.len, strlen(expected));
    assert_string_equal((const char *)secret.data, expected);
    hq_buf_wipe(&secret);
    assert_int_equal(unlink(file.path), 0);
}

static void
check_secret_refused(const void *content, size_t len, mode_t mode, enum hq_code code,
                     const char *message)
{
    struct file file = file_with(content, len, mode);
    struct hq_buf secret = {0};
    struct hq_error err = {0};

    assert_int_equal(hq_config_read_secret(file.path, &secret, &err), -1);
    assert_int_equal(err.code, code);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s", err.message);
    assert_non_null(strstr(err.message, file.path));
    assert_null(strstr(err.message, SECRET));
    assert_int_equal(secret.len, 0);
    assert_null(secret.data);
    assert_int_equal(unlink(file.path), 0);
}

static void
secrets_lose_one_line_end(void **state)
{
    static char most[HQ_CONFIG_SECRET_MAX + 3];

    (void)state;
    check_secret(SECRET, SECRET);
    check_secret(SECRET "\n", SECRET);
    check_secret(SECRET "\r\n", SECRET);
    check_secret(SECRET "\n\n", SECRET "\n");
    check_secret(SECRET "\r", SECRET "\r");
    check_secret(" " SECRET " \n", " " SECRET " ");
    memset(most, 'x', HQ_CONFIG_SECRET_MAX);
    check_secret(most, most);
}

static void
unfit_secrets_are_refused(void **state)
{
    static char long_secret[3 * HQ_CONFIG_SECRET_MAX];

    (void)state;
    memset(long_secret, 'x', sizeof long_secret);
    check_secret_refused("", 0, 0600, HQ_E_CONFIG, "empty");
    check_secret_refused("\n", 1, 0600, HQ_E_CONFIG, "empty");
    check_secret_refused("a\0b", 3, 0600, HQ_E_CONFIG, "zero byte");
    check_secret_refused(long_secret, HQ_CONFIG_SECRET_MAX + 1, 0600, HQ_E_CONFIG,
                         "longer than 4096");
    check_secret_refused(long_secret, sizeof long_secret, 0600, HQ_E_CONFIG, "longer than 4096");
    check_secret_refused(SECRET, strlen(SECRET), 0604, HQ_E_REFUSED, "mode 0604");
    check_secret_refused(SECRET, strlen(SECRET), 0602, HQ_E_REFUSED, "mode 0602");
    check_secret_refused(SECRET, strlen(SECRET), 0601, HQ_E_REFUSED, "mode 0601");
}

static void
unfit_places_are_refused(void **state)
{
    char directory[] = "/tmp/hq_secret_fifo_XXXXXX";
    char fifo[64];
    struct hq_buf secret = {0};
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(hq_config_read_secret("/nonexistent/secret", &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(hq_config_read_secret("/tmp", &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    assert_non_null(mkdtemp(directory));
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(hq_config_read_secret(fifo, &secret, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void
links_are_followed(void **state)
{
    struct file file = file_with(SECRET, strlen(SECRET), 0600);
    struct hq_buf secret = {0};
    struct hq_error err = {0};
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof path, "%s.link", file.path);
    assert_int_equal(symlink(file.path, path), 0);
    assert_int_equal(hq_config_read_secret(path, &secret, &err), 0);
    assert_string_equal((const char *)secret.data, SECRET);
    hq_buf_wipe(&secret);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(file.path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_secrets_are_refused),
        cmocka_unit_test(misplaced_secrets_are_not_repeated),
        cmocka_unit_test(passwords_in_connections_are_refused),
        cmocka_unit_test(unreadable_connections_are_refused),
        cmocka_unit_test(harmless_connections_pass),
        cmocka_unit_test(secrets_lose_one_line_end),
        cmocka_unit_test(unfit_secrets_are_refused),
        cmocka_unit_test(unfit_places_are_refused),
        cmocka_unit_test(links_are_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
