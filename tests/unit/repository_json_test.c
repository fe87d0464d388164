#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository_fixture.h"
#include "repository_json_internal.h"

/* repository.json of the fixed keys, as stored. */
static struct hq_buf
created(struct fixture *f)
{
    struct hq_buf text = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_repository_create(f->store, f->restore, &err), &err);
    ASSERT_OK(hq_store_get_all(f->store, "repository.json", 1 << 20, &text, &err), &err);
    return text;
}

/* What opening the repository with @p keyring says. */
static enum hq_code
try_open(struct fixture *f, const struct hq_keyring *keyring, const char *region,
         struct hq_error *err)
{
    struct hq_repository *repository = hq_repository_open(f->store, keyring, region, err);

    if (repository == NULL)
        return err->code;
    free(repository);
    return HQ_E_OK;
}

static void
store_text(struct fixture *f, const void *text, size_t len)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_store_put_bytes(f->store, "repository.json", text, len, &err), &err);
}

static void
created_repositories_open(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = created(f);
    struct hq_error err = {0};
    struct hq_repository *repository = hq_repository_open(f->store, f->sidecar, "TR", &err);

    assert_non_null(repository);
    assert_ptr_equal(repository->store, f->store);
    assert_ptr_equal(repository->keyring, f->sidecar);
    assert_int_equal(repository->chunking.minimum, 65536);
    assert_int_equal(repository->chunking.average, 262144);
    assert_int_equal(repository->chunking.maximum, 1048576);
    assert_true(repository->created_us > INT64_C(1700000000000000));
    free(repository);
    for (size_t i = 0; i < text.len; i++)
        assert_true(text.data[i] < 0x80);
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_OK);
    ASSERT_CODE(hq_repository_create(f->store, f->restore, &err), &err, HQ_E_EXISTS);
    assert_string_not_equal(err.hint, "");
}

/* A copy holds without the store, and no less is asked of it. */
static void
kept_text_is_taken(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = created(f), fetched = {0};
    struct hq_repository *repository;
    struct hq_error err = {0};

    ASSERT_OK(hq_repository_fetch(f->store, &fetched, &err), &err);
    assert_int_equal(fetched.len, text.len);
    assert_memory_equal(fetched.data, text.data, text.len);
    ASSERT_OK(hq_store_delete(f->store, "repository.json", &err), &err);
    ASSERT_CODE(hq_repository_fetch(f->store, &fetched, &err), &err, HQ_E_MISSING);
    repository = hq_repository_take(f->store, f->sidecar, "TR", &text, &err);
    assert_non_null(repository);
    assert_ptr_equal(repository->store, f->store);
    assert_int_equal(repository->chunking.average, 262144);
    free(repository);
    assert_null(hq_repository_take(f->store, f->sidecar, "ES", &text, &err));
    assert_int_equal(err.code, HQ_E_REGION);
    text.data[text.len / 2] ^= 1;
    assert_null(hq_repository_take(f->store, f->sidecar, "TR", &text, &err));
}

static void
sidecar_can_not_create(void **state)
{
    struct fixture *f = *state;
    struct hq_object_info info;
    struct hq_error err = {0};

    ASSERT_CODE(hq_repository_create(f->store, f->sidecar, &err), &err, HQ_E_KEY);
    ASSERT_CODE(hq_store_head(f->store, "repository.json", &info, &err), &err, HQ_E_MISSING);
}

static void
missing_repository_is_missing(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {.fail_at = 1, .fail_code = HQ_E_REFUSED};
    struct hq_error err = {0};

    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_MISSING);
    assert_string_not_equal(err.hint, "");
    hq_memory_set_faults(f->store, &faults);
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_REFUSED);
    hq_memory_set_faults(f->store, &faults);
    ASSERT_CODE(hq_repository_create(f->store, f->restore, &err), &err, HQ_E_REFUSED);
}

/* @p text with the first @p from replaced by @p to. */
static struct hq_buf
edited(const struct hq_buf *text, const char *from, const char *to)
{
    struct hq_buf copy = {0}, out = {0};
    const char *at, *found;

    hq_buf_put(&copy, text->data, text->len);
    at = hq_buf_text(&copy);
    if ((found = strstr(at, from)) == NULL)
        fail_msg("%s is not in %s", from, at);
    hq_buf_put(&out, at, (size_t)(found - at));
    hq_buf_printf(&out, "%s%s", to, found + strlen(from));
    hq_buf_clear(&copy);
    return out;
}

