/* The suite's table, each test's store, and the helpers. */
#include "storage_conformance_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct hq_conformance *current;

struct hq_store *
conformance_open_again(const struct conformance *c)
{
    struct hq_store_options options = c->subject->options;
    struct hq_store *store = NULL;
    struct hq_error err;

    options.url = c->url;
    if (hq_store_open(&options, &store, &err) != 0)
        fail_msg("open: %s", err.message);
    return store;
}

static int
set_up(void **state)
{
    struct conformance *c = calloc(1, sizeof *c);
    uint64_t label;

    if (c == NULL || getrandom(&label, sizeof label, 0) != sizeof label)
        return -1;
    c->subject = current;
    (void)snprintf(c->label, sizeof c->label, "%016llx", (unsigned long long)label);
    (void)snprintf(c->url, sizeof c->url, "%s%s%s", current->url_head, c->label, current->url_tail);
    *state = c;
    c->store = conformance_open_again(c);
    return 0;
}

/* Leave nothing behind in a bucket: also the only way to see that everything can be deleted. */
static int
tear_down(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names left = {0};
    struct hq_error err;

    conformance_list(c->store, "", &left);
    for (size_t i = 0; i < left.count; i++)
        if (hq_store_delete(c->store, left.object[i].name, &err) != 0)
            fail_msg("%s", err.message);
    hq_store_close(c->store);
    free(c);
    return 0;
}

void
conformance_put(struct conformance *c, const char *name, const char *text)
{
    struct hq_error err;

    if (hq_store_put_bytes(c->store, name, text, strlen(text), &err) != 0)
        fail_msg("%s", err.message);
}

void
conformance_expect(struct conformance *c, const char *name, const void *data, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf whole = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf range = {0};
    struct hq_object_info info;
    struct hq_error err;

    if (hq_store_head(c->store, name, &info, &err) != 0 ||
        hq_store_get_all(c->store, name, len, &whole, &err) != 0 ||
        hq_store_get(c->store, name, 0, len, &range, &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(info.name, name);
    assert_int_equal(info.size, len);
    assert_int_equal(whole.len, len);
    assert_int_equal(range.len, len);
    if (len > 0) {
        assert_memory_equal(whole.data, data, len);
        assert_memory_equal(range.data, data, len);
    }
}

void
conformance_fails(int rc, const struct hq_error *err, enum hq_code code, const char *part)
{
    assert_int_equal(rc, -1);
    if (err->code != code)
        fail_msg("%s, expected %s: %s", hq_code_name(err->code), hq_code_name(code), err->message);
    if (strstr(err->message, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, err->message);
}

uint8_t *
conformance_bytes(uint64_t seed, size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (uint8_t)(x >> 32);
    }
    return bytes;
}

int
conformance_file(const void *data, size_t len)
{
    char path[] = "/tmp/hq-conformance-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    return fd;
}

static int
collect(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct conformance_names *names = context;

    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;
        struct hq_object_info *grown = reallocarray(names->object, capacity, sizeof *grown);
        if (grown == NULL)
            return hq_fail(err, HQ_E_NOMEM, "names");
        names->object = grown;
        names->capacity = capacity;
    }
    names->object[names->count++] = *object;
    return 0;
}

void
conformance_list(struct hq_store *store, const char *prefix, struct conformance_names *out)
{
    struct hq_error err;

    if (hq_store_list(store, prefix, collect, out, &err) != 0)
        fail_msg("%s", err.message);
}

void
conformance_names_clear(struct conformance_names *names)
{
    free(names->object);
    *names = (struct conformance_names){0};
}

struct thread {
    pthread_t id;
    unsigned (*body)(void *argument, unsigned number);
    void *argument;
    unsigned number;
    unsigned result;
};

static void *
run_thread(void *argument)
{
    struct thread *t = argument;

    t->result = t->body(t->argument, t->number);
    return NULL;
}

unsigned
conformance_threads(unsigned (*body)(void *argument, unsigned number), void *argument)
{
    struct thread thread[CONFORMANCE_THREADS];
    unsigned sum = 0;

    for (unsigned i = 0; i < CONFORMANCE_THREADS; i++) {
        thread[i] = (struct thread){.body = body, .argument = argument, .number = i};
        if (pthread_create(&thread[i].id, NULL, run_thread, &thread[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < CONFORMANCE_THREADS; i++) {
        if (pthread_join(thread[i].id, NULL) != 0)
            abort();
        sum += thread[i].result;
    }
    return sum;
}

int
hq_conformance_run(const struct hq_conformance *subject)
{
    static const struct CMUnitTest tests[] = {
#define X(test) cmocka_unit_test_setup_teardown(conformance_##test, set_up, tear_down),
        CONFORMANCE_TESTS(X)
#undef X
    };

    current = subject;
    print_message("conformance of the %s driver\n", subject->name);
    return cmocka_run_group_tests_name(subject->name, tests, NULL, NULL);
}
