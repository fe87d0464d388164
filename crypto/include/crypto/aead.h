/**
 * @file aead.h
 * AEAD (XChaCha20-Poly1305-IETF) and sealed keys of docs/format.md §1 and §3.
 * Threads  reentrant.
 */
#ifndef HQ_CRYPTO_AEAD_H
#define HQ_CRYPTO_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/hash.h"

enum {
    HQ_TAG_BYTES = 16,
    HQ_NONCE_BYTES = 24,
    HQ_SEALED_KEY_BYTES = 80
};

/** Must be called once before anything of crypto/ is used; idempotent, thread-safe. */
int hq_crypto_init(struct hq_error *err) HQ_MUST_CHECK;
void hq_random(void *out, size_t len);
/** N(i) */
void hq_nonce_counter(uint64_t i, uint8_t nonce[HQ_NONCE_BYTES]);
/** @p out gets len + HQ_TAG_BYTES bytes; may be @p plain itself. */
void hq_aead_seal(const struct hq_key *key, const uint8_t nonce[HQ_NONCE_BYTES], const void *ad,
                  size_t ad_len, const void *plain, size_t len, uint8_t *out);
/**
 * @p len counts the tag; @p out gets len - HQ_TAG_BYTES and may be @p sealed itself.
 * @return false: forged or damaged, and @p out holds nothing of the plaintext.
 */
bool hq_aead_open(const struct hq_key *key, const uint8_t nonce[HQ_NONCE_BYTES], const void *ad,
                  size_t ad_len, const uint8_t *sealed, size_t len, void *out) HQ_MUST_CHECK;
/** seal(K, pk). @return false: @p public_key is no usable X25519 key (of small order). */
bool hq_key_seal(const struct hq_key *key, const uint8_t public_key[32],
                 uint8_t out[HQ_SEALED_KEY_BYTES]) HQ_MUST_CHECK;

#endif
