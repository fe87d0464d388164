#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository_fixture.h"
#include "wal_internal.h"

enum {
    MIB = 1 << 20,
    SEGMENT = 2 * MIB
};

#define SYSTEM UINT64_C(0x0123456789abcdef)

static struct hq_wal_info
part(uint64_t start, uint32_t len)
{
    return (struct hq_wal_info){.type = HQ_WAL_PART,
                                .system_identifier = SYSTEM,
                                .timeline = 0x1F,
                                .segment_size = SEGMENT,
                                .start_lsn = start,
                                .end_lsn = start + len,
                                .raw_len = len,
                                .first_commit_us = 5,
                                .last_commit_us = -6,
                                .sent_us = INT64_MAX};
}

static struct hq_wal_info
segment(void)
{
    struct hq_wal_info info = part(UINT64_C(0xA00000000) + 3 * SEGMENT, SEGMENT);

    info.type = HQ_WAL_SEGMENT;
    return info;
}

static struct hq_wal_info
history(uint32_t len)
{
    return (struct hq_wal_info){
        .type = HQ_WAL_HISTORY, .system_identifier = SYSTEM, .timeline = 0x1F, .raw_len = len};
}

static void
check_name(struct hq_wal_info info, const char *expected)
{
    struct hq_wal_info back = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name("main", &info, name);
    assert_string_equal(name, expected);
    assert_true(hq_wal_name_parse(name, "main", info.segment_size, &back));
    assert_int_equal(back.type, info.type);
    assert_true(back.system_identifier == info.system_identifier);
    assert_int_equal(back.timeline, info.timeline);
    assert_true(back.start_lsn == info.start_lsn);
    assert_true(back.end_lsn == info.end_lsn);
    assert_int_equal(back.segment_size, info.segment_size);
    if (info.type != HQ_WAL_HISTORY)
        assert_int_equal(back.raw_len, info.raw_len);
}

static void
names_round_trip(void **state)
{
    struct hq_wal_info last = part(UINT64_C(0xFFFFFFFF00000000) + (SEGMENT * UINT64_C(2046)), 9);
    char file[25];

    (void)state;
    check_name(segment(), "wal/main/0123456789abcdef/0000001F/0000001F0000000A00000003");
    check_name(part(0x200000, 0x10),
               "wal/main/0123456789abcdef/0000001F/0000001F0000000000000001.00000000-00000010");
    check_name(part(0x2000F0, 0x1FFF10),
               "wal/main/0123456789abcdef/0000001F/0000001F0000000000000001.000000f0-00200000");
    check_name(last,
               "wal/main/0123456789abcdef/0000001F/0000001FFFFFFFFF000007FE.00000000-00000009");
    check_name(history(3), "wal/main/0123456789abcdef/0000001F.history");
    hq_wal_file_name(1, UINT64_C(0x16B3748), 16 << 20, file);
    assert_string_equal(file, "000000010000000000000001");
}

static void
other_names_are_not_wal(void **state)
{
#define FOLDER "wal/main/0123456789abcdef/0000001F"
    static const char *const names[] = {
        "",
        "wal/main",
        "wal/other/0123456789abcdef/0000001F.history",
        "wal/main0123456789abcdef/0000001F.history",
        "wal/main/0123456789ABCDEF/0000001F.history",
        "wal/main/123456789abcdef/0000001F.history",
        "wal/main/0123456789abcdef/0000001f.history",
        "wal/main/0123456789abcdef/00000000.history",
        FOLDER ".histor",
        FOLDER ".history2",
        FOLDER,
        FOLDER "/",
        FOLDER "/0000001F0000000A0000000",
        FOLDER "/0000001F0000000A0000000g",
        FOLDER "/0000001F0000000A000000031",
        FOLDER "/0000001E0000000A00000003", /* another timeline than its folder's */
        FOLDER "/0000001F0000000A00000800", /* beyond 4 GiB */
        FOLDER "/0000001F0000000A00000003.00000000",
        FOLDER "/0000001F0000000A00000003.00000000-",
        FOLDER "/0000001F0000000A00000003.00000000-0000001",
        FOLDER "/0000001F0000000A00000003.00000000-000000100",
        FOLDER "/0000001F0000000A00000003.00000010-00000010",
        FOLDER "/0000001F0000000A00000003.00000011-00000010",
        FOLDER "/0000001F0000000A00000003.00000000-00200001",
        FOLDER "/0000001F0000000A00000003.00000000-000000F0",
        FOLDER "/0000001F0000000A00000003.partial",
    };
    struct hq_wal_info out;

    (void)state;
    assert_true(hq_wal_name_parse(FOLDER "/0000001F0000000A000007FF", "main", SEGMENT, &out));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (hq_wal_name_parse(names[i], "main", SEGMENT, &out))
            fail_msg("%s", names[i]);
    assert_false(hq_wal_name_parse(FOLDER "/0000001F0000000A00000003", "main", SEGMENT + 1, &out));
    assert_true(hq_wal_name_parse(FOLDER "/0000001F0000000A00000003", "main", 0, &out));
    assert_true(out.start_lsn == UINT64_C(0x0000000A00000003));
    assert_int_equal(out.end_lsn, 0);
    /* The last segment of all ends where no LSN is. */
    assert_false(hq_wal_name_parse(FOLDER "/0000001FFFFFFFFF000007FF", "main", SEGMENT, &out));
}

