#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../golden/cut.h"
#include "audit_internal.h"
#include "pack_internal.h"
#include "repository/pagemap.h"
#include "repository_fixture.h"
#include "repository_json_internal.h"
#include "root_internal.h"
#include "wal_internal.h"

/* What tests/golden/v1/vectors.json says, byte for byte: it outlives every release. */
static json_t *vectors;

static int
load_vectors(void **state)
{
    json_error_t err;

    (void)state;
    vectors = json_load_file(HQ_GOLDEN "/vectors.json", JSON_REJECT_DUPLICATES, &err);
    if (vectors == NULL)
        fail_msg("%s: line %d: %s", HQ_GOLDEN "/vectors.json", err.line, err.text);
    return 0;
}

static int
drop_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* The member @p name as bytes. */
static struct hq_buf
bytes_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct hq_buf out = {0};
    uint8_t *to;

    if (text == NULL)
        fail_msg("no %s", name);
    to = hq_buf_grow(&out, strlen(text) / 2);
    assert_non_null(to);
    assert_int_equal(hq_hex_decode(text, strlen(text), to, out.len), 0);
    return out;
}

static void
assert_bytes(const json_t *object, const char *name, const void *bytes, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf expected = bytes_of(object, name);

    assert_int_equal(expected.len, len);
    if (len > 0)
        assert_memory_equal(expected.data, bytes, len);
}

static int64_t
integer_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static const json_t *
member(const char *name)
{
    const json_t *value = json_object_get(vectors, name);

    if (value == NULL)
        fail_msg("no %s", name);
    return value;
}

static void
derivations_agree(void **state)
{
    struct fixture *f = *state;
    size_t i;
    json_t *one;

    assert_bytes(vectors, "bind", hq_keyring_bind(f->sidecar), 32);
    assert_bytes(vectors, "repository_id", hq_keyring_repository_id(f->sidecar), 16);
    assert_int_equal(json_array_size(member("derivations")), 20);
    json_array_foreach(member("derivations"), i, one)
    {
        const char *label = json_string_value(json_object_get(one, "label"));
        HQ_AUTO(hq_buf_clear)
        struct hq_buf extra = bytes_of(one, "extra");
        struct hq_error err = {0};
        struct hq_key key;

        if (strcmp(json_string_value(json_object_get(one, "key")), "identity") == 0)
            hq_keyring_identity_key(f->sidecar, label, &key);
        else
            ASSERT_OK(hq_keyring_metadata_key(f->sidecar, (uint32_t)integer_of(one, "epoch"), label,
                                              extra.data, extra.len, &key, &err),
                      &err);
        assert_bytes(one, "output", key.bytes, HQ_KEY_BYTES);
    }
}

static void
chunk_ids_agree(void **state)
{
    struct fixture *f = *state;
    size_t i;
    json_t *one;

    assert_int_equal(json_array_size(member("chunks")), 10);
    json_array_foreach(member("chunks"), i, one)
    {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf bytes = bytes_of(one, "bytes");
        struct hq_id id;

        hq_chunk_id(f->ids, (enum hq_chunk_kind)integer_of(one, "kind"), bytes.data, bytes.len,
                    &id);
        assert_bytes(one, "id", id.bytes, HQ_ID_BYTES);
    }
}

static void
check_cuts(const uint64_t gear[256], const char *name, const uint8_t *bytes, size_t len)
{
    const json_t *cuts = json_object_get(member("cuts"), name);
    struct hq_chunking chunking = {.minimum = (uint32_t)integer_of(cuts, "minimum"),
                                   .average = (uint32_t)integer_of(cuts, "average"),
                                   .maximum = (uint32_t)integer_of(cuts, "maximum")};
    const json_t *points = json_object_get(cuts, "points");
    size_t at = 0, longest = 0;

    for (size_t i = 0; i < json_array_size(points); i++) {
        size_t piece = cut_length(gear, &chunking, bytes + at, len - at);

        longest = piece > longest ? piece : longest;
        at += piece;
        assert_int_equal(json_integer_value(json_array_get(points, i)), at);
    }
    assert_int_equal(at, len);
    assert_int_equal(longest, chunking.maximum);
}

