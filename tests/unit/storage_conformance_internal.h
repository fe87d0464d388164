/**
 * @file storage_conformance_internal.h
 * What the files of the conformance suite share.
 */
#ifndef HQ_TESTS_STORAGE_CONFORMANCE_INTERNAL_H
#define HQ_TESTS_STORAGE_CONFORMANCE_INTERNAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage_conformance.h"

enum {
    CONFORMANCE_THREADS = 8
};

/** One test's surroundings: an empty store, and its URL to open it again. */
struct conformance {
    const struct hq_conformance *subject;
    struct hq_store *store;
    char label[17]; /**< the part of the URL that is this test's own */
    char url[2048];
};

/** Open the test's store once more. */
struct hq_store *conformance_open_again(const struct conformance *c);
/** Put @p text, which must work. */
void conformance_put(struct conformance *c, const char *name, const char *text);
/** The object must hold exactly these bytes, by head, get and get_all. */
void conformance_expect(struct conformance *c, const char *name, const void *data, size_t len);
/** The call returned @p rc: it must have failed with @p code and a message holding @p part. */
void conformance_fails(int rc, const struct hq_error *err, enum hq_code code, const char *part);
/** @p len bytes that depend on @p seed and position; free with free(). Ends the test on ENOMEM. */
uint8_t *conformance_bytes(uint64_t seed, size_t len);
/** A temporary file with these bytes, already unlinked; close it. */
int conformance_file(const void *data, size_t len);

/** Names collected from a listing. */
struct conformance_names {
    struct hq_object_info *object;
    size_t count;
    size_t capacity;
};

/** List @p prefix, which must work; release with conformance_names_clear(). */
void conformance_list(struct hq_store *store, const char *prefix, struct conformance_names *out);
void conformance_names_clear(struct conformance_names *names);

/** Run @p body(argument, 0 .. CONFORMANCE_THREADS - 1) at once; the sum of what they return. */
unsigned conformance_threads(unsigned (*body)(void *argument, unsigned number), void *argument);

#define CONFORMANCE_TESTS(X)                                                                       \
    X(put_then_get)                                                                                \
    X(put_replaces)                                                                                \
    X(put_again_is_harmless)                                                                       \
    X(empty_object)                                                                                \
    X(get_of_nothing)                                                                              \
    X(get_beyond_the_end)                                                                          \
    X(get_keeps_what_out_holds)                                                                    \
    X(get_all_up_to_max)                                                                           \
    X(get_all_sees_old_or_new)                                                                     \
    X(missing_object)                                                                              \
    X(delete_removes)                                                                              \
    X(delete_of_nothing)                                                                           \
    X(body_from_file)                                                                              \
    X(body_from_short_file)                                                                        \
    X(times_are_the_stores)                                                                        \
    X(handles_see_each_other)                                                                      \
    X(url_for_people)                                                                              \
    X(list_of_nothing)                                                                             \
    X(list_is_in_byte_order)                                                                       \
    X(list_by_prefix)                                                                              \
    X(list_tells_size_and_time)                                                                    \
    X(list_ends_when_told)                                                                         \
    X(list_of_many)                                                                                \
    X(names_refused)                                                                               \
    X(prefixes_refused)                                                                            \
    X(odd_names_are_fine)                                                                          \
    X(large_from_memory)                                                                           \
    X(large_from_file)                                                                             \
    X(sizes_around_a_part)                                                                         \
    X(threads_on_one_name)                                                                         \
    X(threads_on_many_names)

#define X(test) void conformance_##test(void **state);
CONFORMANCE_TESTS(X)
#undef X

#endif
