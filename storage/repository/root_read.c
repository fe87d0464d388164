#include <string.h>

#include "root_internal.h"

/* Certificate before signature: a signature proves nothing until its key is known to be ours. */
static int
verify(const struct hq_keyring *keyring, const char *name, const uint8_t *signature,
       const char *text, size_t len, const struct hq_writer *writer, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf message = {0};

    if (hq_keyring_check_writer(keyring, writer, err) != 0 ||
        hq_root_signed_bytes(name, text, len, &message, err) != 0)
        return -1;
    if (!hq_signature_valid(writer->public_key, message.data, message.len, signature))
        return hq_fail(err, HQ_E_CORRUPT, "the signature of writer %s does not hold", writer->name);
    return 0;
}

static int
open_body(const struct hq_keyring *keyring, const char *name, const struct hq_buf *body,
          struct hq_root *out, struct hq_error *err)
{
    const char *text;
    size_t len;

    if (body->len < HQ_SIGNATURE_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "body of %zu bytes", body->len);
    text = (const char *)body->data + HQ_SIGNATURE_BYTES;
    len = body->len - HQ_SIGNATURE_BYTES;
    if (hq_root_decode(text, len, out, err) != 0)
        return -1;
    return verify(keyring, name, body->data, text, len, &out->writer, err);
}

int
hq_root_read(const struct hq_repository *repository, const char *cluster, const char *backup,
             struct hq_root *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0}, body = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    *out = (struct hq_root){0};
    if (hq_root_name(cluster, backup, name, err) != 0 ||
        hq_store_get_all(repository->store, name,
                         HQ_OBJECT_HEADER_BYTES + HQ_OBJECT_RAW_MAX + HQ_TAG_BYTES, &sealed,
                         err) != 0)
        return -1;
    if (hq_object_open(repository, HQ_OBJECT_ROOT, name, sealed.data, sealed.len, &body, err) != 0)
        return hq_error_prefix(err, "%s", name);
    if (open_body(repository->keyring, name, &body, out, err) == 0) {
        if (strcmp(out->cluster, cluster) == 0 && strcmp(out->backup, backup) == 0)
            return 0;
        (void)hq_fail(err, HQ_E_CORRUPT, "holds backup %s of %s", out->backup, out->cluster);
    }
    hq_root_clear(out);
    return hq_error_prefix(err, "%s", name);
}
