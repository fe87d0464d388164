/* Size, removal and the store's clock. */
#include <string.h>

#include "s3_internal.h"

static int
verify_head(const struct hq_s3_request *request, struct hq_s3_response *response,
            struct hq_error *err)
{
    (void)request;
    if (!response->headers.has_length)
        return hq_fail(err, HQ_E_CORRUPT, "the store did not tell the object's size");
    return 0;
}

int
hq_s3_head(struct hq_store *store, const char *name, struct hq_object_info *out,
           struct hq_error *err)
{
    struct hq_s3_request request = {.method = "HEAD", .name = name, .verify = verify_head};
    struct hq_s3_response response = {0};

    int rc = hq_s3_perform((struct hq_s3 *)store, &request, &response, err);
    if (rc == 0) {
        *out = (struct hq_object_info){.size = response.headers.length,
                                       .modified_us = response.headers.modified_us};
        strcpy(out->name, name); /* names are at most HQ_OBJECT_NAME_MAX long */
    }
    hq_s3_response_clear(&response);
    return rc;
}

int
hq_s3_remove(struct hq_store *store, const char *name, struct hq_error *err)
{
    struct hq_s3_request request = {.method = "DELETE", .name = name, .max = 64 * 1024};
    struct hq_s3_response response = {0};

    int rc = hq_s3_perform((struct hq_s3 *)store, &request, &response, err);
    hq_s3_response_clear(&response);
    /* S3 answers 204 for what is not there; some answer 404. A missing bucket is REFUSED. */
    return rc != 0 && err->code == HQ_E_MISSING ? 0 : rc;
}

static int
verify_date(const struct hq_s3_request *request, struct hq_s3_response *response,
            struct hq_error *err)
{
    (void)request;
    if (response->headers.date_us == 0)
        return hq_fail(err, HQ_E_CORRUPT, "the store's answer has no date");
    return 0;
}

int
hq_s3_time(struct hq_store *store, int64_t *now_us, struct hq_error *err)
{
    struct hq_s3_request request = {.method = "HEAD", .verify = verify_date};
    struct hq_s3_response response = {0};

    int rc = hq_s3_perform((struct hq_s3 *)store, &request, &response, err);
    *now_us = response.headers.date_us;
    hq_s3_response_clear(&response);
    return rc;
}
