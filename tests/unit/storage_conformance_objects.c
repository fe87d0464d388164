/* Put, get, head, delete and time of single objects. */
#include "storage_conformance_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

void
conformance_put_then_get(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    HQ_FREE uint8_t *bytes = conformance_bytes(1, 5000);
    static const size_t ranges[][2] = {{0, 1}, {0, 5000}, {1, 4999}, {4999, 1}, {1234, 2345}};
    struct hq_error err;

    assert_int_equal(hq_store_put_bytes(c->store, "packs/00/one", bytes, 5000, &err), 0);
    conformance_expect(c, "packs/00/one", bytes, 5000);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        size_t offset = ranges[i][0];
        size_t length = ranges[i][1];
        out.len = 0;
        assert_int_equal(hq_store_get(c->store, "packs/00/one", offset, length, &out, &err), 0);
        assert_int_equal(out.len, length);
        assert_memory_equal(out.data, bytes + offset, length);
    }
}

void
conformance_put_replaces(void **state)
{
    struct conformance *c = *state;

    conformance_put(c, "repository.json", "short");
    conformance_put(c, "repository.json", "much longer than before");
    conformance_expect(c, "repository.json", "much longer than before", 23);
    conformance_put(c, "repository.json", "x");
    conformance_expect(c, "repository.json", "x", 1);
    conformance_put(c, "repository.json", "");
    conformance_expect(c, "repository.json", "", 0);
}

void
conformance_put_again_is_harmless(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};

    for (int i = 0; i < 3; i++)
        conformance_put(c, "index/0123", "the same bytes");
    conformance_expect(c, "index/0123", "the same bytes", 14);
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, 1);
}

void
conformance_empty_object(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;
    struct hq_body body = {.data = NULL, .fd = conformance_file("", 0), .size = 0};

    assert_int_equal(hq_store_put_bytes(c->store, "a/null", NULL, 0, &err), 0);
    assert_int_equal(hq_store_put_bytes(c->store, "a/text", "x", 0, &err), 0);
    assert_int_equal(hq_store_put(c->store, "a/file", &body, &err), 0);
    assert_int_equal(close(body.fd), 0);
    conformance_expect(c, "a/null", "", 0);
    conformance_expect(c, "a/text", "", 0);
    conformance_expect(c, "a/file", "", 0);
    conformance_list(c->store, "a/", &names);
    assert_int_equal(names.count, 3);
    for (size_t i = 0; i < names.count; i++)
        assert_int_equal(names.object[i].size, 0);
    conformance_fails(hq_store_get(c->store, "a/null", 0, 1, &out, &err), &err, HQ_E_CORRUPT,
                      "truncated");
}

void
conformance_get_of_nothing(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    conformance_put(c, "a/b", "12345");
    assert_int_equal(hq_store_get(c->store, "a/b", 0, 0, &out, &err), 0);
    assert_int_equal(hq_store_get(c->store, "a/b", 3, 0, &out, &err), 0);
    assert_int_equal(hq_store_get(c->store, "a/b", 5, 0, &out, &err), 0);
    conformance_fails(hq_store_get(c->store, "a/b", 6, 0, &out, &err), &err, HQ_E_CORRUPT,
                      "truncated");
    conformance_fails(hq_store_get(c->store, "a/c", 0, 0, &out, &err), &err, HQ_E_MISSING, "a/c");
    assert_int_equal(out.len, 0);
}

void
conformance_get_beyond_the_end(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    static const uint64_t ranges[][2] = {
        {0, 6},           {5, 1},          {4, 2},
        {6, 1},           {100, 100},      {0, UINT64_C(1) << 50},
        {1, UINT64_MAX},  {UINT64_MAX, 1}, {UINT64_MAX, UINT64_MAX},
        {INT64_MAX, 100}, {INT64_MAX, 1},  {0, INT64_MAX},
    };
    struct hq_error err;

    conformance_put(c, "wal/c/1", "12345");
    hq_buf_put(&out, "kept", 4);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        int rc = hq_store_get(c->store, "wal/c/1", ranges[i][0], ranges[i][1], &out, &err);
        conformance_fails(rc, &err, HQ_E_CORRUPT, "truncated");
        conformance_fails(rc, &err, HQ_E_CORRUPT, "wal/c/1");
        assert_int_equal(out.len, 4);
        assert_memory_equal(out.data, "kept", 4);
    }
    /* A length made up by somebody else must not have been allocated. */
    assert_true(out.cap < 1 << 20);
}