/* Seal @p info with bytes made of @p seed; the name into @p name. */
static struct hq_buf
sealed(struct fixture *f, const struct hq_wal_info *info, uint32_t seed,
       char name[HQ_OBJECT_NAME_MAX + 1])
{
    HQ_FREE uint8_t *data = malloc(info->raw_len);
    struct hq_buf out = {0};
    struct hq_error err = {0};

    assert_non_null(data);
    fill(data, info->raw_len, seed);
    ASSERT_OK(hq_wal_seal(&f->writer, "main", info, data, f->compressor, &out, &err), &err);
    hq_wal_name("main", info, name);
    return out;
}

static int
open_object(struct fixture *f, const char *name, const struct hq_buf *object,
            struct hq_wal_info *info, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};

    if (object->len < HQ_WAL_HEADER_BYTES)
        return hq_wal_open(hq_keyring_bind(f->restore), &key, name, object->data, object->len,
                           f->compressor, info, out, err);
    if (hq_wal_key_open(&f->repository, object->data, &key, err) != 0)
        return -1;
    return hq_wal_open(hq_keyring_bind(f->restore), &key, name, object->data, object->len,
                       f->compressor, info, out, err);
}

static void
check_round_trip(struct fixture *f, struct hq_wal_info info)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = sealed(f, &info, 5, name), out = {0};
    HQ_FREE uint8_t *data = malloc(info.raw_len);
    struct hq_wal_info back;
    struct hq_error err = {0};

    assert_non_null(data);
    fill(data, info.raw_len, 5);
    hq_buf_put_u8(&out, 'x');
    ASSERT_OK(open_object(f, name, &object, &back, &out, &err), &err);
    assert_int_equal(out.len, info.raw_len + 1);
    assert_memory_equal(out.data + 1, data, info.raw_len);
    assert_int_equal(back.object_size, object.len);
    back.object_size = 0;
    assert_int_equal(back.type, info.type);
    assert_true(back.start_lsn == info.start_lsn && back.end_lsn == info.end_lsn);
    assert_int_equal(back.raw_len, info.raw_len);
    assert_int_equal(back.first_commit_us, info.first_commit_us);
    assert_int_equal(back.last_commit_us, info.last_commit_us);
    assert_int_equal(back.sent_us, info.sent_us);
    assert_int_equal(back.parent, info.parent);
    assert_true(back.begin_lsn == info.begin_lsn);
}

static void
objects_round_trip(void **state)
{
    check_round_trip(*state, segment());
    check_round_trip(*state, history(1));
    check_round_trip(*state, history(MIB + 1));
    check_round_trip(*state, part(100, 1));
    check_round_trip(*state, part(SEGMENT, MIB - 1));
    check_round_trip(*state, part(SEGMENT, MIB));
    check_round_trip(*state, part(SEGMENT, MIB + 1));
    check_round_trip(*state, part(SEGMENT, SEGMENT));
}

