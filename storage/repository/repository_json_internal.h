/**
 * @file repository_json_internal.h
 * The text of repository.json (docs/format.md §4).
 */
#ifndef HQ_REPOSITORY_JSON_TEXT_INTERNAL_H
#define HQ_REPOSITORY_JSON_TEXT_INTERNAL_H

#include "json_internal.h"
#include "repository/repository.h"

#define HQ_REPOSITORY_OBJECT "repository.json"

enum {
    HQ_EPOCHS_MAX = 4096
};

/** What the text says, but for the signature. `= {0}`; hq_repository_json_clear(). */
struct hq_repository_json {
    uint8_t repository_id[HQ_REPOSITORY_ID_BYTES];
    char region[HQ_REGION_MAX + 1];
    uint8_t identity_key_id[8];
    uint8_t repository_public_key[32];
    int64_t created_us;
    struct hq_chunking chunking;
    struct hq_epoch_info *epochs; /**< owned, at least one */
    size_t epoch_count;
    uint8_t signature[HQ_SIGNATURE_BYTES];
    struct hq_buf message; /**< the bytes that the signature is of */
};

/** Append the bytes that are signed: label and canonical form of @p json, which has no signature.
 */
int hq_json_signed_bytes(const json_t *json, struct hq_buf *out,
                         struct hq_error *err) HQ_MUST_CHECK;
void hq_repository_json_clear(struct hq_repository_json *r);
/** Append the signed text of a repository with @p keyring's keys. */
int hq_repository_json_encode(const struct hq_keyring *keyring, const struct hq_chunking *chunking,
                              int64_t created_us, struct hq_buf *out,
                              struct hq_error *err) HQ_MUST_CHECK;
/** Take the text apart, trusting none of it: the signature is not verified. */
int hq_repository_json_decode(const char *text, size_t len, struct hq_repository_json *out,
                              struct hq_error *err) HQ_MUST_CHECK;

#endif
