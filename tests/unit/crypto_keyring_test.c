#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keyring.h"
#include "keyring_internal.h"
#include "vectors.h"

static struct hq_keyring *restore, *sidecar;

static int
set_up(void **state)
{
    (void)state;
    restore = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    sidecar = hq_vector_keyring(HQ_VECTOR_SIDECAR_KEY);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    hq_keyring_free(restore);
    hq_keyring_free(sidecar);
    return 0;
}

static void
check_hex(const void *data, size_t len, const char *expected)
{
    char hex[2 * 128 + 1];

    assert_true(len <= 128);
    (void)sodium_bin2hex(hex, sizeof hex, data, len);
    assert_string_equal(hex, expected);
}

/* Both key files must lead to the same derived values. */
static void
check_vectors(const struct hq_keyring *k)
{
    struct hq_error err;
    struct hq_key key;
    uint8_t id[8];

    check_hex(hq_keyring_repository_id(k), HQ_REPOSITORY_ID_BYTES, HQ_VECTOR_REPOSITORY_ID);
    assert_string_equal(hq_keyring_region(k), HQ_VECTOR_REGION);
    check_hex(hq_keyring_bind(k), 32, HQ_VECTOR_BIND);
    hq_keyring_identity_key_id(k, id);
    check_hex(id, sizeof id, HQ_VECTOR_IDENTITY_KEY_ID);
    hq_keyring_identity_key(k, "chunk-data", &key);
    check_hex(&key, sizeof key, HQ_VECTOR_CHUNK_DATA_KEY);
    hq_keyring_identity_key(k, "gear", &key);
    check_hex(&key, sizeof key, HQ_VECTOR_GEAR_KEY);
    assert_int_equal(hq_keyring_metadata_key(k, 2, "object", "\1\0", 2, &key, &err), 0);
    check_hex(&key, sizeof key, HQ_VECTOR_OBJECT_KEY_2);
}

static void
test_vectors(void **state)
{
    (void)state;
    check_vectors(restore);
    check_vectors(sidecar);
    assert_int_equal(hq_keyring_role(restore), HQ_ROLE_RESTORE);
    assert_int_equal(hq_keyring_role(sidecar), HQ_ROLE_SIDECAR);
    assert_string_equal(hq_keyring_writer(restore)->name, "golden");
    assert_string_equal(hq_keyring_writer(sidecar)->name, "golden-sidecar");
    assert_true(hq_keyring_writer(sidecar)->issued_us == HQ_VECTOR_ROTATED_US);
}

static void
test_epochs(void **state)
{
    struct hq_epoch_info info;

    (void)state;
    assert_int_equal(hq_keyring_epochs(restore), 2);
    assert_int_equal(hq_keyring_newest_epoch(restore), 2);
    hq_keyring_epoch_info(restore, 0, &info);
    assert_int_equal(info.epoch, 1);
    assert_true(info.created_us == HQ_VECTOR_CREATED_US);
    check_hex(info.metadata_key_id, 8, HQ_VECTOR_METADATA_KEY_ID_1);
    hq_keyring_epoch_info(restore, 1, &info);
    assert_int_equal(info.epoch, 2);
    assert_true(info.created_us == HQ_VECTOR_ROTATED_US);
    check_hex(info.metadata_key_id, 8, HQ_VECTOR_METADATA_KEY_ID_2);
}

static void
test_missing_epoch(void **state)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES] = {0};
    static const uint32_t missing[] = {0, 3, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        struct hq_error err;
        struct hq_key key = {{0}};

        assert_int_equal(hq_keyring_metadata_key(restore, missing[i], "x", NULL, 0, &key, &err),
                         -1);
        assert_int_equal(err.code, HQ_E_KEY);
        assert_int_equal(hq_keyring_seal_data_key(restore, missing[i], &key, sealed, &err), -1);
        assert_int_equal(err.code, HQ_E_KEY);
        assert_int_equal(hq_keyring_open_data_key(restore, missing[i], sealed, &key, &err), -1);
        assert_int_equal(err.code, HQ_E_KEY);
        assert_string_not_equal(err.hint, "");
    }
}

