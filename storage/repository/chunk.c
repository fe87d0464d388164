#include "repository/chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "repository_internal.h"

enum {
    KINDS = 5
};

static const struct {
    const char *label;
    uint32_t raw_max;
} kinds[KINDS] = {
    [HQ_CHUNK_DATA - 1] = {"chunk-data", HQ_CHUNK_DATA_MAX},
    [HQ_CHUNK_PAGES - 1] = {"chunk-pages", HQ_CHUNK_PAGES_MAX},
    [HQ_CHUNK_MANIFEST - 1] = {"chunk-manifest", HQ_CHUNK_DATA_MAX},
    [HQ_CHUNK_PAGE_MAP - 1] = {"chunk-pagemap", HQ_CHUNK_PAGE_MAP_MAX},
    [HQ_CHUNK_PAGE_SUMS - 1] = {"chunk-pagesums", HQ_CHUNK_PAGE_SUMS_MAX},
};

struct hq_chunk_ids {
    struct hq_key key[KINDS];
    uint64_t page_seed;
};

uint32_t
hq_chunk_raw_max(unsigned kind)
{
    return kind >= 1 && kind <= KINDS ? kinds[kind - 1].raw_max : 0;
}

struct hq_chunk_ids *
hq_chunk_ids_new(const struct hq_keyring *keyring, struct hq_error *err)
{
    struct hq_chunk_ids *ids = malloc(sizeof *ids);
    struct hq_key seed;

    if (ids == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "chunk identity keys");
        return NULL;
    }
    for (size_t i = 0; i < KINDS; i++)
        hq_keyring_identity_key(keyring, kinds[i].label, &ids->key[i]);
    hq_keyring_identity_key(keyring, "page-sum", &seed);
    ids->page_seed = hq_get_u64(seed.bytes);
    hq_key_wipe(&seed);
    return ids;
}

void
hq_chunk_ids_free(struct hq_chunk_ids *ids)
{
    if (ids == NULL)
        return;
    for (size_t i = 0; i < KINDS; i++)
        hq_key_wipe(&ids->key[i]);
    free(ids);
}

void
hq_chunk_id(const struct hq_chunk_ids *ids, enum hq_chunk_kind kind, const void *bytes, size_t len,
            struct hq_id *out)
{
    assert(hq_chunk_raw_max(kind) != 0);
    hq_hash(&ids->key[kind - 1], bytes, len, out);
}

uint64_t
hq_page_sum(const struct hq_chunk_ids *ids, const void *page, uint32_t block_size)
{
    return XXH3_64bits_withSeed(page, block_size, ids->page_seed);
}
