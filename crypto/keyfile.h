/**
 * @file keyfile.h
 * Key files (docs/format.md §3.1): the pieces that keyfile_*.c share.
 */
#ifndef HQ_CRYPTO_KEYFILE_H
#define HQ_CRYPTO_KEYFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "keyring_internal.h"

#define HQ_KEYFILE_FORMAT "hq-backup key"

enum {
    HQ_KEYFILE_MAX = 1 << 20,
    HQ_KEYFILE_VERSION = 1,
    HQ_SALT_BYTES = 16
};

/* The members that a sealed key file shows too. */
struct hq_keyfile_head {
    enum hq_key_role role;
    uint8_t repository_id[HQ_REPOSITORY_ID_BYTES];
    char region[HQ_REGION_MAX + 1];
};

/* Argon2id, version 1.3, one lane. */
struct hq_kdf {
    uint64_t operations;
    uint64_t memory; /* bytes */
    uint8_t salt[HQ_SALT_BYTES];
};

/* What a key file may ask of its reader. */
enum {
    HQ_KDF_OPERATIONS_MIN = 1,
    HQ_KDF_OPERATIONS_MAX = 16,
    HQ_KDF_MEMORY_MIN = 8192
};
#define HQ_KDF_MEMORY_MAX (UINT64_C(4) << 30)

const char *hq_role_name(enum hq_key_role role);

/*
 * JSON members. Each is CONFIG naming the member when it is missing or of another shape; no error
 * text holds anything of a value.
 */

/* Parse to an object without member names used twice. NULL: CONFIG or NOMEM. */
json_t *hq_keyfile_json(const void *text, size_t len, struct hq_error *err) HQ_MUST_CHECK;
/* Overwrite every string in it, then drop it; for HQ_AUTO(). */
void hq_keyfile_json_wipe(json_t **json);
/* Exactly @p len bytes of lower-case hexadecimal. */
int hq_keyfile_hex(const json_t *object, const char *member, void *out, size_t len,
                   struct hq_error *err) HQ_MUST_CHECK;
/* A string without NUL in it. Borrowed; NULL on failure. */
const char *hq_keyfile_text(const json_t *object, const char *member,
                            struct hq_error *err) HQ_MUST_CHECK;
int hq_keyfile_uint(const json_t *object, const char *member, uint64_t min, uint64_t max,
                    uint64_t *out, struct hq_error *err) HQ_MUST_CHECK;
int hq_keyfile_time(const json_t *object, const char *member, int64_t *us,
                    struct hq_error *err) HQ_MUST_CHECK;

/* Format, version, role, repository, region. */
int hq_keyfile_head(const json_t *file, struct hq_keyfile_head *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/* The keys of a file that is not sealed; @p head is its own. CORRUPT: keys that do not fit. */
int hq_keyfile_keys(const json_t *file, const struct hq_keyfile_head *head, struct hq_keyring **out,
                    struct hq_error *err) HQ_MUST_CHECK;

/* AEAD of a key file's text under Argon2id(passphrase); appends len + HQ_TAG_BYTES to @p out. */
int hq_keyfile_seal(const struct hq_kdf *kdf, const struct hq_keyfile_head *head,
                    const uint8_t nonce[HQ_NONCE_BYTES], const struct hq_buf *passphrase,
                    const struct hq_buf *text, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/* The text of a sealed key file into @p out, to be wiped. Asks only for what looks openable. */
int hq_keyfile_unseal(const json_t *file, const struct hq_keyfile_head *head, const char *name,
                      hq_passphrase_fn *ask, void *context, struct hq_buf *out,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