/* What the header tells of a history file's branch, its last line must say. */
static void
branches_are_compared(void **state)
{
    static const struct {
        const char *text;
        uint32_t parent;
        uint64_t begin;
        bool good;
    } cases[] = {
        {"1\t0/5\tx\n2\tA/200\ty\n", 2, UINT64_C(0xA00000200), true},
        {"  30   FFFFFFFF/FFFFFFFF", 30, UINT64_MAX, true},
        {"1\t0/5\tx\n# 2\n\n", 1, 5, true},
        {"whatever", 0, 0, true}, /* an early writer's */
        {"1\t0/5\tx\n2\tA/200\ty\n", 1, 5, false},
        {"1\t0/5\tx\n", 1, 6, false},
        {"1\t0/5\tx\n", 2, 5, false},
        {"# 1\t0/5\n", 1, 5, false},
        {"1", 1, 5, false},
    };
    struct fixture *f = *state;
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf object = {0}, out = {0};
        struct hq_wal_info info = history((uint32_t)strlen(cases[i].text)), back;
        char name[HQ_OBJECT_NAME_MAX + 1];

        info.parent = cases[i].parent;
        info.begin_lsn = cases[i].begin;
        hq_wal_name("main", &info, name);
        ASSERT_OK(
            hq_wal_seal(&f->writer, "main", &info, cases[i].text, f->compressor, &object, &err),
            &err);
        if (!cases[i].good) {
            ASSERT_CODE(open_object(f, name, &object, &back, &out, &err), &err, HQ_E_CORRUPT);
            assert_int_equal(out.len, 0);
            continue;
        }
        ASSERT_OK(open_object(f, name, &object, &back, &out, &err), &err);
        assert_int_equal(back.parent, info.parent);
        assert_true(back.begin_lsn == info.begin_lsn);
        assert_true(back.start_lsn == 0 && back.segment_size == 0);
    }
}

static void
sidecar_reads_nothing(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info = part(100, 1000), told;
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = sealed(f, &info, 5, name), out = {0};
    struct hq_key key = {{0}}, no_key = {{0}};
    struct hq_error err = {0};

    ASSERT_CODE(hq_wal_key_open(&f->writer, object.data, &key, &err), &err, HQ_E_KEY);
    /* Where it is, how long, and when its commits were, anybody may know. */
    ASSERT_OK(hq_wal_header_decode(object.data, object.len, &told, &err), &err);
    assert_int_equal(told.last_commit_us, info.last_commit_us);
    /* All that it can derive without K. */
    ASSERT_OK(hq_wal_content_key(f->sidecar, hq_get_u32(object.data + 12), &no_key, object.data,
                                 &key, &err),
              &err);
    ASSERT_CODE(hq_wal_open(hq_keyring_bind(f->sidecar), &key, name, object.data, object.len,
                            f->compressor, &told, &out, &err),
                &err, HQ_E_CORRUPT);
    assert_int_equal(out.len, 0);
}

static void
every_flip_and_cut_is_seen(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info = part(100, 60), back;
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = sealed(f, &info, 5, name), out = {0};
    struct hq_buf shorter = object;
    struct hq_error err = {0};

    for (size_t i = 0; i < object.len * 8; i++) {
        object.data[i / 8] ^= (uint8_t)(1 << i % 8);
        if (open_object(f, name, &object, &back, &out, &err) == 0)
            fail_msg("bit %zu may be changed", i);
        assert_damage_code(&err, i / 8);
        object.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (shorter.len = 0; shorter.len < object.len; shorter.len++)
        ASSERT_CODE(open_object(f, name, &shorter, &back, &out, &err), &err, HQ_E_CORRUPT);
    hq_buf_put_u8(&object, 0);
    ASSERT_CODE(open_object(f, name, &object, &back, &out, &err), &err, HQ_E_CORRUPT);
    assert_int_equal(out.len, 0);
}

/* Bytes of frame @p number, its word included. */
static struct hq_view
frame_of(const struct hq_buf *object, unsigned number)
{
    struct hq_view v = hq_view_of(object->data, object->len);
    size_t len = HQ_WAL_HEADER_BYTES;

    for (unsigned i = 0;; i++) {
        (void)hq_view_take(&v, len);
        assert_false(v.failed);
        len = 4 + (hq_get_u32(v.data) & 0x7FFFFFFF);
        if (i == number)
            return hq_view_sub(&v, len);
    }
}

static void
check_frames(struct fixture *f, const struct hq_buf *header, const char *name,
             const struct hq_view *frames, size_t count, enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0}, out = {0};
    struct hq_wal_info back;
    struct hq_error err = {0};

    hq_buf_put(&object, header->data, HQ_WAL_HEADER_BYTES);
    for (size_t i = 0; i < count; i++)
        hq_buf_put(&object, frames[i].data, frames[i].len);
    if (open_object(f, name, &object, &back, &out, &err) == 0)
        err.code = HQ_E_OK;
    assert_int_equal(err.code, expected);
}

