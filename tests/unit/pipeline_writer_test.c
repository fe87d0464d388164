#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "postgres/page.h"
#include "repository/chunk_reader.h"
#include "repository/pagemap.h"

#define FILE_OF(p, n, s)                                                                           \
    {                                                                                              \
        .path = (p), .type = HQ_ENTRY_FILE, .mode = 0600, .size = (n), .seed = (s)                 \
    }
#define RELATION_OF(p, blocks, block_size, s)                                                      \
    {                                                                                              \
        .path = (p), .type = HQ_ENTRY_RELATION, .mode = 0600,                                      \
        .size = (uint64_t)(blocks) * (block_size), .seed = (s), .block = (block_size)              \
    }

static const struct fixture_file shapes[] = {
    FILE_OF("sizes/0", 0, 1),
    FILE_OF("sizes/1", 1, 2),
    FILE_OF("sizes/minimum-1", 65535, 3),
    FILE_OF("sizes/minimum", 65536, 4),
    FILE_OF("sizes/minimum+1", 65537, 5),
    FILE_OF("sizes/several", 3500001, 6),
    RELATION_OF("base/1/1", 1, 8192, 7),
    RELATION_OF("base/1/63", 63, 8192, 8),
    RELATION_OF("base/1/64", 64, 8192, 9),
    RELATION_OF("base/1/65", 65, 8192, 10),
    RELATION_OF("base/1/257", 257, 8192, 11),
    RELATION_OF("base/1/32k", 130, 32768, 12),
    RELATION_OF("base/1/512", 200, 512, 13),
    {.path = "base", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
    {.path = "base/1", .type = HQ_ENTRY_DIRECTORY, .mode = 0750},
    {.path = "sizes", .type = HQ_ENTRY_DIRECTORY, .mode = 02770},
    {.path = "link", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/somewhere"},
};
enum {
    SHAPES = sizeof shapes / sizeof shapes[0]
};

/* Reads a backup back without the code of restore that is not about manifests. */
struct reader {
    struct fixture *f;
    const struct fixture_file *files;
    size_t count, seen;
    struct hq_index_map *map;
    struct hq_chunk_reader *chunks;
    struct hq_chunk_ids *ids;
};

static void
read_chunk(struct reader *r, const struct hq_id *id, struct hq_buf *out)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf pack = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf raw = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_pack_key key;
    struct hq_place place;
    struct hq_error err = {0};

    ASSERT_OK(hq_index_map_find(r->map, id, &place, &err), &err);
    hq_pack_name(&place.pack, name);
    ASSERT_OK(hq_store_get_all(r->f->store, name, HQ_PACK_MAX_BYTES, &pack, &err), &err);
    ASSERT_OK(hq_pack_key_open(&r->f->repository, pack.data, &key, &err), &err);
    ASSERT_OK(hq_pack_frame_open(&r->f->repository, r->ids, &key, place.frame, &place.entry,
                                 pack.data + place.entry.offset, r->f->compressor, &raw, &err),
              &err);
    hq_buf_put(out, raw.data, raw.len);
    assert_int_equal(hq_buf_check(out, "chunk", &err), 0);
}

static void
read_relation(struct reader *r, const struct hq_entry *entry, struct hq_buf *out)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_page_map_read(r->chunks, entry, &map, &err), &err);
    for (uint32_t i = 0; i < map.run_count; i++) {
        const struct hq_page_run *run = &map.runs[i];
        size_t len = (size_t)run->length * map.block_size;
        HQ_AUTO(hq_buf_clear)
        struct hq_buf pages = {0};

        if (run->chunk == HQ_PAGE_RUN_ZERO) {
            hq_buf_put_zero(out, len);
            continue;
        }
        read_chunk(r, &map.chunks[run->chunk].id, &pages);
        assert_int_equal(pages.len, (size_t)map.chunks[run->chunk].pages * map.block_size);
        hq_buf_put(out, pages.data + (size_t)run->slot * map.block_size, len);
    }
}

