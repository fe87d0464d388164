#include <stdlib.h>
#include <string.h>

#include "repository_json_internal.h"

static json_t *
epochs_json(const struct hq_keyring *keyring)
{
    json_t *all = json_array();

    for (size_t i = 0; i < hq_keyring_epochs(keyring); i++) {
        struct hq_epoch_info e;
        json_t *one;

        hq_keyring_epoch_info(keyring, i, &e);
        one = json_pack("{s:I, s:o, s:o, s:o}", "epoch", (json_int_t)e.epoch, "created",
                        hq_json_new_time(e.created_us), "metadata_key_id",
                        hq_json_new_hex(e.metadata_key_id, sizeof e.metadata_key_id),
                        "data_public_key",
                        hq_json_new_hex(e.data_public_key, sizeof e.data_public_key));
        if (json_array_append_new(all, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *
make_json(const struct hq_keyring *keyring, const struct hq_chunking *chunking, int64_t created_us)
{
    uint8_t identity_key_id[8];
    json_t *cut = json_pack("{s:s, s:I, s:I, s:I}", "algorithm", "fastcdc-keyed", "minimum",
                            (json_int_t)chunking->minimum, "average", (json_int_t)chunking->average,
                            "maximum", (json_int_t)chunking->maximum);

    hq_keyring_identity_key_id(keyring, identity_key_id);
    return json_pack(
        "{s:s, s:i, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "format", "hq-backup repository",
        "version", HQ_FORMAT_VERSION, "required_features", 0, "repository_id",
        hq_json_new_hex(hq_keyring_repository_id(keyring), HQ_REPOSITORY_ID_BYTES), "region",
        hq_keyring_region(keyring), "created", hq_json_new_time(created_us), "identity_key_id",
        hq_json_new_hex(identity_key_id, sizeof identity_key_id), "repository_public_key",
        hq_json_new_hex(hq_keyring_repository_public_key(keyring), 32), "chunking", cut, "epochs",
        epochs_json(keyring));
}

int
hq_json_signed_bytes(const json_t *json, struct hq_buf *out, struct hq_error *err)
{
    static const char label[] = "hq-backup repository v1";
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT);

    if (text == NULL)
        return hq_fail(err, HQ_E_NOMEM, HQ_REPOSITORY_OBJECT);
    hq_buf_put(out, label, sizeof label);
    hq_buf_put(out, text, strlen(text));
    free(text);
    return hq_buf_check(out, HQ_REPOSITORY_OBJECT, err);
}

static int
sign(const struct hq_keyring *keyring, json_t *json, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf message = {0};
    uint8_t signature[HQ_SIGNATURE_BYTES];

    if (hq_json_signed_bytes(json, &message, err) != 0 ||
        hq_keyring_sign_repository(keyring, message.data, message.len, signature, err) != 0)
        return -1;
    if (json_object_set_new(json, "signature", hq_json_new_hex(signature, sizeof signature)) != 0)
        return hq_fail(err, HQ_E_NOMEM, HQ_REPOSITORY_OBJECT);
    return 0;
}

int
hq_repository_json_encode(const struct hq_keyring *keyring, const struct hq_chunking *chunking,
                          int64_t created_us, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_json_clear)
    json_t *json = make_json(keyring, chunking, created_us);
    char *text;

    if (json == NULL)
        return hq_fail(err, HQ_E_NOMEM, HQ_REPOSITORY_OBJECT);
    if (sign(keyring, json, err) != 0)
        return -1;
    if ((text = json_dumps(json, JSON_INDENT(2))) == NULL)
        return hq_fail(err, HQ_E_NOMEM, HQ_REPOSITORY_OBJECT);
    hq_buf_printf(out, "%s\n", text);
    free(text);
    return hq_buf_check(out, HQ_REPOSITORY_OBJECT, err);
}
