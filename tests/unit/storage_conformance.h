/**
 * @file storage_conformance.h
 * The contract of storage/storage.h as tests: one suite, run against every driver.
 */
#ifndef HQ_TESTS_STORAGE_CONFORMANCE_H
#define HQ_TESTS_STORAGE_CONFORMANCE_H

#include "storage/storage.h"

/** A driver to try. Each test opens url_head + "<fresh label>" + url_tail, an empty store. */
struct hq_conformance {
    const char *name;                /**< shown in the results */
    const char *url_head;            /**< "/tmp/x/", "s3://bucket/prefix/" */
    const char *url_tail;            /**< "", "?endpoint=..." */
    struct hq_store_options options; /**< all but the URL */
    size_t many;                     /**< objects in the long listing */
    int64_t clock_step_us;           /**< resolution of times, as 1 s with S3 */
};

/** Run all tests. @return how many failed. */
int hq_conformance_run(const struct hq_conformance *subject);

#endif
