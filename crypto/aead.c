#include "crypto/aead.h"

#include <sodium.h>
#include <string.h>

#include "base/buffer.h"

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == HQ_KEY_BYTES, "key");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == HQ_NONCE_BYTES, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == HQ_TAG_BYTES, "tag");
_Static_assert(crypto_box_SEALBYTES + HQ_KEY_BYTES == HQ_SEALED_KEY_BYTES, "sealed key");

int
hq_crypto_init(struct hq_error *err)
{
    if (sodium_init() < 0)
        return hq_fail(err, HQ_E_SYS, "libsodium does not start: no source of randomness");
    return 0;
}

void
hq_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void
hq_nonce_counter(uint64_t i, uint8_t nonce[HQ_NONCE_BYTES])
{
    memset(nonce, 0, HQ_NONCE_BYTES);
    hq_set_u64(nonce, i);
}

void
hq_aead_seal(const struct hq_key *key, const uint8_t nonce[HQ_NONCE_BYTES], const void *ad,
             size_t ad_len, const void *plain, size_t len, uint8_t *out)
{
    /* Fails by aborting only, for lengths no object of the format comes near. */
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad, ad_len, NULL, nonce,
                                                     key->bytes);
}

bool
hq_aead_open(const struct hq_key *key, const uint8_t nonce[HQ_NONCE_BYTES], const void *ad,
             size_t ad_len, const uint8_t *sealed, size_t len, void *out)
{
    if (len < HQ_TAG_BYTES)
        return false;
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len,
                                                      nonce, key->bytes) == 0;
}

bool
hq_key_seal(const struct hq_key *key, const uint8_t public_key[32],
            uint8_t out[HQ_SEALED_KEY_BYTES])
{
    return crypto_box_seal(out, key->bytes, sizeof key->bytes, public_key) == 0;
}
