/*
 * What a server is told of the earlier backup before an incremental one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "incremental_manifest.h"

static int
collect(void *text, const void *piece, size_t len, struct hq_error *err)
{
    assert_true(len <= 80000);
    hq_buf_put(text, piece, len);
    return hq_buf_check(text, "manifest", err);
}

static const struct incremental_manifest_range range = {.system_identifier =
                                                            UINT64_C(7600000000000000001),
                                                        .timeline = 3,
                                                        .start_lsn = UINT64_C(0x1200000028),
                                                        .stop_lsn = UINT64_C(0x1200000158)};

static void
check_checksum(const struct hq_buf *text)
{
    static const char key[] = "\"Manifest-Checksum\": \"";
    const char *begin = strstr((const char *)text->data, key);
    uint8_t sum[32];
    char hex[65];

    assert_non_null(begin);
    assert_int_equal(begin[-1], '\n');
    assert_int_equal(EVP_Digest(text->data, (size_t)(begin - (const char *)text->data), sum, NULL,
                                EVP_sha256(), NULL),
                     1);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    assert_memory_equal(begin + strlen(key), hex, 64);
    assert_string_equal(begin + strlen(key) + 64, "\"}\n");
}

static json_t *
write_manifest(struct hq_buf *text, uint32_t files)
{
    struct hq_error err = {0};
    struct incremental_manifest *m = incremental_manifest_new(&range, collect, text, &err);
    json_t *json;

    assert_non_null(m);
    assert_int_equal(incremental_manifest_file(m, "base/5/\"12\\59", 8192, 0, &err), 0);
    for (uint32_t i = 0; i < files; i++) {
        char path[40];

        snprintf(path, sizeof path, "pg_tblspc/9/PG_17_1/5/%u", i + 1);
        assert_int_equal(
            incremental_manifest_file(m, path, i * UINT64_C(8192), INT64_C(1764000000123456), &err),
            0);
    }
    assert_int_equal(incremental_manifest_files(m), files);
    assert_int_equal(incremental_manifest_end(m, &err), 0);
    incremental_manifest_free(m);
    hq_buf_put_u8(text, 0);
    check_checksum(text);
    json = json_loads((const char *)text->data, 0, NULL);
    assert_non_null(json);
    return json;
}

static void
the_manifest_is_what_a_server_reads(void **state)
{
    static const uint32_t counts[] = {0, 1, 5000};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf text = {0};
        json_t *json = write_manifest(&text, counts[i]), *files, *ranges, *one;

        assert_int_equal(
            json_integer_value(json_object_get(json, "PostgreSQL-Backup-Manifest-Version")), 2);
        assert_true(json_integer_value(json_object_get(json, "System-Identifier")) ==
                    INT64_C(7600000000000000001));
        files = json_object_get(json, "Files");
        assert_int_equal(json_array_size(files), counts[i]);
        one = json_array_get(files, counts[i] > 0 ? counts[i] - 1 : 0);
        if (counts[i] == 5000) {
            assert_string_equal(json_string_value(json_object_get(one, "Path")),
                                "pg_tblspc/9/PG_17_1/5/5000");
            assert_int_equal(json_integer_value(json_object_get(one, "Size")), 4999 * 8192);
            assert_string_equal(json_string_value(json_object_get(one, "Last-Modified")),
                                "2025-11-24 16:00:00 GMT");
        }
        ranges = json_object_get(json, "WAL-Ranges");
        assert_int_equal(json_array_size(ranges), 1);
        one = json_array_get(ranges, 0);
        assert_int_equal(json_integer_value(json_object_get(one, "Timeline")), 3);
        assert_string_equal(json_string_value(json_object_get(one, "Start-LSN")), "12/28");
        assert_string_equal(json_string_value(json_object_get(one, "End-LSN")), "12/158");
        json_decref(json);
    }
}

static int
refuse_text(void *context, const void *piece, size_t len, struct hq_error *err)
{
    (void)context;
    (void)piece;
    (void)len;
    return hq_fail(err, HQ_E_TRANSIENT, "the connection is gone");
}

static void
a_lost_connection_ends_the_manifest(void **state)
{
    struct hq_error err = {0};
    struct incremental_manifest *m = incremental_manifest_new(&range, refuse_text, NULL, &err);

    (void)state;
    assert_non_null(m);
    assert_int_equal(incremental_manifest_end(m, &err), -1);
    assert_int_equal(err.code, HQ_E_TRANSIENT);
    incremental_manifest_free(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_is_what_a_server_reads),
        cmocka_unit_test(a_lost_connection_ends_the_manifest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