static void
check_edit(struct fixture *f, const struct hq_buf *good, const char *from, const char *to,
           enum hq_code expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = edited(good, from, to);
    struct hq_error err = {0};
    enum hq_code code;

    store_text(f, text.data, text.len);
    code = try_open(f, f->restore, "TR", &err);
    if (code != expected)
        fail_msg("%s -> %s: %s: %s", from, to, hq_code_name(code), err.message);
}

static void
members_are_checked(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf good = created(f);

    check_edit(f, &good, "hq-backup repository", "other repository", HQ_E_UNSUPPORTED);
    check_edit(f, &good, "\"version\": 1", "\"version\": 2", HQ_E_UNSUPPORTED);
    check_edit(f, &good, "\"version\": 1", "\"version\": 0", HQ_E_CORRUPT);
    check_edit(f, &good, "\"version\": 1", "\"version\": 1.0", HQ_E_CORRUPT);
    check_edit(f, &good, "\"version\": 1", "\"version\": true", HQ_E_CORRUPT);
    check_edit(f, &good, "\"required_features\": 0", "\"required_features\": 1", HQ_E_UNSUPPORTED);
    check_edit(f, &good, HQ_VECTOR_REPOSITORY_ID, "00000000000000000000000000000000", HQ_E_KEY);
    check_edit(f, &good, HQ_VECTOR_IDENTITY_KEY_ID, "0000000000000000", HQ_E_KEY);
    check_edit(f, &good, HQ_VECTOR_METADATA_KEY_ID_1, "0000000000000000", HQ_E_KEY);
    check_edit(f, &good, HQ_VECTOR_METADATA_KEY_ID_2, "0000000000000000", HQ_E_KEY);
    check_edit(f, &good, HQ_VECTOR_METADATA_KEY_ID_2, "000000000000000g", HQ_E_CORRUPT);
    check_edit(f, &good, "\"epoch\": 2", "\"epoch\": 3", HQ_E_CORRUPT);
    check_edit(f, &good, "\"epoch\": 2", "\"epoch\": 0", HQ_E_CORRUPT);
    check_edit(f, &good, "\"TR\"", "\"DE\"", HQ_E_CORRUPT); /* not signed so */
    check_edit(f, &good, "fastcdc-keyed", "rabin", HQ_E_UNSUPPORTED);
    check_edit(f, &good, "262144", "262145", HQ_E_CORRUPT);
    check_edit(f, &good, "262144", "32768", HQ_E_CORRUPT);
    check_edit(f, &good, "1048576", "2097152", HQ_E_CORRUPT); /* possible, but not signed */
    check_edit(f, &good, "1048576", "104857600", HQ_E_CORRUPT);
    check_edit(f, &good, "65536", "0", HQ_E_CORRUPT);
    check_edit(f, &good, "\"format\"", "\"more\": \"\", \"format\"", HQ_E_CORRUPT);
    check_edit(f, &good, "\"format\"", "\"more\": null, \"format\"", HQ_E_CORRUPT);
    check_edit(f, &good, "\"format\"", "\"m\xc3\xa9\": 1, \"format\"", HQ_E_CORRUPT);
    check_edit(f, &good, "\"format\"", "\"m\\u00e9\": 1, \"format\"", HQ_E_CORRUPT);
    check_edit(f, &good, "\"TR\"", "\"\\u00e9\"", HQ_E_CORRUPT);
    check_edit(f, &good, "\"TR\"", "\"T\\u0052\"", HQ_E_OK); /* the same string */
    check_edit(f, &good, "\"format\"", "  \n\"format\"", HQ_E_OK);
    check_edit(f, &good, "}\n", "", HQ_E_CORRUPT);
    check_edit(f, &good, "{", "[", HQ_E_CORRUPT);
    store_text(f, "[1]", 3);
    assert_int_equal(try_open(f, f->restore, NULL, &(struct hq_error){0}), HQ_E_CORRUPT);
}

