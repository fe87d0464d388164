#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "repository_fixture.h"
#include "root_internal.h"

#define CLUSTER "main"
#define BACKUP "20261121T030405Z-1f2e3d4c"

static struct hq_id chunks[] = {{{1}}, {{2}}};
static struct hq_tablespace tablespaces[2];

/* Borrows static arrays: never hq_root_clear() it. */
static struct hq_root
sample_root(void)
{
    static char fast[] = "/srv/fast \xc3\xa9", slow[] = "/srv/slow";

    tablespaces[0] = (struct hq_tablespace){.oid = 16390, .path = fast};
    tablespaces[1] = (struct hq_tablespace){.oid = UINT32_MAX, .path = slow};
    return (struct hq_root){
        .cluster = CLUSTER,
        .backup = BACKUP,
        .started_us = INT64_C(1795230245678901),
        .finished_us = INT64_C(1795230246000000),
        .host = "db-1.example",
        .program = "hq-backup 0.1.0",
        .chunks = chunks,
        .chunk_count = 2,
        .manifest_bytes = 1000,
        .manifest_entries = 9,
        .files = 9,
        .bytes = INT64_MAX,
        .pages = 5,
        .damaged_pages = 1,
        .new_bytes = 6,
        .stored_bytes = 7,
        .version_number = 150020,
        .system_identifier = UINT64_MAX,
        .mode = "stream",
        .timeline = 3,
        .start_lsn = 0x0000000A02000028,
        .stop_lsn = UINT64_MAX,
        .wal_segment_size = 16 << 20,
        .block_size = 8192,
        .checksums = true,
        .tablespaces = tablespaces,
        .tablespace_count = 2,
    };
}

static void
roots_round_trip(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_root_clear)
    struct hq_root back = {0};
    struct hq_root root = sample_root();
    struct hq_error err = {0};

    ASSERT_OK(hq_root_write(&f->writer, &root, &err), &err);
    ASSERT_OK(hq_root_read(&f->repository, CLUSTER, BACKUP, &back, &err), &err);
    assert_string_equal(back.cluster, CLUSTER);
    assert_string_equal(back.backup, BACKUP);
    assert_string_equal(back.parent, "");
    assert_int_equal(back.started_us, root.started_us);
    assert_int_equal(back.finished_us, root.finished_us);
    assert_string_equal(back.host, root.host);
    assert_string_equal(back.program, root.program);
    assert_string_equal(back.writer.name, hq_keyring_writer(f->sidecar)->name);
    assert_int_equal(back.chunk_count, 2);
    assert_memory_equal(back.chunks, chunks, sizeof chunks);
    assert_int_equal(back.manifest_bytes, 1000);
    assert_int_equal(back.manifest_entries, 9);
    assert_int_equal(back.files, 9);
    assert_int_equal(back.bytes, INT64_MAX);
    assert_int_equal(back.pages, 5);
    assert_int_equal(back.damaged_pages, 1);
    assert_int_equal(back.new_bytes, 6);
    assert_int_equal(back.stored_bytes, 7);
    assert_int_equal(back.version_number, 150020);
    assert_true(back.system_identifier == UINT64_MAX);
    assert_string_equal(back.mode, "stream");
    assert_int_equal(back.timeline, 3);
    assert_true(back.start_lsn == root.start_lsn);
    assert_true(back.stop_lsn == UINT64_MAX);
    assert_int_equal(back.wal_segment_size, 16 << 20);
    assert_int_equal(back.block_size, 8192);
    assert_true(back.checksums);
    assert_int_equal(back.tablespace_count, 2);
    assert_int_equal(back.tablespaces[1].oid, UINT32_MAX);
    assert_string_equal(back.tablespaces[0].path, tablespaces[0].path);
}

static void
parent_is_kept(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_root_clear)
    struct hq_root back = {0};
    struct hq_root root = sample_root();
    struct hq_error err = {0};

    memcpy(root.parent, "20261120T030405Z-00000000", 26);
    root.chunk_count = 0;
    root.tablespace_count = 0;
    root.checksums = false;
    ASSERT_OK(hq_root_write(&f->writer, &root, &err), &err);
    ASSERT_OK(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err);
    assert_string_equal(back.parent, root.parent);
    assert_false(back.checksums);
    assert_int_equal(back.chunk_count, 0);
}

