/* One attempt at one request. */
#include <string.h>

#include "base/cleanup.h"
#include "s3_internal.h"

enum {
    ERROR_BODY_MAX = 64 * 1024, /* of a failure's document; the rest is not read */
    IO_BYTES = 256 * 1024,
    /* Slower than this for timeout_s counts as standing still. */
    STALL_BYTES_PER_S = 1024,
    CONNECT_TIMEOUT_S = 10,
};

/*
 * An attempt under way; libcurl calls back into it. Once `failed` is set *err is ours to report,
 * and libcurl's own code is only an echo.
 */
struct transfer {
    const struct hq_s3_request *request;
    struct hq_s3_response *response;
    CURL *easy;
    struct hq_error *err;
    bool failed;
    uint64_t sent;
    uint64_t received; /* of a success's body */
    char detail[CURL_ERROR_SIZE];
};

void
hq_s3_response_clear(struct hq_s3_response *response)
{
    hq_buf_clear(&response->body);
}

static size_t
on_send(char *out, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    uint64_t left = t->request->payload->size - t->sent;
    size_t len = size * count < left ? size * count : (size_t)left;

    if (hq_s3_payload_read(t->request->payload, t->sent, out, len, t->err) != 0) {
        t->failed = true;
        t->response->final = true;
        return CURL_READFUNC_ABORT;
    }
    t->sent += len;
    return len;
}

/* libcurl rewinds when a kept-alive connection turns out dead after the first bytes. */
static int
on_seek(void *context, curl_off_t offset, int origin)
{
    struct transfer *t = context;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->request->payload->size)
        return CURL_SEEKFUNC_FAIL;
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t
on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t len = size * count;

    /* A status line begins a new answer: what "100 Continue" said does not count. */
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        t->response->headers = (struct hq_s3_headers){0};
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->response->status);
    } else {
        hq_s3_header_read(&t->response->headers, line, len);
    }
    return len;
}

static size_t
take_success(struct transfer *t, const char *data, size_t len)
{
    const struct hq_s3_request *request = t->request;
    struct hq_buf *to = request->sink != NULL ? request->sink : &t->response->body;
    const struct hq_s3_headers *headers = &t->response->headers;

    if (len > request->max - t->received ||
        (headers->has_length && headers->length > request->max)) {
        hq_fail(t->err, HQ_E_CORRUPT, "the store's answer is longer than %zu bytes", request->max);
        t->failed = true;
        t->response->final = true;
        return 0;
    }
    /* One allocation, and only for what is really announced and within bounds. */
    if (t->received == 0 && headers->has_length &&
        hq_buf_reserve(to, (size_t)headers->length, t->err) != 0) {
        t->failed = true;
        return 0;
    }
    hq_buf_put(to, data, len);
    if (hq_buf_check(to, "answer", t->err) != 0) {
        t->failed = true;
        return 0;
    }
    t->received += len;
    return len;
}

static size_t
on_receive(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct hq_buf *body = &t->response->body;
    size_t len = size * count;

    if (t->response->status >= 200 && t->response->status < 300)
        return take_success(t, data, len);
    size_t room = body->len < ERROR_BODY_MAX ? ERROR_BODY_MAX - body->len : 0;
    hq_buf_put(body, data, len < room ? len : room);
    return len <= room ? len : 0;
}

static CURLcode
set_method(CURL *easy, struct transfer *t)
{
    const struct hq_s3_request *request = t->request;
    CURLcode rc = CURLE_OK;

    if (request->payload != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                                  (curl_off_t)request->payload->size);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(easy, CURLOPT_READDATA, t);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return rc;
}

/* Everything a request must never do without is checked; what only tunes is not. */
static CURLcode
set_security(const struct hq_s3 *s3, CURL *easy)
{
    const char *protocol = strncmp(s3->place.origin, "https:", 6) == 0 ? "https" : "http";
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocol);

    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (rc == CURLE_OK && s3->ca_file != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, s3->ca_file);
    /* "Only this file" means it: not the system's directory beside it. */
    if (rc == CURLE_OK && s3->ca_file != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    /* A redirect would take a signed request, and data, to a place nobody configured. */
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    return rc;
}

static void
set_transfer(const struct hq_s3 *s3, CURL *easy, struct transfer *t)
{
    long timeout = (long)s3->timeout_s;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "hq-backup/" HQ_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT,
                     timeout < CONNECT_TIMEOUT_S ? timeout : (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, timeout);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)IO_BYTES);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)IO_BYTES);
}

static int
run(struct hq_s3 *s3, struct transfer *t, const char *url, struct curl_slist *headers)
{
    CURLcode rc = set_security(s3, t->easy);

    set_transfer(s3, t->easy, t);
    if (rc == CURLE_OK)
        rc = set_method(t->easy, t);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(t->easy, CURLOPT_URL, url);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(t->easy);
    if (t->failed)
        return -1;
    /* A store that refuses may close before it has read, or said, everything. */
    if (rc != CURLE_OK && t->response->status < 300)
        return hq_s3_transport_error(s3, rc, t->detail, t->err);
    return 0;
}

int
hq_s3_request_once(struct hq_s3 *s3, const struct hq_s3_request *request,
                   struct hq_s3_response *response, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf url = {0};
    struct transfer t = {.request = request, .response = response, .err = err};
    struct curl_slist *headers = NULL;
    size_t sink_len = request->sink == NULL ? 0 : request->sink->len;

    hq_s3_response_clear(response);
    *response = (struct hq_s3_response){0};
    int rc = hq_s3_signed_headers(s3, request, &url, &headers, err);
    if (rc == 0 && (t.easy = hq_s3_pool_take(&s3->pool, err)) == NULL)
        rc = -1;
    if (rc == 0)
        rc = run(s3, &t, hq_buf_text(&url), headers);
    if (t.easy != NULL)
        hq_s3_pool_return(&s3->pool, t.easy);
    hq_s3_signed_headers_free(headers);
    if (rc != 0 && request->sink != NULL)
        request->sink->len = sink_len;
    return rc;
}
