#include <stdlib.h>
#include <string.h>

#include "repository_json_internal.h"

static int
other_repository(const char *what, struct hq_error *err)
{
    (void)hq_fail(err, HQ_E_KEY, HQ_REPOSITORY_OBJECT ": %s is not the key file's", what);
    return hq_error_hint(err, "use the key file that was made with this repository");
}

/*
 * Every epoch that both know must be the same. The key file may lack new epochs (it is reported
 * when such an object is read), but one at least must be common.
 */
static int
check_epochs(const struct hq_repository_json *r, const struct hq_keyring *keyring,
             struct hq_error *err)
{
    size_t common = 0;

    for (size_t i = 0; i < r->epoch_count; i++)
        for (size_t k = 0; k < hq_keyring_epochs(keyring); k++) {
            const struct hq_epoch_info *there = &r->epochs[i];
            struct hq_epoch_info here;

            hq_keyring_epoch_info(keyring, k, &here);
            if (here.epoch != there->epoch)
                continue;
            if (memcmp(here.metadata_key_id, there->metadata_key_id, sizeof here.metadata_key_id) !=
                    0 ||
                memcmp(here.data_public_key, there->data_public_key, sizeof here.data_public_key) !=
                    0)
                return other_repository("the key of an epoch", err);
            common++;
        }
    return common > 0 ? 0 : other_repository("any key epoch", err);
}

static int
check_keys(const struct hq_repository_json *r, const struct hq_keyring *keyring,
           struct hq_error *err)
{
    uint8_t identity_key_id[8];

    if (memcmp(r->repository_id, hq_keyring_repository_id(keyring), sizeof r->repository_id) != 0)
        return other_repository("the repository's id", err);
    hq_keyring_identity_key_id(keyring, identity_key_id);
    if (memcmp(r->identity_key_id, identity_key_id, sizeof identity_key_id) != 0)
        return other_repository("the identity key", err);
    return check_epochs(r, keyring, err);
}

static int
check_signature(const struct hq_repository_json *r, const struct hq_keyring *keyring,
                struct hq_error *err)
{
    const uint8_t *public_key = hq_keyring_repository_public_key(keyring);

    if (!hq_signature_valid(public_key, r->message.data, r->message.len, r->signature) ||
        memcmp(public_key, r->repository_public_key, sizeof r->repository_public_key) != 0)
        return hq_fail(err, HQ_E_CORRUPT, HQ_REPOSITORY_OBJECT ": the signature does not hold");
    return 0;
}

static int
check_region(const struct hq_repository_json *r, const struct hq_keyring *keyring,
             const char *region, struct hq_error *err)
{
    const char *ours = hq_keyring_region(keyring);

    if (strcmp(r->region, ours) != 0) {
        (void)hq_fail(err, HQ_E_REGION,
                      HQ_REPOSITORY_OBJECT ": the repository is of region %s, the key file of %s",
                      r->region, ours);
        return hq_error_hint(err, "use the key file that was made with this repository");
    }
    if (region != NULL && strcmp(r->region, region) != 0) {
        (void)hq_fail(err, HQ_E_REGION,
                      HQ_REPOSITORY_OBJECT ": the repository is of region %s, this is %s",
                      r->region, region);
        return hq_error_hint(err, "use a repository of region %s; data must not leave it", region);
    }
    return 0;
}

/* The order is the format's: a wrong key file must not look like damage. */
static int
check_all(const struct hq_repository_json *r, const struct hq_keyring *keyring, const char *region,
          struct hq_error *err)
{
    if (check_keys(r, keyring, err) != 0 || check_signature(r, keyring, err) != 0)
        return -1;
    return check_region(r, keyring, region, err);
}

int
hq_repository_fetch(struct hq_store *store, struct hq_buf *out, struct hq_error *err)
{
    if (hq_store_get_all(store, HQ_REPOSITORY_OBJECT, HQ_REPOSITORY_TEXT_MAX, out, err) == 0)
        return 0;
    if (err->code == HQ_E_MISSING)
        (void)hq_error_hint(err, "check the repository's URL; a new one is made by `hq-backup "
                                 "init`");
    return hq_error_prefix(err, "repository %s", hq_store_url(store));
}

struct hq_repository *
hq_repository_take(struct hq_store *store, const struct hq_keyring *keyring, const char *region,
                   const struct hq_buf *text, struct hq_error *err)
{
    HQ_AUTO(hq_repository_json_clear)
    struct hq_repository_json json = {0};
    struct hq_repository *repository;

    if (hq_repository_json_decode((const char *)text->data, text->len, &json, err) != 0 ||
        check_all(&json, keyring, region, err) != 0) {
        (void)hq_error_prefix(err, "repository %s", hq_store_url(store));
        return NULL;
    }
    if ((repository = malloc(sizeof *repository)) == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "repository %s", hq_store_url(store));
        return NULL;
    }
    *repository = (struct hq_repository){.store = store,
                                         .keyring = keyring,
                                         .chunking = json.chunking,
                                         .created_us = json.created_us};
    return repository;
}

struct hq_repository *
hq_repository_open(struct hq_store *store, const struct hq_keyring *keyring, const char *region,
                   struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (hq_repository_fetch(store, &text, err) != 0)
        return NULL;
    return hq_repository_take(store, keyring, region, &text, err);
}