/* Every byte of the stored object, and every length. */
static void
every_flip_and_cut_is_seen(void **state)
{
    struct fixture *f = *state;
    const char *name = "backups/" CLUSTER "/" BACKUP;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf good = {0};
    struct hq_root root = sample_root(), back;
    struct hq_error err = {0};

    ASSERT_OK(hq_root_write(&f->writer, &root, &err), &err);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &good, &err), &err);
    for (size_t i = 0; i < good.len; i++) {
        good.data[i] ^= (uint8_t)(1 << i % 8);
        ASSERT_OK(hq_store_put_bytes(f->store, name, good.data, good.len, &err), &err);
        assert_int_equal(hq_root_read(&f->repository, CLUSTER, BACKUP, &back, &err), -1);
        assert_damage_code(&err, i);
        assert_non_null(strstr(err.message, name));
        good.data[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t cut = 0; cut < good.len; cut += 7) {
        ASSERT_OK(hq_store_put_bytes(f->store, name, good.data, cut, &err), &err);
        ASSERT_CODE(hq_root_read(&f->repository, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    }
}

/* Seal @p body as the root of CLUSTER/BACKUP, as a thief of M could. */
static void
store_sealed(struct fixture *f, const void *body, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    const char *name = "backups/" CLUSTER "/" BACKUP;
    struct hq_error err = {0};

    ASSERT_OK(hq_object_seal(&f->writer, HQ_OBJECT_ROOT, name, body, len, &sealed, &err), &err);
    ASSERT_OK(hq_store_put_bytes(f->store, name, sealed.data, sealed.len, &err), &err);
}

static void
store_body(struct fixture *f, const uint8_t signature[HQ_SIGNATURE_BYTES], const void *text,
           size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {0};

    hq_buf_put(&body, signature, HQ_SIGNATURE_BYTES);
    hq_buf_put(&body, text, len);
    store_sealed(f, body.data, body.len);
}

static void
sign_text(const struct hq_keyring *keyring, const char *name, const struct hq_buf *text,
          uint8_t signature[HQ_SIGNATURE_BYTES])
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf message = {0};
    struct hq_error err = {0};

    ASSERT_OK(
        hq_signed_bytes(HQ_OBJECT_ROOT, name, (const char *)text->data, text->len, &message, &err),
        &err);
    hq_keyring_sign_writer(keyring, message.data, message.len, signature);
}

/* Who can seal objects but is no certified writer can't make a backup. */
static void
signatures_are_verified(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0}, other_text = {0};
    HQ_AUTO(hq_root_clear)
    struct hq_root back = {0};
    struct hq_root root = sample_root();
    struct hq_keyring *foreign = foreign_keyring();
    uint8_t signature[HQ_SIGNATURE_BYTES] = {0};
    struct hq_error err = {0};

    root.writer = *hq_keyring_writer(f->sidecar);
    ASSERT_OK(hq_root_encode(&root, &text, &err), &err);
    sign_text(f->sidecar, "backups/" CLUSTER "/" BACKUP, &text, signature);
    store_body(f, signature, text.data, text.len);
    ASSERT_OK(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err);
    hq_root_clear(&back);

    signature[5] ^= 1;
    store_body(f, signature, text.data, text.len);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    /* A signature for another backup's name. */
    sign_text(f->sidecar, "backups/" CLUSTER "/20261121T030405Z-1f2e3d4d", &text, signature);
    store_body(f, signature, text.data, text.len);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    /* A good signature of a writer that this repository did not certify. */
    root.writer = *hq_keyring_writer(foreign);
    ASSERT_OK(hq_root_encode(&root, &other_text, &err), &err);
    sign_text(foreign, "backups/" CLUSTER "/" BACKUP, &other_text, signature);
    store_body(f, signature, other_text.data, other_text.len);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    store_sealed(f, signature, sizeof signature - 1);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    store_body(f, signature, "", 0);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    hq_keyring_free(foreign);
}

