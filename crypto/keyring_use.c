#include <sodium.h>
#include <string.h>

#include "base/buffer.h"
#include "crypto/keyring.h"
#include "keyring_internal.h"

static const struct hq_epoch_keys *
find_epoch(const struct hq_keyring *k, uint32_t epoch, struct hq_error *err)
{
    for (size_t i = k->epoch_count; i-- > 0;)
        if (k->epochs[i].epoch == epoch)
            return &k->epochs[i];
    (void)hq_fail(err, HQ_E_KEY, "key epoch %u is not in the key file, whose newest is %u", epoch,
                  hq_keyring_newest_epoch(k));
    (void)hq_error_hint(err, "use a key file made after the last key rotation");
    return NULL;
}

void
hq_keyring_identity_key(const struct hq_keyring *k, const char *label, struct hq_key *out)
{
    hq_derive(&k->identity_key, label, NULL, 0, out);
}

int
hq_keyring_metadata_key(const struct hq_keyring *k, uint32_t epoch, const char *label,
                        const void *extra, size_t extra_len, struct hq_key *out,
                        struct hq_error *err)
{
    const struct hq_epoch_keys *e = find_epoch(k, epoch, err);

    if (e == NULL)
        return -1;
    hq_derive(&e->metadata_key, label, extra, extra_len, out);
    return 0;
}

int
hq_keyring_seal_data_key(const struct hq_keyring *k, uint32_t epoch, const struct hq_key *key,
                         uint8_t out[HQ_SEALED_KEY_BYTES], struct hq_error *err)
{
    const struct hq_epoch_keys *e = find_epoch(k, epoch, err);

    if (e == NULL)
        return -1;
    if (!hq_key_seal(key, e->data_public_key, out))
        return hq_fail(err, HQ_E_INTERNAL, "the data public key of epoch %u is unusable", epoch);
    return 0;
}

int
hq_keyring_open_data_key(const struct hq_keyring *k, uint32_t epoch,
                         const uint8_t sealed[HQ_SEALED_KEY_BYTES], struct hq_key *out,
                         struct hq_error *err)
{
    const struct hq_epoch_keys *e;

    if (k->role != HQ_ROLE_RESTORE) {
        (void)hq_fail(err, HQ_E_KEY, "a sidecar's key file cannot read data");
        return hq_error_hint(err, "use the restore key file");
    }
    e = find_epoch(k, epoch, err);
    if (e == NULL)
        return -1;
    if (crypto_box_seal_open(out->bytes, sealed, HQ_SEALED_KEY_BYTES, e->data_public_key,
                             e->data_secret_key) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "the sealed data key does not open");
    return 0;
}

int
hq_keyring_sign_repository(const struct hq_keyring *k, const void *data, size_t len,
                           uint8_t out[HQ_SIGNATURE_BYTES], struct hq_error *err)
{
    if (k->role != HQ_ROLE_RESTORE) {
        (void)hq_fail(err, HQ_E_KEY, "a sidecar's key file cannot sign for the repository");
        return hq_error_hint(err, "use the restore key file");
    }
    (void)crypto_sign_detached(out, NULL, data, len, k->repository_secret_key);
    return 0;
}

void
hq_keyring_sign_writer(const struct hq_keyring *k, const void *data, size_t len,
                       uint8_t out[HQ_SIGNATURE_BYTES])
{
    (void)crypto_sign_detached(out, NULL, data, len, k->writer_secret_key);
}

size_t
hq_writer_certified(const uint8_t repository_id[HQ_REPOSITORY_ID_BYTES],
                    const struct hq_writer *writer, uint8_t out[HQ_CERTIFIED_MAX])
{
    static const char label[] = "hq-backup writer v1";
    size_t name_len = strnlen(writer->name, HQ_WRITER_NAME_MAX);
    uint8_t *p = out;

    memcpy(p, label, sizeof label);
    p += sizeof label;
    memcpy(p, repository_id, HQ_REPOSITORY_ID_BYTES);
    p += HQ_REPOSITORY_ID_BYTES;
    memcpy(p, writer->public_key, sizeof writer->public_key);
    p += sizeof writer->public_key;
    hq_set_u64(p, (uint64_t)writer->issued_us);
    p += 8;
    memcpy(p, writer->name, name_len);
    return (size_t)(p - out) + name_len;
}

int
hq_keyring_check_writer(const struct hq_keyring *k, const struct hq_writer *writer,
                        struct hq_error *err)
{
    uint8_t message[HQ_CERTIFIED_MAX];
    size_t len = hq_writer_certified(k->repository_id, writer, message);

    if (!hq_signature_valid(k->repository_public_key, message, len, writer->certificate))
        return hq_fail(err, HQ_E_CORRUPT, "the certificate of writer \"%.*s\" does not hold",
                       HQ_WRITER_NAME_MAX, writer->name);
    return 0;
}

bool
hq_signature_valid(const uint8_t public_key[32], const void *data, size_t len,
                   const uint8_t signature[HQ_SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, data, len, public_key) == 0;
}