static const struct fixture_file *
find_file(const struct reader *r, const char *path)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->files[i].path, path) == 0)
            return &r->files[i];
    fail_msg("%s was not backed up", path);
    return NULL;
}

static int
check_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct reader *r = context;
    const struct fixture_file *file = find_file(r, entry->path);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf content = {0};
    size_t size;
    HQ_FREE uint8_t *expected = NULL;

    if (file == NULL)
        return hq_fail(err, HQ_E_INTERNAL, "%s was not there", entry->path);
    expected = fixture_bytes(file, &size);
    r->seen++;
    assert_int_equal(entry->type, file->type);
    assert_int_equal(entry->mode, file->mode);
    assert_int_equal(entry->mtime_us, FIXTURE_TIME_US);
    if (file->type == HQ_ENTRY_SYMLINK)
        assert_string_equal(entry->target, file->target);
    for (size_t i = 0; i < entry->chunk_count; i++)
        read_chunk(r, &entry->chunks[i].id, &content);
    if (entry->type == HQ_ENTRY_RELATION)
        read_relation(r, entry, &content);
    if (entry->type == HQ_ENTRY_FILE || entry->type == HQ_ENTRY_RELATION) {
        assert_int_equal(entry->size, size);
        assert_int_equal(content.len, size);
        assert_true(size == 0 || memcmp(content.data, expected, size) == 0);
    }
    return 0;
}

static void
check_backup(struct fixture *f, const struct hq_root *root, const struct fixture_file *files,
             size_t count)
{
    struct reader r = {.f = f, .files = files, .count = count};
    struct hq_error err = {0};

    assert_non_null(r.map = hq_index_map_load(&f->repository, NULL, &err));
    assert_non_null(r.chunks = hq_chunk_reader_of_index(&f->repository, r.map, &err));
    assert_non_null(r.ids = hq_chunk_ids_new(f->restore, &err));
    ASSERT_OK(hq_manifest_read(r.chunks, root, check_entry, &r, &err), &err);
    assert_int_equal(r.seen, count);
    hq_chunk_ids_free(r.ids);
    hq_chunk_reader_free(r.chunks);
    hq_index_map_free(r.map);
}

static void
every_shape_comes_back(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_error err = {0};
    uint64_t bytes = 0, pages = 0;

    ASSERT_OK(fixture_write_files(f, shapes, SHAPES, &root, &err), &err);
    check_backup(f, &root, shapes, SHAPES);
    for (size_t i = 0; i < SHAPES; i++) {
        bytes += shapes[i].size;
        pages += shapes[i].type == HQ_ENTRY_RELATION ? shapes[i].size / shapes[i].block : 0;
    }
    assert_int_equal(root.files, 13);
    assert_int_equal(root.bytes, bytes);
    assert_int_equal(root.pages, pages);
    assert_int_equal(root.damaged_pages, 0);
    assert_int_equal(root.manifest_entries, SHAPES);
    assert_int_equal(fixture_count(f, "index/"), 1);
    assert_int_equal(fixture_count(f, "backups/"), 0);
}

static void
one_worker_and_many_give_the_same(void **state)
{
    struct fixture *f = *state;
    struct hq_root roots[2] = {0};
    struct hq_error err = {0};

    for (int i = 0; i < 2; i++) {
        f->workers = i == 0 ? 1 : 5;
        ASSERT_OK(fixture_write_files(f, shapes, SHAPES, &roots[i], &err), &err);
        check_backup(f, &roots[i], shapes, SHAPES);
    }
    assert_int_equal(roots[0].manifest_bytes, roots[1].manifest_bytes);
    assert_memory_equal(roots[0].chunks, roots[1].chunks, sizeof *roots[0].chunks);
    hq_root_clear(&roots[0]);
    hq_root_clear(&roots[1]);
}

