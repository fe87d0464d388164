#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit_internal.h"
#include "base/log.h"
#include "repository_fixture.h"

#define T0 INT64_C(1795230245678901) /* 2026-11-21T03:04:05.678901Z */

struct seen {
    struct hq_audit_record record[8];
    size_t count;
    int answer;
};

static int
collect(const struct hq_audit_record *record, void *context, struct hq_error *err)
{
    struct seen *seen = context;

    assert_true(seen->count < 8);
    seen->record[seen->count++] = *record;
    return seen->answer == 0 ? 0 : hq_fail(err, HQ_E_INTERRUPTED, "enough");
}

static struct hq_audit_record
sample(void)
{
    return (struct hq_audit_record){.kind = HQ_AUDIT_GAP_ACKNOWLEDGED,
                                    .cluster = "main",
                                    .time_us = T0,
                                    .who = "Ayşe",
                                    .host = "db-1",
                                    .program = "hq-backup 0.1.0",
                                    .reason = "the disk was \"full\"",
                                    .system_identifier = UINT64_MAX,
                                    .timeline = 3,
                                    .from_lsn = 0x3000000,
                                    .to_lsn = UINT64_MAX};
}

static int
keep_name(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)err;
    memcpy(context, object->name, strlen(object->name) + 1);
    return 0;
}

/* Write @p record; its name, and what was stored, come back. */
static void
store_record(struct fixture *f, const struct hq_audit_record *record,
             char name[HQ_OBJECT_NAME_MAX + 1], struct hq_buf *bytes)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_audit_write(&f->writer, record, &err), &err);
    ASSERT_OK(hq_store_list(f->store, "audit/", keep_name, name, &err), &err);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, bytes, &err), &err);
}

static void
list(struct fixture *f, struct seen *seen)
{
    struct hq_error err = {0};

    *seen = (struct seen){0};
    ASSERT_OK(hq_audit_list(&f->repository, "main", collect, seen, &err), &err);
}

static void
what_is_written_is_read(void **state)
{
    struct fixture *f = *state;
    const struct hq_audit_record record = sample();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct seen seen;

    store_record(f, &record, name, &bytes);
    assert_memory_equal(name, "audit/main/20261121T030405.678901Z-", 35);
    list(f, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.record[0].kind, HQ_AUDIT_GAP_ACKNOWLEDGED);
    assert_string_equal(seen.record[0].cluster, "main");
    assert_int_equal(seen.record[0].time_us, T0);
    assert_string_equal(seen.record[0].who, record.who);
    assert_string_equal(seen.record[0].host, record.host);
    assert_string_equal(seen.record[0].program, record.program);
    assert_string_equal(seen.record[0].reason, record.reason);
    assert_true(seen.record[0].system_identifier == UINT64_MAX);
    assert_int_equal(seen.record[0].timeline, 3);
    assert_true(seen.record[0].from_lsn == 0x3000000 && seen.record[0].to_lsn == UINT64_MAX);
}

/* Of the same second too, whatever order they were written in; other clusters' are not listed. */
static void
records_come_in_order_of_time(void **state)
{
    static const int64_t times[] = {T0 + 2000000, T0, T0 + 1, T0 - 678901};
    struct fixture *f = *state;
    struct hq_audit_record record = sample();
    struct hq_error err = {0};
    struct seen seen;

    for (size_t i = 0; i < 4; i++) {
        record.time_us = times[i];
        ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
    }
    memcpy(record.cluster, "other", 6);
    ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
    list(f, &seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.record[0].time_us, T0 - 678901);
    assert_int_equal(seen.record[1].time_us, T0);
    assert_int_equal(seen.record[2].time_us, T0 + 1);
    assert_int_equal(seen.record[3].time_us, T0 + 2000000);
    seen = (struct seen){.answer = 1};
    ASSERT_CODE(hq_audit_list(&f->writer, "main", collect, &seen, &err), &err, HQ_E_INTERRUPTED);
    assert_int_equal(seen.count, 1);
    ASSERT_CODE(hq_audit_list(&f->writer, "../x", collect, &seen, &err), &err, HQ_E_USAGE);
}

static void
refused(struct fixture *f, struct hq_audit_record record)
{
    struct hq_error err = {0};

    ASSERT_CODE(hq_audit_write(&f->writer, &record, &err), &err, HQ_E_USAGE);
}

static void
nonsense_is_not_written(void **state)
{
    struct fixture *f = *state;
    struct hq_audit_record record = sample();
    struct seen seen;

    record.reason[0] = '\0';
    refused(f, record);
    record = sample();
    memcpy(record.reason, "a\033[2J", 6);
    refused(f, record);
    record = sample();
    record.who[0] = '\0';
    refused(f, record);
    record = sample();
    record.who[0] = '\xff';
    refused(f, record);
    record = sample();
    record.cluster[0] = '.';
    refused(f, record);
    record = sample();
    record.kind = HQ_AUDIT_OTHER;
    refused(f, record);
    record = sample();
    record.timeline = 0;
    refused(f, record);
    record = sample();
    record.from_lsn = record.to_lsn;
    refused(f, record);
    list(f, &seen);
    assert_int_equal(seen.count, 0);
}

