#include "signed_internal.h"

#include <string.h>

static const char *
label_of(enum hq_object_type type)
{
    return type == HQ_OBJECT_AUDIT ? "hq-backup audit v1" : "hq-backup manifest v1";
}

int
hq_signed_bytes(enum hq_object_type type, const char *name, const char *text, size_t len,
                struct hq_buf *out, struct hq_error *err)
{
    const char *label = label_of(type);

    hq_buf_put(out, label, strlen(label) + 1);
    hq_buf_put(out, name, strlen(name) + 1);
    hq_buf_put(out, text, len);
    return hq_buf_check(out, "signed text", err);
}

int
hq_signed_put(const struct hq_repository *repository, enum hq_object_type type, const char *name,
              const struct hq_buf *text, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {0}, message = {0}, sealed = {0};

    hq_buf_put_zero(&body, HQ_SIGNATURE_BYTES);
    hq_buf_put(&body, text->data, text->len);
    if (hq_buf_check(&body, "signed text", err) != 0 ||
        hq_signed_bytes(type, name, (const char *)text->data, text->len, &message, err) != 0)
        return hq_error_prefix(err, "%s", name);
    hq_keyring_sign_writer(repository->keyring, message.data, message.len, body.data);
    if (hq_object_seal(repository, type, name, body.data, body.len, &sealed, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return hq_store_put_bytes(repository->store, name, sealed.data, sealed.len, err);
}

/* Certificate before signature: a signature proves nothing until its key is known to be ours. */
static int
verify(const struct hq_keyring *keyring, enum hq_object_type type, const char *name,
       const struct hq_buf *body, const struct hq_writer *writer, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf message = {0};

    if (hq_keyring_check_writer(keyring, writer, err) != 0 ||
        hq_signed_bytes(type, name, (const char *)body->data + HQ_SIGNATURE_BYTES,
                        body->len - HQ_SIGNATURE_BYTES, &message, err) != 0)
        return -1;
    if (!hq_signature_valid(writer->public_key, message.data, message.len, body->data))
        return hq_fail(err, HQ_E_CORRUPT, "the signature of writer %s does not hold", writer->name);
    return 0;
}

static int
open_body(const struct hq_repository *repository, enum hq_object_type type, const char *name,
          const struct hq_buf *sealed, hq_signed_decode_fn *decode, void *context,
          struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf body = {0};
    struct hq_writer writer = {0};

    if (hq_object_open(repository, type, name, sealed->data, sealed->len, &body, err) != 0)
        return -1;
    if (body.len < HQ_SIGNATURE_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "body of %zu bytes", body.len);
    if (decode((const char *)body.data + HQ_SIGNATURE_BYTES, body.len - HQ_SIGNATURE_BYTES, context,
               &writer, err) != 0)
        return -1;
    return verify(repository->keyring, type, name, &body, &writer, err);
}

int
hq_signed_get(const struct hq_repository *repository, enum hq_object_type type, const char *name,
              size_t most, hq_signed_decode_fn *decode, void *context, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};

    if (hq_store_get_all(repository->store, name, HQ_OBJECT_HEADER_BYTES + most + HQ_TAG_BYTES,
                         &sealed, err) != 0)
        return -1;
    if (open_body(repository, type, name, &sealed, decode, context, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return 0;
}
