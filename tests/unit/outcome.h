/**
 * @file outcome.h
 * How a test says that a call succeeds, or by which code it fails. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_OUTCOME_H
#define HQ_TESTS_OUTCOME_H

#include "base/error.h"

#define ASSERT_OK(call, err)                                                                       \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s", #call, (err)->message);                                             \
    } while (0)

#define ASSERT_CODE(call, err, expected)                                                           \
    do {                                                                                           \
        assert_int_equal((call), -1);                                                              \
        if ((err)->code != (expected))                                                             \
            fail_msg("%s: %s, not %s: %s", #call, hq_code_name((err)->code),                       \
                     hq_code_name(expected), (err)->message);                                      \
    } while (0)

#endif
