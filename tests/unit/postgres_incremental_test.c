/*
 * What an incremental base backup sends in place of a file, and what the server is told before.
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

#include "backup_writer_double.h"
#include "base/cleanup.h"
#include "incremental_cuts.h"
#include "incremental_file.h"
#include "incremental_manifest.h"
#include "incremental_member.h"

enum {
    BLOCK = 512,
    BLOCKS_MAX = 64
};
#define MAGIC UINT32_C(0xD3AE1F0D)

/* What a sink was told, a letter a block: s same, z zeros, else the first byte of its content. */
struct told {
    char blocks[BLOCKS_MAX + 1];
    uint32_t count, announced, named, within;
    bool begun;
};

static int
told_begin(void *context, uint32_t blocks, uint32_t named, struct hq_error *err)
{
    struct told *t = context;

    (void)err;
    assert_false(t->begun);
    t->begun = true;
    t->announced = blocks;
    t->named = named;
    return 0;
}

static void
tell(struct told *t, char what, uint32_t count)
{
    assert_true(t->begun && t->within == 0 && count > 0 && count <= BLOCKS_MAX - t->count);
    memset(t->blocks + t->count, what, count);
    t->count += count;
}

static int
told_same(void *context, uint32_t count, struct hq_error *err)
{
    (void)err;
    tell(context, 's', count);
    return 0;
}

static int
told_zeros(void *context, uint32_t count, struct hq_error *err)
{
    (void)err;
    tell(context, 'z', count);
    return 0;
}

static int
told_data(void *context, const uint8_t *bytes, size_t len, struct hq_error *err)
{
    struct told *t = context;

    (void)err;
    assert_true(len > 0 && t->within + len <= BLOCK);
    if (t->within == 0)
        tell(t, (char)bytes[0], 1);
    t->within = (uint32_t)((t->within + len) % BLOCK);
    return 0;
}

/* A file as the server writes it: blocks hold 'A', 'B' … */
static void
make(struct hq_buf *out, uint32_t truncation, const uint32_t *numbers, uint32_t count)
{
    hq_buf_put_u32(out, MAGIC);
    hq_buf_put_u32(out, count);
    hq_buf_put_u32(out, truncation);
    for (uint32_t i = 0; i < count; i++)
        hq_buf_put_u32(out, numbers[i]);
    if (count > 0)
        hq_buf_put_zero(out, (BLOCK - out->len % BLOCK) % BLOCK);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < BLOCK; k++)
            hq_buf_put_u8(out, (uint8_t)('A' + i));
    assert_false(out->failed);
}

static int
read_pieces(const struct hq_buf *bytes, uint64_t size, size_t step, struct told *t,
            struct hq_error *err)
{
    const struct incremental_sink sink = {told_begin, told_same, told_zeros, told_data, t};
    HQ_AUTO(incremental_file_clear)
    struct incremental_file f = {
        .block_size = BLOCK, .blocks_max = BLOCKS_MAX, .size = size, .sink = &sink};

    *t = (struct told){.count = 0};
    for (size_t at = 0; at < bytes->len; at += step)
        if (incremental_file_put(&f, bytes->data + at,
                                 bytes->len - at < step ? bytes->len - at : step, err) != 0)
            return -1;
    return incremental_file_end(&f, err);
}

static void
expect(uint32_t truncation, const uint32_t *numbers, uint32_t count, const char *blocks)
{
    static const size_t steps[] = {1, 7, BLOCK, 3 * BLOCK, 100000};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf bytes = {0};
        struct hq_error err = {0};
        struct told t;

        make(&bytes, truncation, numbers, count);
        assert_int_equal(read_pieces(&bytes, bytes.len, steps[i], &t, &err), 0);
        assert_string_equal(t.blocks, blocks);
        assert_int_equal(t.announced, strlen(blocks));
        assert_int_equal(t.named, count);
        assert_int_equal(t.within, 0);
    }
}

