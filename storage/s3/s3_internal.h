/**
 * @file s3_internal.h
 * The S3 driver's inside: an operation (put.c, get.c, ...) describes one request, retry.c repeats
 * it, request.c makes one attempt over a pooled connection, error.c says what an answer means.
 */
#ifndef HQ_S3_INTERNAL_H
#define HQ_S3_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "place.h"
#include "sigv4.h"
#include "storage/driver.h"
#include "xml.h"

enum {
    HQ_S3_MD5_TEXT = 33,
    HQ_S3_MD5_BASE64 = 25,
    HQ_S3_ETAG_MAX = 256
};

/** Owned texts, wiped by hq_s3_credentials_clear(). */
struct hq_s3_credentials {
    char *access_key;
    char *secret_key;
    char *session_token; /**< NULL: none */
};

/** Connections, each an easy handle that keeps its connection alive between requests. */
struct hq_s3_pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    CURL **idle; /**< idle[0 .. idle_count): the last one used is taken first */
    size_t idle_count;
    size_t made; /**< handles that exist; idle_count <= made <= limit */
    size_t limit;
};

struct hq_s3 {
    struct hq_store store; /**< first: a driver's struct begins with it */
    struct hq_s3_place place;
    struct hq_s3_credentials credentials;
    struct hq_s3_pool pool;
    char *region;
    char *ca_file; /**< NULL: the system's */
    uint32_t timeout_s;
    uint32_t retry_s;
    uint64_t part_bytes;
    atomic_bool bucket_seen; /**< some request succeeded, so a 404 is about the object */
    atomic_bool list_v1;     /**< the store has no ListObjectsV2 */
};

/** What a request sends: a stretch of a body, and its checksums. */
struct hq_s3_payload {
    const struct hq_body *body;
    uint64_t offset;
    uint64_t size;
    char sha256[HQ_S3_SHA256_TEXT];
    char md5[HQ_S3_MD5_TEXT]; /**< "" where this machine's policy forbids MD5 */
    char md5_base64[HQ_S3_MD5_BASE64];
};

/** Headers of an answer, as far as they matter. */
struct hq_s3_headers {
    bool has_length;
    bool has_range; /**< Content-Range: first, last, total */
    uint64_t length;
    uint64_t first;
    uint64_t last;
    uint64_t total;
    int64_t date_us;       /**< 0: none */
    int64_t modified_us;   /**< 0: none */
    int64_t retry_after_s; /**< 0: none */
    char etag[HQ_S3_ETAG_MAX];
    char encryption[32]; /**< x-amz-server-side-encryption */
    bool customer_key;   /**< encrypted with a key of the caller's */
    char region[64];     /**< x-amz-bucket-region */
};

/** `= {0}` before the first attempt; hq_s3_response_clear() after the last. */
struct hq_s3_response {
    long status;    /**< 0: no answer */
    bool final;     /**< repeating can't help, whatever the error's code says */
    bool no_upload; /**< the error was NoSuchUpload */
    struct hq_s3_headers headers;
    struct hq_buf body; /**< of a failure, or of a success without a sink */
};

struct hq_s3_request;
/** Whether a successful answer agrees with itself and with what was sent. @return 0 or -1. */
typedef int hq_s3_verify(const struct hq_s3_request *request, struct hq_s3_response *response,
                         struct hq_error *err);

struct hq_s3_request {
    const char *method;
    const char *name; /**< object, or NULL: the bucket */
    struct hq_s3_pair query[HQ_S3_PAIRS_MAX];
    size_t query_count;
    const struct hq_s3_payload *payload; /**< NULL: nothing is sent */
    uint64_t offset;                     /**< with length > 0: the range asked for */
    uint64_t length;
    struct hq_buf *sink;  /**< where a success's body is appended; cut back on failure */
    size_t max;           /**< most bytes of a success's body; more is CORRUPT */
    hq_s3_verify *verify; /**< NULL: none */
};

/** How often and until when; `= {0}`. */
struct hq_s3_retry {
    unsigned tries;      /**< that failed */
    int64_t deadline_us; /**< monotonic; set at the first failure */
    int64_t began_us;
};

