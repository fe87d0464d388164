#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <cmocka.h>

#include "index_internal.h"
#include "repository/pagemap.h"
#include "repository/wal.h"
#include "repository_fixture.h"

/*
 * The n-th allocation fails, for every n until none does: each time the call must fail with NOMEM
 * or get by without it, and the sanitizer sees what is lost. The linker leads the project's own
 * calls here (see repository.cmake); JSON's come by json_set_alloc_funcs().
 */
static uint64_t until_failure; /* 0: never */
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

static bool
fails_now(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    return true;
}

void *
__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

void *
__wrap_reallocarray(void *p, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(p, count, size);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, size);
}

char *
__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

/*
 * jansson does not tell a failed allocation from a text that it can't take, and forgets letters
 * of the text when it can't keep them.
 */
static bool
json_may_say(enum hq_code code)
{
    return code == HQ_E_CORRUPT || code == HQ_E_CONFIG || code == HQ_E_UNSUPPORTED;
}

typedef int operation(struct fixture *f, struct hq_error *err);

/* Run @p op with the first, second, ... allocation failing. */
static void
fail_each(struct fixture *f, operation *op, bool json)
{
    uint64_t n = 1;

    for (failed = true; failed; n++) {
        struct hq_error err = {0};
        int rc;

        failed = false;
        until_failure = n;
        rc = op(f, &err);
        until_failure = 0;
        if (rc != 0 && err.code != HQ_E_NOMEM && !(json && json_may_say(err.code)))
            fail_msg("allocation %llu: %s: %s", (unsigned long long)n, hq_code_name(err.code),
                     err.message);
        if (rc != 0 && !failed)
            fail_msg("allocation %llu did not fail: %s", (unsigned long long)n, err.message);
    }
    assert_true(n > 3);
}

static int
write_pack(struct fixture *f, struct hq_error *err)
{
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, HQ_PACK_METADATA, err);
    struct hq_pack *pack = NULL;
    struct hq_id id = {{1}};
    int rc;

    if (w == NULL)
        return -1;
    if (hq_pack_writer_add(w, &id, HQ_CHUNK_MANIFEST, HQ_CODEC_NONE, 3, "abc", 3, err) != 0) {
        hq_pack_writer_free(w);
        return -1;
    }
    rc = hq_pack_writer_finish(w, &pack, err);
    hq_pack_free(pack);
    return rc;
}

static struct hq_pack *stored_pack; /* by the setup of the tests below */

static int
read_pack(struct fixture *f, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_compressor *c;
    struct hq_pack_key key;
    struct hq_pack *pack =
        hq_pack_parse(&f->writer, NULL, stored_pack->bytes.data, stored_pack->bytes.len, err);
    int rc = -1;

    if (pack == NULL)
        return -1;
    if ((c = hq_compressor_new(1, err)) != NULL &&
        hq_pack_key_open(&f->writer, stored_pack->bytes.data, &key, err) == 0)
        rc = hq_pack_frame_open(&f->writer, f->ids, &key, 0, &pack->entries[0],
                                stored_pack->bytes.data + pack->entries[0].offset, c, &out, err);
    hq_compressor_free(c);
    hq_pack_free(pack);
    return rc;
}

static int
write_index(struct fixture *f, struct hq_error *err)
{
    struct hq_id id;

    return hq_index_write(&f->writer, &stored_pack, 1, &id, err);
}

static int
load_map(struct fixture *f, struct hq_error *err)
{
    struct hq_index_map *map = hq_index_map_load(&f->writer, NULL, err);
    int rc;

    if (map == NULL)
        return -1;
    rc = hq_index_map_add_unnamed(&f->writer, map, NULL, err);
    hq_index_map_free(map);
    return rc;
}

static void
packs_and_indexes(void **state)
{
    struct fixture *f = *state;
    struct hq_pack *unnamed = small_pack(f, HQ_PACK_DATA, 9);
    struct hq_error err = {0};

    stored_pack = small_pack(f, HQ_PACK_METADATA, 1);
    put_pack(f, stored_pack);
    put_pack(f, unnamed);
    fail_each(f, write_pack, false);
    fail_each(f, read_pack, false);
    fail_each(f, write_index, false);
    ASSERT_OK(write_index(f, &err), &err);
    fail_each(f, load_map, false);
    hq_pack_free(stored_pack);
    hq_pack_free(unnamed);
}

static int
write_root(struct fixture *f, struct hq_error *err)
{
    static struct hq_id chunk;
    static char path[] = "/a";
    struct hq_tablespace tablespace = {.oid = 1, .path = path};
    struct hq_root root = {.cluster = "main",
                           .backup = "20261121T030405Z-1f2e3d4c",
                           .mode = "files",
                           .timeline = 1,
                           .wal_segment_size = 16 << 20,
                           .block_size = 8192,
                           .chunks = &chunk,
                           .chunk_count = 1,
                           .tablespaces = &tablespace,
                           .tablespace_count = 1};

    return hq_root_write(&f->writer, &root, err);
}

