/**
 * @file keyfile_checks.h
 * What both tests of key files need. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_KEYFILE_CHECKS_H
#define HQ_TESTS_KEYFILE_CHECKS_H

#include <string.h>

#include "crypto/keyring.h"

/* @p context is the passphrase, NULL to fail as if nobody were there. */
static inline int
give(void *context, const char *name, struct hq_buf *out, struct hq_error *err)
{
    assert_non_null(name);
    if (context == NULL)
        return hq_fail(err, HQ_E_INTERRUPTED, "nobody typed");
    hq_buf_put(out, context, strlen(context));
    return 0;
}

/* The same secrets: what one seals, derives and signs, the other opens, derives and checks. */
static inline void
check_same(const struct hq_keyring *a, const struct hq_keyring *b)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES], signature[2][HQ_SIGNATURE_BYTES];
    uint8_t identity[2][8];
    struct hq_error err;

    hq_keyring_identity_key_id(a, identity[0]);
    hq_keyring_identity_key_id(b, identity[1]);
    assert_memory_equal(identity[0], identity[1], sizeof identity[0]);
    assert_int_equal(hq_keyring_role(a), hq_keyring_role(b));
    assert_memory_equal(hq_keyring_bind(a), hq_keyring_bind(b), 32);
    assert_memory_equal(hq_keyring_writer(a), hq_keyring_writer(b), sizeof(struct hq_writer));
    assert_int_equal(hq_keyring_epochs(a), hq_keyring_epochs(b));
    hq_keyring_sign_writer(a, "x", 1, signature[0]);
    hq_keyring_sign_writer(b, "x", 1, signature[1]);
    assert_memory_equal(signature[0], signature[1], sizeof signature[0]);
    for (size_t i = 0; i < hq_keyring_epochs(a); i++) {
        struct hq_epoch_info info[2];
        struct hq_key key = {{3}}, opened;

        memset(info, 0, sizeof info);
        hq_keyring_epoch_info(a, i, &info[0]);
        hq_keyring_epoch_info(b, i, &info[1]);
        assert_memory_equal(&info[0], &info[1], sizeof info[0]);
        if (hq_keyring_role(a) != HQ_ROLE_RESTORE)
            continue;
        assert_int_equal(hq_keyring_seal_data_key(a, info[0].epoch, &key, sealed, &err), 0);
        assert_int_equal(hq_keyring_open_data_key(b, info[0].epoch, sealed, &opened, &err), 0);
        assert_memory_equal(&key, &opened, sizeof key);
    }
    if (hq_keyring_role(a) == HQ_ROLE_RESTORE) {
        assert_int_equal(hq_keyring_sign_repository(a, "x", 1, signature[0], &err), 0);
        assert_int_equal(hq_keyring_sign_repository(b, "x", 1, signature[1], &err), 0);
        assert_memory_equal(signature[0], signature[1], sizeof signature[0]);
    }
}

#endif