/* credentials.c */
/** From the options or else the environment (storage.h). CONFIG if a key is nowhere. */
int hq_s3_credentials_init(struct hq_s3_credentials *out, const struct hq_store_options *options,
                           struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_credentials_clear(struct hq_s3_credentials *credentials);

/* pool.c */
int hq_s3_pool_init(struct hq_s3_pool *pool, size_t limit, struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_pool_clear(struct hq_s3_pool *pool);
/** A handle without options, waiting while all are in use. NULL: NOMEM. */
CURL *hq_s3_pool_take(struct hq_s3_pool *pool, struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_pool_return(struct hq_s3_pool *pool, CURL *easy);

/* payload.c */
/** Read the stretch once and hash it. @p body is borrowed until the request is done. */
int hq_s3_payload_init(struct hq_s3_payload *out, const struct hq_body *body, uint64_t offset,
                       uint64_t size, struct hq_error *err) HQ_MUST_CHECK;
/** Copy @p len bytes from @p at of the stretch. */
int hq_s3_payload_read(const struct hq_s3_payload *payload, uint64_t at, void *out, size_t len,
                       struct hq_error *err) HQ_MUST_CHECK;

/* header.c */
/** Take one header line of @p len bytes into @p headers; what is not understood is ignored. */
void hq_s3_header_read(struct hq_s3_headers *headers, const char *line, size_t len);

/* signed.c */
/** Build the URL and the signed headers of @p request as of now. Release @p headers, also after a
 * failure, with hq_s3_signed_headers_free(). */
int hq_s3_signed_headers(const struct hq_s3 *s3, const struct hq_s3_request *request,
                         struct hq_buf *url, struct curl_slist **headers,
                         struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_signed_headers_free(struct curl_slist *headers);

/* request.c */
void hq_s3_response_clear(struct hq_s3_response *response);
/** One attempt, whatever its status. @return 0 if there was an answer. */
int hq_s3_request_once(struct hq_s3 *s3, const struct hq_s3_request *request,
                       struct hq_s3_response *response, struct hq_error *err) HQ_MUST_CHECK;

/* error.c */
/** The error of a transfer that failed without an answer. @p detail is libcurl's text. -1. */
int hq_s3_transport_error(const struct hq_s3 *s3, CURLcode rc, const char *detail,
                          struct hq_error *err);
/** The error of an answer that is no success (or, at 200, holds an error document). -1. */
int hq_s3_answer_error(const struct hq_s3 *s3, struct hq_s3_response *response,
                       struct hq_error *err);

/* retry.c */
/** One attempt: 0 only for a success that passed its verification. */
int hq_s3_try(struct hq_s3 *s3, const struct hq_s3_request *request,
              struct hq_s3_response *response, struct hq_error *err) HQ_MUST_CHECK;
/**
 * After a failed attempt: whether another one makes sense; if so, waits before it returns true.
 * If not, @p err says how often it was tried.
 */
bool hq_s3_retry_again(const struct hq_s3 *s3, struct hq_s3_retry *retry,
                       const struct hq_s3_response *response, struct hq_error *err);
/** hq_s3_try() until success or until repeating is of no use; names the request in @p err. */
int hq_s3_perform(struct hq_s3 *s3, const struct hq_s3_request *request,
                  struct hq_s3_response *response, struct hq_error *err) HQ_MUST_CHECK;

/* get.c, put.c, multipart.c, list.c, object.c: the operations of driver.h */
int hq_s3_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
              struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
                  struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_put(struct hq_store *store, const char *name, const struct hq_body *body,
              struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_head(struct hq_store *store, const char *name, struct hq_object_info *out,
               struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_remove(struct hq_store *store, const char *name, struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
               struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_time(struct hq_store *store, int64_t *now_us, struct hq_error *err) HQ_MUST_CHECK;
/** Put a body larger than a part. */
int hq_s3_put_parts(struct hq_s3 *s3, const char *name, const struct hq_body *body,
                    struct hq_error *err) HQ_MUST_CHECK;
/** The ETag of a put or part answers the MD5 of what was sent, where it is one. */
int hq_s3_verify_put(const struct hq_s3_request *request, struct hq_s3_response *response,
                     struct hq_error *err) HQ_MUST_CHECK;

#endif
