/* Opening and closing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "s3_internal.h"

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void
start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void
s3_close(struct hq_store *store)
{
    struct hq_s3 *s3 = (struct hq_s3 *)store;

    hq_s3_pool_clear(&s3->pool);
    hq_s3_credentials_clear(&s3->credentials);
    hq_s3_place_clear(&s3->place);
    free(s3->region);
    free(s3->ca_file);
    free(s3);
}

static const struct hq_store_operations operations = {
    .close = s3_close,
    .put = hq_s3_put,
    .get = hq_s3_get,
    .head = hq_s3_head,
    .list = hq_s3_list,
    .remove = hq_s3_remove,
    .time = hq_s3_time,
    .get_all = hq_s3_get_all,
};

static int
copy_options(struct hq_s3 *s3, const struct hq_store_options *options, struct hq_error *err)
{
    s3->timeout_s = options->timeout_s;
    s3->retry_s = options->retry_s;
    s3->part_bytes = options->part_bytes;
    if ((s3->region = strdup(options->region)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "S3 store");
    if (options->ca_file == NULL)
        return 0;
    /* Now, with the path in the message, rather than as a failed connection later. */
    if (access(options->ca_file, R_OK) != 0) {
        hq_fail(err, HQ_E_CONFIG, "CA file %s: %s", options->ca_file, strerrordesc_np(errno));
        return hq_error_hint(err, "name a readable PEM file in option ca");
    }
    if ((s3->ca_file = strdup(options->ca_file)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "S3 store");
    return 0;
}

int
hq_s3_open(const char *location, const struct hq_store_options *options, struct hq_store **out,
           struct hq_error *err)
{
    struct hq_s3 *s3;

    pthread_once(&curl_once, start_curl);
    if (curl_ready != CURLE_OK)
        return hq_fail(err, HQ_E_SYS, "libcurl: %s", curl_easy_strerror(curl_ready));
    if ((s3 = calloc(1, sizeof *s3)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "S3 store");
    s3->store.operations = &operations;
    if (copy_options(s3, options, err) != 0 ||
        hq_s3_place_init(&s3->place, location, options, err) != 0 ||
        hq_s3_credentials_init(&s3->credentials, options, err) != 0 ||
        hq_s3_pool_init(&s3->pool, options->connections, err) != 0) {
        s3_close(&s3->store);
        return -1;
    }
    *out = &s3->store;
    return 0;
}
