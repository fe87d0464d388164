#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "entry_internal.h"
#include "repository_fixture.h"

static const struct hq_chunk_ref two_chunks[] = {{{{1}}, 4 << 20}, {{{2}}, 77}};
static const uint32_t three_blocks[] = {0, 5, UINT32_MAX};

/* One of every type, sorted. */
static const struct hq_entry samples[] = {
    {.path = "base", .type = HQ_ENTRY_DIRECTORY, .mode = 0700, .uid = 999, .gid = 998},
    {.path = "base/5/2619",
     .type = HQ_ENTRY_RELATION,
     .mode = 0600,
     .size = 16384,
     .page_map = {{{3}}, 1000},
     .damaged = three_blocks,
     .damaged_count = 3},
    {.path = "base/5/PG_VERSION", .type = HQ_ENTRY_FILE, .mode = 07777},
    {.path = "global/pg_control",
     .type = HQ_ENTRY_FILE,
     .mtime_us = -5,
     .size = (4 << 20) + 77,
     .chunks = two_chunks,
     .chunk_count = 2},
    {.path = "pg_tblspc/16390", .type = HQ_ENTRY_SYMLINK, .target = "/srv/\xff fast"},
};

enum {
    SAMPLES = sizeof samples / sizeof samples[0]
};

static void
assert_same_entry(const struct hq_entry *a, const struct hq_entry *b)
{
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->mtime_us, b->mtime_us);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->chunk_count, b->chunk_count);
    for (size_t i = 0; i < a->chunk_count; i++) {
        assert_memory_equal(&a->chunks[i].id, &b->chunks[i].id, sizeof(struct hq_id));
        assert_int_equal(a->chunks[i].raw, b->chunks[i].raw);
    }
    assert_int_equal(a->page_map.raw, b->page_map.raw);
    assert_memory_equal(&a->page_map.id, &b->page_map.id, sizeof(struct hq_id));
    assert_int_equal(a->damaged_count, b->damaged_count);
    for (size_t i = 0; i < a->damaged_count; i++)
        assert_int_equal(a->damaged[i], b->damaged[i]);
    assert_int_equal(a->target == NULL, b->target == NULL);
    if (a->target != NULL)
        assert_string_equal(a->target, b->target);
}

static int
expect_sample(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    size_t *next = context;

    (void)err;
    assert_true(*next < SAMPLES);
    assert_same_entry(&samples[(*next)++], entry);
    return 0;
}

static struct hq_buf
sample_stream(void)
{
    struct hq_buf stream = {0};
    struct hq_error err = {0};

    for (size_t i = 0; i < SAMPLES; i++)
        ASSERT_OK(hq_entry_encode(&samples[i], &stream, &err), &err);
    return stream;
}

/* Feed @p bytes in pieces of @p piece. @return what the decoder says of them, end included. */
static int
decode(const uint8_t *bytes, size_t len, size_t piece, hq_entry_fn *each, void *context,
       struct hq_error *err)
{
    struct hq_entry_decoder *d = hq_entry_decoder_new(err);
    int rc = 0;

    assert_non_null(d);
    while (len > 0 && rc == 0) {
        size_t n = piece < len ? piece : len;
        /* A copy of exactly this length shows the sanitizer any look beyond it. */
        HQ_FREE uint8_t *copy = malloc(n);

        assert_non_null(copy);
        memcpy(copy, bytes, n);
        rc = hq_entry_decoder_feed(d, copy, n, each, context, err);
        bytes += n;
        len -= n;
    }
    if (rc == 0)
        rc = hq_entry_decoder_end(d, err);
    hq_entry_decoder_free(d);
    return rc;
}

static void
entries_round_trip_in_any_pieces(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf stream = sample_stream();
    struct hq_error err = {0};

    (void)state;
    for (size_t piece = 1; piece <= stream.len; piece++) {
        size_t next = 0;

        ASSERT_OK(decode(stream.data, stream.len, piece, expect_sample, &next, &err), &err);
        assert_int_equal(next, SAMPLES);
    }
}

