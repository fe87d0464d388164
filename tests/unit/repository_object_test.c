#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repository_fixture.h"

static const char root_name[] = "backups/main/20261121T030405Z-1f2e3d4c";

static struct hq_buf
sealed_root(struct fixture *f, const void *body, size_t len)
{
    struct hq_buf sealed = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_object_seal(&f->writer, HQ_OBJECT_ROOT, root_name, body, len, &sealed, &err),
              &err);
    return sealed;
}

static void
check_round_trip(struct fixture *f, const uint8_t *body, size_t len, size_t sealed_max)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = sealed_root(f, body, len), out = {0};
    struct hq_error err = {0};

    assert_true(sealed.len <= sealed_max);
    hq_buf_put_u8(&out, 'x');
    ASSERT_OK(hq_object_open(&f->repository, HQ_OBJECT_ROOT, root_name, sealed.data, sealed.len,
                             &out, &err),
              &err);
    assert_int_equal(out.len, len);
    if (len > 0)
        assert_memory_equal(out.data, body, len);
}

static void
objects_round_trip(void **state)
{
    static uint8_t body[200000];

    check_round_trip(*state, body, 0, 80);
    check_round_trip(*state, body, sizeof body, 1000);
    hq_random(body, sizeof body);
    check_round_trip(*state, body, sizeof body, sizeof body + 80);
}

static void
every_flip_and_cut_is_seen(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    uint8_t body[150];
    struct hq_error err = {0};

    for (int compressible = 0; compressible < 2; compressible++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf sealed = {0};

        memset(body, 'a', sizeof body);
        if (!compressible)
            hq_random(body, sizeof body);
        sealed = sealed_root(f, body, sizeof body);
        for (size_t i = 0; i < sealed.len * 8; i++) {
            sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
            assert_int_equal(hq_object_open(&f->repository, HQ_OBJECT_ROOT, root_name, sealed.data,
                                            sealed.len, &out, &err),
                             -1);
            assert_damage_code(&err, i / 8);
            sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        for (size_t cut = 0; cut < sealed.len; cut++)
            ASSERT_CODE(hq_object_open(&f->repository, HQ_OBJECT_ROOT, root_name, sealed.data, cut,
                                       &out, &err),
                        &err, HQ_E_CORRUPT);
        assert_int_equal(out.len, 0);
    }
}

static void
objects_stay_where_they_are(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = sealed_root(f, "body", 4), out = {0};
    struct hq_keyring *elsewhere = keyring_of_region("DE");
    struct hq_keyring *foreign = foreign_keyring();
    struct hq_repository there = {.store = f->store, .keyring = elsewhere};
    struct hq_repository other = {.store = f->store, .keyring = foreign};
    struct hq_error err = {0};

    ASSERT_CODE(hq_object_open(&f->repository, HQ_OBJECT_ROOT,
                               "backups/main/20261121T030405Z-1f2e3d4d", sealed.data, sealed.len,
                               &out, &err),
                &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_object_open(&f->repository, HQ_OBJECT_INDEX, root_name, sealed.data, sealed.len,
                               &out, &err),
                &err, HQ_E_CORRUPT);
    ASSERT_CODE(
        hq_object_open(&there, HQ_OBJECT_ROOT, root_name, sealed.data, sealed.len, &out, &err),
        &err, HQ_E_CORRUPT);
    ASSERT_CODE(
        hq_object_open(&other, HQ_OBJECT_ROOT, root_name, sealed.data, sealed.len, &out, &err),
        &err, HQ_E_KEY);
    /* Pretend it is of the epoch that the other keyring has. */
    hq_set_u32(sealed.data + 12, 1);
    ASSERT_CODE(
        hq_object_open(&other, HQ_OBJECT_ROOT, root_name, sealed.data, sealed.len, &out, &err),
        &err, HQ_E_CORRUPT);
    hq_keyring_free(elsewhere);
    hq_keyring_free(foreign);
}

/* Header fields are looked at before anything is allocated or derived. */
static void
header_keeps_the_limits(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        enum hq_code expected;
    } cases[] = {
        {0, 'X', HQ_E_CORRUPT},    {8, 2, HQ_E_UNSUPPORTED},  {8, 0, HQ_E_CORRUPT},
        {10, 1, HQ_E_CORRUPT},     {10, 3, HQ_E_CORRUPT},     {10, 6, HQ_E_UNSUPPORTED},
        {12, 77, HQ_E_KEY},        {16, 1, HQ_E_UNSUPPORTED}, {19, 128, HQ_E_UNSUPPORTED},
        {20, 2, HQ_E_UNSUPPORTED}, {21, 1, HQ_E_UNSUPPORTED}, {23, 1, HQ_E_UNSUPPORTED},
        {24, 5, HQ_E_CORRUPT},     {31, 255, HQ_E_CORRUPT},   {28, 1, HQ_E_CORRUPT},
        {56, 1, HQ_E_UNSUPPORTED}, {63, 1, HQ_E_UNSUPPORTED},
    };
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = sealed_root(f, "body", 4), out = {0};
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t before = sealed.data[cases[i].offset];

        sealed.data[cases[i].offset] = cases[i].value;
        if (hq_object_open(&f->repository, HQ_OBJECT_ROOT, root_name, sealed.data, sealed.len, &out,
                           &err) == 0 ||
            err.code != cases[i].expected)
            fail_msg("byte %zu = %u: %s", cases[i].offset, cases[i].value, err.message);
        sealed.data[cases[i].offset] = before;
    }
}

static void
too_much_is_refused(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    size_t len = (size_t)HQ_OBJECT_RAW_MAX + 1;
    HQ_FREE uint8_t *body = calloc(1, len);
    struct hq_error err = {0};

    assert_non_null(body);
    ASSERT_CODE(hq_object_seal(&f->writer, HQ_OBJECT_INDEX, "index", body, len, &out, &err), &err,
                HQ_E_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(objects_round_trip),          FIXTURE_TEST(every_flip_and_cut_is_seen),
        FIXTURE_TEST(objects_stay_where_they_are), FIXTURE_TEST(header_keeps_the_limits),
        FIXTURE_TEST(too_much_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