static void
blocks_come_in_order(void **state)
{
    static const uint32_t some[] = {0, 1, 5, 7}, late[] = {2, 9}, last[] = {BLOCKS_MAX - 1};
    static const uint32_t many[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

    (void)state;
    expect(10, some, 4, "ABsssCsDss");
    expect(10, some, 0, "ssssssssss");
    expect(0, some, 0, "");
    expect(2, some, 2, "AB");
    /* From the truncation length on nothing is as it was. */
    expect(4, late, 2, "ssAszzzzzB");
    expect(0, late, 1, "zzA");
    expect(BLOCKS_MAX, last, 1, "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssA");
    /* 125 numbers would still fit into one block of header. */
    expect(BLOCKS_MAX, many, BLOCKS_MAX,
           "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\x7f\x80");
}

static void
expect_refusal(struct hq_buf *bytes, uint64_t size, const char *why)
{
    static const size_t steps[] = {1, 100000};

    for (size_t i = 0; i < 2; i++) {
        struct hq_error err = {0};
        struct told t;

        assert_int_equal(read_pieces(bytes, size, steps[i], &t, &err), -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
        if (strstr(err.message, why) == NULL)
            fail_msg("%s, not %s", err.message, why);
    }
    hq_buf_clear(bytes);
}

static void
hostile_files_are_refused(void **state)
{
    static const uint32_t twice[] = {3, 3}, down[] = {3, 2}, far[] = {BLOCKS_MAX}, good[] = {1, 4};
    struct hq_buf b = {0};

    (void)state;
    make(&b, 9, good, 2);
    b.data[0] ^= 1;
    expect_refusal(&b, b.len, "does not begin");
    make(&b, 9, twice, 2);
    expect_refusal(&b, b.len, "do not ascend");
    make(&b, 9, down, 2);
    expect_refusal(&b, b.len, "do not ascend");
    make(&b, 9, far, 1);
    expect_refusal(&b, b.len, "behind the largest");
    make(&b, BLOCKS_MAX + 1, good, 2);
    expect_refusal(&b, b.len, "more blocks");
    make(&b, 9, good, 2);
    memset(b.data + 4, 0xFF, 4); /* 2^32 - 1 blocks */
    expect_refusal(&b, b.len, "more blocks");
    make(&b, 9, good, 2);
    expect_refusal(&b, b.len + 1, "size is not");
    make(&b, 9, good, 2);
    b.len -= BLOCK;
    expect_refusal(&b, b.len, "size is not");
    make(&b, 9, good, 2);
    b.len--;
    expect_refusal(&b, b.len + 1, "too early");
    make(&b, 9, good, 2);
    hq_buf_put_u8(&b, 1);
    expect_refusal(&b, b.len - 1, "behind its last block");
    make(&b, 9, good, 0);
    hq_buf_put_u8(&b, 1);
    expect_refusal(&b, b.len - 1, "behind its last block");
    make(&b, 9, good, 0);
    b.len = 11;
    expect_refusal(&b, 12, "too early");
    b.len = 0;
    expect_refusal(&b, 0, "too early");
}

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

static void
the_label_is_an_ordinary_one(void **state)
{
    static const char label[] = "START WAL LOCATION: 0/2000028 (file x)\n"
                                "LABEL: INCREMENTAL FROM LSN\n"
                                "START TIMELINE: 1\n"
                                "INCREMENTAL FROM LSN: 0/1000028\n"
                                "INCREMENTAL FROM TLI: 1\n";
    static const char clean[] = "START WAL LOCATION: 0/2000028 (file x)\n"
                                "LABEL: INCREMENTAL FROM LSN\n"
                                "START TIMELINE: 1\n";
    struct hq_buf b = {0};

    (void)state;
    hq_buf_put(&b, label, sizeof label - 1);
    incremental_clean_label(&b);
    assert_string_equal(hq_buf_text(&b), clean);
    incremental_clean_label(&b);
    assert_string_equal(hq_buf_text(&b), clean);
    b.len -= 3; /* a last line without its end */
    incremental_clean_label(&b);
    assert_int_equal(b.len, sizeof clean - 4);
    b.len = 0;
    incremental_clean_label(&b);
    assert_int_equal(b.len, 0);
    hq_buf_clear(&b);
}

/* Of the parent a member asks for one file, and databases for when it began. */
static const char member_path[] = "base/5/16384";
static struct hq_parent_file parents = {.type = HQ_ENTRY_RELATION, .size = 8 * BLOCK};

const struct hq_parent_file *
hq_backup_parent_find(const struct hq_backup_parent *parent, const char *path)
{
    (void)parent;
    return strcmp(path, member_path) == 0 ? &parents : NULL;
}

int64_t
hq_backup_parent_started(const struct hq_backup_parent *parent)
{
    (void)parent;
    return 1000000000;
}

/* One relation that was cut off, or none. */
static const struct hq_relation_fork *cut_fork;

bool
hq_pg_cuts_before(const struct hq_pg_cuts *cuts, const struct hq_relation_fork *fork, uint64_t end)
{
    (void)cuts;
    return cut_fork != NULL && fork->relation == cut_fork->relation && end == 8;
}

struct member_run {
    struct hq_backup_writer writer;
    struct hq_pg_incremental incremental;
    struct hq_error err;
    int rc;
};

static void
run_member(const char *path, const struct hq_buf *bytes, bool distrusted, struct member_run *run)
{
    struct hq_error err = {0};
    struct hq_database_trust *trust = hq_database_trust_new((void *)run, &err);
    struct hq_entry entry = {.path = path, .mode = 0600};
    struct incremental_member m = {.incremental = &run->incremental,
                                   .writer = &run->writer,
                                   .trust = trust,
                                   .entry = &entry,
                                   .options = {.block_size = BLOCK},
                                   .segment_blocks = BLOCKS_MAX};

    assert_non_null(trust);
    if (distrusted)
        assert_int_equal(hq_database_trust_file(trust, "base/5/PG_VERSION", 7, &err), 0);
    incremental_member_init(&m, bytes->len);
    run->rc = incremental_member_put(&m, bytes->data, bytes->len, &run->err);
    if (run->rc == 0)
        run->rc = incremental_member_end(&m, &run->err);
    incremental_member_clear(&m);
    hq_database_trust_free(trust);
}

static void
members_are_made_whole(void **state)
{
    static const uint32_t numbers[] = {1, 9};
    struct hq_buf bytes = {0}, none = {0}, empty = {0};
    struct member_run run = {.writer = {.skips_max = 100}};
    const struct double_entry *e;

    (void)state;
    make(&bytes, 12, numbers, 2);
    run_member(member_path, &bytes, false, &run);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.writer.count, 1);
    e = &run.writer.entries[0];
    assert_int_equal(e->type, HQ_ENTRY_RELATION);
    assert_int_equal(e->content.len, 12 * BLOCK);
    for (uint32_t block = 0; block < 12; block++) {
        /* Behind the parent's 8 blocks there are zeros. */
        uint8_t expected = block == 1 ? 'A' : block == 9 ? 'B' : block < 8 ? DOUBLE_PARENTS : 0;

        assert_int_equal(e->content.data[block * BLOCK], expected);
        assert_int_equal(e->content.data[block * BLOCK + BLOCK - 1], expected);
    }
    backup_writer_double_clear(&run.writer);

    run = (struct member_run){.writer = {.skips_max = 100}};
    make(&none, 8, NULL, 0);
    run_member(member_path, &none, false, &run);
    assert_int_equal(run.rc, 0);
    assert_true(run.writer.entries[0].taken_over);
    assert_int_equal(run.writer.entries[0].size, 8 * BLOCK);
    backup_writer_double_clear(&run.writer);

    run = (struct member_run){.writer = {.skips_max = 100}};
    make(&empty, 0, NULL, 0);
    run_member(member_path, &empty, false, &run);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.writer.entries[0].type, HQ_ENTRY_FILE);
    assert_int_equal(run.writer.entries[0].content.len, 0);
    backup_writer_double_clear(&run.writer);
    hq_buf_clear(&bytes);
    hq_buf_clear(&none);
    hq_buf_clear(&empty);
}