/* What another implementation sealed opens; what a sidecar seals, the restore key opens. */
static void
test_data_keys(void **state)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES];
    struct hq_key key, opened;
    struct hq_error err;

    (void)state;
    assert_int_equal(sodium_hex2bin(sealed, sizeof sealed, HQ_VECTOR_SEALED_DATA_KEY_2,
                                    strlen(HQ_VECTOR_SEALED_DATA_KEY_2), NULL, NULL, NULL),
                     0);
    assert_int_equal(hq_keyring_open_data_key(restore, 2, sealed, &opened, &err), 0);
    for (size_t i = 0; i < sizeof opened.bytes; i++)
        assert_int_equal(opened.bytes[i], i);

    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        hq_random(&key, sizeof key);
        assert_int_equal(hq_keyring_seal_data_key(sidecar, epoch, &key, sealed, &err), 0);
        assert_int_equal(hq_keyring_open_data_key(restore, epoch, sealed, &opened, &err), 0);
        assert_memory_equal(&opened, &key, sizeof key);
        assert_int_equal(hq_keyring_open_data_key(restore, 3 - epoch, sealed, &opened, &err), -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
    }
}

static void
test_damaged_data_key(void **state)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES];
    struct hq_key key = {{0}};
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_keyring_seal_data_key(sidecar, 2, &key, sealed, &err), 0);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        assert_int_equal(hq_keyring_open_data_key(restore, 2, sealed, &key, &err), -1);
        assert_int_equal(err.code, HQ_E_CORRUPT);
        sealed[i] ^= 1;
    }
}

