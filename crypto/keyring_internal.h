/**
 * @file keyring_internal.h
 * What a keyring holds, for the files of crypto/ alone.
 */
#ifndef HQ_CRYPTO_KEYRING_INTERNAL_H
#define HQ_CRYPTO_KEYRING_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keyring.h"

/* Far more than a key file of HQ_KEYFILE_MAX bytes has room for. */
enum {
    HQ_EPOCHS_MAX = 4096
};

struct hq_epoch_keys {
    int64_t created_us;
    uint32_t epoch;
    struct hq_key metadata_key;
    uint8_t data_public_key[32];
    uint8_t data_secret_key[32]; /* restore only */
};

/*
 * One allocation of sodium_malloc(), read-only from hq_keyring_finish() on.
 * Invariants: epochs ascend and there is one at least; the certificate of `writer` holds under
 * repository_public_key; every public key belongs to the secret key beside it and every
 * data_public_key can be sealed to; the secrets marked "restore only" are zero in a sidecar's.
 */
struct hq_keyring {
    enum hq_key_role role;
    uint8_t repository_id[HQ_REPOSITORY_ID_BYTES];
    char region[HQ_REGION_MAX + 1];
    int64_t created_us;
    uint8_t bind[HQ_ID_BYTES];
    struct hq_key identity_key;
    uint8_t repository_public_key[32];
    uint8_t repository_secret_key[64]; /* restore only */
    struct hq_writer writer;
    uint8_t writer_secret_key[64];
    size_t epoch_count;
    struct hq_epoch_keys epochs[];
};

/* A zeroed keyring for @p epochs (1 to HQ_EPOCHS_MAX). NOMEM. */
int hq_keyring_new(size_t epochs, struct hq_keyring **out, struct hq_error *err) HQ_MUST_CHECK;
/* Compute what follows from the keys, then let nobody write any more. */
void hq_keyring_finish(struct hq_keyring *k);

/* [A-Z]{2}[A-Z0-9-]*, at most HQ_REGION_MAX characters. */
bool hq_region_valid(const char *region);
/* 1 to HQ_WRITER_NAME_MAX printable ASCII characters, no quote and no backslash. */
bool hq_writer_name_valid(const char *name);

/* What a certificate signs: returns the length of the message. */
enum {
    HQ_CERTIFIED_MAX = 20 + HQ_REPOSITORY_ID_BYTES + 32 + 8 + HQ_WRITER_NAME_MAX
};
size_t hq_writer_certified(const uint8_t repository_id[HQ_REPOSITORY_ID_BYTES],
                           const struct hq_writer *writer, uint8_t out[HQ_CERTIFIED_MAX]);

#endif
