/* What a failure means: the store's codes and HTTP's and libcurl's in this project's terms. */
#include <string.h>

#include "s3_internal.h"

static const char keys_hint[] = "check the access key, the secret key and which store they are of";
static const char policy_hint[] = "the keys must be allowed to get, put, delete and list here";

/* The store's own word for it decides before the HTTP status does. */
static const struct {
    const char *text;
    enum hq_code code;
    const char *hint;
} codes[] = {
    {"NoSuchKey", HQ_E_MISSING, NULL},
    {"NoSuchVersion", HQ_E_MISSING, NULL},
    {"NoSuchUpload", HQ_E_MISSING, NULL},
    {"NoSuchBucket", HQ_E_REFUSED, "create the bucket first: buckets are never made here"},
    {"AccessDenied", HQ_E_REFUSED, policy_hint},
    {"AllAccessDisabled", HQ_E_REFUSED, policy_hint},
    {"AccountProblem", HQ_E_REFUSED, "ask the store's operator about the account"},
    {"UserSuspended", HQ_E_REFUSED, "ask the store's operator to enable the user"},
    {"InvalidAccessKeyId", HQ_E_REFUSED, keys_hint},
    {"SignatureDoesNotMatch", HQ_E_REFUSED, keys_hint},
    {"InvalidToken", HQ_E_REFUSED, keys_hint},
    {"InvalidSecurity", HQ_E_REFUSED, keys_hint},
    {"ExpiredToken", HQ_E_REFUSED, "get a new session token"},
    {"TokenRefreshRequired", HQ_E_REFUSED, "get a new session token"},
    {"RequestTimeTooSkewed", HQ_E_REFUSED, "set this machine's clock (NTP) and try again"},
    {"RequestExpired", HQ_E_REFUSED, "set this machine's clock (NTP) and try again"},
    {"QuotaExceeded", HQ_E_NO_SPACE, "raise the quota or prune"},
    {"XMinioAdminBucketQuotaExceeded", HQ_E_NO_SPACE, "raise the quota or prune"},
    {"XMinioStorageFull", HQ_E_NO_SPACE, "the store's disks are full"},
    {"InsufficientStorage", HQ_E_NO_SPACE, "the store's disks are full"},
    {"AuthorizationHeaderMalformed", HQ_E_REGION, NULL},
    {"PermanentRedirect", HQ_E_REGION, NULL},
    {"TemporaryRedirect", HQ_E_REGION, NULL},
    {"IllegalLocationConstraintException", HQ_E_REGION, NULL},
    {"IllegalLocationConstraint", HQ_E_REGION, NULL},
    {"SlowDown", HQ_E_TRANSIENT, NULL},
    {"SlowDownRead", HQ_E_TRANSIENT, NULL},
    {"SlowDownWrite", HQ_E_TRANSIENT, NULL},
    {"RequestTimeout", HQ_E_TRANSIENT, NULL},
    {"InternalError", HQ_E_TRANSIENT, NULL},
    {"OperationAborted", HQ_E_TRANSIENT, NULL},
    {"ServiceUnavailable", HQ_E_TRANSIENT, NULL},
    {"RequestLimitExceeded", HQ_E_TRANSIENT, NULL},
    {"Throttling", HQ_E_TRANSIENT, NULL},
    {"TooManyRequests", HQ_E_TRANSIENT, NULL},
    /* What arrived there is not what was sent from here. */
    {"BadDigest", HQ_E_CORRUPT, NULL},
    {"XAmzContentSHA256Mismatch", HQ_E_CORRUPT, NULL},
    {"IncompleteBody", HQ_E_TRANSIENT, NULL},
    {"InvalidPart", HQ_E_CORRUPT, NULL},
    {"NotImplemented", HQ_E_UNSUPPORTED, NULL},
};