/* What makes a stolen sidecar bearable. */
static void
check_sidecar_limits(const struct hq_keyring *k)
{
    uint8_t sealed[HQ_SEALED_KEY_BYTES], signature[HQ_SIGNATURE_BYTES];
    struct hq_key key = {{7}}, opened = {{0}};
    struct hq_keyring *other;
    struct hq_error err;

    assert_int_equal(hq_keyring_role(k), HQ_ROLE_SIDECAR);
    assert_int_equal(hq_keyring_seal_data_key(k, 1, &key, sealed, &err), 0);
    assert_int_equal(hq_keyring_open_data_key(k, 1, sealed, &opened, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_non_null(strstr(err.message, "cannot read data"));
    assert_non_null(strstr(err.hint, "restore key"));
    assert_int_equal(hq_keyring_sign_repository(k, "x", 1, signature, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_int_equal(hq_keyring_make_sidecar(k, "evil", &other, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_null(other);
}

/* Not only out of reach: not in the process that may be broken into. */
static void
check_no_restore_secrets(const struct hq_keyring *k)
{
    assert_true(sodium_is_zero(k->repository_secret_key, sizeof k->repository_secret_key));
    for (size_t i = 0; i < k->epoch_count; i++)
        assert_true(sodium_is_zero(k->epochs[i].data_secret_key, 32));
}

static void
test_sidecar(void **state)
{
    struct hq_keyring *made;
    struct hq_error err;

    (void)state;
    check_sidecar_limits(sidecar);
    assert_int_equal(hq_keyring_make_sidecar(restore, "db-1", &made, &err), 0);
    check_sidecar_limits(made);
    check_no_restore_secrets(sidecar);
    check_no_restore_secrets(made);
    check_vectors(made);
    assert_int_equal(hq_keyring_epochs(made), 2);
    assert_string_equal(hq_keyring_writer(made)->name, "db-1");
    assert_int_equal(hq_keyring_check_writer(restore, hq_keyring_writer(made), &err), 0);
    assert_int_equal(hq_keyring_check_writer(sidecar, hq_keyring_writer(made), &err), 0);
    assert_memory_not_equal(hq_keyring_writer(made)->public_key,
                            hq_keyring_writer(restore)->public_key, 32);
    hq_keyring_free(made);
}

static void
test_signatures(void **state)
{
    static const char text[] = "manifest";
    uint8_t signature[HQ_SIGNATURE_BYTES];
    const uint8_t *writer = hq_keyring_writer(sidecar)->public_key;
    const uint8_t *repository = hq_keyring_repository_public_key(sidecar);
    struct hq_error err;

    (void)state;
    hq_keyring_sign_writer(sidecar, text, sizeof text, signature);
    assert_true(hq_signature_valid(writer, text, sizeof text, signature));
    assert_false(hq_signature_valid(writer, text, sizeof text - 1, signature));
    assert_false(hq_signature_valid(repository, text, sizeof text, signature));
    assert_int_equal(hq_keyring_sign_repository(restore, text, sizeof text, signature, &err), 0);
    assert_true(hq_signature_valid(repository, text, sizeof text, signature));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_false(hq_signature_valid(repository, text, sizeof text, signature));
        signature[i] ^= 1;
    }
}

static void
check_writer_refused(const struct hq_writer *writer)
{
    struct hq_error err;

    assert_int_equal(hq_keyring_check_writer(restore, writer, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
}

static void
test_certificates(void **state)
{
    const struct hq_writer good = *hq_keyring_writer(sidecar);
    struct hq_writer w = good;
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_keyring_check_writer(restore, &w, &err), 0);
    w.name[0] = 'G';
    check_writer_refused(&w);
    w = good;
    w.name[strlen(w.name) - 1] = '\0';
    check_writer_refused(&w);
    w = good;
    w.issued_us++;
    check_writer_refused(&w);
    w = good;
    memcpy(w.public_key, hq_keyring_writer(restore)->public_key, sizeof w.public_key);
    check_writer_refused(&w);
    for (size_t i = 0; i < sizeof w.certificate; i++) {
        w = good;
        w.certificate[i] ^= 0x80;
        check_writer_refused(&w);
    }
}

static void
test_generated_rings_are_strangers(void **state)
{
    struct hq_keyring *a, *b;
    struct hq_key key_a = {{1}}, key_b;
    uint8_t sealed[HQ_SEALED_KEY_BYTES];
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_keyring_generate("TR", "one", &a, &err), 0);
    assert_int_equal(hq_keyring_generate("TR", "one", &b, &err), 0);
    assert_int_equal(hq_keyring_role(a), HQ_ROLE_RESTORE);
    assert_int_equal(hq_keyring_epochs(a), 1);
    assert_int_equal(hq_keyring_newest_epoch(a), 1);
    assert_memory_not_equal(hq_keyring_repository_id(a), hq_keyring_repository_id(b), 16);
    assert_memory_not_equal(hq_keyring_bind(a), hq_keyring_bind(b), 32);
    assert_int_equal(hq_keyring_check_writer(a, hq_keyring_writer(a), &err), 0);
    assert_int_equal(hq_keyring_check_writer(a, hq_keyring_writer(b), &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    assert_int_equal(hq_keyring_seal_data_key(a, 1, &key_a, sealed, &err), 0);
    assert_int_equal(hq_keyring_open_data_key(b, 1, sealed, &key_b, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    hq_keyring_identity_key(a, "gear", &key_a);
    hq_keyring_identity_key(b, "gear", &key_b);
    assert_memory_not_equal(&key_a, &key_b, sizeof key_a);
    hq_keyring_free(a);
    hq_keyring_free(b);
}

static void
test_names(void **state)
{
    static const char *const regions[] = {
        "", "T", "tr", "T1", "TR_1", "TR 1", "TR\n", "TR\"", "TRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    static const char *const writers[] = {
        "",
        "a\"b",
        "a\\b",
        "a\nb",
        "\xc3\xa9",
        "\x7f",
        "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"};
    struct hq_keyring *k;
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        assert_int_equal(hq_keyring_generate(regions[i], "w", &k, &err), -1);
        assert_int_equal(err.code, HQ_E_USAGE);
        assert_null(k);
    }
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        assert_int_equal(hq_keyring_generate("TR", writers[i], &k, &err), -1);
        assert_int_equal(err.code, HQ_E_USAGE);
        assert_int_equal(hq_keyring_make_sidecar(restore, writers[i], &k, &err), -1);
        assert_int_equal(err.code, HQ_E_USAGE);
        assert_null(k);
    }
    assert_int_equal(hq_keyring_generate("EU-CENTRAL-1", "db 1 (blue)", &k, &err), 0);
    assert_string_equal(hq_keyring_region(k), "EU-CENTRAL-1");
    hq_keyring_free(k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_missing_epoch),
        cmocka_unit_test(test_data_keys),
        cmocka_unit_test(test_damaged_data_key),
        cmocka_unit_test(test_sidecar),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_generated_rings_are_strangers),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