static void
cut_points_agree(void **state)
{
    struct fixture *f = *state;
    const json_t *values = json_object_get(member("gear"), "values");
    size_t len = (size_t)integer_of(member("cuts"), "length");
    HQ_FREE uint8_t *bytes = malloc(len);
    uint64_t gear[256];

    gear_table(f->sidecar, gear);
    assert_int_equal(json_array_size(values), 9);
    for (size_t i = 0; i < 9; i++)
        assert_true(strtoull(json_string_value(json_array_get(values, i)), NULL, 16) ==
                    gear[i < 8 ? i : 255]);
    assert_non_null(bytes);
    vector_bytes(bytes, len);
    check_cuts(gear, "files", bytes, len);
    check_cuts(gear, "manifests", bytes, len);
}

static void
check_pack_entries(struct fixture *f, const json_t *vector, const struct hq_pack *pack,
                   const struct hq_pack_key *key, const uint8_t *bytes)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    uint32_t i = 0;
    size_t at;
    json_t *one;

    assert_int_equal(json_array_size(json_object_get(vector, "entries")), pack->count);
    json_array_foreach(json_object_get(vector, "entries"), at, one)
    {
        const struct hq_pack_entry *e = &pack->entries[i];

        assert_bytes(one, "id", e->id.bytes, HQ_ID_BYTES);
        assert_int_equal(integer_of(one, "offset"), e->offset);
        assert_int_equal(integer_of(one, "stored"), e->stored);
        assert_int_equal(integer_of(one, "raw"), e->raw);
        assert_int_equal(integer_of(one, "kind"), e->kind);
        assert_int_equal(integer_of(one, "codec"), e->codec);
        ASSERT_OK(hq_pack_frame_open(&f->repository, f->ids, key, i, e, bytes + e->offset,
                                     f->compressor, &out, &err),
                  &err);
        assert_bytes(one, "plaintext", out.data, out.len);
        i++;
    }
}

static void
check_pack(struct fixture *f, const json_t *vector)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = bytes_of(vector, "bytes");
    HQ_AUTO(hq_buf_clear)
    struct hq_buf id = bytes_of(vector, "id");
    struct hq_error err = {0};
    struct hq_pack_key key;
    struct hq_key data_key;
    struct hq_id expected;
    struct hq_pack *pack;

    assert_int_equal(id.len, HQ_ID_BYTES);
    memcpy(expected.bytes, id.data, HQ_ID_BYTES);
    pack = hq_pack_parse(&f->writer, &expected, bytes.data, bytes.len, &err);
    assert_non_null(pack);
    assert_int_equal(pack->type, integer_of(vector, "type"));
    assert_int_equal(pack->epoch, integer_of(vector, "epoch"));
    ASSERT_OK(hq_pack_key_open(&f->repository, bytes.data, &key, &err), &err);
    assert_bytes(vector, "frame_key", key.frame_key.bytes, HQ_KEY_BYTES);
    if (pack->type == HQ_PACK_DATA) {
        ASSERT_OK(hq_keyring_open_data_key(f->restore, pack->epoch,
                                           bytes.data + HQ_PACK_SEALED_KEY_OFFSET, &data_key, &err),
                  &err);
        assert_bytes(vector, "data_key", data_key.bytes, HQ_KEY_BYTES);
    }
    check_pack_entries(f, vector, pack, &key, bytes.data);
    hq_pack_free(pack);
}

static void
packs_open(void **state)
{
    assert_int_equal(json_array_size(member("packs")), 2);
    check_pack(*state, json_array_get(member("packs"), 0));
    check_pack(*state, json_array_get(member("packs"), 1));
}

/* Store the member @p name under the name it gives; returned, borrowed. */
static const char *
store_object(struct fixture *f, const char *name)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = bytes_of(member(name), "bytes");
    const char *object = json_string_value(json_object_get(member(name), "name"));
    struct hq_error err = {0};

    ASSERT_OK(hq_store_put_bytes(f->store, object, bytes.data, bytes.len, &err), &err);
    return object;
}

static void
index_opens(void **state)
{
    struct fixture *f = *state;
    const json_t *pack = json_array_get(member("packs"), 0);
    const json_t *entry = json_array_get(json_object_get(pack, "entries"), 1);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf id = bytes_of(entry, "id");
    struct hq_error err = {0};
    struct hq_index_map *map;
    struct hq_place place;
    struct hq_id chunk;

    (void)store_object(f, "index");
    map = hq_index_map_load(&f->writer, NULL, &err);
    assert_non_null(map);
    assert_int_equal(hq_index_map_chunks(map), 5);
    memcpy(chunk.bytes, id.data, HQ_ID_BYTES);
    ASSERT_OK(hq_index_map_find(map, &chunk, &place, &err), &err);
    assert_bytes(pack, "id", place.pack.bytes, HQ_ID_BYTES);
    assert_int_equal(place.frame, 1);
    assert_int_equal(place.entry.offset, integer_of(entry, "offset"));
    hq_index_map_free(map);
}

