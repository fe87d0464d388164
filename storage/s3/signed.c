/* From a request's description to the URL and headers that are sent. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "s3_internal.h"

enum {
    HEADERS_MAX = 6
};

/* SHA-256 of nothing. */
static const char empty_sha256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static int
append(struct curl_slist **list, const char *name, const char *value, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf line = {0};

    hq_buf_printf(&line, "%s: %s", name, value);
    const char *text = hq_buf_text(&line);
    struct curl_slist *longer = text == NULL ? NULL : curl_slist_append(*list, text);
    if (longer == NULL)
        return hq_fail(err, HQ_E_NOMEM, "request headers");
    *list = longer;
    return 0;
}

/* The headers to sign, ascending by name as the signature wants them. */
static size_t
collect(const struct hq_s3 *s3, const struct hq_s3_request *request, const char *date,
        const char *range, struct hq_s3_pair out[HEADERS_MAX])
{
    const struct hq_s3_payload *payload = request->payload;
    size_t n = 0;

    if (payload != NULL && payload->md5_base64[0] != '\0')
        out[n++] = (struct hq_s3_pair){"content-md5", payload->md5_base64};
    out[n++] = (struct hq_s3_pair){"host", s3->place.host};
    if (request->length > 0)
        out[n++] = (struct hq_s3_pair){"range", range};
    out[n++] = (struct hq_s3_pair){"x-amz-content-sha256",
                                   payload == NULL ? empty_sha256 : payload->sha256};
    out[n++] = (struct hq_s3_pair){"x-amz-date", date};
    if (s3->credentials.session_token != NULL)
        out[n++] = (struct hq_s3_pair){"x-amz-security-token", s3->credentials.session_token};
    return n;
}

static int
sign(const struct hq_s3 *s3, const struct hq_s3_request *request, const char *path,
     const char *query, struct curl_slist **list, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf authorization = {0};
    struct hq_s3_pair headers[HEADERS_MAX];
    char date[HQ_S3_DATE_TEXT];
    char range[64];

    if (hq_s3_date(time(NULL), date, err) != 0)
        return -1;
    snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)request->offset,
             (unsigned long long)(request->offset + request->length - 1));
    size_t count = collect(s3, request, date, range, headers);
    struct hq_s3_canonical canonical = {
        .method = request->method,
        .path = path,
        .query = query,
        .headers = headers,
        .header_count = count,
        .payload_sha256 = request->payload == NULL ? empty_sha256 : request->payload->sha256};
    struct hq_s3_signer signer = {s3->credentials.access_key, s3->credentials.secret_key,
                                  s3->region};
    if (hq_s3_authorization(&canonical, &signer, date, &authorization, err) != 0)
        return -1;
    const char *text = hq_buf_text(&authorization);
    if (text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "request headers");
    for (size_t i = 0; i < count; i++)
        if (append(list, headers[i].name, headers[i].value, err) != 0)
            return -1;
    return append(list, "authorization", text, err);
}

int
hq_s3_signed_headers(const struct hq_s3 *s3, const struct hq_s3_request *request,
                     struct hq_buf *url, struct curl_slist **headers, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf query = {0};

    hq_s3_place_path(&s3->place, request->name, &path);
    hq_s3_encode_query(&query, request->query, request->query_count);
    const char *path_text = hq_buf_text(&path);
    const char *query_text = hq_buf_text(&query);
    if (path_text == NULL || query_text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "request URL");
    hq_buf_printf(url, "%s%s%s%s", s3->place.origin, path_text, query_text[0] == '\0' ? "" : "?",
                  query_text);
    if (hq_buf_text(url) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "request URL");
    return sign(s3, request, path_text, query_text, headers, err);
}

void
hq_s3_signed_headers_free(struct curl_slist *headers)
{
    /* A session token is among them. */
    for (struct curl_slist *line = headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(headers);
}
