/* Listings, and which names there are. */
#include "storage_conformance_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/*
 * '-' and '.' are before '/', digits and letters behind it: an order by folders, by locale or
 * without regard to case would differ here. None is a folder of another.
 */
static const char *const in_byte_order[] = {
    "-",    "A",   "Z/a", "_",     "a--",   "a-/x",  "a-b",   "a./x", "a.b",  "a/-",
    "a/.x", "a/0", "a/A", "a/b-c", "a/b.c", "a/b/A", "a/b/c", "a/b0", "a/ba", "a/z",
    "a0",   "aA",  "a_",  "aa/a",  "aaa",   "ab",    "b/1",   "b/10", "b/2",
};

enum {
    IN_BYTE_ORDER = sizeof in_byte_order / sizeof in_byte_order[0]
};

static void
put_disordered(struct conformance *c)
{
    for (size_t i = 0; i < IN_BYTE_ORDER; i++) {
        const char *name = in_byte_order[i * 7 % IN_BYTE_ORDER];
        conformance_put(c, name, name);
    }
}

void
conformance_list_of_nothing(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    struct hq_error err;

    conformance_list(c->store, "", &names);
    conformance_list(c->store, "a", &names);
    conformance_list(c->store, "a/b/", &names);
    conformance_put(c, "a/b/c", "1");
    assert_int_equal(hq_store_delete(c->store, "a/b/c", &err), 0);
    conformance_list(c->store, "", &names);
    conformance_list(c->store, "a/", &names);
    assert_int_equal(names.count, 0);
}

void
conformance_list_is_in_byte_order(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};

    put_disordered(c);
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, IN_BYTE_ORDER);
    for (size_t i = 0; i < names.count; i++)
        assert_string_equal(names.object[i].name, in_byte_order[i]);
}

static void
expect_prefix(struct conformance *c, const char *prefix)
{
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    size_t n = 0;

    conformance_list(c->store, prefix, &names);
    for (size_t i = 0; i < IN_BYTE_ORDER; i++) {
        if (strncmp(in_byte_order[i], prefix, strlen(prefix)) != 0)
            continue;
        if (n == names.count)
            fail_msg("prefix \"%s\": %s is not listed", prefix, in_byte_order[i]);
        assert_string_equal(names.object[n++].name, in_byte_order[i]);
    }
    assert_int_equal(n, names.count);
}

void
conformance_list_by_prefix(void **state)
{
    struct conformance *c = *state;
    static const char *const prefixes[] = {
        "a",  "a/",  "a/b",  "a/b/", "a/b/c", "a/b/cc", "a-",  "a.", "a/.", "a/b.c",
        "aa", "aaa", "aaaa", "b/1",  "b/1/",  "zz",     "Z/a", "a0", "-",   "no/such/folder/",
    };

    put_disordered(c);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        expect_prefix(c, prefixes[i]);
}

void
conformance_list_tells_size_and_time(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    struct hq_object_info info;
    struct hq_error err;

    put_disordered(c);
    conformance_list(c->store, "", &names);
    for (size_t i = 0; i < names.count; i++) {
        const struct hq_object_info *listed = &names.object[i];
        assert_int_equal(listed->size, strlen(listed->name));
        assert_int_equal(hq_store_head(c->store, listed->name, &info, &err), 0);
        assert_int_equal(info.size, listed->size);
        assert_true(llabs(info.modified_us - listed->modified_us) <= c->subject->clock_step_us);
    }
}

static int
stop_at_third(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    int *calls = context;

    (void)object;
    return ++*calls < 3 ? 0 : hq_fail(err, HQ_E_INTERRUPTED, "enough seen");
}

void
conformance_list_ends_when_told(void **state)
{
    struct conformance *c = *state;
    struct hq_error err;
    int calls = 0;

    put_disordered(c);
    conformance_fails(hq_store_list(c->store, "a/", stop_at_third, &calls, &err), &err,
                      HQ_E_INTERRUPTED, "enough seen");
    assert_int_equal(calls, 3);
}

static void
many_name(size_t i, char out[64])
{
    (void)snprintf(out, 64, "packs/%02zx/%06zu", i % 7, i);
}

static unsigned
put_many(void *argument, unsigned number)
{
    struct conformance *c = argument;
    struct hq_error err;
    char name[64];
    unsigned failed = 0;

    for (size_t i = number; i < c->subject->many; i += CONFORMANCE_THREADS) {
        many_name(i, name);
        if (hq_store_put_bytes(c->store, name, name, strlen(name), &err) != 0)
            failed++;
    }
    return failed;
}