/* Whole frames exchanged, repeated, left out, or taken from another object of the same name. */
static void
frames_stay_where_they_are(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info = segment();
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf a = sealed(f, &info, 5, name), b = {0};
    struct hq_view a0 = frame_of(&a, 0), a1 = frame_of(&a, 1), b1;

    b = sealed(f, &info, 5, name);
    b1 = frame_of(&b, 1);
    check_frames(f, &a, name, (struct hq_view[]){a0, a1}, 2, HQ_E_OK);
    check_frames(f, &a, name, (struct hq_view[]){a1, a0}, 2, HQ_E_CORRUPT);
    check_frames(f, &a, name, (struct hq_view[]){a0, a0}, 2, HQ_E_CORRUPT);
    check_frames(f, &a, name, (struct hq_view[]){a0, b1}, 2, HQ_E_CORRUPT);
    check_frames(f, &b, name, (struct hq_view[]){a0, a1}, 2, HQ_E_CORRUPT);
    check_frames(f, &a, name, (struct hq_view[]){a0}, 1, HQ_E_CORRUPT);
    check_frames(f, &a, name, (struct hq_view[]){a1}, 1, HQ_E_CORRUPT);
    check_frames(f, &a, name, (struct hq_view[]){a0, a1, a1}, 3, HQ_E_CORRUPT);
    check_frames(f, &a, name, NULL, 0, HQ_E_CORRUPT);
}

static void
objects_stay_where_they_are(void **state)
{
    static const char *const names[] = {
        "wal/main/0123456789abcdef/0000001F/0000001F0000000000000000.00000065-000000a1",
        "wal/main/0123456789abcdef/0000001F/0000001F0000000000000001.00000064-000000a0",
        "wal/main/0123456789abcdef/00000020/000000200000000000000000.00000064-000000a0",
        "wal/main/0123456789abcdee/0000001F/0000001F0000000000000000.00000064-000000a0",
        "wal/other/0123456789abcdef/0000001F/0000001F0000000000000000.00000064-000000a0",
        "wal/main/0123456789abcdef/0000001F/0000001F0000000000000000",
        "wal/main/0123456789abcdef/0000001F.history",
        "wal/MAIN/x",
        "wal/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/x",
        "wal/",
        "",
    };
    struct fixture *f = *state;
    struct hq_wal_info info = part(100, 60), back;
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = sealed(f, &info, 5, name), out = {0};
    struct hq_keyring *elsewhere = keyring_of_region("DE");
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ASSERT_CODE(open_object(f, names[i], &object, &back, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(open_object(f, name, &object, &back, &out, &err), &err);
    ASSERT_OK(hq_wal_key_open(&f->repository, object.data, &key, &err), &err);
    ASSERT_CODE(hq_wal_open(hq_keyring_bind(elsewhere), &key, name, object.data, object.len,
                            f->compressor, &back, &out, &err),
                &err, HQ_E_CORRUPT);
    hq_keyring_free(elsewhere);
}

static void
check_tag(struct fixture *f, struct hq_wal_info info, bool expected)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf a = sealed(f, &info, 5, name), b = sealed(f, &info, 6, name);
    HQ_FREE uint8_t *data = malloc(info.raw_len);
    struct hq_wal_info first, second;
    struct hq_id tag, elsewhere;
    struct hq_error err = {0};

    assert_non_null(data);
    fill(data, info.raw_len, 5);
    ASSERT_OK(hq_wal_header_decode(a.data, a.len, &first, &err), &err);
    ASSERT_OK(hq_wal_header_decode(b.data, b.len, &second, &err), &err);
    assert_int_equal(hq_wal_content_tag_known(&first), expected);
    assert_true(hq_wal_object_size_possible(&first, a.len));
    hq_buf_clear(&b);
    if (!expected)
        return;
    /* A sidecar recognises what it wrote, and nothing else. */
    ASSERT_OK(hq_wal_content_tag(f->sidecar, hq_wal_header_epoch(a.data), name, data, info.raw_len,
                                 &tag, &err),
              &err);
    assert_int_equal(hq_id_compare(&tag, &first.content_tag), 0);
    assert_int_not_equal(hq_id_compare(&tag, &second.content_tag), 0);
    ASSERT_OK(hq_wal_content_tag(f->sidecar, hq_wal_header_epoch(a.data), "wal/other", data,
                                 info.raw_len, &elsewhere, &err),
              &err);
    assert_int_not_equal(hq_id_compare(&tag, &elsewhere), 0);
    ASSERT_CODE(hq_wal_content_tag(f->sidecar, 99, name, data, info.raw_len, &tag, &err), &err,
                HQ_E_KEY);
}

static void
tags_tell_contents_apart(void **state)
{
    check_tag(*state, segment(), true);
    check_tag(*state, history(100), true);
    check_tag(*state, part(100, 1000), false);
}

static void
impossible_sizes(void **state)
{
    struct hq_wal_info info = segment();
    uint64_t fixed = HQ_WAL_HEADER_BYTES + 2 * (4 + HQ_TAG_BYTES);

    (void)state;
    assert_false(hq_wal_object_size_possible(&info, 0));
    assert_false(hq_wal_object_size_possible(&info, fixed));
    assert_true(hq_wal_object_size_possible(&info, fixed + 1));
    assert_true(hq_wal_object_size_possible(&info, fixed + SEGMENT));
    assert_false(hq_wal_object_size_possible(&info, fixed + SEGMENT + 1));
    assert_false(hq_wal_object_size_possible(&info, UINT64_MAX));
}

static void
refuse_to_seal(struct fixture *f, struct hq_wal_info info)
{
    static const uint8_t data[SEGMENT];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};

    ASSERT_CODE(hq_wal_seal(&f->writer, "main", &info, data, f->compressor, &out, &err), &err,
                HQ_E_USAGE);
    assert_int_equal(out.len, 0);
}

