/* Large objects and many threads. */
#include "storage_conformance_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* More than a full pack, and not a multiple of anything. */
enum {
    LARGE = (33 << 20) + 17
};

static void
expect_large(struct conformance *c, const char *name, const uint8_t *bytes, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    if (hq_store_get_all(c->store, name, len, &out, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(out.len, len);
    /* Not assert_memory_equal, which would print every difference. */
    assert_true(memcmp(out.data, bytes, len) == 0);
    out.len = 0;
    if (hq_store_get(c->store, name, len / 2 - 1000, 2000, &out, &err) != 0)
        fail_msg("%s", err.message);
    assert_true(memcmp(out.data, bytes + len / 2 - 1000, 2000) == 0);
    conformance_fails(hq_store_get(c->store, name, len - 1, 2, &out, &err), &err, HQ_E_CORRUPT,
                      "truncated");
}

void
conformance_large_from_memory(void **state)
{
    struct conformance *c = *state;
    HQ_FREE uint8_t *bytes = conformance_bytes(3, LARGE);
    struct hq_error err;

    conformance_put(c, "packs/large", "small, to be replaced");
    if (hq_store_put_bytes(c->store, "packs/large", bytes, LARGE, &err) != 0)
        fail_msg("%s", err.message);
    expect_large(c, "packs/large", bytes, LARGE);
}

void
conformance_large_from_file(void **state)
{
    struct conformance *c = *state;
    HQ_FREE uint8_t *bytes = conformance_bytes(4, LARGE);
    HQ_CLOSE int fd = conformance_file(bytes, LARGE);
    struct hq_body body = {.data = NULL, .fd = fd, .size = LARGE};
    struct hq_error err;

    if (hq_store_put(c->store, "packs/large", &body, &err) != 0)
        fail_msg("%s", err.message);
    expect_large(c, "packs/large", bytes, LARGE);

    /* A file that ends in the middle of a later part leaves nothing of the earlier ones. */
    body.size = LARGE + 1;
    assert_int_equal(hq_store_put(c->store, "packs/short", &body, &err), -1);
    struct hq_object_info info;
    conformance_fails(hq_store_head(c->store, "packs/short", &info, &err), &err, HQ_E_MISSING,
                      "packs/short");
}

void
conformance_sizes_around_a_part(void **state)
{
    struct conformance *c = *state;
    uint64_t part = c->subject->options.part_bytes;
    struct hq_error err;

    if (part == 0)
        part = UINT64_C(32) << 20;
    HQ_FREE uint8_t *bytes = conformance_bytes(5, 2 * part + 1);
    const uint64_t sizes[] = {part - 1, part, part + 1, 2 * part, 2 * part + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (hq_store_put_bytes(c->store, "packs/part", bytes, sizes[i], &err) != 0)
            fail_msg("%llu bytes: %s", (unsigned long long)sizes[i], err.message);
        expect_large(c, "packs/part", bytes, sizes[i]);
    }
}

enum {
    ROUNDS = 12
};

/* Whose bytes these are follows from the first; whether they are whole from the size. */
static size_t
size_of_seed(uint8_t seed)
{
    return 1000 + (size_t)seed * 977;
}

static bool
is_whole(const struct hq_buf *b)
{
    if (b->len == 0 || b->len != size_of_seed(b->data[0]))
        return false;
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] != b->data[0])
            return false;
    return true;
}

static unsigned
put_and_read_one_name(void *argument, unsigned number)
{
    struct conformance *c = argument;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    uint8_t seed = (uint8_t)(number + 1);
    size_t size = size_of_seed(seed);
    HQ_FREE uint8_t *bytes = malloc(size);
    struct hq_error err;
    unsigned wrong = 0;

    if (bytes == NULL)
        return 1;
    memset(bytes, seed, size);
    for (int i = 0; i < ROUNDS; i++) {
        if (hq_store_put_bytes(c->store, "one", bytes, size, &err) != 0)
            wrong++;
        out.len = 0;
        /* Eight writers of eight sizes may well outrun the reader: BUSY, never a mixture. */
        int rc = hq_store_get_all(c->store, "one", 1 << 20, &out, &err);
        if (rc == 0 ? !is_whole(&out) : err.code != HQ_E_BUSY)
            wrong++;
    }
    return wrong;
}

void
conformance_threads_on_one_name(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    assert_int_equal(conformance_threads(put_and_read_one_name, c), 0);
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, 1);
    assert_int_equal(hq_store_get_all(c->store, "one", 1 << 20, &out, &err), 0);
    assert_true(is_whole(&out));
}

/* Put, read back, and delete every third: in folders that all threads make at the same time. */
static unsigned
work_on_many_names(void *argument, unsigned number)
{
    struct conformance *c = argument;
    struct hq_error err;
    struct hq_object_info info;
    char name[64];
    unsigned wrong = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf out = {0};
        (void)snprintf(name, sizeof name, "new/%u/deep/%u", i, number);
        if (hq_store_put_bytes(c->store, name, name, strlen(name), &err) != 0 ||
            hq_store_get_all(c->store, name, 64, &out, &err) != 0 || out.len != strlen(name) ||
            memcmp(out.data, name, out.len) != 0)
            wrong++;
        if (i % 3 == 0 && (hq_store_delete(c->store, name, &err) != 0 ||
                           hq_store_head(c->store, name, &info, &err) == 0))
            wrong++;
    }
    return wrong;
}

void
conformance_threads_on_many_names(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};

    assert_int_equal(conformance_threads(work_on_many_names, c), 0);
    conformance_list(c->store, "new/", &names);
    assert_int_equal(names.count, CONFORMANCE_THREADS * (ROUNDS - ROUNDS / 3));
}
