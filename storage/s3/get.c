/* Reading objects. */
#include <string.h>

#include "s3_internal.h"

static int
fail_truncated(const char *name, uint64_t size, uint64_t wanted, struct hq_error *err)
{
    return hq_fail(err, HQ_E_CORRUPT, "GET %s: truncated: %llu bytes, wanted %llu", name,
                   (unsigned long long)size, (unsigned long long)wanted);
}

/*
 * The range that came begins where it was asked for and is as long as it says, or as the object
 * has. Whether that is enough is for the caller to see: it is no contradiction.
 */
static int
verify_range(const struct hq_s3_request *request, struct hq_s3_response *response,
             struct hq_error *err)
{
    const struct hq_s3_headers *h = &response->headers;
    uint64_t end = request->offset + request->length;

    if (response->status == 206 && h->has_range) {
        uint64_t expected = (h->total < end ? h->total : end) - 1;
        if (h->first != request->offset || h->last != expected)
            return hq_fail(err, HQ_E_CORRUPT, "asked for bytes %llu to %llu, got %llu to %llu",
                           (unsigned long long)request->offset, (unsigned long long)end - 1,
                           (unsigned long long)h->first, (unsigned long long)h->last);
        return h->has_length && h->length != h->last - h->first + 1
                   ? hq_fail(err, HQ_E_CORRUPT, "Content-Range and Content-Length disagree")
                   : 0;
    }
    /* The whole object in place of a range that begins it is as good. */
    if (response->status == 200 && request->offset == 0 && h->has_length)
        return 0;
    return hq_fail(err, HQ_E_CORRUPT, "HTTP %ld without the range asked for", response->status);
}

int
hq_s3_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
          struct hq_buf *out, struct hq_error *err)
{
    struct hq_s3 *s3 = (struct hq_s3 *)store;
    struct hq_s3_request request = {.method = "GET",
                                    .name = name,
                                    .offset = offset,
                                    .length = length,
                                    .sink = out,
                                    .max = (size_t)length,
                                    .verify = verify_range};
    struct hq_s3_response response = {0};
    size_t before = out->len;

    int rc = hq_s3_perform(s3, &request, &response, err);
    const struct hq_s3_headers *h = &response.headers;
    uint64_t got = out->len - before;
    if (rc != 0 && response.status == 416)
        rc = hq_fail(err, HQ_E_CORRUPT, "GET %s: truncated: the object ends before byte %llu", name,
                     (unsigned long long)offset + 1);
    else if (rc == 0 && got != length)
        rc = fail_truncated(name, h->has_range ? h->total : h->length, offset + length, err);
    hq_s3_response_clear(&response);
    return rc;
}

/* libcurl has seen to it that as many bytes came as announced; so something must be announced. */
static int
verify_whole(const struct hq_s3_request *request, struct hq_s3_response *response,
             struct hq_error *err)
{
    (void)request;
    if (response->status != 200 || !response->headers.has_length)
        return hq_fail(err, HQ_E_CORRUPT, "HTTP %ld without the object's length", response->status);
    return 0;
}

int
hq_s3_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
              struct hq_error *err)
{
    struct hq_s3 *s3 = (struct hq_s3 *)store;
    struct hq_s3_request request = {.method = "GET",
                                    .name = name,
                                    .sink = out,
                                    .max = max < SIZE_MAX ? (size_t)max : SIZE_MAX,
                                    .verify = verify_whole};
    struct hq_s3_response response = {0};

    int rc = hq_s3_perform(s3, &request, &response, err);
    hq_s3_response_clear(&response);
    return rc;
}
