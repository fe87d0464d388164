/**
 * @file cut.h
 * The plainest form of docs/format.md §7, and the bytes it is tried on: what the fast
 * chunker is measured against.
 */
#ifndef HQ_TESTS_CUT_H
#define HQ_TESTS_CUT_H

#include <string.h>

#include "crypto/keyring.h"
#include "repository/repository.h"

/** gear[b] = the first 8 bytes of H(D(I, "gear", ""), b). */
static inline void
gear_table(const struct hq_keyring *keyring, uint64_t gear[256])
{
    struct hq_key key;
    struct hq_id id;

    hq_keyring_identity_key(keyring, "gear", &key);
    for (int b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;

        hq_hash(&key, &byte, 1, &id);
        gear[b] = hq_get_u64(id.bytes);
    }
}

/** Length of the piece that begins at @p p, of @p n bytes that remain. */
static inline size_t
cut_length(const uint64_t gear[256], const struct hq_chunking *chunking, const uint8_t *p, size_t n)
{
    int bits = __builtin_ctz(chunking->average);
    uint64_t mask_small = ~UINT64_C(0) << (64 - (bits + 2));
    uint64_t mask_large = ~UINT64_C(0) << (64 - (bits - 2));
    size_t end = n < chunking->maximum ? n : chunking->maximum;
    uint64_t fp = 0;

    if (n <= chunking->minimum)
        return n;
    for (size_t i = chunking->minimum; i < end; i++) {
        fp = (fp << 1) + gear[p[i]];
        if ((fp & (i < chunking->average ? mask_small : mask_large)) == 0)
            return i + 1;
    }
    return end;
}

enum {
    VECTOR_ZEROS_FROM = 2 << 20,
    VECTOR_ZEROS_TO = 5 << 20
};

/** Block j of 32 bytes is H(u64 j), the last one cut; but zeros from 2 to 5 MiB. */
static inline void
vector_bytes(uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len; at += HQ_ID_BYTES) {
        uint8_t number[8];
        struct hq_id id;

        hq_set_u64(number, at / HQ_ID_BYTES);
        hq_hash(NULL, number, sizeof number, &id);
        memcpy(out + at, id.bytes, len - at < HQ_ID_BYTES ? len - at : HQ_ID_BYTES);
    }
    if (len >= VECTOR_ZEROS_TO)
        memset(out + VECTOR_ZEROS_FROM, 0, VECTOR_ZEROS_TO - VECTOR_ZEROS_FROM);
}

#endif
