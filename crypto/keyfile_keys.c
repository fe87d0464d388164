#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "keyfile.h"

const char *
hq_role_name(enum hq_key_role role)
{
    return role == HQ_ROLE_RESTORE ? "restore" : "sidecar";
}

static int
read_version(const json_t *file, struct hq_error *err)
{
    const char *format = hq_keyfile_text(file, "format", err);
    uint64_t version;

    if (format == NULL)
        return -1;
    if (strcmp(format, HQ_KEYFILE_FORMAT) != 0)
        return hq_fail(err, HQ_E_CONFIG, "\"format\" is not \"%s\"", HQ_KEYFILE_FORMAT);
    if (hq_keyfile_uint(file, "version", 1, INT64_MAX, &version, err) != 0)
        return -1;
    if (version > HQ_KEYFILE_VERSION) {
        (void)hq_fail(err, HQ_E_UNSUPPORTED, "key file version %llu, this program reads %d",
                      (unsigned long long)version, HQ_KEYFILE_VERSION);
        return hq_error_hint(err, "use the version of hq-backup that wrote it, or a newer one");
    }
    return 0;
}

int
hq_keyfile_head(const json_t *file, struct hq_keyfile_head *out, struct hq_error *err)
{
    const char *role, *region;

    if (read_version(file, err) != 0)
        return -1;
    role = hq_keyfile_text(file, "role", err);
    if (role == NULL)
        return -1;
    if (strcmp(role, hq_role_name(HQ_ROLE_SIDECAR)) == 0)
        out->role = HQ_ROLE_SIDECAR;
    else if (strcmp(role, hq_role_name(HQ_ROLE_RESTORE)) == 0)
        out->role = HQ_ROLE_RESTORE;
    else
        return hq_fail(err, HQ_E_CONFIG, "\"role\" is neither sidecar nor restore");
    region = hq_keyfile_text(file, "region", err);
    if (region == NULL)
        return -1;
    if (!hq_region_valid(region))
        return hq_fail(err, HQ_E_CONFIG, "\"region\" is not the name of a region");
    memcpy(out->region, region, strlen(region) + 1);
    return hq_keyfile_hex(file, "repository_id", out->repository_id, sizeof out->repository_id,
                          err);
}

/* A secret that only a restore key file may hold, and must. */
static int
read_restore_secret(const struct hq_keyring *k, const json_t *object, const char *member, void *out,
                    size_t len, struct hq_error *err)
{
    if (k->role == HQ_ROLE_RESTORE)
        return hq_keyfile_hex(object, member, out, len, err);
    if (json_object_get(object, member) != NULL)
        return hq_fail(err, HQ_E_CONFIG, "\"%s\" has no place in a sidecar's key file", member);
    return 0;
}

/* An Ed25519 secret key holds its seed and its public key: all three must agree. */
static int
check_signing_pair(const uint8_t public_key[static 32], const uint8_t secret_key[static 64],
                   const char *what, struct hq_error *err)
{
    uint8_t expected_public[32], expected[64];
    bool fits;

    (void)crypto_sign_seed_keypair(expected_public, expected, secret_key);
    fits = sodium_memcmp(expected, secret_key, sizeof expected) == 0 &&
           sodium_memcmp(expected_public, public_key, sizeof expected_public) == 0;
    sodium_memzero(expected, sizeof expected);
    if (!fits)
        return hq_fail(err, HQ_E_CORRUPT, "the %s's secret and public keys do not fit", what);
    return 0;
}

static int
check_data_keys(const struct hq_keyring *k, const struct hq_epoch_keys *e, struct hq_error *err)
{
    static const struct hq_key any;
    uint8_t expected[32], sealed[HQ_SEALED_KEY_BYTES];

    /* Whoever seals to such a key loses the data: find out now. */
    if (!hq_key_seal(&any, e->data_public_key, sealed))
        return hq_fail(err, HQ_E_CORRUPT, "epoch %u: the data public key is unusable", e->epoch);
    if (k->role != HQ_ROLE_RESTORE)
        return 0;
    if (crypto_scalarmult_base(expected, e->data_secret_key) != 0 ||
        sodium_memcmp(expected, e->data_public_key, sizeof expected) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "epoch %u: the data secret and public keys do not fit",
                       e->epoch);
    return 0;
}

