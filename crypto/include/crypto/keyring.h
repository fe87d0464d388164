/**
 * @file keyring.h
 * The keys of one repository as read from a key file (docs/format.md §3): a sidecar's, which can
 * write and list but not read data, or a restore key, which can do everything.
 *
 * Secrets lie in sodium_malloc()ed memory: guarded, read-only, locked where RLIMIT_MEMLOCK lets it,
 * wiped by hq_keyring_free().
 * Threads  a keyring is immutable once made; any thread may use it.
 */
#ifndef HQ_CRYPTO_KEYRING_H
#define HQ_CRYPTO_KEYRING_H

#include "base/buffer.h"
#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

enum {
    HQ_REPOSITORY_ID_BYTES = 16,
    HQ_REGION_MAX = 32,
    HQ_WRITER_NAME_MAX = 64,
    HQ_SIGNATURE_BYTES = 64
};

enum hq_key_role {
    HQ_ROLE_SIDECAR,
    HQ_ROLE_RESTORE
};

/** A certified writer of manifests (public part). */
struct hq_writer {
    char name[HQ_WRITER_NAME_MAX + 1];
    uint8_t public_key[32];
    int64_t issued_us;
    uint8_t certificate[HQ_SIGNATURE_BYTES];
};

/** What repository.json tells of an epoch; no secret in it. */
struct hq_epoch_info {
    uint32_t epoch;
    int64_t created_us;
    uint8_t metadata_key_id[8];
    uint8_t data_public_key[32];
};

struct hq_keyring;

/**
 * Fresh random keys, epoch 1, role restore, a new repository id, a writer called @p writer.
 * @param region [A-Z]{2}[A-Z0-9-]*, at most HQ_REGION_MAX characters
 * @param writer 1 to HQ_WRITER_NAME_MAX printable ASCII characters, no quote and no backslash
 * Errors: USAGE for a name that breaks these rules, NOMEM.
 */
int hq_keyring_generate(const char *region, const char *writer, struct hq_keyring **out,
                        struct hq_error *err) HQ_MUST_CHECK;
/**
 * A sidecar's keyring: no data secret keys, no repository secret key, a new certified writer.
 * KEY when @p restore is a sidecar's itself.
 */
int hq_keyring_make_sidecar(const struct hq_keyring *restore, const char *writer,
                            struct hq_keyring **out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Write as a key file, 0600, EXISTS if @p path is there; sealed when @p passphrase is not NULL
 * (empty: USAGE), which takes 256 MiB and about a second. Durable when it returns 0.
 */
int hq_keyring_save(const struct hq_keyring *k, const char *path, const struct hq_buf *passphrase,
                    struct hq_error *err) HQ_MUST_CHECK;
/** Asks for the passphrase of @p path when the file is sealed. @return 0, or -1 with err set. */
typedef int hq_passphrase_fn(void *context, const char *path, struct hq_buf *out,
                             struct hq_error *err);
/**
 * Read a key file. Errors: CONFIG (not a key file), KEY (passphrase wrong or not to be had,
 * @p ask NULL, sealed text damaged: a wrong passphrase looks the same), UNSUPPORTED (newer
 * version), CORRUPT (keys, certificate or shown members that do not fit each other), REFUSED
 * (others than owner and group have access to the file), or what @p ask failed with.
 * @p ask is called after the file's form was checked; what it returns is wiped.
 */
int hq_keyring_load(const char *path, hq_passphrase_fn *ask, void *context, struct hq_keyring **out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** As hq_keyring_load() from the file's bytes; @p name is for messages. */
int hq_keyring_parse(const void *text, size_t len, const char *name, hq_passphrase_fn *ask,
                     void *context, struct hq_keyring **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_keyring_free(struct hq_keyring *k);

enum hq_key_role hq_keyring_role(const struct hq_keyring *k);
const uint8_t *hq_keyring_repository_id(const struct hq_keyring *k); /**< 16 bytes, borrowed */
const char *hq_keyring_region(const struct hq_keyring *k);
const uint8_t *hq_keyring_repository_public_key(const struct hq_keyring *k); /**< 32 bytes */
const uint8_t *hq_keyring_bind(const struct hq_keyring *k);                  /**< 32 bytes, §3 */
const struct hq_writer *hq_keyring_writer(const struct hq_keyring *k);
void hq_keyring_identity_key_id(const struct hq_keyring *k, uint8_t out[8]);
size_t hq_keyring_epochs(const struct hq_keyring *k);
/** @p index counts from 0 (oldest). */
void hq_keyring_epoch_info(const struct hq_keyring *k, size_t index, struct hq_epoch_info *out);
/** The epoch that writers must use: the newest. */
uint32_t hq_keyring_newest_epoch(const struct hq_keyring *k);

/** D(I, label, ""): chunk identity keys and the gear table's key. */
void hq_keyring_identity_key(const struct hq_keyring *k, const char *label, struct hq_key *out);
/** D(M of @p epoch, label, extra). KEY when the epoch is not in the keyring. */
int hq_keyring_metadata_key(const struct hq_keyring *k, uint32_t epoch, const char *label,
                            const void *extra, size_t extra_len, struct hq_key *out,
                            struct hq_error *err) HQ_MUST_CHECK;
/** Seal @p key to the data public key of @p epoch. */
int hq_keyring_seal_data_key(const struct hq_keyring *k, uint32_t epoch, const struct hq_key *key,
                             uint8_t out[HQ_SEALED_KEY_BYTES], struct hq_error *err) HQ_MUST_CHECK;
/**
 * Open a sealed key. KEY for a sidecar's keyring ("cannot read data", with the hint to use the
 * restore key) or a missing epoch; CORRUPT when it does not open.
 */
int hq_keyring_open_data_key(const struct hq_keyring *k, uint32_t epoch,
                             const uint8_t sealed[HQ_SEALED_KEY_BYTES], struct hq_key *out,
                             struct hq_error *err) HQ_MUST_CHECK;
/** Sign with the repository secret key; KEY for a sidecar's keyring. */
int hq_keyring_sign_repository(const struct hq_keyring *k, const void *data, size_t len,
                               uint8_t out[HQ_SIGNATURE_BYTES], struct hq_error *err) HQ_MUST_CHECK;
/** Sign with the writer's secret key. */
void hq_keyring_sign_writer(const struct hq_keyring *k, const void *data, size_t len,
                            uint8_t out[HQ_SIGNATURE_BYTES]);
/** Check a writer's certificate against this repository. CORRUPT when it does not hold. */
int hq_keyring_check_writer(const struct hq_keyring *k, const struct hq_writer *writer,
                            struct hq_error *err) HQ_MUST_CHECK;
bool hq_signature_valid(const uint8_t public_key[32], const void *data, size_t len,
                        const uint8_t signature[HQ_SIGNATURE_BYTES]) HQ_MUST_CHECK;

#endif
