#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/keyring.h"
#include "keyring_internal.h"

static int
check_writer_name(const char *writer, struct hq_error *err)
{
    if (hq_writer_name_valid(writer))
        return 0;
    return hq_fail(err, HQ_E_USAGE,
                   "a writer's name is 1 to %d printable ASCII characters without \" and \\",
                   HQ_WRITER_NAME_MAX);
}

/* Give @p to a writer's key pair of its own, certified by the keyring that can. */
static void
issue_writer(struct hq_keyring *to, const char *name,
             const uint8_t repository_secret_key[static 64])
{
    uint8_t message[HQ_CERTIFIED_MAX];
    struct hq_writer *w = &to->writer;
    size_t len;

    memcpy(w->name, name, strlen(name) + 1);
    w->issued_us = hq_clock_wall_us();
    (void)crypto_sign_keypair(w->public_key, to->writer_secret_key);
    len = hq_writer_certified(to->repository_id, w, message);
    (void)crypto_sign_detached(w->certificate, NULL, message, len, repository_secret_key);
}

int
hq_keyring_generate(const char *region, const char *writer, struct hq_keyring **out,
                    struct hq_error *err)
{
    struct hq_keyring *k;
    struct hq_epoch_keys *e;

    *out = NULL;
    if (!hq_region_valid(region))
        return hq_fail(err, HQ_E_USAGE,
                       "region \"%s\" is not two capital letters, then capital letters, digits "
                       "and hyphens, %d at most",
                       region, HQ_REGION_MAX);
    if (check_writer_name(writer, err) != 0 || hq_keyring_new(1, &k, err) != 0)
        return -1;

    k->role = HQ_ROLE_RESTORE;
    k->created_us = hq_clock_wall_us();
    memcpy(k->region, region, strlen(region) + 1);
    hq_random(k->repository_id, sizeof k->repository_id);
    hq_random(&k->identity_key, sizeof k->identity_key);
    (void)crypto_sign_keypair(k->repository_public_key, k->repository_secret_key);
    issue_writer(k, writer, k->repository_secret_key);

    e = &k->epochs[0];
    e->epoch = 1;
    e->created_us = k->created_us;
    hq_random(&e->metadata_key, sizeof e->metadata_key);
    (void)crypto_box_keypair(e->data_public_key, e->data_secret_key);

    hq_keyring_finish(k);
    *out = k;
    return 0;
}

int
hq_keyring_make_sidecar(const struct hq_keyring *restore, const char *writer,
                        struct hq_keyring **out, struct hq_error *err)
{
    struct hq_keyring *k;

    *out = NULL;
    if (restore->role != HQ_ROLE_RESTORE) {
        (void)hq_fail(err, HQ_E_KEY, "a sidecar's key file cannot certify another writer");
        return hq_error_hint(err, "make the sidecar's key file from the restore key file");
    }
    if (check_writer_name(writer, err) != 0 || hq_keyring_new(restore->epoch_count, &k, err) != 0)
        return -1;

    /* Member by member: a secret that is added later must not come along unasked. */
    k->role = HQ_ROLE_SIDECAR;
    k->created_us = hq_clock_wall_us();
    memcpy(k->region, restore->region, sizeof k->region);
    memcpy(k->repository_id, restore->repository_id, sizeof k->repository_id);
    k->identity_key = restore->identity_key;
    memcpy(k->repository_public_key, restore->repository_public_key,
           sizeof k->repository_public_key);
    for (size_t i = 0; i < restore->epoch_count; i++) {
        const struct hq_epoch_keys *from = &restore->epochs[i];
        struct hq_epoch_keys *to = &k->epochs[i];

        to->epoch = from->epoch;
        to->created_us = from->created_us;
        to->metadata_key = from->metadata_key;
        memcpy(to->data_public_key, from->data_public_key, sizeof to->data_public_key);
    }
    issue_writer(k, writer, restore->repository_secret_key);

    hq_keyring_finish(k);
    *out = k;
    return 0;
}