void
conformance_get_keeps_what_out_holds(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    conformance_put(c, "a", "12345");
    assert_int_equal(hq_store_get(c->store, "a", 1, 2, &out, &err), 0);
    assert_int_equal(hq_store_get_all(c->store, "a", 5, &out, &err), 0);
    assert_int_equal(hq_store_get(c->store, "a", 4, 1, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "23123455");
}

void
conformance_get_all_up_to_max(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    conformance_put(c, "m/five", "12345");
    conformance_put(c, "m/none", "");
    hq_buf_put(&out, "kept", 4);
    conformance_fails(hq_store_get_all(c->store, "m/five", 4, &out, &err), &err, HQ_E_CORRUPT,
                      "m/five");
    conformance_fails(hq_store_get_all(c->store, "m/five", 0, &out, &err), &err, HQ_E_CORRUPT,
                      "m/five");
    assert_int_equal(out.len, 4);
    assert_int_equal(hq_store_get_all(c->store, "m/none", 0, &out, &err), 0);
    assert_int_equal(out.len, 4);
    assert_int_equal(hq_store_get_all(c->store, "m/five", UINT64_MAX, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "kept12345");
}

struct replacing {
    struct hq_store *store;
    atomic_bool stop;
    struct hq_error err;
    int rc;
};

/* "AAAA" and "BBBBBBBB" in turn: a reader must never see "BBBB", "AA" or a mixture. */
static void *
replace_until_told(void *argument)
{
    struct replacing *r = argument;

    for (int i = 0; !atomic_load(&r->stop) && r->rc == 0; i++) {
        r->rc = hq_store_put_bytes(r->store, "repository.json", i % 2 == 0 ? "AAAA" : "BBBBBBBB",
                                   i % 2 == 0 ? 4 : 8, &r->err);
        (void)usleep(2000);
    }
    return NULL;
}

void
conformance_get_all_sees_old_or_new(void **state)
{
    struct conformance *c = *state;
    struct replacing r = {.store = c->store};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    unsigned wrong = 0;
    pthread_t thread;
    struct hq_error err;

    conformance_put(c, "repository.json", "AAAA");
    assert_int_equal(pthread_create(&thread, NULL, replace_until_told, &r), 0);
    for (int i = 0; i < 200; i++) {
        out.len = 0;
        int rc = hq_store_get_all(c->store, "repository.json", 8, &out, &err);
        const char *text = hq_buf_text(&out);
        if (rc != 0 ? err.code != HQ_E_BUSY
                    : strcmp(text, "AAAA") != 0 && strcmp(text, "BBBBBBBB") != 0)
            wrong++;
    }
    atomic_store(&r.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(r.rc, 0);
    assert_int_equal(wrong, 0);
}

void
conformance_missing_object(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    static const char *const names[] = {"a", "backups/c/none", "x/y/z/none", "there/no", "ther"};
    struct hq_object_info info;
    struct hq_error err;

    conformance_put(c, "there/yes", "1");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = names[i];
        conformance_fails(hq_store_get(c->store, name, 0, 1, &out, &err), &err, HQ_E_MISSING, name);
        conformance_fails(hq_store_get_all(c->store, name, 9, &out, &err), &err, HQ_E_MISSING,
                          name);
        conformance_fails(hq_store_head(c->store, name, &info, &err), &err, HQ_E_MISSING, name);
    }
    /* A folder is no object, and nothing is below an object. */
    conformance_fails(hq_store_head(c->store, "there", &info, &err), &err, HQ_E_MISSING, "there");
    conformance_fails(hq_store_get(c->store, "there", 0, 1, &out, &err), &err, HQ_E_MISSING,
                      "there");
    conformance_fails(hq_store_head(c->store, "there/yes/no", &info, &err), &err, HQ_E_MISSING,
                      "there/yes/no");
    assert_int_equal(out.len, 0);
}

void
conformance_delete_removes(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    struct hq_object_info info;
    struct hq_error err;

    conformance_put(c, "packs/aa/1", "one");
    conformance_put(c, "packs/aa/2", "two");
    assert_int_equal(hq_store_delete(c->store, "packs/aa/1", &err), 0);
    conformance_fails(hq_store_head(c->store, "packs/aa/1", &info, &err), &err, HQ_E_MISSING,
                      "packs/aa/1");
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, 1);
    conformance_expect(c, "packs/aa/2", "two", 3);
    conformance_put(c, "packs/aa/1", "again");
    conformance_expect(c, "packs/aa/1", "again", 5);
}

void
conformance_delete_of_nothing(void **state)
{
    struct conformance *c = *state;
    struct hq_error err;

    conformance_put(c, "a/b", "1");
    assert_int_equal(hq_store_delete(c->store, "none", &err), 0);
    assert_int_equal(hq_store_delete(c->store, "no/such/folder", &err), 0);
    /* Neither the folder nor what is below an object is an object; both must survive. */
    assert_int_equal(hq_store_delete(c->store, "a", &err), 0);
    assert_int_equal(hq_store_delete(c->store, "a/b/c", &err), 0);
    conformance_expect(c, "a/b", "1", 1);
    assert_int_equal(hq_store_delete(c->store, "a/b", &err), 0);
    assert_int_equal(hq_store_delete(c->store, "a/b", &err), 0);
}

void
conformance_body_from_file(void **state)
{
    struct conformance *c = *state;
    HQ_FREE uint8_t *bytes = conformance_bytes(2, 100000);
    HQ_CLOSE int fd = conformance_file(bytes, 100000);
    struct hq_body body = {.data = NULL, .fd = fd, .size = 100000};
    struct hq_error err;

    /* From offset 0, wherever the descriptor stands, which stays there. */
    assert_int_equal(lseek(fd, 77, SEEK_SET), 77);
    assert_int_equal(hq_store_put(c->store, "f/all", &body, &err), 0);
    body.size = 12345;
    assert_int_equal(hq_store_put(c->store, "f/part", &body, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 77);
    conformance_expect(c, "f/all", bytes, 100000);
    conformance_expect(c, "f/part", bytes, 12345);
}

void
conformance_body_from_short_file(void **state)
{
    struct conformance *c = *state;
    HQ_CLOSE int fd = conformance_file("12345", 5);
    struct hq_body body = {.data = NULL, .fd = fd, .size = 6};
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    struct hq_error err;

    conformance_put(c, "old", "kept");
    assert_int_equal(hq_store_put(c->store, "new", &body, &err), -1);
    assert_int_equal(hq_store_put(c->store, "old", &body, &err), -1);
    conformance_expect(c, "old", "kept", 4);
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, 1);
}

void
conformance_times_are_the_stores(void **state)
{
    struct conformance *c = *state;
    int64_t step = c->subject->clock_step_us;
    int64_t before;
    int64_t after;
    struct hq_object_info first;
    struct hq_object_info second;
    struct hq_error err;

    assert_int_equal(hq_store_time(c->store, &before, &err), 0);
    conformance_put(c, "t", "1");
    assert_int_equal(hq_store_head(c->store, "t", &first, &err), 0);
    assert_int_equal(hq_store_time(c->store, &after, &err), 0);
    assert_true(first.modified_us >= before - step);
    assert_true(first.modified_us <= after + step);
    assert_true(after >= before - step);
    /* The store is of this century: not seconds, milliseconds or another epoch. */
    assert_true(llabs(after - hq_clock_wall_us()) < INT64_C(3600) * 1000000);

    (void)usleep((useconds_t)(step + 20000));
    conformance_put(c, "t", "1");
    assert_int_equal(hq_store_head(c->store, "t", &second, &err), 0);
    assert_true(second.modified_us > first.modified_us);
}

void
conformance_handles_see_each_other(void **state)
{
    struct conformance *c = *state;
    struct conformance other = *c;
    struct hq_object_info info;
    struct hq_error err;

    other.store = conformance_open_again(c);
    for (int i = 0; i < 5; i++) {
        conformance_put(&other, "shared", i % 2 == 0 ? "even" : "odd");
        conformance_expect(c, "shared", i % 2 == 0 ? "even" : "odd", i % 2 == 0 ? 4 : 3);
    }
    assert_int_equal(hq_store_delete(c->store, "shared", &err), 0);
    conformance_fails(hq_store_head(other.store, "shared", &info, &err), &err, HQ_E_MISSING,
                      "shared");
    hq_store_close(other.store);
}

void
conformance_url_for_people(void **state)
{
    struct conformance *c = *state;
    const char *url = hq_store_url(c->store);
    const char *secret = c->subject->options.secret_key;

    assert_non_null(url);
    assert_non_null(strstr(url, c->label));
    if (secret != NULL)
        assert_null(strstr(url, secret));
}
