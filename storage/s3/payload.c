/* The bytes of a request and their checksums. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "s3_internal.h"

enum {
    STEP_BYTES = 256 * 1024
};

static void
free_digest(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

int
hq_s3_payload_read(const struct hq_s3_payload *payload, uint64_t at, void *out, size_t len,
                   struct hq_error *err)
{
    const struct hq_body *body = payload->body;
    size_t got;

    if (body->data != NULL) {
        memcpy(out, (const uint8_t *)body->data + payload->offset + at, len);
        return 0;
    }
    if (hq_io_pread(body->fd, out, len, payload->offset + at, &got, "file to store", err) != 0)
        return -1;
    if (got != len)
        return hq_fail(err, HQ_E_CORRUPT, "file to store: it became shorter while it was read");
    return 0;
}

static int
update(EVP_MD_CTX *context, const void *data, size_t len, struct hq_error *err)
{
    if (context != NULL && EVP_DigestUpdate(context, data, len) != 1)
        return hq_fail(err, HQ_E_NOMEM, "checksum");
    return 0;
}

static int
hash_body(const struct hq_s3_payload *payload, EVP_MD_CTX *sha256, EVP_MD_CTX *md5,
          struct hq_error *err)
{
    const uint8_t *memory = payload->body->data;
    HQ_FREE uint8_t *buffer = NULL;

    if (memory == NULL && payload->size > 0 && (buffer = hq_memory(STEP_BYTES)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "checksum");
    for (uint64_t at = 0; at < payload->size;) {
        size_t step = payload->size - at < STEP_BYTES ? (size_t)(payload->size - at) : STEP_BYTES;
        const uint8_t *bytes = buffer;
        if (memory != NULL)
            bytes = memory + payload->offset + at;
        else if (hq_s3_payload_read(payload, at, buffer, step, err) != 0)
            return -1;
        if (update(sha256, bytes, step, err) != 0 || update(md5, bytes, step, err) != 0)
            return -1;
        at += step;
    }
    return 0;
}

int
hq_s3_payload_init(struct hq_s3_payload *out, const struct hq_body *body, uint64_t offset,
                   uint64_t size, struct hq_error *err)
{
    HQ_AUTO(free_digest)
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
    HQ_AUTO(free_digest)
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len;

    *out = (struct hq_s3_payload){.body = body, .offset = offset, .size = size};
    if (sha256 == NULL || md5 == NULL || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1)
        return hq_fail(err, HQ_E_NOMEM, "checksum");
    /* A machine in FIPS mode has no MD5; the signed SHA-256 alone protects the way there. */
    bool has_md5 = EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;
    if (hash_body(out, sha256, has_md5 ? md5 : NULL, err) != 0)
        return -1;
    if (EVP_DigestFinal_ex(sha256, digest, &len) != 1)
        return hq_fail(err, HQ_E_NOMEM, "checksum");
    hq_hex_encode(digest, len, out->sha256);
    if (has_md5) {
        if (EVP_DigestFinal_ex(md5, digest, &len) != 1)
            return hq_fail(err, HQ_E_NOMEM, "checksum");
        hq_hex_encode(digest, len, out->md5);
        EVP_EncodeBlock((unsigned char *)out->md5_base64, digest, (int)len);
    }
    return 0;
}
