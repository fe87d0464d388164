/* The XML of answers: read when right, refused when hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "xml.h"

#define ENTRY(key, size, time)                                                                     \
    "<Contents><Key>" key "</Key><LastModified>" time "</LastModified><Size>" size                 \
    "</Size><Owner><ID>x</ID></Owner></Contents>"
#define LIST(inner) "<?xml version=\"1.0\"?><ListBucketResult>" inner "</ListBucketResult>"
#define TIME "2009-10-12T17:50:30.123Z"

static int
read_page(const char *text, struct hq_s3_page *page, struct hq_error *err)
{
    return hq_s3_page_read(text, strlen(text), page, err);
}

static struct hq_s3_page *
new_page(void)
{
    struct hq_s3_page *page = calloc(1, sizeof *page);

    assert_non_null(page);
    return page;
}

static void
free_page(struct hq_s3_page *page)
{
    hq_s3_page_clear(page);
    free(page);
}

static void
test_page(void **state)
{
    struct hq_s3_page *page = new_page();
    struct hq_error err;

    (void)state;
    assert_int_equal(
        read_page(LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>1/&lt;+="
                       "</NextContinuationToken>" ENTRY("a%2Fb+c%25", "12", TIME) ENTRY(
                           "b", "0",
                           "2026-01-01T00:00:00.123456789Z") "<EncodingType>url</EncodingType>"),
                  page, &err),
        0);
    assert_int_equal(page->count, 2);
    assert_true(page->truncated);
    assert_string_equal(page->token, "1/<+=");
    assert_string_equal(hq_s3_page_key(page, 0), "a/b c%");
    assert_int_equal(page->entries[0].size, 12);
    assert_int_equal(page->entries[0].modified_us, INT64_C(1255369830123000));
    assert_string_equal(hq_s3_page_key(page, 1), "b");
    assert_int_equal(page->entries[1].modified_us, INT64_C(1767225600123456));

    /* The page is reused: nothing of the old one remains; without EncodingType '%' is itself. */
    assert_int_equal(read_page(LIST(ENTRY("x%2Fy+", "1", TIME)), page, &err), 0);
    assert_int_equal(page->count, 1);
    assert_false(page->truncated);
    assert_string_equal(page->token, "");
    assert_string_equal(hq_s3_page_key(page, 0), "x%2Fy+");
    free_page(page);
}

static void
test_page_namespaces(void **state)
{
    static const char text[] =
        "<s:ListBucketResult xmlns:s=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<s:Contents><s:Key>k</s:Key><s:Size>1</s:Size><s:LastModified>" TIME
        "</s:LastModified></s:Contents></s:ListBucketResult>";
    struct hq_s3_page *page = new_page();
    struct hq_error err;

    (void)state;
    assert_int_equal(read_page(text, page, &err), 0);
    assert_string_equal(hq_s3_page_key(page, 0), "k");
    free_page(page);
}

static void
test_page_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "<ListBucketResult>",
        "<Other></Other>",
        LIST(ENTRY("a", "-1", TIME)),
        LIST(ENTRY("a", "1x", TIME)),
        LIST(ENTRY("a", "", TIME)),
        LIST(ENTRY("a", "99999999999999999999", TIME)),
        LIST(ENTRY("a", "1", "yesterday")),
        LIST(ENTRY("a", "1", "2009-10-12T17:50:30")),
        LIST("<Contents><Key>a</Key><Size>1</Size></Contents>"),
        LIST("<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>"),
        LIST("<Contents></Contents>"),
        LIST("<EncodingType>url</EncodingType>" ENTRY("a%2", "1", TIME)),
        LIST("<EncodingType>url</EncodingType>" ENTRY("a%00", "1", TIME)),
        LIST("<EncodingType>url</EncodingType>" ENTRY("a%zz", "1", TIME)),
        "<!DOCTYPE x [<!ENTITY e \"eeee\">]>" LIST(ENTRY("a", "1", TIME)),
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">"
        "<ListBucketResult/>",
        LIST(ENTRY("&undeclared;", "1", TIME)),
    };
    struct hq_s3_page *page = new_page();
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(read_page(texts[i], page, &err), -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
    }
    free_page(page);
}

/* text repeated between head and tail */
static void
assert_too_much(const char *head, const char *text, size_t times, const char *tail)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf all = {0};
    struct hq_s3_page *page = new_page();
    struct hq_error err;

    hq_buf_put(&all, head, strlen(head));
    for (size_t i = 0; i < times; i++)
        hq_buf_put(&all, text, strlen(text));
    hq_buf_put(&all, tail, strlen(tail));
    assert_int_equal(hq_s3_page_read(all.data, all.len, page, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    free_page(page);
}

static void
test_bounds(void **state)
{
    (void)state;
    assert_too_much("<ListBucketResult>", ENTRY("k", "1", TIME), HQ_S3_LIST_MAX + 1,
                    "</ListBucketResult>");
    assert_too_much("<ListBucketResult><Name>", "n", HQ_S3_XML_TEXT + 1,
                    "</Name></ListBucketResult>");
    assert_too_much("<ListBucketResult><Contents><Key>", "k", HQ_S3_KEY_MAX + 1,
                    "</Key><Size>1</Size><LastModified>" TIME
                    "</LastModified></Contents></ListBucketResult>");
    assert_too_much("", "<a>", 100000, "");
    assert_too_much("<", "n", HQ_S3_XML_NAME, "/>");
}

static void
test_error_text(void **state)
{
    static const char text[] =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region\n is\x7f wrong"
        "</Message><Region>eu-central-1</Region><StringToSign>private</StringToSign>"
        "<Nested><Code>Other</Code></Nested></Error>";
    struct hq_s3_error_text out;

    (void)state;
    hq_s3_error_text_read(text, strlen(text), &out);
    assert_string_equal(out.code, "AuthorizationHeaderMalformed");
    assert_string_equal(out.message, "the region? is? wrong");
    assert_string_equal(out.region, "eu-central-1");

    /* No document, a cut one, another one: no text, and no failure. */
    hq_s3_error_text_read(NULL, 0, &out);
    assert_string_equal(out.code, "");
    hq_s3_error_text_read(text, 60, &out);
    assert_string_equal(out.code, "");
    hq_s3_error_text_read("<html><Code>x</Code></html>", 27, &out);
    assert_string_equal(out.code, "");
}

static void
test_upload_id(void **state)
{
    static const char good[] =
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>2~a/b+c</UploadId>"
        "</InitiateMultipartUploadResult>";
    static const char none[] = "<InitiateMultipartUploadResult/>";
    struct hq_error err;
    char id[16];

    (void)state;
    assert_int_equal(hq_s3_upload_id_read(good, strlen(good), id, sizeof id, &err), 0);
    assert_string_equal(id, "2~a/b+c");
    assert_int_equal(hq_s3_upload_id_read(good, strlen(good), id, 7, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_int_equal(hq_s3_upload_id_read(none, strlen(none), id, sizeof id, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),         cmocka_unit_test(test_page_namespaces),
        cmocka_unit_test(test_page_refused), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_error_text),   cmocka_unit_test(test_upload_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
