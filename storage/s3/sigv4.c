/* AWS Signature Version 4. */
#include "sigv4.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

enum {
    SHA256_BYTES = 32,
    DAY_TEXT = 8
};

static bool
unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void
hq_s3_encode(struct hq_buf *out, const char *text, bool keep_slash)
{
    for (; *text != '\0'; text++) {
        if (unreserved(*text) || (keep_slash && *text == '/'))
            hq_buf_put_u8(out, (uint8_t)*text);
        else
            hq_buf_printf(out, "%%%02X", (unsigned)(uint8_t)*text);
    }
}

void
hq_s3_encode_query(struct hq_buf *out, const struct hq_s3_pair *pairs, size_t count)
{
    const struct hq_s3_pair *sorted[HQ_S3_PAIRS_MAX];

    assert(count <= HQ_S3_PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(sorted[at - 1]->name, pairs[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &pairs[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            hq_buf_put_u8(out, '&');
        hq_s3_encode(out, sorted[i]->name, false);
        /* The '=' is signed, so it is sent even where nothing follows: "?uploads=". */
        hq_buf_put_u8(out, '=');
        hq_s3_encode(out, sorted[i]->value, false);
    }
}

int
hq_s3_date(time_t now, char out[HQ_S3_DATE_TEXT], struct hq_error *err)
{
    struct tm tm;

    if (now < 0 || gmtime_r(&now, &tm) == NULL ||
        strftime(out, HQ_S3_DATE_TEXT, "%Y%m%dT%H%M%SZ", &tm) != HQ_S3_DATE_TEXT - 1)
        return hq_fail(err, HQ_E_USAGE, "the local clock is outside the years 1970 to 9999");
    return 0;
}

int
hq_s3_sha256(const void *data, size_t len, char out[HQ_S3_SHA256_TEXT], struct hq_error *err)
{
    uint8_t digest[SHA256_BYTES];

    if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
        return hq_fail(err, HQ_E_NOMEM, "SHA-256");
    hq_hex_encode(digest, sizeof digest, out);
    return 0;
}

static int
hmac(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[SHA256_BYTES],
     struct hq_error *err)
{
    if (key_len > INT32_MAX || HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "HMAC-SHA-256");
    return 0;
}

static void
put_header_names(struct hq_buf *out, const struct hq_s3_canonical *request)
{
    for (size_t i = 0; i < request->header_count; i++)
        hq_buf_printf(out, "%s%s", i > 0 ? ";" : "", request->headers[i].name);
}

static int
hash_canonical(const struct hq_s3_canonical *request, char out[HQ_S3_SHA256_TEXT],
               struct hq_error *err)
{
    /* Wiped, for a session token is among the headers. */
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {0};

    hq_buf_printf(&text, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (size_t i = 0; i < request->header_count; i++)
        hq_buf_printf(&text, "%s:%s\n", request->headers[i].name, request->headers[i].value);
    hq_buf_put_u8(&text, '\n');
    put_header_names(&text, request);
    hq_buf_printf(&text, "\n%s", request->payload_sha256);
    if (hq_buf_check(&text, "canonical request", err) != 0)
        return -1;
    return hq_s3_sha256(text.data, text.len, out, err);
}

/* The key of one day, region and service. */
static int
derive_key(const struct hq_s3_signer *signer, const char *date, uint8_t key[SHA256_BYTES],
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf seed = {0};
    const char *const steps[] = {signer->region, "s3", "aws4_request"};

    hq_buf_printf(&seed, "AWS4%s", signer->secret_key);
    if (hq_buf_check(&seed, "signing key", err) != 0 ||
        hmac(seed.data, seed.len, date, DAY_TEXT, key, err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (hmac(key, SHA256_BYTES, steps[i], strlen(steps[i]), key, err) != 0)
            return -1;
    return 0;
}

int
hq_s3_authorization(const struct hq_s3_canonical *request, const struct hq_s3_signer *signer,
                    const char *date, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf scope = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char hash[HQ_S3_SHA256_TEXT];
    char signature[HQ_S3_SHA256_TEXT];
    uint8_t key[SHA256_BYTES];
    uint8_t mac[SHA256_BYTES];

    if (hash_canonical(request, hash, err) != 0)
        return -1;
    hq_buf_printf(&scope, "%.*s/%s/s3/aws4_request", DAY_TEXT, date, signer->region);
    const char *scope_text = hq_buf_text(&scope);
    if (scope_text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "string to sign");
    hq_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope_text, hash);
    int rc = hq_buf_check(&text, "string to sign", err);
    if (rc == 0)
        rc = derive_key(signer, date, key, err);
    if (rc == 0)
        rc = hmac(key, sizeof key, text.data, text.len, mac, err);
    explicit_bzero(key, sizeof key);
    if (rc != 0)
        return -1;

    hq_buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=", signer->access_key,
                  scope_text);
    put_header_names(out, request);
    hq_buf_printf(out, ",Signature=%s", hq_hex_encode(mac, sizeof mac, signature));
    return hq_buf_check(out, "Authorization header", err);
}
