#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "keyfile.h"

enum {
    AD_LABEL_BYTES = sizeof "hq-backup key v1",
    AD_MAX = AD_LABEL_BYTES + HQ_REPOSITORY_ID_BYTES + HQ_REGION_MAX
};

static size_t
associated_data(const struct hq_keyfile_head *head, uint8_t out[static AD_MAX])
{
    size_t region_len = strlen(head->region);

    memcpy(out, "hq-backup key v1", AD_LABEL_BYTES);
    memcpy(out + AD_LABEL_BYTES, head->repository_id, sizeof head->repository_id);
    memcpy(out + AD_LABEL_BYTES + sizeof head->repository_id, head->region, region_len);
    return AD_LABEL_BYTES + sizeof head->repository_id + region_len;
}

static int
derive_key(const struct hq_kdf *kdf, const struct hq_buf *passphrase, struct hq_key *out,
           struct hq_error *err)
{
    _Static_assert(crypto_pwhash_argon2id_SALTBYTES == HQ_SALT_BYTES, "salt");

    if (crypto_pwhash_argon2id(out->bytes, sizeof out->bytes, (const char *)passphrase->data,
                               passphrase->len, kdf->salt, kdf->operations, (size_t)kdf->memory,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) == 0)
        return 0;
    (void)hq_fail(err, HQ_E_NOMEM, "no memory for the passphrase's Argon2id");
    return hq_error_hint(err, "this key file needs %llu MiB of free memory",
                         (unsigned long long)(kdf->memory >> 20));
}

int
hq_keyfile_seal(const struct hq_kdf *kdf, const struct hq_keyfile_head *head,
                const uint8_t nonce[HQ_NONCE_BYTES], const struct hq_buf *passphrase,
                const struct hq_buf *text, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    uint8_t ad[AD_MAX], *to;

    if (derive_key(kdf, passphrase, &key, err) != 0)
        return -1;
    to = hq_buf_grow(out, text->len + HQ_TAG_BYTES);
    if (to != NULL)
        hq_aead_seal(&key, nonce, ad, associated_data(head, ad), text->data, text->len, to);
    return hq_buf_check(out, "sealed key file", err);
}

static int
read_kdf(const json_t *file, struct hq_kdf *out, struct hq_error *err)
{
    const json_t *object = json_object_get(file, "kdf");
    const char *name = hq_keyfile_text(object, "name", err);

    if (name == NULL)
        return hq_error_prefix(err, "kdf");
    if (strcmp(name, "argon2id") != 0)
        return hq_fail(err, HQ_E_UNSUPPORTED, "kdf: this program knows argon2id only");
    if (hq_keyfile_uint(object, "operations", HQ_KDF_OPERATIONS_MIN, HQ_KDF_OPERATIONS_MAX,
                        &out->operations, err) != 0 ||
        hq_keyfile_uint(object, "memory", HQ_KDF_MEMORY_MIN, HQ_KDF_MEMORY_MAX, &out->memory,
                        err) != 0 ||
        hq_keyfile_hex(object, "salt", out->salt, sizeof out->salt, err) != 0)
        return hq_error_prefix(err, "kdf");
    /* Argon2 counts KiB: what is over would be two ways to write one key. */
    if (out->memory % 1024 != 0)
        return hq_fail(err, HQ_E_CONFIG, "kdf: \"memory\" is not a multiple of 1024");
    return 0;
}

/* Decode "sealed" to @p out, a tag at least. */
static int
read_sealed(const json_t *file, struct hq_buf *out, struct hq_error *err)
{
    const char *text = hq_keyfile_text(file, "sealed", err);
    size_t len = text != NULL ? strlen(text) / 2 : 0;

    if (text == NULL)
        return -1;
    if (len <= HQ_TAG_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "\"sealed\" is too short to hold a key file");
    if (hq_buf_grow(out, len) == NULL)
        return hq_buf_check(out, "sealed key file", err);
    return hq_keyfile_hex(file, "sealed", out->data, len, err);
}

static int
ask_key(const struct hq_kdf *kdf, const char *name, hq_passphrase_fn *ask, void *context,
        struct hq_key *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf passphrase = {0};

    if (ask == NULL)
        return hq_fail(err, HQ_E_KEY, "sealed with a passphrase, and none was given");
    if (ask(context, name, &passphrase, err) != 0 ||
        hq_buf_check(&passphrase, "passphrase", err) != 0)
        return -1;
    if (passphrase.len == 0)
        return hq_fail(err, HQ_E_KEY, "sealed with a passphrase, and an empty one was given");
    return derive_key(kdf, &passphrase, out, err);
}

int
hq_keyfile_unseal(const json_t *file, const struct hq_keyfile_head *head, const char *name,
                  hq_passphrase_fn *ask, void *context, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {0};
    uint8_t nonce[HQ_NONCE_BYTES], ad[AD_MAX], *to;
    struct hq_kdf kdf;

    if (read_kdf(file, &kdf, err) != 0 ||
        hq_keyfile_hex(file, "nonce", nonce, sizeof nonce, err) != 0 ||
        read_sealed(file, &sealed, err) != 0)
        return -1;
    to = hq_buf_grow(out, sealed.len - HQ_TAG_BYTES);
    if (to == NULL)
        return hq_buf_check(out, "key file", err);
    if (ask_key(&kdf, name, ask, context, &key, err) != 0)
        return -1;
    if (!hq_aead_open(&key, nonce, ad, associated_data(head, ad), sealed.data, sealed.len, to)) {
        (void)hq_fail(err, HQ_E_KEY, "the passphrase is wrong, or the file is damaged");
        return hq_error_hint(err, "try the passphrase again, then another copy of the key file");
    }
    return 0;
}