static int
ignore(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    (void)entry;
    (void)context;
    (void)err;
    return 0;
}

static int
stop(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    (void)entry;
    (void)context;
    return hq_fail(err, HQ_E_INTERRUPTED, "enough");
}

static void
cuts_are_seen(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf stream = sample_stream();
    struct hq_error err = {0};
    size_t whole = 0, boundaries = 0;

    (void)state;
    for (size_t cut = 0; cut < stream.len; cut++) {
        if (cut == whole) {
            /* Between two entries only the manifest's length tells. */
            ASSERT_OK(decode(stream.data, cut, 9, ignore, NULL, &err), &err);
            whole += 4 + hq_get_u32(stream.data + whole);
            boundaries++;
            continue;
        }
        ASSERT_CODE(decode(stream.data, cut, 9, ignore, NULL, &err), &err, HQ_E_CORRUPT);
    }
    assert_int_equal(boundaries, SAMPLES);
    ASSERT_CODE(decode(stream.data, stream.len, 9, stop, NULL, &err), &err, HQ_E_INTERRUPTED);
}

static void
refuse_to_encode(struct hq_entry entry)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};

    ASSERT_CODE(hq_entry_encode(&entry, &out, &err), &err, HQ_E_USAGE);
    assert_int_equal(out.len, 0);
}

static void
writer_keeps_the_limits(void **state)
{
    static const char *const paths[] = {"",     "/a",   "a/",  "a//b", ".",     "..",
                                        "a/..", "../a", "./a", "a/.",  "a/./b", "/"};
    char longest[HQ_PATH_BYTES_MAX + 2];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_chunk_ref big = {.raw = HQ_CHUNK_DATA_MAX + 1};
    struct hq_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        refuse_to_encode((struct hq_entry){.path = paths[i], .type = HQ_ENTRY_DIRECTORY});
    memset(longest, 'a', sizeof longest);
    longest[HQ_PATH_BYTES_MAX + 1] = '\0';
    refuse_to_encode((struct hq_entry){.path = longest, .type = HQ_ENTRY_DIRECTORY});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_SYMLINK, .target = longest});
    longest[HQ_PATH_BYTES_MAX] = '\0';
    ASSERT_OK(hq_entry_encode(&(struct hq_entry){.path = longest, .type = HQ_ENTRY_DIRECTORY}, &out,
                              &err),
              &err);
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_SYMLINK});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_SYMLINK, .target = ""});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_FILE, .target = "b"});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_FILE, .mode = 010000});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_FILE, .size = 1});
    refuse_to_encode((struct hq_entry){.path = "a", .type = (enum hq_entry_type)5});
    refuse_to_encode((struct hq_entry){
        .path = "a", .type = HQ_ENTRY_FILE, .size = big.raw, .chunks = &big, .chunk_count = 1});
    refuse_to_encode((struct hq_entry){
        .path = "a", .type = HQ_ENTRY_DIRECTORY, .chunks = two_chunks, .chunk_count = 2});
    refuse_to_encode((struct hq_entry){
        .path = "a", .type = HQ_ENTRY_FILE, .chunks = two_chunks, .chunk_count = SIZE_MAX / 2});
    refuse_to_encode((struct hq_entry){.path = "a", .type = HQ_ENTRY_RELATION, .size = 8192});
    refuse_to_encode(
        (struct hq_entry){.path = "a", .type = HQ_ENTRY_RELATION, .page_map = {.raw = 100}});
}

