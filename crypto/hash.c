#include "crypto/hash.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hq_hasher),
               "libsodium's state must fit the opaque one");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(struct hq_hasher),
               "libsodium's state must be as aligned as it wants");
_Static_assert(crypto_onetimeauth_KEYBYTES == HQ_KEY_BYTES &&
                   crypto_onetimeauth_BYTES == HQ_FINGERPRINT_BYTES,
               "Poly1305's sizes");
_Static_assert(crypto_generichash_KEYBYTES_MAX >= HQ_KEY_BYTES, "keyed H takes a 32-byte key");

static crypto_generichash_state *
state_of(struct hq_hasher *h)
{
    return (crypto_generichash_state *)(void *)h->opaque;
}

/*
 * The generichash calls fail for lengths of output and key outside their limits only, and both
 * are constants here: their results carry nothing.
 */
void
hq_hash(const struct hq_key *key, const void *data, size_t len, struct hq_id *out)
{
    (void)crypto_generichash(out->bytes, sizeof out->bytes, data, len,
                             key != NULL ? key->bytes : NULL, key != NULL ? sizeof key->bytes : 0);
}

void
hq_hasher_begin(struct hq_hasher *h, const struct hq_key *key)
{
    (void)crypto_generichash_init(state_of(h), key != NULL ? key->bytes : NULL,
                                  key != NULL ? sizeof key->bytes : 0, HQ_ID_BYTES);
}

void
hq_hasher_add(struct hq_hasher *h, const void *data, size_t len)
{
    (void)crypto_generichash_update(state_of(h), data, len);
}

void
hq_hasher_end(struct hq_hasher *h, struct hq_id *out)
{
    (void)crypto_generichash_final(state_of(h), out->bytes, sizeof out->bytes);
    /* A short message leaves the key block in the state. */
    sodium_memzero(h, sizeof *h);
}

static void
free_mac(EVP_MAC **mac)
{
    EVP_MAC_free(*mac);
}

static void
free_mac_context(EVP_MAC_CTX **context)
{
    EVP_MAC_CTX_free(*context);
}

/* OpenSSL's takes half the time where there is AVX2; its FIPS provider has none. */
static bool
fingerprint_by_openssl(const struct hq_key *key, const void *data, size_t len,
                       uint8_t out[HQ_FINGERPRINT_BYTES])
{
    HQ_AUTO(free_mac)
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    HQ_AUTO(free_mac_context)
    EVP_MAC_CTX *context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    size_t got = 0;

    return context != NULL && EVP_MAC_init(context, key->bytes, sizeof key->bytes, NULL) == 1 &&
           EVP_MAC_update(context, data, len) == 1 &&
           EVP_MAC_final(context, out, &got, HQ_FINGERPRINT_BYTES) == 1 &&
           got == HQ_FINGERPRINT_BYTES;
}

void
hq_fingerprint(const struct hq_key *key, const void *data, size_t len,
               uint8_t out[HQ_FINGERPRINT_BYTES])
{
    if (!fingerprint_by_openssl(key, data, len, out))
        (void)crypto_onetimeauth(out, data, len, key->bytes);
}

void
hq_derive(const struct hq_key *key, const char *label, const void *extra, size_t extra_len,
          struct hq_key *out)
{
    struct hq_hasher h;
    struct hq_id id;

    hq_hasher_begin(&h, key);
    hq_hasher_add(&h, label, strlen(label) + 1); /* with its zero, as D wants it */
    hq_hasher_add(&h, extra, extra_len);
    hq_hasher_end(&h, &id);
    memcpy(out->bytes, id.bytes, sizeof out->bytes);
    sodium_memzero(&id, sizeof id);
}

void
hq_key_wipe(struct hq_key *key)
{
    sodium_memzero(key, sizeof *key);
}

int
hq_id_compare(const struct hq_id *a, const struct hq_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