static enum hq_code
code_of_status(long status)
{
    switch (status) {
    case 301:
    case 307:
    case 308:
        return HQ_E_REGION;
    case 404:
        return HQ_E_MISSING;
    case 408:
    case 425:
    case 429:
        return HQ_E_TRANSIENT;
    case 501:
        return HQ_E_UNSUPPORTED;
    case 507:
        return HQ_E_NO_SPACE;
    default:
        return status >= 500 ? HQ_E_TRANSIENT : HQ_E_REFUSED;
    }
}

static enum hq_code
code_of(const struct hq_s3_response *response, const struct hq_s3_error_text *text,
        const char **hint)
{
    *hint = NULL;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].text, text->code) == 0) {
            *hint = codes[i].hint;
            return codes[i].code;
        }
    /* A success that holds an error document says that it was none. */
    return response->status < 300 ? HQ_E_TRANSIENT : code_of_status(response->status);
}

/* Only a hint: which region the keys' owner means is not for the store to say. */
static void
hint_region(const struct hq_s3 *s3, const struct hq_s3_response *response,
            const struct hq_s3_error_text *text, struct hq_error *err)
{
    const char *told = text->region[0] != '\0' ? text->region : response->headers.region;

    if (told[0] != '\0')
        hq_error_hint(err, "the store says region \"%s\", configured is \"%s\"", told, s3->region);
    else
        hq_error_hint(err, "check the endpoint and the region, configured is \"%s\"", s3->region);
}

int
hq_s3_answer_error(const struct hq_s3 *s3, struct hq_s3_response *response, struct hq_error *err)
{
    struct hq_s3_error_text text;
    const char *hint;

    hq_s3_error_text_read(response->body.data, response->body.len, &text);
    response->no_upload = strcmp(text.code, "NoSuchUpload") == 0;
    enum hq_code code = code_of(response, &text, &hint);
    /* A HEAD has no document; the header tells a region that is not the one signed for. */
    if (code == HQ_E_REFUSED && text.code[0] == '\0' && response->headers.region[0] != '\0' &&
        strcmp(response->headers.region, s3->region) != 0)
        code = HQ_E_REGION;
    hq_fail(err, code, "HTTP %ld%s%s%s%s", response->status, text.code[0] == '\0' ? "" : " ",
            text.code, text.message[0] == '\0' ? "" : ": ", text.message);
    if (code == HQ_E_REGION)
        hint_region(s3, response, &text, err);
    else if (hint != NULL)
        hq_error_hint(err, "%s", hint);
    return -1;
}

int
hq_s3_transport_error(const struct hq_s3 *s3, CURLcode rc, const char *detail, struct hq_error *err)
{
    enum hq_code code = HQ_E_TRANSIENT;
    const char *hint = NULL;
    bool own_ca = s3->ca_file != NULL;

    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_ISSUER_ERROR) {
        code = HQ_E_REFUSED;
        hint = own_ca ? "the configured CA file does not vouch for this server"
                      : "if the store has a CA of its own, name its file (option ca)";
    } else if (rc == CURLE_SSL_CACERT_BADFILE) {
        code = HQ_E_CONFIG;
        hint = "the CA file must hold certificates in PEM form";
    } else if (rc == CURLE_OUT_OF_MEMORY) {
        code = HQ_E_NOMEM;
    } else if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL ||
               rc == CURLE_NOT_BUILT_IN || rc == CURLE_UNKNOWN_OPTION) {
        code = HQ_E_INTERNAL;
    } else if (rc == CURLE_COULDNT_RESOLVE_HOST) {
        hint = "check the endpoint's name and this machine's DNS";
    } else if (rc == CURLE_OPERATION_TIMEDOUT) {
        hint = "the store accepts connections but does not go on, or is too slow";
    }
    hq_fail(err, code, "%s", detail[0] != '\0' ? detail : curl_easy_strerror(rc));
    if (hint != NULL)
        hq_error_hint(err, "%s", hint);
    return -1;
}