static void
root_opens(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf again = {0};
    const char *text = json_string_value(json_object_get(member("root"), "json"));
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_error err = {0};

    (void)store_object(f, "root");
    ASSERT_OK(hq_root_read(&f->repository, "main", "20261121T030405Z-1f2e3d4c", &root, &err), &err);
    assert_string_equal(root.parent, "20261120T030405Z-00000000");
    assert_int_equal(root.started_us, INT64_C(1795230245678901));
    assert_int_equal(root.start_lsn, 0x2000028);
    assert_true(root.system_identifier == UINT64_C(7312345678901234567));
    assert_string_equal(root.tablespaces[0].path, "/srv/fast");
    assert_int_equal(root.chunks[0].bytes[2], 3);
    /* Today's writer says the same in the same words. */
    ASSERT_OK(hq_root_encode(&root, &again, &err), &err);
    assert_string_equal(hq_buf_text(&again), text);
}

static int
take_record(const struct hq_audit_record *record, void *context, struct hq_error *err)
{
    (void)err;
    *(struct hq_audit_record *)context = *record;
    return 0;
}

static void
audit_record_opens(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf again = {0};
    struct hq_audit_record record = {0};
    struct hq_error err = {0};

    (void)store_object(f, "audit");
    ASSERT_OK(hq_audit_list(&f->writer, "main", take_record, &record, &err), &err);
    assert_int_equal(record.kind, HQ_AUDIT_GAP_ACKNOWLEDGED);
    assert_int_equal(record.time_us, INT64_C(1795230245678901));
    assert_string_equal(record.who, "Ayşe Yılmaz");
    assert_true(record.system_identifier == UINT64_C(7312345678901234567));
    assert_int_equal(record.timeline, 1);
    assert_true(record.from_lsn == 0x3000000 && record.to_lsn == 0x5000000);
    /* Today's writer says the same in the same words. */
    ASSERT_OK(hq_audit_encode(&record, hq_keyring_writer(f->sidecar), &again, &err), &err);
    assert_string_equal(hq_buf_text(&again),
                        json_string_value(json_object_get(member("audit"), "json")));
}

static void
check_page_map(const json_t *vector, uint32_t sums)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = bytes_of(vector, "bytes");
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_page_map_decode(bytes.data, bytes.len, &map, &err), &err);
    assert_int_equal(map.block_size, integer_of(vector, "block_size"));
    assert_int_equal(map.blocks, integer_of(vector, "blocks"));
    assert_int_equal(map.chunk_count, 2);
    assert_int_equal(map.chunks[1].pages, 3);
    assert_int_equal(map.run_count, json_array_size(json_object_get(vector, "runs")));
    for (uint32_t i = 0; i < map.run_count; i++) {
        const json_t *run = json_array_get(json_object_get(vector, "runs"), i);

        assert_int_equal(map.runs[i].length, json_integer_value(json_array_get(run, 0)));
        assert_int_equal(map.runs[i].chunk, json_integer_value(json_array_get(run, 1)));
        assert_int_equal(map.runs[i].slot, json_integer_value(json_array_get(run, 2)));
    }
    assert_int_equal(map.sums_count, sums);
    for (uint32_t i = 0; i < map.chunk_count; i++) {
        const json_t *chunk = json_array_get(json_object_get(vector, "chunks"), i);
        const json_t *place = json_array_get(chunk, 2);

        assert_int_equal(map.chunks[i].sums,
                         place == NULL ? HQ_PAGE_SUMS_NONE : json_integer_value(place));
        assert_int_equal(map.chunks[i].first_sum, json_integer_value(json_array_get(chunk, 3)));
    }
}

static void
page_maps_decode(void **state)
{
    (void)state;
    check_page_map(member("page_map"), 1);
    check_page_map(member("page_map_1"), 0);
}

static void
page_sums_agree(void **state)
{
    const struct fixture *f = *state;
    struct hq_error err = {0};
    struct hq_chunk_ids *ids = hq_chunk_ids_new(f->restore, &err);
    uint8_t page[8192];

    assert_non_null(ids);
    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)i;
    assert_true(hq_page_sum(ids, page, sizeof page) ==
                strtoull(json_string_value(json_object_get(member("page_sum"), "sum")), NULL, 0));
    hq_chunk_ids_free(ids);
}

struct listing {
    size_t count;
    struct hq_buf again;
};