/* 64 MiB of one field leave no room for the others. */
static void
too_long_entry_is_refused(void **state)
{
    size_t count = HQ_ENTRY_BYTES_MAX / 4;
    HQ_FREE uint32_t *blocks = calloc(count, sizeof *blocks);

    (void)state;
    assert_non_null(blocks);
    refuse_to_encode((struct hq_entry){.path = "a",
                                       .type = HQ_ENTRY_RELATION,
                                       .size = 8192,
                                       .page_map = {.raw = 100},
                                       .damaged = blocks,
                                       .damaged_count = count});
}

/* A stream by hand: begin(), fields, end(). */
static size_t
begin(struct hq_buf *out)
{
    hq_buf_put_u32(out, 0);
    return out->len;
}

static void
end(struct hq_buf *out, size_t start)
{
    hq_set_u32(out->data + start - 4, (uint32_t)(out->len - start));
}

static void
field(struct hq_buf *out, unsigned tag, const void *value, uint32_t len)
{
    hq_buf_put_u16(out, (uint16_t)tag);
    hq_buf_put_u32(out, len);
    hq_buf_put(out, value, len);
}

/* A directory "a" and one field more. */
static void
check_field(unsigned tag, const void *value, uint32_t len, enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    size_t start = begin(&out);

    field(&out, HQ_TAG_PATH, "a", 1);
    field(&out, HQ_TAG_TYPE, "\2", 1);
    field(&out, tag, value, len);
    end(&out, start);
    if (decode(out.data, out.len, 3, ignore, NULL, &err) == 0)
        err.code = HQ_E_OK;
    if (err.code != expected)
        fail_msg("tag %u, %u bytes: %s: %s", tag, len, hq_code_name(err.code), err.message);
}

static void
decoder_keeps_the_limits(void **state)
{
    static const uint8_t zeros[64];

    (void)state;
    check_field(14, "group", 5, HQ_E_OK);
    check_field(15, zeros, 64, HQ_E_OK);
    check_field(0x7FFF, zeros, 0, HQ_E_OK);
    check_field(0, zeros, 1, HQ_E_OK);
    check_field(0x8000, zeros, 0, HQ_E_UNSUPPORTED);
    check_field(0xFFFF, zeros, 3, HQ_E_UNSUPPORTED);
    check_field(HQ_TAG_PATH, "b", 1, HQ_E_CORRUPT); /* twice */
    check_field(HQ_TAG_MODE, zeros, 3, HQ_E_CORRUPT);
    check_field(HQ_TAG_MODE, "\0\x10\0\0", 4, HQ_E_CORRUPT);
    check_field(HQ_TAG_MODE, "\xff\x0f\0\0", 4, HQ_E_OK);
    check_field(HQ_TAG_UID, zeros, 8, HQ_E_CORRUPT);
    check_field(HQ_TAG_MTIME, zeros, 4, HQ_E_CORRUPT);
    check_field(HQ_TAG_SIZE, zeros, 0, HQ_E_CORRUPT);
    check_field(HQ_TAG_CHUNKS, zeros, 35, HQ_E_CORRUPT);
    check_field(HQ_TAG_CHUNKS, zeros, 36, HQ_E_CORRUPT); /* of a directory */
    check_field(HQ_TAG_PAGE_MAP, zeros, 36, HQ_E_CORRUPT);
    check_field(HQ_TAG_PAGE_MAP, zeros, 37, HQ_E_CORRUPT);
    check_field(HQ_TAG_TARGET, "b", 1, HQ_E_CORRUPT);
    check_field(HQ_TAG_TARGET, zeros, 1, HQ_E_CORRUPT);
    check_field(HQ_TAG_DAMAGED, zeros, 5, HQ_E_CORRUPT);
    check_field(HQ_TAG_DAMAGED, zeros, 4, HQ_E_CORRUPT);
    check_field(HQ_TAG_XATTR, "\6\0user.a value", 14, HQ_E_OK);
    check_field(HQ_TAG_XATTR, "\6\0user", 6, HQ_E_CORRUPT);
    check_field(HQ_TAG_XATTR, "\6", 1, HQ_E_CORRUPT);
    check_field(HQ_TAG_XATTR, zeros, 2, HQ_E_CORRUPT);
}

