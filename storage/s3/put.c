/* Storing objects. */
#include <string.h>
#include <strings.h>

#include "s3_internal.h"

/* The 32 digits of an ETag that can be the MD5 of what is stored; NULL if it can't. */
static const char *
plain_md5(const struct hq_s3_headers *headers, char out[HQ_S3_MD5_TEXT])
{
    const char *etag = headers->etag;
    size_t digits;

    /* With a key of the store's customer the ETag looks the same and means something else. */
    if (headers->customer_key ||
        (headers->encryption[0] != '\0' && strcmp(headers->encryption, "AES256") != 0))
        return NULL;
    etag += etag[0] == '"';
    digits = strspn(etag, "0123456789abcdefABCDEF");
    if (digits != HQ_S3_MD5_TEXT - 1 || strcmp(etag + digits + (etag[digits] == '"'), "") != 0)
        return NULL;
    memcpy(out, etag, digits);
    out[digits] = '\0';
    return out;
}

int
hq_s3_verify_put(const struct hq_s3_request *request, struct hq_s3_response *response,
                 struct hq_error *err)
{
    const char *sent = request->payload->md5;
    char stored[HQ_S3_MD5_TEXT];

    if (sent[0] == '\0' || plain_md5(&response->headers, stored) == NULL ||
        strcasecmp(sent, stored) == 0)
        return 0;
    return hq_fail(err, HQ_E_CORRUPT, "the store has MD5 %s, sent was %s", stored, sent);
}

int
hq_s3_put(struct hq_store *store, const char *name, const struct hq_body *body,
          struct hq_error *err)
{
    struct hq_s3 *s3 = (struct hq_s3 *)store;
    struct hq_s3_response response = {0};
    struct hq_s3_payload payload;
    struct hq_s3_request request = {.method = "PUT",
                                    .name = name,
                                    .payload = &payload,
                                    .max = 64 * 1024,
                                    .verify = hq_s3_verify_put};

    if (body->size > s3->part_bytes)
        return hq_s3_put_parts(s3, name, body, err);
    if (hq_s3_payload_init(&payload, body, 0, body->size, err) != 0)
        return hq_error_prefix(err, "PUT %s", name);
    /* A put whose answer was lost is repeated as any other: same name, same bytes. */
    int rc = hq_s3_perform(s3, &request, &response, err);
    hq_s3_response_clear(&response);
    return rc;
}