static void
writer_keeps_the_limits(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info;

    refuse_to_seal(f, part(100, 0));
    refuse_to_seal(f, part(SEGMENT - 1, 2)); /* in two segments */
    refuse_to_seal(f, history(0));
    info = part(100, 50);
    info.end_lsn++;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.segment_size = SEGMENT + 1;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.segment_size = 0;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.type = HQ_WAL_SEGMENT;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.type = (enum hq_wal_type)4;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.timeline = 0;
    refuse_to_seal(f, info);
    info = history(10);
    info.start_lsn = 1;
    refuse_to_seal(f, info);
    info = history(10);
    info.parent = 1;
    refuse_to_seal(f, info);
    info.begin_lsn = 7;
    info.parent = info.timeline;
    refuse_to_seal(f, info);
    info = part(100, 50);
    info.parent = 1;
    info.begin_lsn = 7;
    refuse_to_seal(f, info);
    info = part(UINT64_MAX - 10, 20);
    info.raw_len = 20;
    refuse_to_seal(f, info);
}

static void
header_keeps_the_limits(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
        enum hq_code expected;
    } cases[] = {
        {0, 0, HQ_E_CORRUPT},
        {8, 2 | 2 << 16, HQ_E_UNSUPPORTED},
        {8, 1 | 4 << 16, HQ_E_UNSUPPORTED},
        {8, 1 | 0 << 16, HQ_E_UNSUPPORTED},
        {8, 1 | 1 << 16, HQ_E_CORRUPT},
        {8, 1 | 3 << 16, HQ_E_CORRUPT},
        {12, 99, HQ_E_OK}, /* which keys there are is not the header's to know */
        {16, 1, HQ_E_UNSUPPORTED},
        {20, 0, HQ_E_CORRUPT},
        {24, 101, HQ_E_CORRUPT},
        {36, 1, HQ_E_CORRUPT},
        {48, 3 << 20, HQ_E_CORRUPT},
        {48, 1 << 19, HQ_E_CORRUPT},
        {48, UINT32_C(1) << 31, HQ_E_CORRUPT},
        {52, 0, HQ_E_CORRUPT},
        {52, 61, HQ_E_CORRUPT},
        {52, UINT32_MAX, HQ_E_CORRUPT},
        {160, 1, HQ_E_OK}, /* a content tag may be anything */
    };
    struct fixture *f = *state;
    struct hq_wal_info info = part(100, 60), back;
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = sealed(f, &info, 5, name);
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t before = hq_get_u32(object.data + cases[i].offset);

        hq_set_u32(object.data + cases[i].offset, cases[i].value);
        if (hq_wal_header_decode(object.data, object.len, &back, &err) == 0)
            err.code = HQ_E_OK;
        if (err.code != cases[i].expected)
            fail_msg("offset %zu = %u: %s: %s", cases[i].offset, cases[i].value,
                     hq_code_name(err.code), err.message);
        hq_set_u32(object.data + cases[i].offset, before);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_round_trip),       cmocka_unit_test(other_names_are_not_wal),
        FIXTURE_TEST(objects_round_trip),         FIXTURE_TEST(branches_are_compared),
        FIXTURE_TEST(sidecar_reads_nothing),      FIXTURE_TEST(every_flip_and_cut_is_seen),
        FIXTURE_TEST(frames_stay_where_they_are), FIXTURE_TEST(objects_stay_where_they_are),
        FIXTURE_TEST(writer_keeps_the_limits),    FIXTURE_TEST(header_keeps_the_limits),
        FIXTURE_TEST(tags_tell_contents_apart),   cmocka_unit_test(impossible_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
