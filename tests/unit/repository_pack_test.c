#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pack_internal.h"
#include "repository_fixture.h"

/* Open frame @p number of @p pack from @p bytes. */
static int
open_frame(struct fixture *f, const struct hq_pack *pack, const struct hq_pack_key *key,
           uint32_t number, const uint8_t *bytes, struct hq_buf *out, struct hq_error *err)
{
    return hq_pack_frame_open(&f->repository, f->ids, key, number, &pack->entries[number],
                              bytes + pack->entries[number].offset, f->compressor, out, err);
}

static void
check_content(const struct hq_buf *out, uint32_t seed)
{
    uint8_t raw[SMALL_BYTES];

    fill(raw, sizeof raw, seed);
    assert_int_equal(out->len, sizeof raw);
    assert_memory_equal(out->data, raw, sizeof raw);
}

static void
check_small_pack(struct fixture *f, enum hq_pack_type type)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    struct hq_pack *pack = small_pack(f, type, 10);
    struct hq_pack *read =
        hq_pack_parse(&f->writer, &pack->id, pack->bytes.data, pack->bytes.len, &err);
    struct hq_pack_key key;

    assert_non_null(read);
    assert_int_equal(read->type, type);
    assert_int_equal(read->size, pack->bytes.len);
    assert_int_equal(read->epoch, hq_keyring_newest_epoch(f->sidecar));
    assert_int_equal(read->count, SMALL_CHUNKS);
    assert_int_equal(read->bytes.len, 0);
    ASSERT_OK(hq_pack_key_open(&f->repository, pack->bytes.data, &key, &err), &err);
    for (uint32_t i = 0; i < SMALL_CHUNKS; i++) {
        assert_memory_equal(&read->entries[i].id, &pack->entries[i].id, sizeof(struct hq_id));
        ASSERT_OK(open_frame(f, read, &key, i, pack->bytes.data, &out, &err), &err);
        check_content(&out, 10 + i);
    }
    hq_key_wipe(&key.frame_key);
    hq_pack_free(read);
    hq_pack_free(pack);
}

static void
packs_round_trip(void **state)
{
    check_small_pack(*state, HQ_PACK_DATA);
    check_small_pack(*state, HQ_PACK_METADATA);
}

static void
sidecar_reads_metadata_only(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    struct hq_pack *data = small_pack(f, HQ_PACK_DATA, 1);
    struct hq_pack *metadata = small_pack(f, HQ_PACK_METADATA, 1);
    struct hq_pack_key key = {0};

    ASSERT_CODE(hq_pack_key_open(&f->writer, data->bytes.data, &key, &err), &err, HQ_E_KEY);
    assert_string_not_equal(err.hint, "");
    /* All that a sidecar can derive, without K: no frame opens with it. */
    ASSERT_OK(
        hq_pack_frame_key(f->sidecar, data->epoch, NULL, data->bytes.data, &key.frame_key, &err),
        &err);
    key.type = HQ_PACK_DATA;
    for (uint32_t i = 0; i < SMALL_CHUNKS; i++)
        ASSERT_CODE(open_frame(f, data, &key, i, data->bytes.data, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(hq_pack_key_open(&f->writer, metadata->bytes.data, &key, &err), &err);
    ASSERT_OK(hq_pack_frame_open(&f->writer, f->ids, &key, 0, &metadata->entries[0],
                                 metadata->bytes.data + metadata->entries[0].offset, f->compressor,
                                 &out, &err),
              &err);
    check_content(&out, 1);
    hq_pack_free(data);
    hq_pack_free(metadata);
}

/*
 * Read all of a pack whose byte @p offset may be damaged. Whatever opens must be right.
 * @return whether anything was refused.
 */
static bool
read_all(struct fixture *f, const uint8_t *bytes, size_t len, uint32_t seed, size_t offset)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    struct hq_pack *pack = hq_pack_parse(&f->repository, NULL, bytes, len, &err);
    struct hq_pack_key key;
    bool refused = false;

    if (pack == NULL || hq_pack_key_open(&f->repository, bytes, &key, &err) != 0) {
        assert_damage_code(&err, offset);
        hq_pack_free(pack);
        return true;
    }
    for (uint32_t i = 0; i < pack->count; i++) {
        if (open_frame(f, pack, &key, i, bytes, &out, &err) == 0) {
            check_content(&out, seed + i);
            continue;
        }
        assert_damage_code(&err, offset);
        assert_int_equal(out.len, 0);
        refused = true;
    }
    hq_pack_free(pack);
    return refused;
}

static void
check_flips(struct fixture *f, enum hq_pack_type type)
{
    struct hq_error err = {0};
    struct hq_pack *pack = small_pack(f, type, 20);
    uint8_t *bytes = pack->bytes.data;
    size_t len = pack->bytes.len;

    assert_false(read_all(f, bytes, len, 20, 0));
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= (uint8_t)(1 << i % 8);
        assert_null(hq_pack_parse(&f->repository, &pack->id, bytes, len, &err));
        assert_int_equal(err.code, HQ_E_CORRUPT);
        if (!read_all(f, bytes, len, 20, i))
            fail_msg("byte %zu of %zu may be changed", i, len);
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t cut = 0; cut < len; cut++) {
        HQ_FREE uint8_t *shorter = malloc(cut + 1);

        assert_non_null(shorter);
        memcpy(shorter, bytes, cut);
        assert_null(hq_pack_parse(&f->repository, NULL, shorter, cut, &err));
        assert_int_equal(err.code, HQ_E_CORRUPT);
    }
    hq_pack_free(pack);
}