static void
nothing_new_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct hq_root first = {0}, second = {0};
    struct hq_error err = {0};
    size_t packs, indexes;

    ASSERT_OK(fixture_write_files(f, shapes, SHAPES, &first, &err), &err);
    packs = fixture_count(f, "packs/");
    indexes = fixture_count(f, "index/");
    assert_true(first.new_bytes > 0 && first.stored_bytes > 0);
    ASSERT_OK(fixture_write_files(f, shapes, SHAPES, &second, &err), &err);
    assert_int_equal(second.new_bytes, 0);
    assert_int_equal(second.stored_bytes, 0);
    assert_int_equal(fixture_count(f, "packs/"), packs);
    assert_int_equal(fixture_count(f, "index/"), indexes);
    check_backup(f, &second, shapes, SHAPES);
    hq_root_clear(&first);
    hq_root_clear(&second);
}

/* A manifest that changed costs the chunks that changed, and no data. */
static void
a_new_mode_stores_only_the_manifest(void **state)
{
    struct fixture *f = *state;
    struct fixture_file changed[SHAPES];
    struct hq_root first = {0}, second = {0};
    struct hq_error err = {0};

    memcpy(changed, shapes, sizeof shapes);
    changed[0].mode = 0640;
    ASSERT_OK(fixture_write_files(f, shapes, SHAPES, &first, &err), &err);
    ASSERT_OK(fixture_write_files(f, changed, SHAPES, &second, &err), &err);
    assert_int_equal(second.new_bytes, second.manifest_bytes);
    assert_true(second.stored_bytes > 0 && second.stored_bytes < 16384);
    assert_int_equal(fixture_count(f, "index/"), 2);
    check_backup(f, &second, changed, SHAPES);
    hq_root_clear(&first);
    hq_root_clear(&second);
}

static void
equal_files_are_stored_once(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_file one[] = {FILE_OF("a", 2000000, 1),
                                              RELATION_OF("b", 100, 8192, 2)};
    static const struct fixture_file twice[] = {
        FILE_OF("a", 2000000, 1), RELATION_OF("b", 100, 8192, 2), FILE_OF("c", 2000000, 1),
        RELATION_OF("d", 100, 8192, 2)};
    struct hq_root a = {0}, b = {0};
    struct hq_error err = {0};

    /* Twice at once first: two workers have the same chunk in hand. */
    f->workers = 4;
    ASSERT_OK(fixture_write_files(f, twice, 4, &b, &err), &err);
    check_backup(f, &b, twice, 4);
    assert_int_equal(b.bytes, 2 * (2000000 + 100 * 8192));
    assert_true(b.new_bytes < b.bytes / 2 + 65536);
    ASSERT_OK(fixture_write_files(f, one, 2, &a, &err), &err);
    assert_int_equal(a.new_bytes, a.manifest_bytes);
    hq_root_clear(&a);
    hq_root_clear(&b);
}

static int
write_relation(struct hq_backup_writer *w, uint64_t announced, uint64_t sent, struct hq_error *err)
{
    struct hq_entry entry = {
        .path = "base/1/2", .type = HQ_ENTRY_RELATION, .mode = 0600, .size = announced};
    const struct hq_backup_file_options options = {
        .entry = &entry, .block_size = 8192, .first_block = 100, .verify_before = UINT64_MAX};
    HQ_FREE uint8_t *bytes = calloc(1, (size_t)sent + 8192);

    assert_non_null(bytes);
    for (uint32_t i = 0; i < sent / 8192; i++) {
        uint8_t *page = bytes + (size_t)i * 8192;
        uint16_t sum;

        fixture_fill(page, 8192, i);
        sum = hq_page_checksum(page, 8192, 100 + i + (i == 1 || i == 7));
        page[8] = (uint8_t)sum;
        page[9] = (uint8_t)(sum >> 8);
    }
    if (hq_backup_writer_file_begin(w, &options, err) != 0 ||
        hq_backup_writer_data(w, bytes, (size_t)sent, err) != 0)
        return -1;
    return hq_backup_writer_file_end(w, err);
}