static int
read_root(struct fixture *f, struct hq_error *err)
{
    struct hq_root root;

    if (hq_root_read(&f->writer, "main", "20261121T030405Z-1f2e3d4c", &root, err) != 0)
        return -1;
    hq_root_clear(&root);
    return 0;
}

static int
create(struct fixture *f, struct hq_error *err)
{
    struct hq_error ignored;

    if (hq_repository_create(f->store, f->restore, err) != 0)
        return -1;
    return hq_store_delete(f->store, "repository.json", &ignored);
}

static int
open_repository(struct fixture *f, struct hq_error *err)
{
    struct hq_repository *repository = hq_repository_open(f->store, f->sidecar, NULL, err);

    if (repository == NULL)
        return -1;
    free(repository);
    return 0;
}

static void
roots_and_repositories(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    json_set_alloc_funcs(__wrap_malloc, free);
    fail_each(f, write_root, true);
    ASSERT_OK(write_root(f, &err), &err);
    fail_each(f, read_root, true);
    fail_each(f, create, true);
    ASSERT_OK(hq_repository_create(f->store, f->restore, &err), &err);
    fail_each(f, open_repository, true);
}

static int
wal(struct fixture *f, struct hq_error *err)
{
    static const uint8_t data[5000];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0}, out = {0};
    struct hq_wal_info info = {.type = HQ_WAL_PART,
                               .timeline = 1,
                               .segment_size = 1 << 20,
                               .start_lsn = 1,
                               .end_lsn = 5001,
                               .raw_len = 5000};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_compressor *c = hq_compressor_new(1, err);
    struct hq_key key;
    int rc = -1;

    hq_wal_name("main", &info, name);
    if (c != NULL && hq_wal_seal(&f->writer, "main", &info, data, c, &object, err) == 0 &&
        hq_wal_key_open(&f->repository, object.data, &key, err) == 0)
        rc = hq_wal_open(hq_keyring_bind(f->restore), &key, name, object.data, object.len, c, &info,
                         &out, err);
    hq_compressor_free(c);
    return rc;
}

static int
page_map(struct fixture *f, struct hq_error *err)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {.block_size = 8192}, back = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct hq_page_sums sums = {.id = {{2}}, .count = 2};

    (void)f;
    for (uint32_t i = 0; i < 20; i++)
        if (hq_page_map_add_sums(&map, &sums, err) != 0 ||
            hq_page_map_add_chunk(&map, &(struct hq_page_chunk){.id = {{1}}, .pages = 2, .sums = i},
                                  err) != 0 ||
            hq_page_map_add_run(&map, 1, i, 1, err) != 0)
            return -1;
    if (hq_page_map_encode(&map, &bytes, err) != 0)
        return -1;
    return hq_page_map_decode(bytes.data, bytes.len, &back, err);
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
entries(struct fixture *f, struct hq_error *err)
{
    static const struct hq_chunk_ref chunk = {.raw = 5};
    static const uint32_t damaged = 7;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_entry_decoder *d = hq_entry_decoder_new(err);
    int rc = -1;

    (void)f;
    if (d != NULL &&
        hq_entry_encode(
            &(struct hq_entry){
                .path = "a", .type = HQ_ENTRY_FILE, .size = 5, .chunks = &chunk, .chunk_count = 1},
            &bytes, err) == 0 &&
        hq_entry_encode(&(struct hq_entry){.path = "b",
                                           .type = HQ_ENTRY_RELATION,
                                           .size = 8192,
                                           .page_map = {.raw = 60},
                                           .damaged = &damaged,
                                           .damaged_count = 1},
                        &bytes, err) == 0 &&
        hq_entry_decoder_feed(d, bytes.data, 50, ignore, NULL, err) == 0)
        rc = hq_entry_decoder_feed(d, bytes.data + 50, bytes.len - 50, ignore, NULL, err);
    hq_entry_decoder_free(d);
    return rc;
}

static int
chunk_ids(struct fixture *f, struct hq_error *err)
{
    struct hq_chunk_ids *ids = hq_chunk_ids_new(f->sidecar, err);
    struct hq_entry_decoder *d = ids != NULL ? hq_entry_decoder_new(err) : NULL;
    struct hq_compressor *c = d != NULL ? hq_compressor_new(1, err) : NULL;
    int rc = c != NULL ? 0 : -1;

    hq_chunk_ids_free(ids);
    hq_entry_decoder_free(d);
    hq_compressor_free(c);
    return rc;
}

static void
streams_and_maps(void **state)
{
    fail_each(*state, wal, false);
    fail_each(*state, page_map, false);
    fail_each(*state, entries, false);
    fail_each(*state, chunk_ids, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(packs_and_indexes),
        FIXTURE_TEST(roots_and_repositories),
        FIXTURE_TEST(streams_and_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