/* A signed, sealed root that says it is another backup. */
static void
content_must_fit_the_name(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_root root = sample_root(), back;
    uint8_t signature[HQ_SIGNATURE_BYTES];
    struct hq_error err = {0};

    memcpy(root.cluster, "test", 5);
    root.writer = *hq_keyring_writer(f->sidecar);
    ASSERT_OK(hq_root_encode(&root, &text, &err), &err);
    sign_text(f->sidecar, "backups/" CLUSTER "/" BACKUP, &text, signature);
    store_body(f, signature, text.data, text.len);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, "of test"));
}

static void
names_are_checked(void **state)
{
    struct fixture *f = *state;
    struct hq_root root = sample_root(), back;
    char id[HQ_BACKUP_ID_MAX + 1], other[HQ_BACKUP_ID_MAX + 1];
    char longest[HQ_CLUSTER_NAME_MAX + 2];
    struct hq_error err = {0};

    ASSERT_CODE(hq_root_read(&f->writer, "../x", BACKUP, &back, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, "latest", &back, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(hq_root_read(&f->writer, CLUSTER, BACKUP, &back, &err), &err, HQ_E_MISSING);
    root.cluster[0] = '-';
    ASSERT_CODE(hq_root_write(&f->writer, &root, &err), &err, HQ_E_USAGE);
    memset(longest, 'a', sizeof longest);
    longest[HQ_CLUSTER_NAME_MAX + 1] = '\0';
    assert_false(hq_cluster_name_valid(longest));
    longest[HQ_CLUSTER_NAME_MAX] = '\0';
    assert_true(hq_cluster_name_valid(longest));
    assert_false(hq_cluster_name_valid(""));
    assert_false(hq_cluster_name_valid("Main"));
    assert_false(hq_cluster_name_valid(".a"));
    assert_true(hq_cluster_name_valid("0-a._b"));
    hq_backup_id_make(root.started_us, id);
    hq_backup_id_make(root.started_us, other);
    assert_memory_equal(id, BACKUP, 17);
    assert_string_not_equal(id, other);
    assert_true(hq_backup_id_valid(id));
    assert_false(hq_backup_id_valid(""));
    assert_false(hq_backup_id_valid("20261121T030405Z-1f2e3d4"));
    assert_false(hq_backup_id_valid("20261121T030405Z-1f2e3d4cc"));
    assert_false(hq_backup_id_valid("20261121T030405Z-1F2e3d4c"));
}

static void
text_must_be_unicode(void **state)
{
    struct fixture *f = *state;
    struct hq_root root = sample_root();
    struct hq_error err = {0};

    memcpy(root.host, "\xff", 2);
    ASSERT_CODE(hq_root_write(&f->writer, &root, &err), &err, HQ_E_CONFIG);
}

/* The sample's JSON with @p from replaced by @p to. */
static void
check_edit(const char *from, const char *to, enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0}, edited = {0};
    struct hq_root root = sample_root(), back = {0};
    struct hq_error err = {0};
    const char *whole, *at;

    memcpy(root.writer.name, "w", 2);
    ASSERT_OK(hq_root_encode(&root, &text, &err), &err);
    whole = hq_buf_text(&text);
    if ((at = strstr(whole, from)) == NULL)
        fail_msg("%s is not in %s", from, whole);
    hq_buf_put(&edited, whole, (size_t)(at - whole));
    hq_buf_printf(&edited, "%s%s", to, at + strlen(from));
    if (hq_root_decode((const char *)edited.data, edited.len, &back, &err) == 0)
        err.code = HQ_E_OK;
    if (err.code != expected)
        fail_msg("%s -> %s: %s: %s", from, to, hq_code_name(err.code), err.message);
    hq_root_clear(&back);
}

static void
decoder_keeps_the_limits(void **state)
{
    static const char sixteen[] = "\"0200000000000000000000000000000000000000000000000000000000"
                                  "000000\"";

    (void)state;
    check_edit("\"cluster\"", "\"new\":[1.5,null],\"cluster\"", HQ_E_OK);
    check_edit("\"version\":1", "\"version\":2", HQ_E_UNSUPPORTED);
    check_edit("\"version\":1", "\"version\":0", HQ_E_CORRUPT);
    check_edit("\"version\":1", "\"version\":\"1\"", HQ_E_CORRUPT);
    check_edit("\"postgresql\"", "\"volume\"", HQ_E_UNSUPPORTED);
    check_edit("\"main\"", "\"Main\"", HQ_E_CORRUPT);
    check_edit("\"main\"", "\"main\",\"cluster\":\"main\"", HQ_E_CORRUPT);
    check_edit("1f2e3d4c", "1f2e3d4", HQ_E_CORRUPT);
    check_edit("null", "\"x\"", HQ_E_CORRUPT);
    check_edit("null", "\"20261121T030405Z-1f2e3d4c\"", HQ_E_OK);
    check_edit("2026-11-21T03:04:05.678901Z", "2026-11-21 03:04:05.678901Z", HQ_E_CORRUPT);
    check_edit("2026-11-21T03:04:05.678901Z", "2026-11-21T03:04:05.678901+01", HQ_E_CORRUPT);
    check_edit("2026-11-21T03:04:05.678901Z", "2026-13-21T03:04:05Z", HQ_E_CORRUPT);
    check_edit("2026-11-21T03:04:05.678901Z", "2026-11-21T03:04:05.Z", HQ_E_CORRUPT);
    check_edit("2026-11-21T03:04:05.678901Z", "2026-11-21T03:04:05.5Z", HQ_E_OK);
    check_edit(sixteen, "7", HQ_E_CORRUPT);
    check_edit(sixteen, "\"\"", HQ_E_CORRUPT);
    check_edit("\"entries\":9", "\"entries\":-9", HQ_E_CORRUPT);
    check_edit("\"pages\":5", "\"pages\":5.0", HQ_E_CORRUPT);
    check_edit("9223372036854775807", "9223372036854775808", HQ_E_CORRUPT);
    check_edit("18446744073709551615", "18446744073709551616", HQ_E_CORRUPT);
    check_edit("18446744073709551615", "", HQ_E_CORRUPT);
    check_edit("18446744073709551615", "-1", HQ_E_CORRUPT);
    check_edit("\"stream\"", "\"streamed\"", HQ_E_CORRUPT);
    check_edit("\"timeline\":3", "\"timeline\":0", HQ_E_CORRUPT);
    check_edit("A/2000028", "A/", HQ_E_CORRUPT);
    check_edit("A/2000028", "A/200000028", HQ_E_CORRUPT);
    check_edit("A/2000028", "A2000028", HQ_E_CORRUPT);
    check_edit("A/2000028", "a/2000028", HQ_E_CORRUPT);
    check_edit("FFFFFFFF/FFFFFFFF", "A/2000027", HQ_E_CORRUPT);
    check_edit("16777216", "16777217", HQ_E_CORRUPT);
    check_edit("16777216", "524288", HQ_E_CORRUPT);
    check_edit("16777216", "2147483648", HQ_E_CORRUPT);
    check_edit("8192", "0", HQ_E_CORRUPT);
    check_edit("\"checksums\":true", "\"checksums\":1", HQ_E_CORRUPT);
    check_edit("\"checksums\":true", "\"checksum\":true", HQ_E_CORRUPT);
    check_edit("4294967295", "4294967296", HQ_E_CORRUPT);
    check_edit("\"/srv/slow\"", "null", HQ_E_CORRUPT);
    check_edit("{", "", HQ_E_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(roots_round_trip),           FIXTURE_TEST(parent_is_kept),
        FIXTURE_TEST(every_flip_and_cut_is_seen), FIXTURE_TEST(signatures_are_verified),
        FIXTURE_TEST(content_must_fit_the_name),  FIXTURE_TEST(names_are_checked),
        FIXTURE_TEST(text_must_be_unicode),       cmocka_unit_test(decoder_keeps_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