static void
every_flip_and_cut_is_seen(void **state)
{
    check_flips(*state, HQ_PACK_DATA);
    check_flips(*state, HQ_PACK_METADATA);
}

/* Frames of equal length change places, within a pack and between two. */
static void
frames_stay_where_they_are(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    struct hq_pack *a = small_pack(f, HQ_PACK_DATA, 1);
    struct hq_pack *b = small_pack(f, HQ_PACK_DATA, 1);
    struct hq_pack_key key_a, key_b;
    struct hq_pack_entry lie;

    ASSERT_OK(hq_pack_key_open(&f->repository, a->bytes.data, &key_a, &err), &err);
    ASSERT_OK(hq_pack_key_open(&f->repository, b->bytes.data, &key_b, &err), &err);
    /* Same content, same entry, same number: only the pack differs. */
    assert_int_equal(a->entries[0].stored, b->entries[0].stored);
    ASSERT_CODE(open_frame(f, a, &key_a, 0, b->bytes.data, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(open_frame(f, a, &key_b, 0, a->bytes.data, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_pack_frame_open(&f->repository, f->ids, &key_a, 2, &a->entries[0],
                                   a->bytes.data + a->entries[0].offset, f->compressor, &out, &err),
                &err, HQ_E_CORRUPT);
    lie = a->entries[0];
    lie.id = a->entries[2].id;
    ASSERT_CODE(hq_pack_frame_open(&f->repository, f->ids, &key_a, 0, &lie,
                                   a->bytes.data + lie.offset, f->compressor, &out, &err),
                &err, HQ_E_CORRUPT);
    hq_pack_free(a);
    hq_pack_free(b);
}

/* A writer that seals other bytes than its id says, or lies about their length. */
static void
content_must_fit_its_id(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_DATA, &err);
    struct hq_pack *pack = NULL;
    struct hq_pack_key key;
    struct hq_id id;

    assert_non_null(w);
    hq_chunk_id(f->ids, HQ_CHUNK_DATA, "aaaa", 4, &id);
    ASSERT_OK(hq_pack_writer_add(w, &id, HQ_CHUNK_DATA, HQ_CODEC_NONE, 4, "bbbb", 4, &err), &err);
    ASSERT_OK(hq_pack_writer_add(w, &id, HQ_CHUNK_PAGES, HQ_CODEC_NONE, 4, "aaaa", 4, &err), &err);
    ASSERT_OK(hq_pack_writer_add(w, &id, HQ_CHUNK_DATA, HQ_CODEC_ZSTD, 9, "aaaa", 4, &err), &err);
    ASSERT_OK(hq_pack_writer_add(w, &id, HQ_CHUNK_DATA, HQ_CODEC_NONE, 4, "aaaa", 4, &err), &err);
    assert_int_equal(hq_pack_writer_count(w), 4);
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    ASSERT_OK(hq_pack_key_open(&f->repository, pack->bytes.data, &key, &err), &err);
    for (uint32_t i = 0; i < 3; i++)
        ASSERT_CODE(open_frame(f, pack, &key, i, pack->bytes.data, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(open_frame(f, pack, &key, 3, pack->bytes.data, &out, &err), &err);
    hq_pack_free(pack);
}

static void
other_keys_open_nothing(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_pack *pack = small_pack(f, HQ_PACK_METADATA, 1);
    struct hq_keyring *elsewhere = keyring_of_region("DE");
    struct hq_keyring *foreign = foreign_keyring();
    struct hq_repository there = {.store = f->store, .keyring = elsewhere};
    struct hq_repository other = {.store = f->store, .keyring = foreign};

    assert_null(hq_pack_parse(&there, &pack->id, pack->bytes.data, pack->bytes.len, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
    /* The pack is of epoch 2, and a new repository has only epoch 1. */
    assert_null(hq_pack_parse(&other, &pack->id, pack->bytes.data, pack->bytes.len, &err));
    assert_int_equal(err.code, HQ_E_KEY);
    hq_keyring_free(elsewhere);
    hq_keyring_free(foreign);
    hq_pack_free(pack);
}

static int
add(struct hq_pack_writer *w, enum hq_chunk_kind kind, int codec, uint32_t raw, size_t len,
    struct hq_error *err)
{
    static const uint8_t frame[64];
    struct hq_id id = {{0}};

    return hq_pack_writer_add(w, &id, kind, (enum hq_codec)codec, raw, frame, len, err);
}

static void
writer_keeps_the_limits(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_DATA, &err);
    struct hq_pack *pack = NULL;
    size_t size;

    assert_non_null(w);
    ASSERT_CODE(add(w, HQ_CHUNK_MANIFEST, 0, 64, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, (enum hq_chunk_kind)9, 0, 64, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, HQ_CHUNK_DATA, 0, 63, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, HQ_CHUNK_DATA, 0, 65, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, HQ_CHUNK_DATA, 1, HQ_CHUNK_DATA_MAX + 1, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, HQ_CHUNK_PAGES, 1, HQ_CHUNK_PAGES_MAX + 1, 64, &err), &err, HQ_E_USAGE);
    ASSERT_CODE(add(w, HQ_CHUNK_DATA, 2, 64, 64, &err), &err, HQ_E_USAGE);
    assert_int_equal(hq_pack_writer_count(w), 0);
    ASSERT_CODE(hq_pack_writer_finish(w, &pack, &err), &err, HQ_E_USAGE);
    assert_null(pack);

    w = hq_pack_writer_new(&f->writer, HQ_PACK_DATA, &err);
    assert_non_null(w);
    ASSERT_OK(add(w, HQ_CHUNK_DATA, 0, 64, 64, &err), &err);
    size = hq_pack_writer_size(w);
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    assert_int_equal(size, pack->bytes.len);
    hq_pack_free(pack);
}

/* A pack takes what fits into 256 MiB, and can still be finished after it refused more. */
static void
full_pack_refuses_more(void **state)
{
    struct fixture *f = *state;
    HQ_FREE uint8_t *frame = calloc(1, HQ_CHUNK_DATA_MAX);
    struct hq_error err = {0};
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_DATA, &err);
    struct hq_pack *pack = NULL, *read;
    struct hq_id id = {{1}};

    assert_non_null(frame);
    assert_non_null(w);
    for (int i = 0; i < 63; i++)
        ASSERT_OK(hq_pack_writer_add(w, &id, HQ_CHUNK_DATA, HQ_CODEC_NONE, HQ_CHUNK_DATA_MAX, frame,
                                     HQ_CHUNK_DATA_MAX, &err),
                  &err);
    ASSERT_CODE(hq_pack_writer_add(w, &id, HQ_CHUNK_DATA, HQ_CODEC_NONE, HQ_CHUNK_DATA_MAX, frame,
                                   HQ_CHUNK_DATA_MAX, &err),
                &err, HQ_E_USAGE);
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    assert_int_equal(pack->count, 63);
    read = hq_pack_parse(&f->writer, &pack->id, pack->bytes.data, pack->bytes.len, &err);
    assert_non_null(read);
    hq_pack_free(read);
    hq_pack_free(pack);
}

static void
check_entry(const struct hq_pack_entry *entry, enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_pack_entry out;
    struct hq_error err = {0};

    hq_pack_entries_encode(entry, 1, &bytes);
    if (hq_pack_entries_decode(bytes.data, 1, HQ_PACK_DATA, 128 + 40, &out, &err) == 0)
        err.code = HQ_E_OK;
    assert_int_equal(err.code, expected);
    if (expected == HQ_E_OK) {
        bytes.data[47] = 1;
        ASSERT_CODE(hq_pack_entries_decode(bytes.data, 1, HQ_PACK_DATA, 128 + 40, &out, &err), &err,
                    HQ_E_UNSUPPORTED);
    }
}

static void
directory_keeps_the_limits(void **state)
{
    const uint32_t most = HQ_CHUNK_DATA_MAX, pages = HQ_CHUNK_PAGES_MAX;
    const struct {
        uint32_t offset, stored, raw;
        uint8_t kind, codec;
        enum hq_code expected;
    } cases[] = {
        {128, 40, 24, 1, 0, HQ_E_OK},
        {128, 40, 24, 2, 1, HQ_E_OK},
        {128, 40, most, 1, 1, HQ_E_OK},
        {128, 40, most + 1, 1, 1, HQ_E_CORRUPT},
        {128, 40, pages + 1, 2, 1, HQ_E_CORRUPT},
        {128, 40, 23, 1, 1, HQ_E_CORRUPT}, /* longer than raw and tag */
        {128, 40, 25, 1, 0, HQ_E_CORRUPT}, /* as it is, but another length */
        {128, 15, 24, 1, 0, HQ_E_CORRUPT}, /* shorter than the tag */
        {128, 40, 24, 3, 0, HQ_E_CORRUPT}, /* a manifest in a data pack */
        {128, 40, 24, 5, 0, HQ_E_CORRUPT}, /* page sums in a data pack */
        {128, 40, 24, 6, 0, HQ_E_UNSUPPORTED},
        {128, 40, 24, 0, 0, HQ_E_UNSUPPORTED},
        {128, 40, 24, 1, 2, HQ_E_UNSUPPORTED},
        {129, 40, 24, 1, 0, HQ_E_CORRUPT}, /* a gap */
        {127, 40, 24, 1, 0, HQ_E_CORRUPT}, /* in the header */
        {128, 39, 23, 1, 0, HQ_E_CORRUPT}, /* ends before the directory */
        {128, UINT32_MAX, 24, 1, 0, HQ_E_CORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_entry(&(struct hq_pack_entry){.offset = cases[i].offset,
                                            .stored = cases[i].stored,
                                            .raw = cases[i].raw,
                                            .kind = cases[i].kind,
                                            .codec = cases[i].codec},
                    cases[i].expected);
}

static void
trailer_keeps_the_limits(void **state)
{
    const struct hq_pack_layout good = {.directory = 200, .stored = 64, .frames = 1};
    const struct hq_pack_layout bad[] = {
        {.directory = 199, .stored = 64, .frames = 1},
        {.directory = 200, .stored = 65, .frames = 1},
        {.directory = 200, .stored = 16, .frames = 0},
        {.directory = UINT32_MAX, .stored = 64, .frames = 1},
        {.directory = 200, .stored = 64, .frames = UINT32_MAX},
        {.directory = 100, .stored = 64, .frames = 1},
    };
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_pack_layout out;
    struct hq_error err = {0};

    (void)state;
    hq_pack_trailer_encode(&good, &bytes);
    ASSERT_OK(hq_pack_trailer_decode(bytes.data, 296, &out, &err), &err);
    ASSERT_CODE(hq_pack_trailer_decode(bytes.data, 297, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_pack_trailer_decode(bytes.data, 100, &out, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_pack_trailer_decode(bytes.data, UINT64_MAX, &out, &err), &err, HQ_E_CORRUPT);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bytes.len = 0;
        hq_pack_trailer_encode(&bad[i], &bytes);
        ASSERT_CODE(hq_pack_trailer_decode(bytes.data, i == 5 ? 196 : 296, &out, &err), &err,
                    HQ_E_CORRUPT);
    }
}

static void
check_fetch(struct fixture *f, const struct hq_pack *pack)
{
    struct hq_error err = {0};
    struct hq_pack *read;

    put_pack(f, pack);
    read = hq_pack_fetch_directory(&f->writer, &pack->id, pack->size, &err);
    assert_non_null(read);
    assert_int_equal(read->count, pack->count);
    assert_int_equal(read->type, pack->type);
    for (uint32_t i = 0; i < pack->count; i++) {
        assert_memory_equal(&read->entries[i].id, &pack->entries[i].id, sizeof(struct hq_id));
        assert_int_equal(read->entries[i].offset, pack->entries[i].offset);
    }
    hq_pack_free(read);
    assert_null(hq_pack_fetch_directory(&f->writer, &pack->id, pack->size + 1, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_null(hq_pack_fetch_directory(&f->writer, &pack->id, pack->size - 1, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_null(hq_pack_fetch_directory(&f->writer, &pack->id, 100, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_null(hq_pack_fetch_directory(&f->writer, &pack->id, UINT64_MAX, &err));
    assert_int_equal(err.code, HQ_E_CORRUPT);
}

/* A directory that the tail of a pack holds, and one longer than that. */
static void
directories_are_fetched(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_pack *pack = small_pack(f, HQ_PACK_DATA, 1);
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_METADATA, &err);

    check_fetch(f, pack);
    hq_pack_free(pack);
    assert_non_null(w);
    for (uint32_t i = 0; i < 3000; i++)
        (void)add_chunk(f, w, HQ_CHUNK_MANIFEST, &i, sizeof i);
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    check_fetch(f, pack);
    hq_pack_free(pack);
}

static void
missing_pack_is_missing(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_id id = {{0xab}};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_pack_name(&id, name);
    assert_memory_equal(name, "packs/ab/ab00", 13);
    assert_int_equal(strlen(name), 9 + 64);
    assert_null(hq_pack_fetch_directory(&f->writer, &id, 1000, &err));
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_non_null(strstr(err.message, name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(packs_round_trip),
        FIXTURE_TEST(sidecar_reads_metadata_only),
        FIXTURE_TEST(every_flip_and_cut_is_seen),
        FIXTURE_TEST(frames_stay_where_they_are),
        FIXTURE_TEST(content_must_fit_its_id),
        FIXTURE_TEST(other_keys_open_nothing),
        FIXTURE_TEST(writer_keeps_the_limits),
        FIXTURE_TEST(full_pack_refuses_more),
        cmocka_unit_test(directory_keeps_the_limits),
        cmocka_unit_test(trailer_keeps_the_limits),
        FIXTURE_TEST(directories_are_fetched),
        FIXTURE_TEST(missing_pack_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