static void
every_flip_and_cut_is_seen(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = created(f);
    struct hq_error err = {0};

    for (size_t i = 0; i < text.len; i++) {
        enum hq_code code;
        uint8_t before = text.data[i];

        text.data[i] ^= (uint8_t)(1 << i % 8);
        store_text(f, text.data, text.len);
        code = try_open(f, f->restore, NULL, &err);
        /* White space may become other white space. */
        if (code == HQ_E_OK && before != ' ' && before != '\n')
            fail_msg("byte %zu ('%c') may be changed", i, before);
        if (code != HQ_E_OK)
            assert_damage_code(&err, i);
        text.data[i] = before;
    }
    for (size_t cut = 0; cut + 1 < text.len; cut++) {
        store_text(f, text.data, cut);
        assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_CORRUPT);
    }
}

static void
wrong_region_is_told(void **state)
{
    struct fixture *f = *state;
    struct hq_keyring *elsewhere = keyring_of_region("DE");
    struct hq_error err = {0};

    ASSERT_OK(hq_repository_create(f->store, f->restore, &err), &err);
    assert_int_equal(try_open(f, f->sidecar, "DE", &err), HQ_E_REGION);
    assert_string_not_equal(err.hint, "");
    assert_int_equal(try_open(f, elsewhere, NULL, &err), HQ_E_REGION);
    assert_int_equal(try_open(f, elsewhere, "DE", &err), HQ_E_REGION);
    assert_string_not_equal(err.hint, "");
    hq_keyring_free(elsewhere);
}

static void
wrong_key_is_told(void **state)
{
    struct fixture *f = *state;
    struct hq_keyring *foreign = foreign_keyring();
    struct hq_error err = {0};

    ASSERT_OK(hq_repository_create(f->store, f->restore, &err), &err);
    assert_int_equal(try_open(f, foreign, NULL, &err), HQ_E_KEY);
    assert_string_not_equal(err.hint, "");
    assert_non_null(strstr(err.message, "memory:"));
    hq_keyring_free(foreign);
}

/* A store that puts a newly signed text of another repository's owner there. */
static void
foreign_signature_is_no_signature(void **state)
{
    struct fixture *f = *state;
    struct hq_keyring *foreign = foreign_keyring();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf good = created(f), message = {0};
    struct hq_error err = {0};
    HQ_AUTO(hq_json_clear)
    json_t *json = NULL;
    uint8_t signature[HQ_SIGNATURE_BYTES];
    char *text;

    json = hq_json_parse((const char *)good.data, good.len, "test", &err);
    assert_non_null(json);
    assert_int_equal(json_object_del(json, "signature"), 0);
    ASSERT_OK(hq_json_signed_bytes(json, &message, &err), &err);
    ASSERT_OK(hq_keyring_sign_repository(foreign, message.data, message.len, signature, &err),
              &err);
    json_object_set_new(json, "signature", hq_json_new_hex(signature, sizeof signature));
    json_object_set_new(json, "repository_public_key",
                        hq_json_new_hex(hq_keyring_repository_public_key(foreign), 32));
    text = json_dumps(json, 0);
    assert_non_null(text);
    store_text(f, text, strlen(text));
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_CORRUPT);
    free(text);
    hq_keyring_free(foreign);
}

static void
too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf good = created(f), longer = {0};
    struct hq_error err = {0};

    hq_buf_put(&longer, good.data, good.len);
    while (longer.len <= 1 << 20)
        hq_buf_put_u8(&longer, ' ');
    store_text(f, longer.data, longer.len - 1);
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_OK);
    store_text(f, longer.data, longer.len);
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_CORRUPT);
    memset(longer.data, '[', longer.len);
    store_text(f, longer.data, longer.len - 1);
    assert_int_equal(try_open(f, f->restore, NULL, &err), HQ_E_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(created_repositories_open),
        FIXTURE_TEST(kept_text_is_taken),
        FIXTURE_TEST(sidecar_can_not_create),
        FIXTURE_TEST(missing_repository_is_missing),
        FIXTURE_TEST(members_are_checked),
        FIXTURE_TEST(every_flip_and_cut_is_seen),
        FIXTURE_TEST(wrong_region_is_told),
        FIXTURE_TEST(wrong_key_is_told),
        FIXTURE_TEST(foreign_signature_is_no_signature),
        FIXTURE_TEST(too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
