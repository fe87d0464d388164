/**
 * @file place.h
 * Where a repository's objects are: endpoint, bucket and prefix taken apart once, so that each
 * request only joins texts.
 */
#ifndef HQ_S3_PLACE_H
#define HQ_S3_PLACE_H

#include "storage/storage.h"

struct hq_s3_place {
    char *origin; /**< "https://host[:port]", without a default port */
    char *host;   /**< value of the Host header */
    char *bucket;
    char *root;   /**< path of the bucket: "/bucket", or "" in virtual-host style */
    char *prefix; /**< before every name: "" or "prefix/" */
};

/**
 * @param location "bucket[/prefix]"
 * @param out      release with hq_s3_place_clear() in any case
 * @return 0, or -1: USAGE
 */
int hq_s3_place_init(struct hq_s3_place *out, const char *location,
                     const struct hq_store_options *options, struct hq_error *err) HQ_MUST_CHECK;
void hq_s3_place_clear(struct hq_s3_place *place);
/** Append the encoded path of object @p name, or of the bucket if NULL. */
void hq_s3_place_path(const struct hq_s3_place *place, const char *name, struct hq_buf *out);

#endif
