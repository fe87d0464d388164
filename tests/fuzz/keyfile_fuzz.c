#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "crypto/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sealed files are read up to the question: no input may start Argon2id. */
static int
nobody_there(void *context, const char *path, struct hq_buf *out, struct hq_error *err)
{
    (void)context;
    (void)out;
    return hq_fail(err, HQ_E_INTERRUPTED, "%s: no passphrase", path);
}

/* Whatever is accepted must hold what a keyring promises. */
static void
use(const struct hq_keyring *k)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES];
    struct hq_key key = {{1}}, opened;
    struct hq_epoch_info info = {0};
    struct hq_error err;
    uint32_t before = 0;

    if (hq_keyring_check_writer(k, hq_keyring_writer(k), &err) != 0)
        abort();
    for (size_t i = 0; i < hq_keyring_epochs(k); i++) {
        hq_keyring_epoch_info(k, i, &info);
        if (info.epoch <= before ||
            hq_keyring_seal_data_key(k, info.epoch, &key, sealed, &err) != 0)
            abort();
        before = info.epoch;
        if ((hq_keyring_open_data_key(k, info.epoch, sealed, &opened, &err) == 0) !=
            (hq_keyring_role(k) == HQ_ROLE_RESTORE))
            abort();
    }
    if (info.epoch != hq_keyring_newest_epoch(k))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_keyring *k = NULL;
    struct hq_error err = {0};

    if (hq_crypto_init(&err) != 0)
        abort();
    if (hq_keyring_parse(data, size, "fuzz", nobody_there, NULL, &k, &err) != 0) {
        if (k != NULL || err.code == HQ_E_OK || err.code == HQ_E_INTERNAL)
            abort();
        return 0;
    }
    use(k);
    hq_keyring_free(k);
    return 0;
}