/* An entry of these two fields; a NULL path leaves it out. */
static void
put_entry(struct hq_buf *out, const char *path, size_t len, unsigned type)
{
    uint8_t byte = (uint8_t)type;
    size_t start = begin(out);

    if (path != NULL)
        field(out, HQ_TAG_PATH, path, (uint32_t)len);
    if (type != 99)
        field(out, HQ_TAG_TYPE, &byte, 1);
    end(out, start);
}

static void
check_entries(const char *first, size_t first_len, unsigned type, const char *second,
              enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};

    put_entry(&out, first, first_len, type);
    if (second != NULL)
        put_entry(&out, second, strlen(second), HQ_ENTRY_DIRECTORY);
    if (decode(out.data, out.len, 1000, ignore, NULL, &err) == 0)
        err.code = HQ_E_OK;
    if (err.code != expected)
        fail_msg("\"%s\", %u: %s: %s", first, type, hq_code_name(err.code), err.message);
}

static void
decoder_checks_paths_and_order(void **state)
{
    enum {
        DIR = HQ_ENTRY_DIRECTORY
    };
    /* An entry of 7 bytes, whose one field says it has 2 and has 1. */
    static const uint8_t beyond[] = {7, 0, 0, 0, HQ_TAG_PATH, 0, 2, 0, 0, 0, 'a'};
    static const uint8_t announced[4] = {0, 0, 0, 4}, too_long[4] = {1, 0, 0, 4};
    struct hq_error err = {0};

    (void)state;
    check_entries("a", 1, DIR, "b", HQ_E_OK);
    check_entries("a", 1, DIR, "a/b", HQ_E_OK);
    check_entries("a\x7f", 2, DIR, "a\x80", HQ_E_OK);
    check_entries("a\x80", 2, DIR, "a\x7f", HQ_E_CORRUPT);
    check_entries("b", 1, DIR, "a", HQ_E_CORRUPT);
    check_entries("a", 1, DIR, "a", HQ_E_CORRUPT);
    check_entries("a\0b", 3, DIR, NULL, HQ_E_CORRUPT);
    check_entries("a/../b", 6, DIR, NULL, HQ_E_CORRUPT);
    check_entries("/a", 2, DIR, NULL, HQ_E_CORRUPT);
    check_entries("", 0, DIR, NULL, HQ_E_CORRUPT);
    check_entries(NULL, 0, DIR, NULL, HQ_E_CORRUPT);
    check_entries("a", 1, 99, NULL, HQ_E_CORRUPT);
    check_entries("a", 1, 5, NULL, HQ_E_UNSUPPORTED);
    check_entries("a", 1, 0, NULL, HQ_E_UNSUPPORTED);
    check_entries("a", 1, HQ_ENTRY_FILE, NULL, HQ_E_CORRUPT); /* no size */
    check_entries("a", 1, HQ_ENTRY_RELATION, NULL, HQ_E_CORRUPT);
    check_entries("a", 1, HQ_ENTRY_SYMLINK, NULL, HQ_E_CORRUPT);
    ASSERT_CODE(decode(announced, 4, 4, ignore, NULL, &err), &err, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, "ends within"));
    ASSERT_CODE(decode(beyond, sizeof beyond, 20, ignore, NULL, &err), &err, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, "beyond"));
    ASSERT_CODE(decode(too_long, 4, 4, ignore, NULL, &err), &err, HQ_E_CORRUPT);
    assert_null(strstr(err.message, "ends within"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_round_trip_in_any_pieces),
        cmocka_unit_test(cuts_are_seen),
        cmocka_unit_test(writer_keeps_the_limits),
        cmocka_unit_test(too_long_entry_is_refused),
        cmocka_unit_test(decoder_keeps_the_limits),
        cmocka_unit_test(decoder_checks_paths_and_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
