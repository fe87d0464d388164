/*
 * storage_s3_probe COMMAND [ARGUMENT...]: one operation on the store HQ_TEST_STORE_URL, for
 * storage.sh. Prints "OK ..." or "CODE: message | hint" and always exits 0, so that the script
 * compares texts. HQ_TEST_TIMEOUT_S and HQ_TEST_RETRY_S bound the patience.
 *
 *   put NAME BYTES     a pattern that depends on NAME
 *   check NAME BYTES   read it back, whole and in a range, and compare
 *   get NAME OFFSET LENGTH
 *   head NAME, delete NAME, list PREFIX (count), time (distance to the local clock, s)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "storage/storage.h"

static uint64_t
number(const char *text)
{
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static int
make_pattern(const char *name, uint64_t size, struct hq_buf *out, struct hq_error *err)
{
    uint8_t *bytes = hq_buf_grow(out, (size_t)size);
    uint32_t state = 2166136261u;

    if (hq_buf_check(out, "pattern", err) != 0)
        return -1;
    for (; *name != '\0'; name++)
        state = (state ^ (uint8_t)*name) * 16777619u;
    for (uint64_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
    return 0;
}

static int
put(struct hq_store *store, const char *name, uint64_t size, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};

    if (make_pattern(name, size, &bytes, err) != 0)
        return -1;
    return hq_store_put_bytes(store, name, bytes.data, bytes.len, err);
}

static int
check(struct hq_store *store, const char *name, uint64_t size, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf expected = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf whole = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf range = {0};
    uint64_t offset = size / 3;

    if (make_pattern(name, size, &expected, err) != 0 ||
        hq_store_get_all(store, name, size, &whole, err) != 0 ||
        hq_store_get(store, name, offset, size - offset, &range, err) != 0)
        return -1;
    if (whole.len != expected.len || memcmp(whole.data, expected.data, whole.len) != 0 ||
        range.len != size - offset || memcmp(range.data, expected.data + offset, range.len) != 0)
        return hq_fail(err, HQ_E_CHECK, "%s: other bytes than stored", name);
    return 0;
}

static int
count(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)object;
    (void)err;
    ++*(uint64_t *)context;
    return 0;
}

static int
run(struct hq_store *store, char **argument, uint64_t *result, struct hq_error *err)
{
    const char *command = argument[0];
    const char *name = argument[1] == NULL ? "" : argument[1];
    const char *first = argument[1] == NULL ? NULL : argument[2];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_object_info info;
    int64_t now_us;

    if (strcmp(command, "put") == 0)
        return put(store, name, number(first), err);
    if (strcmp(command, "check") == 0)
        return check(store, name, number(first), err);
    if (strcmp(command, "get") == 0)
        return hq_store_get(store, name, number(first), number(first == NULL ? NULL : argument[3]),
                            &out, err);
    if (strcmp(command, "delete") == 0)
        return hq_store_delete(store, name, err);
    if (strcmp(command, "list") == 0)
        return hq_store_list(store, name, count, result, err);
    if (strcmp(command, "head") == 0) {
        int rc = hq_store_head(store, name, &info, err);
        *result = rc == 0 ? info.size : 0;
        return rc;
    }
    if (strcmp(command, "time") != 0)
        return hq_fail(err, HQ_E_USAGE, "%s: unknown command", command);
    int rc = hq_store_time(store, &now_us, err);
    *result = (uint64_t)llabs(hq_clock_wall_us() - now_us) / 1000000;
    return rc;
}

int
main(int argc, char **argv)
{
    struct hq_store_options options = {
        .url = getenv("HQ_TEST_STORE_URL"),
        .timeout_s = (uint32_t)number(getenv("HQ_TEST_TIMEOUT_S")),
        .retry_s = (uint32_t)number(getenv("HQ_TEST_RETRY_S")),
        .part_bytes = UINT64_C(5) << 20,
    };
    struct hq_store *store = NULL;
    struct hq_error err = {0};
    uint64_t result = 0;

    if (argc < 2)
        return 2;
    int rc = hq_store_open(&options, &store, &err);
    if (rc == 0)
        rc = run(store, argv + 1, &result, &err);
    hq_store_close(store);
    if (rc == 0)
        (void)printf("OK %llu\n", (unsigned long long)result);
    else
        (void)printf("%s: %s | %s\n", hq_code_name(err.code), err.message, err.hint);
    return 0;
}