/* Every byte: a damaged record is left out, and the others are still there. */
static void
damaged_records_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct hq_audit_record record = sample();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf good = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct seen seen;

    store_record(f, &record, name, &good);
    record.time_us--;
    ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
    for (size_t i = 0; i < good.len; i++) {
        good.data[i] ^= 0x20;
        ASSERT_OK(hq_store_put_bytes(f->store, name, good.data, good.len, &err), &err);
        list(f, &seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.record[0].time_us, T0 - 1);
        good.data[i] ^= 0x20;
    }
    for (size_t len = 0; len < good.len; len += 7) {
        ASSERT_OK(hq_store_put_bytes(f->store, name, good.data, len, &err), &err);
        list(f, &seen);
        assert_int_equal(seen.count, 1);
    }
    ASSERT_OK(hq_store_put_bytes(f->store, name, good.data, good.len, &err), &err);
    list(f, &seen);
    assert_int_equal(seen.count, 2);
}

/* Copied under another name, or to another cluster, it is no record of theirs. */
static void
records_stay_where_they_were_written(void **state)
{
    static const char *const names[] = {"audit/main/20261121T030405.678902Z-00000000",
                                        "audit/main/20261121T030405.678901Z-0000000",
                                        "audit/main/readme"};
    struct fixture *f = *state;
    const struct hq_audit_record record = sample();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct seen seen;

    store_record(f, &record, name, &bytes);
    for (size_t i = 0; i < 3; i++)
        ASSERT_OK(hq_store_put_bytes(f->store, names[i], bytes.data, bytes.len, &err), &err);
    list(f, &seen);
    assert_int_equal(seen.count, 1);
}

static void
decode_text(const char *text, struct hq_audit_record *out, enum hq_code expected)
{
    struct hq_writer writer;
    struct hq_error err = {0};

    if (expected == HQ_E_OK)
        ASSERT_OK(hq_audit_decode(text, strlen(text), out, &writer, &err), &err);
    else
        ASSERT_CODE(hq_audit_decode(text, strlen(text), out, &writer, &err), &err, expected);
}

/* @p from, which is in @p text once, replaced. */
static const char *
changed(const char *text, const char *from, const char *to, char out[4096])
{
    const char *at = strstr(text, from);

    assert_non_null(at);
    (void)snprintf(out, 4096, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void
texts_are_checked(void **state)
{
    static const struct {
        const char *from, *to;
        enum hq_code code;
    } cases[] = {
        {"\"version\":1", "\"version\":2", HQ_E_UNSUPPORTED},
        {"\"version\":1", "\"version\":\"1\"", HQ_E_CORRUPT},
        {"gap-acknowledged", "drill", HQ_E_OK},
        {"\"timeline\":3", "\"timeline\":0", HQ_E_CORRUPT},
        {"0/3000000", "FFFFFFFF/FFFFFFFF", HQ_E_CORRUPT},
        {"\"who\":\"Ay", "\"who\":\"\\u001bAy", HQ_E_CORRUPT},
        {"\"who\":", "\"whom\":", HQ_E_CORRUPT},
        {"\"reason\":", "\"reason\":\"\",\"old\":", HQ_E_CORRUPT},
        {"18446744073709551615", "18446744073709551616", HQ_E_CORRUPT},
        {"\"cluster\":\"main\"", "\"cluster\":\"..\"", HQ_E_CORRUPT},
    };
    struct fixture *f = *state;
    const struct hq_audit_record record = sample();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_audit_record back;
    struct hq_error err = {0};
    char other[4096];

    ASSERT_OK(hq_audit_encode(&record, hq_keyring_writer(f->sidecar), &text, &err), &err);
    decode_text(hq_buf_text(&text), &back, HQ_E_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        decode_text(changed(hq_buf_text(&text), cases[i].from, cases[i].to, other), &back,
                    cases[i].code);
    decode_text(changed(hq_buf_text(&text), "gap-acknowledged", "drill", other), &back, HQ_E_OK);
    assert_int_equal(back.kind, HQ_AUDIT_OTHER);
    assert_string_equal(back.reason, record.reason);
    decode_text(changed(hq_buf_text(&text), "gap-acknowledged", "lineage-accepted", other), &back,
                HQ_E_OK);
    assert_int_equal(back.kind, HQ_AUDIT_LINEAGE_ACCEPTED);
    assert_true(back.system_identifier == UINT64_MAX && back.timeline == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_is_written_is_read),
        FIXTURE_TEST(records_come_in_order_of_time),
        FIXTURE_TEST(nonsense_is_not_written),
        FIXTURE_TEST(damaged_records_are_left_out),
        FIXTURE_TEST(records_stay_where_they_were_written),
        FIXTURE_TEST(texts_are_checked),
    };

    hq_log_setup(HQ_LOG_ERROR, HQ_LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
