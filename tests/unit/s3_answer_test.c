/* What answers mean: headers, and the store's refusals in this project's codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "s3_internal.h"

static void
read_line(struct hq_s3_headers *headers, const char *line)
{
    hq_s3_header_read(headers, line, strlen(line));
}

static void
test_headers(void **state)
{
    struct hq_s3_headers h = {0};

    (void)state;
    read_line(&h, "content-length: 10\r\n");
    read_line(&h, "Content-Range: bytes 5-14/100\r\n");
    read_line(&h, "ETag: \"900150983cd24fb0d6963f7d28e17f72\"\r\n");
    read_line(&h, "Date: Fri, 24 May 2013 00:00:00 GMT\r\n");
    read_line(&h, "Last-Modified: Thu, 23 May 2013 23:59:59 GMT\r\n");
    read_line(&h, "Retry-After: 7\r\n");
    read_line(&h, "x-amz-bucket-region:eu-central-1\r\n");
    assert_true(h.has_length && h.length == 10);
    assert_true(h.has_range && h.first == 5 && h.last == 14 && h.total == 100);
    assert_string_equal(h.etag, "\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_int_equal(h.date_us, INT64_C(1369353600000000));
    assert_int_equal(h.modified_us, INT64_C(1369353599000000));
    assert_int_equal(h.retry_after_s, 7);
    assert_string_equal(h.region, "eu-central-1");
    read_line(&h, "Retry-After: 99999999\r\n");
    assert_int_equal(h.retry_after_s, 3600);
}

static void
test_bad_headers(void **state)
{
    static const char *const lines[] = {
        "Content-Length: -1\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length:\r\n",
        "Content-Range: bytes 5-4/10\r\n",
        "Content-Range: bytes 0-10/10\r\n",
        "Content-Range: bytes */10\r\n",
        "Content-Range: items 0-1/10\r\n",
        "Content-Range: bytes 0-1/10x\r\n",
        "Content-Range\r\n",
        "ETag: \x01\r\n",
        "Date: yesterday\r\n",
        "Retry-After: soon\r\n",
        "\r\n",
    };
    const struct hq_s3_headers none = {0};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct hq_s3_headers h = {0};
        read_line(&h, lines[i]);
        assert_false(h.has_length || h.has_range);
        assert_int_equal(h.date_us, 0);
        assert_int_equal(h.retry_after_s, 0);
        assert_string_equal(h.etag, none.etag);
    }
}

static void
answer(long status, const char *document, const char *header, struct hq_error *err)
{
    struct hq_s3 s3 = {.region = (char[]){"us-east-1"}};
    struct hq_s3_response response = {.status = status};

    read_line(&response.headers, header);
    hq_buf_put(&response.body, document, strlen(document));
    assert_int_equal(hq_s3_answer_error(&s3, &response, err), -1);
    hq_s3_response_clear(&response);
}