static int
check_damaged(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    (void)context;
    (void)err;
    assert_int_equal(entry->damaged_count, 2);
    assert_int_equal(entry->damaged[0], 1);
    assert_int_equal(entry->damaged[1], 7);
    return 0;
}

static void
damaged_pages_are_listed(void **state)
{
    struct fixture *f = *state;
    struct hq_backup_writer *w = fixture_writer(f);
    struct hq_backup_statistics statistics;
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_error err = {0};
    struct hq_index_map *map;
    struct hq_chunk_reader *reader;

    ASSERT_OK(write_relation(w, 10 * 8192, 10 * 8192, &err), &err);
    ASSERT_OK(hq_backup_writer_finish(w, &root, &statistics, &err), &err);
    hq_backup_writer_free(w);
    assert_int_equal(statistics.damaged_pages, 2);
    assert_int_equal(root.damaged_pages, 2);
    assert_non_null(map = hq_index_map_load(&f->repository, NULL, &err));
    assert_non_null(reader = hq_chunk_reader_of_index(&f->repository, map, &err));
    ASSERT_OK(hq_manifest_read(reader, &root, check_damaged, NULL, &err), &err);
    hq_chunk_reader_free(reader);
    hq_index_map_free(map);
}

/* Short, long, and not a whole page: the map would lie. */
static void
a_relation_must_have_its_announced_size(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sent[] = {0, 8192, 9 * 8192 - 1, 9 * 8192 + 1, 100 * 8192, 70 * 8192 + 5};

    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        struct hq_backup_writer *w = fixture_writer(f);
        struct hq_error err = {0};

        ASSERT_CODE(write_relation(w, 9 * 8192, sent[i], &err), &err, HQ_E_CORRUPT);
        hq_backup_writer_free(w);
    }
    assert_int_equal(fixture_count(f, "index/"), 0);
}

static void
an_empty_backup_is_a_backup(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_error err = {0};

    ASSERT_OK(fixture_write_files(f, NULL, 0, &root, &err), &err);
    check_backup(f, &root, NULL, 0);
    assert_int_equal(fixture_count(f, ""), 0);
}

/* At every stage of a file: threads end, memory is let go, nothing refers to anything. */
static void
a_writer_may_be_abandoned(void **state)
{
    struct fixture *f = *state;
    HQ_FREE uint8_t *bytes = malloc(3 << 20);
    struct hq_entry entry = {.path = "a", .type = HQ_ENTRY_FILE, .mode = 0600};
    const struct hq_backup_file_options options = {.entry = &entry};
    struct hq_error err = {0};

    assert_non_null(bytes);
    fixture_fill(bytes, 3 << 20, 1);
    for (int stage = 0; stage < 4; stage++) {
        struct hq_backup_writer *w = fixture_writer(f);

        if (stage > 0)
            ASSERT_OK(hq_backup_writer_file_begin(w, &options, &err), &err);
        if (stage > 1)
            ASSERT_OK(hq_backup_writer_data(w, bytes, 3 << 20, &err), &err);
        if (stage > 2)
            ASSERT_OK(hq_backup_writer_file_end(w, &err), &err);
        hq_backup_writer_free(w);
    }
    hq_backup_writer_free(NULL);
    assert_int_equal(fixture_count(f, "index/"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(every_shape_comes_back),
        FIXTURE_TEST(one_worker_and_many_give_the_same),
        FIXTURE_TEST(nothing_new_stores_nothing),
        FIXTURE_TEST(a_new_mode_stores_only_the_manifest),
        FIXTURE_TEST(equal_files_are_stored_once),
        FIXTURE_TEST(damaged_pages_are_listed),
        FIXTURE_TEST(a_relation_must_have_its_announced_size),
        FIXTURE_TEST(an_empty_backup_is_a_backup),
        FIXTURE_TEST(a_writer_may_be_abandoned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
