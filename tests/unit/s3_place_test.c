/* Endpoints, addressing styles and where credentials come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "s3_internal.h"

static void
assert_place(const char *endpoint, const char *style, const char *location, const char *url)
{
    struct hq_store_options options = {.endpoint = endpoint, .style = style, .region = "eu-1"};
    HQ_AUTO(hq_s3_place_clear)
    struct hq_s3_place place = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err;

    assert_int_equal(hq_s3_place_init(&place, location, &options, &err), 0);
    hq_buf_printf(&text, "%s", place.origin);
    hq_s3_place_path(&place, "packs/x", &text);
    assert_string_equal(hq_buf_text(&text), url);
    /* What is signed as Host is what is connected to. */
    assert_string_equal(strstr(place.origin, "://") + 3, place.host);
}

static void
test_places(void **state)
{
    (void)state;
    assert_place("https://h", "path", "bucket", "https://h/bucket/packs/x");
    assert_place("https://h/", "path", "bucket/a/b", "https://h/bucket/a/b/packs/x");
    assert_place("http://h:9000", "path", "bucket/p", "http://h:9000/bucket/p/packs/x");
    assert_place("http://[::1]:7480", "path", "bucket", "http://[::1]:7480/bucket/packs/x");
    assert_place("https://[fd00::2]", "path", "bucket", "https://[fd00::2]/bucket/packs/x");
    assert_place("https://s3.example.org", "virtual", "bucket/p",
                 "https://bucket.s3.example.org/p/packs/x");
    assert_place("http://localhost:7480/", "virtual", "a.b", "http://a.b.localhost:7480/packs/x");
    assert_place(NULL, "path", "bucket", "https://s3.eu-1.amazonaws.com/bucket/packs/x");
}

/* A client that writes the default port into Host, or not, breaks the signature. */
static void
test_default_ports(void **state)
{
    (void)state;
    assert_place("https://h:443", "path", "bucket", "https://h/bucket/packs/x");
    assert_place("http://h:80/", "path", "bucket", "http://h/bucket/packs/x");
    assert_place("https://h:80", "path", "bucket", "https://h:80/bucket/packs/x");
}

static void
test_bucket_path(void **state)
{
    struct hq_store_options options = {
        .endpoint = "https://h.org", .style = "virtual", .region = "cn-north-1"};
    HQ_AUTO(hq_s3_place_clear)
    struct hq_s3_place place = {0};
    HQ_AUTO(hq_s3_place_clear)
    struct hq_s3_place china = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_s3_place_init(&place, "bucket/p", &options, &err), 0);
    hq_s3_place_path(&place, NULL, &text);
    assert_string_equal(hq_buf_text(&text), "/");
    options.endpoint = NULL;
    options.style = "path";
    assert_int_equal(hq_s3_place_init(&china, "bucket", &options, &err), 0);
    assert_string_equal(china.host, "s3.cn-north-1.amazonaws.com.cn");
    text.len = 0;
    hq_s3_place_path(&china, NULL, &text);
    assert_string_equal(hq_buf_text(&text), "/bucket");
}

static void
assert_refused(const char *endpoint, const char *style, const char *location)
{
    struct hq_store_options options = {.endpoint = endpoint, .style = style, .region = "r"};
    HQ_AUTO(hq_s3_place_clear)
    struct hq_s3_place place = {0};
    struct hq_error err;

    assert_int_equal(hq_s3_place_init(&place, location, &options, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_true(err.hint[0] != '\0');
}

static void
test_refused(void **state)
{
    static const char *const endpoints[] = {
        "ftp://h",
        "h",
        "https://",
        "https://h:0",
        "https://h:65536",
        "https://h:99999999999999999",
        "https://h:",
        "https://h:1x",
        "https://h/path",
        "https://u@h",
        "https://[::1",
        "https://[]",
        "https://[g::1]",
        "https://h?x",
        "https://[fe80::1%25eth0]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
        assert_refused(endpoints[i], "path", "bucket");
    assert_refused("https://127.0.0.1", "virtual", "bucket");
    assert_refused("https://[::1]:1", "virtual", "bucket");
    /* A wildcard certificate covers one label. */
    assert_refused("https://h.org", "virtual", "a.b");
    assert_refused("https://h.org", "virtual", "Bucket");
}

static void
write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int
clear_environment(void **state)
{
    static const char *const names[] = {
        "HQ_S3_ACCESS_KEY",  "HQ_S3_ACCESS_KEY_FILE", "HQ_S3_SECRET_KEY",  "HQ_S3_SECRET_KEY_FILE",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    return 0;
}

static void
test_credentials_order(void **state)
{
    struct hq_store_options options = {.access_key = "given", .secret_key = "secret"};
    struct hq_s3_credentials found;
    struct hq_error err;

    (void)state;
    setenv("HQ_S3_ACCESS_KEY", "ours", 1);
    setenv("AWS_ACCESS_KEY_ID", "theirs", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), 0);
    assert_string_equal(found.access_key, "given");
    assert_string_equal(found.session_token, "token");
    hq_s3_credentials_clear(&found);

    options.access_key = NULL;
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), 0);
    assert_string_equal(found.access_key, "ours");
    hq_s3_credentials_clear(&found);

    setenv("HQ_S3_ACCESS_KEY", "", 1);
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), 0);
    assert_string_equal(found.access_key, "theirs");
    hq_s3_credentials_clear(&found);
}

static void
test_credentials_file(void **state)
{
    struct hq_store_options options = {.access_key = "a:b"};
    struct hq_s3_credentials found;
    struct hq_error err;
    char path[] = "/tmp/hq-s3-secret-XXXXXX";
    HQ_CLOSE int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    setenv("HQ_S3_SECRET_KEY_FILE", path, 1);
    setenv("AWS_SECRET_ACCESS_KEY", "not this", 1);
    write_file(path, "from/file+\n");
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), 0);
    assert_string_equal(found.secret_key, "from/file+");
    assert_null(found.session_token);
    hq_s3_credentials_clear(&found);
    assert_null(found.secret_key);

    /* A key that could end a header, or an empty or missing file, is refused without quoting it. */
    write_file(path, "topsecret\nx-amz-acl: public-read\n");
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    assert_null(strstr(err.message, "topsecret"));
    hq_s3_credentials_clear(&found);
    write_file(path, "\n");
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    hq_s3_credentials_clear(&found);
    unlink(path);
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), -1);
    assert_non_null(strstr(err.message, path));
    hq_s3_credentials_clear(&found);
}

static void
test_credentials_missing(void **state)
{
    struct hq_store_options options = {.access_key = "a"};
    struct hq_s3_credentials found;
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_s3_credentials_init(&found, &options, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    assert_non_null(strstr(err.hint, "HQ_S3_SECRET_KEY"));
    hq_s3_credentials_clear(&found);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_default_ports),
        cmocka_unit_test(test_bucket_path),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup(test_credentials_order, clear_environment),
        cmocka_unit_test_setup(test_credentials_file, clear_environment),
        cmocka_unit_test_setup(test_credentials_missing, clear_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