static void
test_codes(void **state)
{
    static const struct {
        long status;
        const char *code;
        enum hq_code expected;
        bool hint;
    } cases[] = {
        {404, "NoSuchKey", HQ_E_MISSING, false},
        {404, "NoSuchBucket", HQ_E_REFUSED, true},
        {403, "AccessDenied", HQ_E_REFUSED, true},
        {403, "InvalidAccessKeyId", HQ_E_REFUSED, true},
        {403, "SignatureDoesNotMatch", HQ_E_REFUSED, true},
        {403, "RequestTimeTooSkewed", HQ_E_REFUSED, true},
        {403, "QuotaExceeded", HQ_E_NO_SPACE, true},
        {403, "Unheard", HQ_E_REFUSED, false},
        {507, "XMinioStorageFull", HQ_E_NO_SPACE, true},
        {507, "", HQ_E_NO_SPACE, false},
        {503, "SlowDown", HQ_E_TRANSIENT, false},
        {500, "InternalError", HQ_E_TRANSIENT, false},
        {502, "", HQ_E_TRANSIENT, false},
        {429, "", HQ_E_TRANSIENT, false},
        {400, "RequestTimeout", HQ_E_TRANSIENT, false},
        {400, "BadDigest", HQ_E_CORRUPT, false},
        {400, "AuthorizationHeaderMalformed", HQ_E_REGION, true},
        {400, "IllegalLocationConstraintException", HQ_E_REGION, true},
        {301, "PermanentRedirect", HQ_E_REGION, true},
        {301, "", HQ_E_REGION, true},
        {302, "", HQ_E_REFUSED, false},
        {400, "", HQ_E_REFUSED, false},
        {501, "NotImplemented", HQ_E_UNSUPPORTED, false},
        /* A success that holds an error document, as CompleteMultipartUpload has it. */
        {200, "InternalError", HQ_E_TRANSIENT, false},
        {200, "AccessDenied", HQ_E_REFUSED, true},
    };
    struct hq_error err;
    char document[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        document[0] = '\0';
        if (cases[i].code[0] != '\0')
            snprintf(document, sizeof document, "<Error><Code>%s</Code></Error>", cases[i].code);
        answer(cases[i].status, document, "", &err);
        assert_int_equal(err.code, cases[i].expected);
        assert_int_equal(err.hint[0] != '\0', cases[i].hint);
        assert_non_null(strstr(err.message, cases[i].code));
    }
}

static void
test_region_is_named(void **state)
{
    struct hq_error err;

    (void)state;
    answer(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-1</Region></Error>", "",
           &err);
    assert_non_null(strstr(err.hint, "ap-1"));
    answer(301, "", "x-amz-bucket-region: ap-2", &err);
    assert_int_equal(err.code, HQ_E_REGION);
    assert_non_null(strstr(err.hint, "ap-2"));
    /* A HEAD's 400 has no document, but the header. */
    answer(400, "", "x-amz-bucket-region: ap-3", &err);
    assert_int_equal(err.code, HQ_E_REGION);
    answer(403, "", "x-amz-bucket-region: us-east-1", &err);
    assert_int_equal(err.code, HQ_E_REFUSED);
}

static int
verify_etag(const char *etag, const char *encryption)
{
    static const struct hq_body body = {.data = "abc", .fd = -1, .size = 3};
    struct hq_s3_payload payload;
    struct hq_s3_request request = {.payload = &payload};
    struct hq_s3_response response = {.status = 200};
    struct hq_error err = {0};

    assert_int_equal(hq_s3_payload_init(&payload, &body, 0, 3, &err), 0);
    assert_string_equal(payload.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(payload.md5_base64, "kAFQmDzST7DWlj99KOF/cg==");
    read_line(&response.headers, etag);
    read_line(&response.headers, encryption);
    int rc = hq_s3_verify_put(&request, &response, &err);
    assert_int_equal(err.code, rc == 0 ? HQ_E_OK : HQ_E_CORRUPT);
    return rc;
}

static void
test_etags(void **state)
{
    static const char wrong[] = "ETag: \"900150983cd24fb0d6963f7d28e17f73\"";

    (void)state;
    assert_int_equal(verify_etag("ETag: \"900150983cd24fb0d6963f7d28e17f72\"", ""), 0);
    assert_int_equal(verify_etag("ETag: 900150983CD24FB0D6963F7D28E17F72", ""), 0);
    assert_int_equal(verify_etag("ETag: \"900150983cd24fb0d6963f7d28e17f72-2\"", ""), 0);
    assert_int_equal(verify_etag("", ""), 0);
    assert_int_equal(verify_etag(wrong, ""), -1);
    assert_int_equal(verify_etag(wrong, "x-amz-server-side-encryption: AES256"), -1);
    assert_int_equal(verify_etag(wrong, "x-amz-server-side-encryption: aws:kms"), 0);
    assert_int_equal(verify_etag(wrong, "x-amz-server-side-encryption-customer-algorithm: AES256"),
                     0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_codes),   cmocka_unit_test(test_region_is_named),
        cmocka_unit_test(test_etags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