static void
expect_given_up(const char *path, struct hq_buf *bytes, bool distrusted, uint32_t skips_max,
                const char *why)
{
    struct member_run run = {.writer = {.skips_max = skips_max}};

    run_member(path, bytes, distrusted, &run);
    assert_int_equal(run.rc, -1);
    assert_true(run.incremental.given_up);
    if (strstr(run.err.message, why) == NULL)
        fail_msg("%s, not %s", run.err.message, why);
    backup_writer_double_clear(&run.writer);
}

static void
what_can_not_be_had_is_given_up(void **state)
{
    static const uint32_t numbers[] = {1, 4};
    static const struct hq_relation_fork fork = {1663, 5, 16384, HQ_FORK_MAIN};
    struct hq_buf bytes = {0}, none = {0};

    (void)state;
    make(&bytes, 8, numbers, 2);
    make(&none, 8, NULL, 0);
    expect_given_up("base/5/1259", &bytes, false, 100, "no such file");
    expect_given_up(member_path, &bytes, true, 100, "another one");
    expect_given_up(member_path, &bytes, false, 2, "not all of it");
    expect_given_up(member_path, &none, false, 2, "not all of it");
    cut_fork = &fork;
    expect_given_up(member_path, &bytes, false, 100, "cut off");
    expect_given_up(member_path, &none, false, 100, "cut off");
    cut_fork = NULL;
    bytes.data[0] ^= 1;
    expect_given_up(member_path, &bytes, false, 100, "does not begin");
    bytes.data[0] ^= 1;
    bytes.data[12 + 4] = 0;
    expect_given_up(member_path, &bytes, false, 100, "do not ascend");
    hq_buf_clear(&bytes);
    hq_buf_clear(&none);
}

/* The store that is full is no reason to begin again. */
static void
a_writers_failure_is_not_given_up(void **state)
{
    static const uint32_t numbers[] = {1, 4};

    (void)state;
    for (size_t fail_at = 1; fail_at <= 6; fail_at++) {
        struct member_run run = {.writer = {.skips_max = 100, .fail_at = fail_at}};
        struct hq_buf bytes = {0};

        make(&bytes, 8, numbers, 2);
        run_member(member_path, &bytes, false, &run);
        assert_int_equal(run.rc, -1);
        assert_int_equal(run.err.code, HQ_E_NO_SPACE);
        assert_false(run.incremental.given_up);
        backup_writer_double_clear(&run.writer);
        hq_buf_clear(&bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_in_order),
        cmocka_unit_test(hostile_files_are_refused),
        cmocka_unit_test(the_manifest_is_what_a_server_reads),
        cmocka_unit_test(a_lost_connection_ends_the_manifest),
        cmocka_unit_test(the_label_is_an_ordinary_one),
        cmocka_unit_test(members_are_made_whole),
        cmocka_unit_test(what_can_not_be_had_is_given_up),
        cmocka_unit_test(a_writers_failure_is_not_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
