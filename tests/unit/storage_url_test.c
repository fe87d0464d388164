/* Repository URLs: what they resolve to, what is refused, and that nothing secret is repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "storage_internal.h"

static void
parse(const char *url, struct hq_target *out)
{
    struct hq_store_options options = {.url = url};
    struct hq_error err;

    if (hq_target_parse(&options, out, &err) != 0)
        fail_msg("%s: %s", url, err.message);
}

static void
places(void **state)
{
    static const struct {
        const char *url;
        enum hq_target_kind kind;
        const char *location;
        const char *shown;
    } cases[] = {
        {"/srv/backup", HQ_TARGET_POSIX, "/srv/backup", "/srv/backup"},
        {"/srv/a?b&c d", HQ_TARGET_POSIX, "/srv/a?b&c d", "/srv/a?b&c d"},
        {"posix:/srv/100%", HQ_TARGET_POSIX, "/srv/100%", "/srv/100%"},
        {"file:///srv/a%20b", HQ_TARGET_POSIX, "/srv/a b", "/srv/a b"},
        {"memory:", HQ_TARGET_MEMORY, "", "memory:"},
        {"memory:x", HQ_TARGET_MEMORY, "x", "memory:x"},
        {"s3://bucket", HQ_TARGET_S3, "bucket", "s3://bucket"},
        {"s3://bucket/", HQ_TARGET_S3, "bucket", "s3://bucket"},
        {"s3://buc.ket-1/a/b", HQ_TARGET_S3, "buc.ket-1/a/b", "s3://buc.ket-1/a/b"},
        {"s3://bucket/a/?region=eu", HQ_TARGET_S3, "bucket/a", "s3://bucket/a"},
        {"s3://bucket?endpoint=https://h:9000", HQ_TARGET_S3, "bucket",
         "s3://bucket?endpoint=https://h:9000"},
    };
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_target target;
        parse(cases[i].url, &target);
        HQ_FREE char *shown = hq_target_url(&target, &err);
        assert_int_equal(target.kind, cases[i].kind);
        assert_string_equal(target.location, cases[i].location);
        assert_string_equal(shown, cases[i].shown);
        hq_target_clear(&target);
    }
}

static void
options_of_the_url_win(void **state)
{
    struct hq_store_options options = {
        .url = "s3://bucket/p?region=eu-central-1&endpoint=https%3A%2F%2F[::1]:443/&ca=/etc/a%26b",
        .endpoint = "https://other",
        .region = "other",
        .style = "virtual",
        .ca_file = "other",
        .connections = 3,
        .part_bytes = UINT64_C(5) << 20,
    };
    struct hq_target target;
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_target_parse(&options, &target, &err), 0);
    assert_string_equal(target.location, "bucket/p");
    assert_string_equal(target.options.region, "eu-central-1");
    assert_string_equal(target.options.endpoint, "https://[::1]:443/");
    assert_string_equal(target.options.ca_file, "/etc/a&b");
    assert_string_equal(target.options.style, "virtual");
    assert_int_equal(target.options.connections, 3);
    assert_int_equal(target.options.part_bytes, 5 << 20);
    hq_target_clear(&target);
}

static void
defaults(void **state)
{
    struct hq_target target;

    (void)state;
    parse("s3://bucket", &target);
    assert_string_equal(target.options.region, "us-east-1");
    assert_string_equal(target.options.style, "path");
    assert_null(target.options.endpoint);
    assert_null(target.options.access_key);
    assert_int_equal(target.options.connections, 8);
    assert_int_equal(target.options.timeout_s, 30);
    assert_int_equal(target.options.retry_s, 120);
    assert_int_equal(target.options.part_bytes, 32 << 20);
    hq_target_clear(&target);
}

/* The word "hunter" stands for a secret in a wrong place. */
static void
refused(void **state)
{
    static const char *const urls[] = {
        "",
        "srv/backup",
        "./srv",
        "posix:srv",
        "posix:",
        "file://host/srv",
        "file:/srv",
        "s3:",
        "s3:/bucket",
        "https://bucket",
        "S3://bucket",
        "ftp://hunter",
        "s3://",
        "s3:///p",
        "s3://ab",
        "s3://buc ket",
        "s3://.bucket",
        "s3://-bucket",
        "s3://bucket//p",
        "s3://bucket/../p",
        "s3://bucket/p//",
        "s3://bucket/a b",
        "s3://key:hunter@bucket/p",
        "s3://bucket#hunter",
        "s3://0123456789012345678901234567890123456789012345678901234567890123",
        "s3://bucket?",
        "s3://bucket?&",
        "s3://bucket?region",
        "s3://bucket?region=",
        "s3://bucket?region=a/b",
        "s3://bucket?region=a&region=b",
        "s3://bucket?Region=a",
        "s3://bucket?secret_key=hunter",
        "s3://bucket?hunter",
        "s3://bucket?style=other",
        "s3://bucket?region=%",
        "file:///%zz",
        "s3://bucket?region=%4",
        "s3://bucket?region=a%00b",
        "file:///a%00b",
        "s3://bucket?endpoint=host",
        "s3://bucket?endpoint=ftp://host",
        "s3://bucket?endpoint=https://",
        "s3://bucket?endpoint=https:///",
        "s3://bucket?endpoint=https://host/path",
        "s3://bucket?endpoint=https://a%20b",
        "s3://bucket?endpoint=https://user:hunter@host",
        "s3://bucket?endpoint=https://h?hunter",
        "s3://bucket?endpoint=https://h%0d%0aX: y",
    };
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct hq_store_options options = {.url = urls[i]};
        struct hq_target target;
        if (hq_target_parse(&options, &target, &err) == 0)
            fail_msg("accepted: %s", urls[i]);
        assert_int_equal(err.code, HQ_E_USAGE);
        assert_null(strstr(err.message, "hunter"));
        assert_null(strstr(err.hint, "hunter"));
    }
}

static void
lengths_and_fields(void **state)
{
    HQ_FREE char *url = malloc(6000);
    struct hq_store_options options = {.url = url};
    struct hq_target target;
    struct hq_error err;

    (void)state;
    assert_non_null(url);
    memset(url, 'a', 6000);
    url[0] = '/';
    url[4097] = '\0';
    assert_int_equal(hq_target_parse(&options, &target, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    url[4096] = '\0';
    assert_int_equal(hq_target_parse(&options, &target, &err), 0);
    hq_target_clear(&target);

    options.url = NULL;
    assert_int_equal(hq_target_parse(&options, &target, &err), -1);
    static const struct hq_store_options wrong[] = {
        {.url = "s3://bucket", .style = "odd"},
        {.url = "s3://bucket", .region = ""},
        {.url = "s3://bucket", .region = "a b"},
        {.url = "s3://bucket", .endpoint = "https://a@b"},
        {.url = "s3://bucket", .part_bytes = (5 << 20) - 1},
        {.url = "s3://bucket", .part_bytes = (UINT64_C(5) << 30) + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(hq_target_parse(&wrong[i], &target, &err), -1);
        assert_int_equal(err.code, HQ_E_USAGE);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(options_of_the_url_win),
        cmocka_unit_test(defaults),
        cmocka_unit_test(refused),
        cmocka_unit_test(lengths_and_fields),
    };

    return cmocka_run_group_tests_name("repository URLs", tests, NULL, NULL);
}
