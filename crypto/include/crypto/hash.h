/**
 * @file hash.h
 * The two hashes of docs/format.md §1, H and keyed H, and key derivation D.
 * Threads  reentrant; a struct hq_hasher belongs to one thread.
 */
#ifndef HQ_CRYPTO_HASH_H
#define HQ_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

enum {
    HQ_ID_BYTES = 32,
    HQ_KEY_BYTES = 32,
    HQ_FINGERPRINT_BYTES = 16
};

/** Chunk, pack or index id. */
struct hq_id {
    uint8_t bytes[HQ_ID_BYTES];
};

/** A derived symmetric key; wipe with hq_key_wipe(), HQ_AUTO(hq_key_wipe) for locals. */
struct hq_key {
    uint8_t bytes[HQ_KEY_BYTES];
};

/** Incremental H; opaque state of libsodium. */
struct hq_hasher {
    _Alignas(64) uint8_t opaque[384];
};

/** H(m), or with @p key not NULL H(key, m). */
void hq_hash(const struct hq_key *key, const void *data, size_t len, struct hq_id *out);
void hq_hasher_begin(struct hq_hasher *h, const struct hq_key *key);
void hq_hasher_add(struct hq_hasher *h, const void *data, size_t len);
void hq_hasher_end(struct hq_hasher *h, struct hq_id *out);

/**
 * Poly1305 of @p data as a universal hash: four times as fast as H. Two messages share one with a
 * chance below 2^-70 for who does not know @p key; but who sees fingerprints of one key learns it,
 * so they never leave the program: put them through hq_hash() with another key.
 */
void hq_fingerprint(const struct hq_key *key, const void *data, size_t len,
                    uint8_t out[HQ_FINGERPRINT_BYTES]);

/** D(key, label, extra). */
void hq_derive(const struct hq_key *key, const char *label, const void *extra, size_t extra_len,
               struct hq_key *out);
void hq_key_wipe(struct hq_key *key);
/** Constant-time comparison is not needed for ids: they are not secret. */
int hq_id_compare(const struct hq_id *a, const struct hq_id *b);

#endif