static int
read_epochs(struct hq_keyring *k, const json_t *epochs, struct hq_error *err)
{
    uint64_t number = 0;

    for (size_t i = 0; i < k->epoch_count; i++) {
        const json_t *object = json_array_get(epochs, i);
        struct hq_epoch_keys *e = &k->epochs[i];

        /* Ascending, so that the newest is the last one and none is there twice. */
        if (hq_keyfile_uint(object, "epoch", number + 1, UINT32_MAX, &number, err) != 0 ||
            hq_keyfile_time(object, "created", &e->created_us, err) != 0 ||
            hq_keyfile_hex(object, "metadata_key", &e->metadata_key, sizeof e->metadata_key, err) !=
                0 ||
            hq_keyfile_hex(object, "data_public_key", e->data_public_key, sizeof e->data_public_key,
                           err) != 0 ||
            read_restore_secret(k, object, "data_secret_key", e->data_secret_key,
                                sizeof e->data_secret_key, err) != 0)
            return hq_error_prefix(err, "epochs[%zu]", i);
        e->epoch = (uint32_t)number;
        if (check_data_keys(k, e, err) != 0)
            return -1;
    }
    return 0;
}

static int
read_writer(struct hq_keyring *k, const json_t *object, struct hq_error *err)
{
    struct hq_writer *w = &k->writer;
    const char *name = hq_keyfile_text(object, "name", err);

    if (name == NULL)
        return -1;
    if (!hq_writer_name_valid(name))
        return hq_fail(err, HQ_E_CONFIG, "\"name\" is not the name of a writer");
    memcpy(w->name, name, strlen(name) + 1);
    if (hq_keyfile_hex(object, "public_key", w->public_key, sizeof w->public_key, err) != 0 ||
        hq_keyfile_hex(object, "secret_key", k->writer_secret_key, sizeof k->writer_secret_key,
                       err) != 0 ||
        hq_keyfile_time(object, "issued", &w->issued_us, err) != 0 ||
        hq_keyfile_hex(object, "certificate", w->certificate, sizeof w->certificate, err) != 0)
        return -1;
    return check_signing_pair(w->public_key, k->writer_secret_key, "writer", err);
}

static int
read_keys(struct hq_keyring *k, const json_t *file, const json_t *epochs, struct hq_error *err)
{
    if (hq_keyfile_time(file, "created", &k->created_us, err) != 0 ||
        hq_keyfile_hex(file, "identity_key", &k->identity_key, sizeof k->identity_key, err) != 0 ||
        hq_keyfile_hex(file, "repository_public_key", k->repository_public_key,
                       sizeof k->repository_public_key, err) != 0 ||
        read_restore_secret(k, file, "repository_secret_key", k->repository_secret_key,
                            sizeof k->repository_secret_key, err) != 0)
        return -1;
    if (k->role == HQ_ROLE_RESTORE &&
        check_signing_pair(k->repository_public_key, k->repository_secret_key, "repository", err) !=
            0)
        return -1;
    if (read_writer(k, json_object_get(file, "writer"), err) != 0)
        return hq_error_prefix(err, "writer");
    if (hq_keyring_check_writer(k, &k->writer, err) != 0)
        return -1;
    return read_epochs(k, epochs, err);
}

int
hq_keyfile_keys(const json_t *file, const struct hq_keyfile_head *head, struct hq_keyring **out,
                struct hq_error *err)
{
    const json_t *epochs = json_object_get(file, "epochs");
    size_t count = json_array_size(epochs);
    struct hq_keyring *k;

    if (count == 0 || count > HQ_EPOCHS_MAX)
        return hq_fail(err, HQ_E_CONFIG, "\"epochs\" is not an array of 1 to %d epochs",
                       HQ_EPOCHS_MAX);
    if (hq_keyring_new(count, &k, err) != 0)
        return -1;
    k->role = head->role;
    memcpy(k->repository_id, head->repository_id, sizeof k->repository_id);
    memcpy(k->region, head->region, sizeof k->region);
    if (read_keys(k, file, epochs, err) != 0) {
        hq_keyring_free(k);
        return -1;
    }
    hq_keyring_finish(k);
    *out = k;
    return 0;
}
