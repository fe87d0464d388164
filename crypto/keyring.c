#include "crypto/keyring.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "keyring_internal.h"

/* sodium_malloc() puts the end of the block at the end of a page: its size sets its alignment. */
_Static_assert(sizeof(struct hq_keyring) % _Alignof(struct hq_keyring) == 0 &&
                   sizeof(struct hq_epoch_keys) % _Alignof(struct hq_keyring) == 0,
               "a keyring of any length is aligned");

int
hq_keyring_new(size_t epochs, struct hq_keyring **out, struct hq_error *err)
{
    size_t size = sizeof(struct hq_keyring) + epochs * sizeof(struct hq_epoch_keys);
    struct hq_keyring *k;

    assert(epochs > 0 && epochs <= HQ_EPOCHS_MAX);
    k = sodium_malloc(size);
    if (k == NULL)
        return hq_fail(err, HQ_E_NOMEM, "no memory for a keyring of %zu bytes", size);
    sodium_memzero(k, size);
    k->epoch_count = epochs;
    *out = k;
    return 0;
}

void
hq_keyring_finish(struct hq_keyring *k)
{
    static const char label[] = "hq-backup bind v1";
    struct hq_hasher h;
    struct hq_id bind;

    hq_hasher_begin(&h, NULL);
    hq_hasher_add(&h, label, sizeof label);
    hq_hasher_add(&h, k->repository_id, sizeof k->repository_id);
    hq_hasher_add(&h, k->region, strlen(k->region));
    hq_hasher_end(&h, &bind);
    memcpy(k->bind, bind.bytes, sizeof k->bind);
    /* A guard against stray writes: where the system has none, the keys are as good. */
    (void)sodium_mprotect_readonly(k);
}

void
hq_keyring_free(struct hq_keyring *k)
{
    sodium_free(k);
}

bool
hq_region_valid(const char *region)
{
    size_t len = strlen(region);

    return len >= 2 && len <= HQ_REGION_MAX && region[0] >= 'A' && region[0] <= 'Z' &&
           region[1] >= 'A' && region[1] <= 'Z' &&
           strspn(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == len;
}

bool
hq_writer_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > HQ_WRITER_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] < 0x20 || name[i] > 0x7E || name[i] == '"' || name[i] == '\\')
            return false;
    return true;
}

enum hq_key_role
hq_keyring_role(const struct hq_keyring *k)
{
    return k->role;
}

const uint8_t *
hq_keyring_repository_id(const struct hq_keyring *k)
{
    return k->repository_id;
}

const char *
hq_keyring_region(const struct hq_keyring *k)
{
    return k->region;
}

const uint8_t *
hq_keyring_repository_public_key(const struct hq_keyring *k)
{
    return k->repository_public_key;
}

const uint8_t *
hq_keyring_bind(const struct hq_keyring *k)
{
    return k->bind;
}

const struct hq_writer *
hq_keyring_writer(const struct hq_keyring *k)
{
    return &k->writer;
}

static void
key_id(const struct hq_key *key, uint8_t out[8])
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key id;

    hq_derive(key, "key-id", NULL, 0, &id);
    memcpy(out, id.bytes, 8);
}

void
hq_keyring_identity_key_id(const struct hq_keyring *k, uint8_t out[8])
{
    key_id(&k->identity_key, out);
}

size_t
hq_keyring_epochs(const struct hq_keyring *k)
{
    return k->epoch_count;
}

void
hq_keyring_epoch_info(const struct hq_keyring *k, size_t index, struct hq_epoch_info *out)
{
    const struct hq_epoch_keys *e = &k->epochs[index];

    assert(index < k->epoch_count);
    out->epoch = e->epoch;
    out->created_us = e->created_us;
    key_id(&e->metadata_key, out->metadata_key_id);
    memcpy(out->data_public_key, e->data_public_key, sizeof out->data_public_key);
}

uint32_t
hq_keyring_newest_epoch(const struct hq_keyring *k)
{
    return k->epochs[k->epoch_count - 1].epoch;
}
