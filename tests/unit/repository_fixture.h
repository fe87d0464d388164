/**
 * @file repository_fixture.h
 * What the tests of storage/repository/ share: a repository in memory with the fixed keys, small
 * packs, and ways to damage bytes. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_REPOSITORY_FIXTURE_H
#define HQ_TESTS_REPOSITORY_FIXTURE_H

#include "base/cleanup.h"
#include "outcome.h"
#include "repository/index.h"
#include "repository/manifest.h"
#include "repository/object.h"
#include "repository/pack.h"
#include "storage/memory.h"
#include "vectors.h"

struct fixture {
    struct hq_store *store;
    struct hq_keyring *restore, *sidecar;
    struct hq_repository repository; /* the restore key's */
    struct hq_repository writer;     /* the sidecar's */
    struct hq_chunk_ids *ids;
    struct hq_compressor *compressor;
};

static inline int
fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct hq_store_options options = {.url = "memory:repository"};
    struct hq_error err = {0};

    assert_non_null(f);
    hq_memory_reset();
    ASSERT_OK(hq_store_open(&options, &f->store, &err), &err);
    f->restore = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    f->sidecar = hq_vector_keyring(HQ_VECTOR_SIDECAR_KEY);
    f->repository = (struct hq_repository){.store = f->store, .keyring = f->restore};
    f->writer = (struct hq_repository){.store = f->store, .keyring = f->sidecar};
    f->ids = hq_chunk_ids_new(f->sidecar, &err);
    f->compressor = hq_compressor_new(3, &err);
    assert_non_null(f->ids);
    assert_non_null(f->compressor);
    *state = f;
    return 0;
}

static inline int
fixture_teardown(void **state)
{
    struct fixture *f = *state;

    hq_chunk_ids_free(f->ids);
    hq_compressor_free(f->compressor);
    hq_keyring_free(f->restore);
    hq_keyring_free(f->sidecar);
    hq_store_close(f->store);
    free(f);
    return 0;
}

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* The fixed restore keyring, but of region @p region (two letters, as "TR"). */
static inline struct hq_keyring *
keyring_of_region(const char *region)
{
    char *text = strdup(HQ_VECTOR_RESTORE_KEY);
    struct hq_keyring *keyring;
    char *at;

    assert_non_null(text);
    at = strstr(text, "\"TR\"");
    assert_non_null(at);
    memcpy(at + 1, region, 2);
    keyring = hq_vector_keyring(text);
    free(text);
    return keyring;
}

/* A keyring of another repository of the same region, with an epoch 1 of its own. */
static inline struct hq_keyring *
foreign_keyring(void)
{
    struct hq_keyring *keyring = NULL;
    struct hq_error err = {0};

    ASSERT_OK(hq_keyring_generate(HQ_VECTOR_REGION, "other", &keyring, &err), &err);
    return keyring;
}

/* Deterministic bytes, half of them compressible; @p seed makes them differ. */
static inline void
fill(uint8_t *out, size_t len, uint32_t seed)
{
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        out[i] = i % 64 < 32 ? (uint8_t)(x >> 24) : (uint8_t)seed;
    }
}

/* Compress @p raw, name it and add it to @p w. */
static inline struct hq_id
add_chunk(struct fixture *f, struct hq_pack_writer *w, enum hq_chunk_kind kind, const void *raw,
          size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0};
    struct hq_error err = {0};
    enum hq_codec codec;
    struct hq_id id;

    ASSERT_OK(hq_compress(f->compressor, HQ_CONTENT_ANY, raw, len, &frame, &codec, &err), &err);
    if (kind == HQ_CHUNK_PAGES)
        hq_chunk_id(f->ids, kind, frame.data, frame.len, &id);
    else
        hq_chunk_id(f->ids, kind, raw, len, &id);
    ASSERT_OK(hq_pack_writer_add(w, &id, kind, codec, (uint32_t)len, frame.data, frame.len, &err),
              &err);
    return id;
}

enum {
    SMALL_CHUNKS = 3,
    SMALL_BYTES = 96
};

/* A pack of three chunks of SMALL_BYTES bytes: fill(..., seed), fill(..., seed + 1), ... */
static inline struct hq_pack *
small_pack(struct fixture *f, enum hq_pack_type type, uint32_t seed)
{
    struct hq_error err = {0};
    struct hq_pack_writer *w = hq_pack_writer_new(&f->writer, type, &err);
    struct hq_pack *pack = NULL;
    uint8_t raw[SMALL_BYTES];

    assert_non_null(w);
    for (uint32_t i = 0; i < SMALL_CHUNKS; i++) {
        enum hq_chunk_kind kind = type == HQ_PACK_METADATA ? HQ_CHUNK_MANIFEST
                                  : i == 1                 ? HQ_CHUNK_PAGES
                                                           : HQ_CHUNK_DATA;

        fill(raw, sizeof raw, seed + i);
        (void)add_chunk(f, w, kind, raw, sizeof raw);
    }
    ASSERT_OK(hq_pack_writer_finish(w, &pack, &err), &err);
    return pack;
}

static inline void
put_pack(struct fixture *f, const struct hq_pack *pack)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    hq_pack_name(&pack->id, name);
    ASSERT_OK(hq_store_put_bytes(f->store, name, pack->bytes.data, pack->bytes.len, &err), &err);
}

/* What damaged bytes may be called: never success, never trouble of the caller or the system. */
static inline void
assert_damage_code(const struct hq_error *err, size_t offset)
{
    if (err->code != HQ_E_CORRUPT && err->code != HQ_E_UNSUPPORTED && err->code != HQ_E_KEY)
        fail_msg("byte %zu: %s: %s", offset, hq_code_name(err->code), err->message);
}

#endif
