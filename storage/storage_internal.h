/**
 * @file storage_internal.h
 * What a repository URL says, taken apart; shared by storage.c and url.c.
 */
#ifndef HQ_STORAGE_STORAGE_INTERNAL_H
#define HQ_STORAGE_STORAGE_INTERNAL_H

#include "storage/storage.h"

enum hq_target_kind {
    HQ_TARGET_POSIX,
    HQ_TARGET_S3,
    HQ_TARGET_MEMORY
};

/** A URL resolved: which driver, what it opens, and all options with their defaults. */
struct hq_target {
    enum hq_target_kind kind;
    const char *location;            /**< "/path", "bucket/prefix", a memory store's name */
    struct hq_store_options options; /**< URL over fields over defaults */
    char *text;                      /**< owned; what came from the URL points into it */
};

/**
 * Take @p options apart. Errors (USAGE) never quote the URL beyond its scheme and option names:
 * somebody may have put a secret into it.
 * @param out release with hq_target_clear() on success
 */
int hq_target_parse(const struct hq_store_options *options, struct hq_target *out,
                    struct hq_error *err) HQ_MUST_CHECK;
void hq_target_clear(struct hq_target *target);
/** The URL for people: scheme, place and, for S3, the endpoint. NULL: NOMEM. Free with free(). */
char *hq_target_url(const struct hq_target *target, struct hq_error *err) HQ_MUST_CHECK;

#endif
