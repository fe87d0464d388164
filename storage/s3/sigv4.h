/**
 * @file sigv4.h
 * AWS Signature Version 4 for S3 ("Authenticating Requests: Using the Authorization Header" in
 * Amazon's S3 API reference). Pure functions: what they return depends on their arguments alone.
 *
 * Exactly one text exists of each path and query: the one signed here is the one that is sent.
 * Threads  reentrant.
 */
#ifndef HQ_S3_SIGV4_H
#define HQ_S3_SIGV4_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    HQ_S3_SHA256_TEXT = 65, /**< 64 digits and a zero */
    HQ_S3_DATE_TEXT = 17,   /**< "20130524T000000Z" and a zero */
    HQ_S3_PAIRS_MAX = 8,
};

/** A header or a query parameter, not encoded. */
struct hq_s3_pair {
    const char *name;
    const char *value;
};

/** What is signed. */
struct hq_s3_canonical {
    const char *method;
    const char *path;  /**< encoded, with its leading slash */
    const char *query; /**< encoded and sorted, without '?' */
    /** Every header that is signed: names in lower case, ascending; values without outer blanks. */
    const struct hq_s3_pair *headers;
    size_t header_count;
    const char *payload_sha256; /**< lower-case hexadecimal */
};

/** Who signs. */
struct hq_s3_signer {
    const char *access_key;
    const char *secret_key;
    const char *region;
};

/** Append @p text, all but A-Za-z0-9-_.~ (and '/' if @p keep_slash) as upper-case %XX. */
void hq_s3_encode(struct hq_buf *out, const char *text, bool keep_slash);
/**
 * Append "a=1&b=" sorted by name.
 * @param pairs at most HQ_S3_PAIRS_MAX, each name of unreserved characters and there once
 */
void hq_s3_encode_query(struct hq_buf *out, const struct hq_s3_pair *pairs, size_t count);
/** "20130524T000000Z". USAGE outside the years 1970 to 9999. */
int hq_s3_date(time_t now, char out[HQ_S3_DATE_TEXT], struct hq_error *err) HQ_MUST_CHECK;
/** Lower-case hexadecimal SHA-256. */
int hq_s3_sha256(const void *data, size_t len, char out[HQ_S3_SHA256_TEXT],
                 struct hq_error *err) HQ_MUST_CHECK;
/** Append the value of the Authorization header for a request made at @p date. */
int hq_s3_authorization(const struct hq_s3_canonical *request, const struct hq_s3_signer *signer,
                        const char *date, struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