/* More than a page of an S3 listing (1000), and a prefix that begins in its middle. */
void
conformance_list_of_many(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    HQ_AUTO(conformance_names_clear)
    struct conformance_names third = {0};
    size_t many = c->subject->many;
    size_t n = 0;
    char name[64];

    assert_true(many > 1000);
    assert_int_equal(conformance_threads(put_many, c), 0);
    conformance_list(c->store, "packs/", &names);
    assert_int_equal(names.count, many);
    for (size_t folder = 0; folder < 7; folder++) {
        for (size_t i = folder; i < many; i += 7) {
            many_name(i, name);
            assert_string_equal(names.object[n++].name, name);
        }
    }
    conformance_list(c->store, "packs/02/", &third);
    assert_int_equal(third.count, (many - 2 + 6) / 7);
}

static void
expect_refused(struct hq_store *store, const char *name)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_object_info info;
    struct hq_error err;

    conformance_fails(hq_store_put_bytes(store, name, "1", 1, &err), &err, HQ_E_USAGE, "name");
    conformance_fails(hq_store_get(store, name, 0, 1, &out, &err), &err, HQ_E_USAGE, "name");
    conformance_fails(hq_store_get(store, name, 0, 0, &out, &err), &err, HQ_E_USAGE, "name");
    conformance_fails(hq_store_get_all(store, name, 9, &out, &err), &err, HQ_E_USAGE, "name");
    conformance_fails(hq_store_head(store, name, &info, &err), &err, HQ_E_USAGE, "name");
    conformance_fails(hq_store_delete(store, name, &err), &err, HQ_E_USAGE, "name");
    assert_null(strchr(err.message, '\n'));
}

void
conformance_names_refused(void **state)
{
    struct conformance *c = *state;
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    static const char *const refused[] = {
        "",     "/",      "/a",  "a/",    "a//b", "//",   ".",      "..",          "../a",
        "a/..", "a/../b", "./a", "a/./b", "a b",  "a\nb", "a\tb",   "a\\b",        "a:b",
        "a%2f", "a*",     "a?b", "a#b",   "a+b",  "a~",   "+tmp/a", "caf\xc3\xa9", "a\x7f",
        "\x01", "a=b",    "a&b", "a\"b",  "a'b",  "<a>",  "a,b",    "a@b",         "a;b",
    };
    char name[HQ_OBJECT_NAME_MAX + 2];

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        expect_refused(c->store, refused[i]);
    memset(name, 'a', sizeof name);
    name[HQ_OBJECT_PART_MAX + 1] = '\0';
    expect_refused(c->store, name);
    name[HQ_OBJECT_PART_MAX + 1] = 'a';
    name[200] = name[400] = '/';
    name[HQ_OBJECT_NAME_MAX + 1] = '\0';
    expect_refused(c->store, name);
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, 0);
}

static int
count_objects(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)object;
    (void)err;
    ++*(size_t *)context;
    return 0;
}

void
conformance_prefixes_refused(void **state)
{
    struct conformance *c = *state;
    static const char *const refused[] = {"/",   "/a",    "a//", "a//b", "../",
                                          "./a", "a/../", "a b", "a\n",  "a*"};
    static const char *const accepted[] = {".", "..", "a/.", "a/..", "...", "-"};
    size_t seen = 0;
    struct hq_error err;

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        conformance_fails(hq_store_list(c->store, refused[i], count_objects, &seen, &err), &err,
                          HQ_E_USAGE, "name");
    /* Names may begin so: "..a" is one. */
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        assert_int_equal(hq_store_list(c->store, accepted[i], count_objects, &seen, &err), 0);
    assert_int_equal(seen, 0);
}

void
conformance_odd_names_are_fine(void **state)
{
    struct conformance *c = *state;
    static const char *const odd[] = {
        "...",
        "..a",
        ".a",
        "a..b",
        "a.",
        "-rf",
        "--",
        "_",
        "_.-/-",
        "...b/...",
        "tmp/x",
        ".tmp/x",
        "Case",
        "case",
        "CON",
        "0",
        "a/b/c/d/e/f/g/h/i/j/k/l/m",
        "index.html",
        "lost.found/x",
        "list-type",
        "uploads",
        "000000010000000000000001.0-16777216",
    };
    HQ_AUTO(conformance_names_clear)
    struct conformance_names names = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    size_t count = sizeof odd / sizeof odd[0];

    for (size_t i = 0; i < count; i++)
        conformance_put(c, odd[i], odd[i]);
    memset(name, 'n', sizeof name);
    name[HQ_OBJECT_PART_MAX] = '/';
    name[2 * HQ_OBJECT_PART_MAX + 1] = '\0';
    conformance_put(c, name, "long parts");
    memset(name, 'm', sizeof name);
    for (size_t i = 1; i < HQ_OBJECT_NAME_MAX; i += 2)
        name[i] = '/';
    name[HQ_OBJECT_NAME_MAX - 1] = 'm';
    name[HQ_OBJECT_NAME_MAX] = '\0';
    conformance_put(c, name, "many parts");
    conformance_expect(c, name, "many parts", 10);
    for (size_t i = 0; i < count; i++)
        conformance_expect(c, odd[i], odd[i], strlen(odd[i]));
    conformance_list(c->store, "", &names);
    assert_int_equal(names.count, count + 2);
}