/* The path must be the next one listed, and the entry must be written again as it was. */
static int
check_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    const json_t *paths = json_object_get(member("entries"), "paths");
    struct listing *listing = context;

    assert_string_equal(entry->path, json_string_value(json_array_get(paths, listing->count++)));
    return hq_entry_encode(entry, &listing->again, err);
}

static void
entries_decode(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = bytes_of(member("entries"), "bytes");
    struct hq_error err = {0};
    struct hq_entry_decoder *d = hq_entry_decoder_new(&err);
    struct listing listing = {0};

    (void)state;
    assert_non_null(d);
    ASSERT_OK(hq_entry_decoder_feed(d, bytes.data, bytes.len, check_entry, &listing, &err), &err);
    ASSERT_OK(hq_entry_decoder_end(d, &err), &err);
    assert_int_equal(listing.count, 5);
    assert_int_equal(listing.again.len, bytes.len);
    assert_memory_equal(listing.again.data, bytes.data, bytes.len);
    hq_entry_decoder_free(d);
    hq_buf_clear(&listing.again);
}

static void
check_wal(struct fixture *f, const json_t *vector, uint32_t parent)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = bytes_of(vector, "bytes"), out = {0};
    const char *name = json_string_value(json_object_get(vector, "name"));
    struct hq_wal_info info;
    struct hq_error err = {0};
    struct hq_key key;
    struct hq_id hash;

    ASSERT_OK(hq_wal_key_open(&f->repository, bytes.data, &key, &err), &err);
    assert_bytes(vector, "content_key", key.bytes, HQ_KEY_BYTES);
    ASSERT_OK(hq_wal_open(hq_keyring_bind(f->restore), &key, name, bytes.data, bytes.len,
                          f->compressor, &info, &out, &err),
              &err);
    assert_int_equal(info.type, integer_of(vector, "type"));
    assert_int_equal(out.len, integer_of(vector, "raw_length"));
    hq_hash(NULL, out.data, out.len, &hash);
    assert_bytes(vector, "raw_hash", hash.bytes, HQ_ID_BYTES);
    assert_int_equal(info.sent_us, INT64_C(1795230248000003));
    assert_int_equal(info.parent, parent);
    assert_int_equal(info.begin_lsn, parent == 0 ? 0 : 0x2000100);
    if (!hq_wal_content_tag_known(&info)) {
        assert_null(json_object_get(vector, "content_tag"));
        return;
    }
    ASSERT_OK(hq_wal_content_tag(f->sidecar, hq_wal_header_epoch(bytes.data), name, out.data,
                                 out.len, &hash, &err),
              &err);
    assert_bytes(vector, "content_tag", hash.bytes, HQ_ID_BYTES);
    assert_int_equal(hq_id_compare(&hash, &info.content_tag), 0);
}

static void
wal_opens(void **state)
{
    /* Three of before there were content tags, three with, a history that tells its branch. */
    assert_int_equal(json_array_size(member("wal")), 7);
    for (size_t i = 0; i < 7; i++)
        check_wal(*state, json_array_get(member("wal"), i), i == 6 ? 1 : 0);
}

static void
repository_opens(void **state)
{
    struct fixture *f = *state;
    const json_t *vector = member("repository_json");
    const char *text = json_string_value(json_object_get(vector, "text"));
    struct hq_repository_json decoded = {0};
    struct hq_error err = {0};
    struct hq_repository *repository;

    ASSERT_OK(hq_store_put_bytes(f->store, "repository.json", text, strlen(text), &err), &err);
    repository = hq_repository_open(f->store, f->sidecar, "TR", &err);
    assert_non_null(repository);
    assert_int_equal(repository->created_us, HQ_VECTOR_CREATED_US);
    free(repository);
    ASSERT_OK(hq_repository_json_decode(text, strlen(text), &decoded, &err), &err);
    assert_bytes(vector, "signed_bytes", decoded.message.data, decoded.message.len);
    hq_repository_json_clear(&decoded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(derivations_agree),  FIXTURE_TEST(chunk_ids_agree),
        FIXTURE_TEST(cut_points_agree),   FIXTURE_TEST(packs_open),
        FIXTURE_TEST(index_opens),        FIXTURE_TEST(root_opens),
        FIXTURE_TEST(audit_record_opens), cmocka_unit_test(page_maps_decode),
        FIXTURE_TEST(page_sums_agree),    cmocka_unit_test(entries_decode),
        FIXTURE_TEST(wal_opens),          FIXTURE_TEST(repository_opens),
    };

    return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
