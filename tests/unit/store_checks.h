/**
 * @file store_checks.h
 * What the tests of the drivers share. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_STORE_CHECKS_H
#define HQ_TESTS_STORE_CHECKS_H

#include "storage/storage.h"

static inline struct hq_store *
open_store(const char *url, bool create)
{
    struct hq_store_options options = {.url = url, .create = create};
    struct hq_store *store = NULL;
    struct hq_error err;

    if (hq_store_open(&options, &store, &err) != 0)
        fail_msg("%s", err.message);
    return store;
}

static inline int
count_object(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)object;
    (void)err;
    ++*(unsigned *)context;
    return 0;
}

static inline unsigned
objects_in(struct hq_store *store)
{
    struct hq_error err;
    unsigned n = 0;

    assert_int_equal(hq_store_list(store, "", count_object, &n, &err), 0);
    return n;
}

#endif
