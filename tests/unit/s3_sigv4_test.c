/*
 * Signatures against Amazon's published examples ("Signature Calculations for the Authorization
 * Header", S3 API reference), and the encoding rules they rest on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "sigv4.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST "examplebucket.s3.amazonaws.com"

static const struct hq_s3_signer example = {
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"};

static void
assert_signature(const struct hq_s3_canonical *request, const struct hq_s3_signer *signer,
                 const char *expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    assert_int_equal(hq_s3_authorization(request, signer, "20130524T000000Z", &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), expected);
}

static void
test_get_range(void **state)
{
    const struct hq_s3_pair headers[] = {{"host", HOST},
                                         {"range", "bytes=0-9"},
                                         {"x-amz-content-sha256", EMPTY_SHA256},
                                         {"x-amz-date", "20130524T000000Z"}};

    (void)state;
    assert_signature(
        &(struct hq_s3_canonical){"GET", "/test.txt", "", headers, 4, EMPTY_SHA256}, &example,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void
test_put_encoded_key(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0};
    struct hq_error err;
    char sha256[HQ_S3_SHA256_TEXT];

    (void)state;
    assert_int_equal(hq_s3_sha256("Welcome to Amazon S3.", 21, sha256, &err), 0);
    const struct hq_s3_pair headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                         {"host", HOST},
                                         {"x-amz-content-sha256", sha256},
                                         {"x-amz-date", "20130524T000000Z"},
                                         {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    hq_s3_encode(&path, "/test$file.text", true);
    assert_signature(
        &(struct hq_s3_canonical){"PUT", hq_buf_text(&path), "", headers, 5, sha256}, &example,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void
assert_query_signature(const struct hq_s3_pair *query, size_t count, const char *signature)
{
    const struct hq_s3_pair headers[] = {
        {"host", HOST}, {"x-amz-content-sha256", EMPTY_SHA256}, {"x-amz-date", "20130524T000000Z"}};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    hq_s3_encode_query(&text, query, count);
    const struct hq_s3_canonical request = {"GET",   "/", hq_buf_text(&text),
                                            headers, 3,   EMPTY_SHA256};
    assert_int_equal(hq_s3_authorization(&request, &example, "20130524T000000Z", &out, &err), 0);
    assert_non_null(strstr(hq_buf_text(&out), signature));
}

static void
test_queries(void **state)
{
    (void)state;
    assert_query_signature((const struct hq_s3_pair[]){{"lifecycle", ""}}, 1,
                           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    /* Given in the wrong order on purpose. */
    assert_query_signature((const struct hq_s3_pair[]){{"prefix", "J"}, {"max-keys", "2"}}, 2,
                           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* Swift's access keys are "account:user". */
static void
test_access_key_with_colon(void **state)
{
    const struct hq_s3_signer signer = {"test:tester", "secret", "r"};
    const struct hq_s3_pair headers[] = {{"host", "h"}};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    (void)state;
    const struct hq_s3_canonical request = {"GET", "/", "", headers, 1, EMPTY_SHA256};
    assert_int_equal(hq_s3_authorization(&request, &signer, "20260101T000000Z", &out, &err), 0);
    assert_non_null(
        strstr(hq_buf_text(&out), " Credential=test:tester/20260101/r/s3/aws4_request,"));
}

static void
test_encoding(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};

    (void)state;
    hq_s3_encode(&out, "aZ09-_.~/ +()!'*=,:@%\xc3\xa4", true);
    assert_string_equal(hq_buf_text(&out), "aZ09-_.~/%20%2B%28%29%21%27%2A%3D%2C%3A%40%25%C3%A4");
    out.len = 0;
    hq_s3_encode(&out, "a/b", false);
    assert_string_equal(hq_buf_text(&out), "a%2Fb");
}

/* '-' sorts before '=': ordered as whole texts, "a-b" would come first. */
static void
test_query_order(void **state)
{
    const struct hq_s3_pair pairs[] = {{"a-b", "x/y"}, {"uploads", ""}, {"a", "1"}};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};

    (void)state;
    hq_s3_encode_query(&out, pairs, 3);
    assert_string_equal(hq_buf_text(&out), "a=1&a-b=x%2Fy&uploads=");
}

static void
test_date(void **state)
{
    char text[HQ_S3_DATE_TEXT];
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_s3_date(1369353600, text, &err), 0);
    assert_string_equal(text, "20130524T000000Z");
    assert_int_equal(hq_s3_date(-1, text, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(hq_s3_date(INT64_C(253402300800), text, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_range), cmocka_unit_test(test_put_encoded_key),
        cmocka_unit_test(test_queries),   cmocka_unit_test(test_access_key_with_colon),
        cmocka_unit_test(test_encoding),  cmocka_unit_test(test_query_order),
        cmocka_unit_test(test_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
