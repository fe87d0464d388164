#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "crypto/keyring.h"
#include "keyfile_checks.h"
#include "vectors.h"

static char folder[] = "/tmp/hq-keyfile-XXXXXX";
static char path[sizeof folder + 16];

static int
set_up(void **state)
{
    struct hq_error err;

    (void)state;
    if (hq_crypto_init(&err) != 0 || mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/key", folder);
    return 0;
}

static int
tear_down(void **state)
{
    struct hq_error err;

    (void)state;
    return hq_io_remove_tree(folder, &err);
}

static int
remove_key(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static void
check_round_trip(const char *text)
{
    struct hq_keyring *k = hq_vector_keyring(text), *loaded;
    struct hq_error err;
    struct stat st;

    assert_int_equal(hq_keyring_save(k, path, NULL, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(hq_keyring_load(path, NULL, NULL, &loaded, &err), 0);
    check_same(k, loaded);
    hq_keyring_free(loaded);

    assert_int_equal(hq_keyring_save(k, path, NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_EXISTS);
    assert_int_equal(unlink(path), 0);
    hq_keyring_free(k);
}

static void
test_round_trip(void **state)
{
    (void)state;
    check_round_trip(HQ_VECTOR_RESTORE_KEY);
    check_round_trip(HQ_VECTOR_SIDECAR_KEY);
}

/* A sidecar's file that was made from a restore key holds none of the restore key's secrets. */
static void
test_sidecar_file_is_clean(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_keyring *restore = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY), *sidecar;
    struct hq_error err;
    const char *file;

    (void)state;
    assert_int_equal(hq_keyring_make_sidecar(restore, "db-1", &sidecar, &err), 0);
    assert_int_equal(hq_keyring_save(sidecar, path, NULL, &err), 0);
    assert_int_equal(hq_io_read_file(path, 1 << 20, &text, &err), 0);
    file = hq_buf_text(&text);
    assert_null(strstr(file, "repository_secret_key"));
    assert_null(strstr(file, "data_secret_key"));
    assert_null(strstr(file, "af6b0610b62602d5"));     /* repository */
    assert_null(strstr(file, "56db50fa661844f1"));     /* the restore key's writer */
    assert_null(strstr(file, "6b2304bd9ce448bf"));     /* data, epoch 1 */
    assert_null(strstr(file, "603ac7c7d061a2e6"));     /* data, epoch 2 */
    assert_non_null(strstr(file, "15ee549f8404bc62")); /* the identity key it needs */
    hq_keyring_free(sidecar);
    hq_keyring_free(restore);
}

static void
test_sealed_round_trip(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char good[] = "a passphrase", bad[] = "a passphrasE";
    struct hq_buf passphrase = {.data = (uint8_t *)good, .len = strlen(good)};
    struct hq_keyring *k, *loaded;
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_keyring_generate("DE", "ops", &k, &err), 0);
    assert_int_equal(hq_keyring_save(k, path, &(struct hq_buf){0}, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(hq_keyring_save(k, path, &passphrase, &err), 0);
    assert_int_equal(hq_io_read_file(path, 1 << 20, &text, &err), 0);
    assert_non_null(strstr(hq_buf_text(&text), "\"operations\": 3, \"memory\": 268435456"));
    assert_null(strstr(hq_buf_text(&text), "secret_key"));
    assert_int_equal(hq_keyring_load(path, give, good, &loaded, &err), 0);
    check_same(k, loaded);
    hq_keyring_free(loaded);
    assert_int_equal(hq_keyring_load(path, give, bad, &loaded, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_null(loaded);
    assert_non_null(strstr(err.message, path));
    hq_keyring_free(k);
}

static void
check_load_fails(const char *file, enum hq_code code)
{
    struct hq_keyring *k;
    struct hq_error err;

    assert_int_equal(hq_keyring_load(file, NULL, NULL, &k, &err), -1);
    assert_int_equal(err.code, code);
    assert_null(k);
    assert_non_null(strstr(err.message, file));
}

static void
test_file_permissions(void **state)
{
    static const mode_t refused[] = {0644, 0604, 0602, 0601, 0666};
    static const mode_t accepted[] = {0600, 0400, 0640, 0440};
    struct hq_error err;

    (void)state;
    assert_int_equal(
        hq_io_create(path, HQ_VECTOR_RESTORE_KEY, strlen(HQ_VECTOR_RESTORE_KEY), 0600, &err), 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        check_load_fails(path, HQ_E_REFUSED);
    }
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct hq_keyring *k;

        assert_int_equal(chmod(path, accepted[i]), 0);
        assert_int_equal(hq_keyring_load(path, NULL, NULL, &k, &err), 0);
        hq_keyring_free(k);
    }
}

static void
test_not_files(void **state)
{
    static const char long_text[(1 << 20) + 1];
    struct hq_error err;

    (void)state;
    check_load_fails(path, HQ_E_MISSING);
    check_load_fails(folder, HQ_E_CONFIG);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_load_fails(path, HQ_E_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hq_io_create(path, "", 0, 0600, &err), 0);
    check_load_fails(path, HQ_E_CONFIG);
    assert_int_equal(hq_io_replace(path, long_text, sizeof long_text, 0600, &err), 0);
    check_load_fails(path, HQ_E_CONFIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, remove_key),
        cmocka_unit_test_teardown(test_sidecar_file_is_clean, remove_key),
        cmocka_unit_test_teardown(test_sealed_round_trip, remove_key),
        cmocka_unit_test_teardown(test_file_permissions, remove_key),
        cmocka_unit_test_teardown(test_not_files, remove_key),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
