#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "crypto/keyring.h"
#include "keyfile_checks.h"
#include "vectors.h"

static void
read_golden(const char *name, struct hq_buf *out)
{
    struct hq_error err;
    char file[512];

    (void)snprintf(file, sizeof file, "%s/%s", HQ_GOLDEN, name);
    if (hq_io_read_file(file, 1 << 20, out, &err) != 0)
        fail_msg("%s", err.message);
}

static void
check_refused(const void *text, size_t len, char *passphrase, enum hq_code code)
{
    struct hq_keyring *k = NULL;
    struct hq_error err = {0};

    if (hq_keyring_parse(text, len, "test.key", give, passphrase, &k, &err) == 0)
        fail_msg("accepted: %.*s", (int)len, (const char *)text);
    assert_null(k);
    if (err.code != code)
        fail_msg("%s, not %s: %s\n%.*s", hq_code_name(err.code), hq_code_name(code), err.message,
                 (int)len, (const char *)text);
    assert_non_null(strstr(err.message, "test.key"));
}

static void
test_golden_files(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf restore = {0}, sidecar = {0};

    (void)state;
    read_golden("restore.key", &restore);
    read_golden("sidecar.key", &sidecar);
    assert_string_equal(hq_buf_text(&restore), HQ_VECTOR_RESTORE_KEY);
    assert_string_equal(hq_buf_text(&sidecar), HQ_VECTOR_SIDECAR_KEY);
}

static void
test_golden_sealed(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    struct hq_keyring *k, *plain = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    char passphrase[] = HQ_VECTOR_PASSPHRASE;
    struct hq_error err;

    (void)state;
    read_golden("sealed.key", &sealed);
    assert_int_equal(hq_keyring_parse(sealed.data, sealed.len, "s", give, passphrase, &k, &err), 0);
    check_same(k, plain);
    hq_keyring_free(k);
    hq_keyring_free(plain);
}

static void
test_passphrase(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    char wrong[] = HQ_VECTOR_PASSPHRASE "r", none[] = "";
    struct hq_keyring *k;
    struct hq_error err;

    (void)state;
    read_golden("sealed.key", &sealed);
    check_refused(sealed.data, sealed.len, wrong, HQ_E_KEY);
    check_refused(sealed.data, sealed.len, none, HQ_E_KEY);
    check_refused(sealed.data, sealed.len, NULL, HQ_E_INTERRUPTED);
    assert_int_equal(hq_keyring_parse(sealed.data, sealed.len, "s", NULL, NULL, &k, &err), -1);
    assert_int_equal(err.code, HQ_E_KEY);
    assert_null(k);
}

/* Every bit of a sealed key file counts, those of its shown members and its white space too. */
static void
test_sealed_every_bit(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    char passphrase[] = HQ_VECTOR_PASSPHRASE;

    (void)state;
    read_golden("sealed.key", &sealed);
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        struct hq_keyring *k = NULL;
        struct hq_error err = {0};

        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (hq_keyring_parse(sealed.data, sealed.len, "s", give, passphrase, &k, &err) == 0)
            fail_msg("bit %zu of byte %zu does not count", bit % 8, bit / 8);
        assert_null(k);
        assert_true(err.code == HQ_E_CONFIG || err.code == HQ_E_KEY || err.code == HQ_E_CORRUPT ||
                    err.code == HQ_E_UNSUPPORTED);
        sealed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sealed.len - 1; len += 7)
        check_refused(sealed.data, len, passphrase, HQ_E_CONFIG);
}

struct change {
    const char *from, *to;
    enum hq_code code;
};

/* @p text with the first @p from replaced; the caller frees it. */
static char *
changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);

    assert_non_null(out);
    if (at == NULL)
        fail_msg("%s is not there", from);
    (void)snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void
check_changes(const char *text, const struct change *changes, size_t count)
{
    char passphrase[] = HQ_VECTOR_PASSPHRASE;

    for (size_t i = 0; i < count; i++) {
        HQ_FREE char *bad = changed(text, changes[i].from, changes[i].to);

        check_refused(bad, strlen(bad), passphrase, changes[i].code);
    }
}

#define CHECK_CHANGES(text, changes)                                                               \
    check_changes((text), (changes), sizeof(changes) / sizeof(changes)[0])

static void
test_tampered_restore(void **state)
{
    static const struct change changes[] = {
        {"hq-backup key", "hq-backup keys", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": 2", HQ_E_UNSUPPORTED},
        {"\"version\": 1", "\"version\": 0", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": -1", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": \"1\"", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": 1.0", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": 99999999999999999999", HQ_E_CONFIG},
        {"\"role\": \"restore\"", "\"role\": \"root\"", HQ_E_CONFIG},
        {"\"role\": \"restore\"", "\"role\": \"sidecar\"", HQ_E_CONFIG},
        {"\"role\": \"restore\"", "\"role\": null", HQ_E_CONFIG},
        {"\"f78d60", "\"f78d6", HQ_E_CONFIG},
        {"\"f78d60", "\"F78D60", HQ_E_CONFIG},
        {"\"f78d60", "\"f78d6g", HQ_E_CONFIG},
        {"\"f78d60", "\"f78d6000", HQ_E_CONFIG},
        {"\"f78d60", "\"f78d61", HQ_E_CORRUPT}, /* the certificate names the repository */
        {"\"TR\"", "\"turkey\"", HQ_E_CONFIG},
        {"\"created\": \"2026-01-01T00:00:00Z\"", "\"created\": \"2026-01-01\"", HQ_E_CONFIG},
        {"\"created\": \"2026-01-01T00:00:00Z\"", "\"created\": \"2026-01-01T00:00:00\"",
         HQ_E_CONFIG},
        {"\"created\": \"2026-01-01T00:00:00Z\"", "\"created\": \"2026-13-01T00:00:00Z\"",
         HQ_E_CONFIG},
        {"\"identity_key\"", "\"identity\"", HQ_E_CONFIG},
        {"\"identity_key\"", "\"identity_key\": \"\", \"identity_key\"", HQ_E_CONFIG},
        {"\"9350", "\"9351", HQ_E_CORRUPT},
        {"\"af6b", "\"af6c", HQ_E_CORRUPT},
        {"\"repository_secret_key\"", "\"x\"", HQ_E_CONFIG},
        {"\"name\": \"golden\"", "\"name\": \"silver\"", HQ_E_CORRUPT},
        {"\"name\": \"golden\"", "\"name\": \"\"", HQ_E_CONFIG},
        {"\"name\": \"golden\"", "\"name\": \"\\u0000\"", HQ_E_CONFIG},
        {"\"name\": \"golden\"", "\"name\": \"g\\nn\"", HQ_E_CONFIG},
        {"\"issued\": \"2026-01-01T00:00:00Z\"", "\"issued\": \"2026-01-01T00:00:00.000001Z\"",
         HQ_E_CORRUPT},
        {"\"c33c", "\"c33d", HQ_E_CORRUPT},
        {"\"56db", "\"56dc", HQ_E_CORRUPT},
        {"\"9686", "\"9687", HQ_E_CORRUPT},
        {"\"writer\"", "\"author\"", HQ_E_CONFIG},
        {"\"writer\": {", "\"writer\": [], \"x\": {", HQ_E_CONFIG},
        {"\"epochs\": [", "\"epochs\": [], \"x\": [", HQ_E_CONFIG},
        {"\"epochs\": [", "\"epochs\": {}, \"x\": [", HQ_E_CONFIG},
        {"\"epochs\": [", "\"epochs\": [null,", HQ_E_CONFIG},
        {"\"epoch\": 1", "\"epoch\": 0", HQ_E_CONFIG},
        {"\"epoch\": 1", "\"epoch\": 2", HQ_E_CONFIG}, /* twice */
        {"\"epoch\": 1", "\"epoch\": 3", HQ_E_CONFIG}, /* not ascending */
        {"\"epoch\": 2", "\"epoch\": 4294967296", HQ_E_CONFIG},
        {"\"epoch\": 1", "\"epoch\": 4294967295", HQ_E_CONFIG},
        {"\"1610", "\"1611", HQ_E_CORRUPT},
        {"\"6b23", "\"6b33", HQ_E_CORRUPT},
        {"\"data_secret_key\"", "\"x\"", HQ_E_CONFIG},
        {"{", "[{", HQ_E_CONFIG},
    };

    (void)state;
    CHECK_CHANGES(HQ_VECTOR_RESTORE_KEY, changes);
}

static void
test_tampered_sidecar(void **state)
{
    static const struct change changes[] = {
        {"\"role\": \"sidecar\"", "\"role\": \"restore\"", HQ_E_CONFIG},
        {"\"writer\"", "\"repository_secret_key\": \"\", \"writer\"", HQ_E_CONFIG},
        {"\"epoch\": 2", "\"data_secret_key\": \"00\", \"epoch\": 2", HQ_E_CONFIG},
        {"\"9350", "\"9351", HQ_E_CORRUPT},
        {"1610909fe637836cc2031a67173161f5db78fb2c0eea2028a75e0c61790d5850",
         "0000000000000000000000000000000000000000000000000000000000000000", HQ_E_CORRUPT},
        {"1610909fe637836cc2031a67173161f5db78fb2c0eea2028a75e0c61790d5850",
         "0100000000000000000000000000000000000000000000000000000000000000", HQ_E_CORRUPT},
    };

    (void)state;
    CHECK_CHANGES(HQ_VECTOR_SIDECAR_KEY, changes);
}

static void
test_tampered_sealed(void **state)
{
    static const struct change changes[] = {
        {"\"role\": \"restore\"", "\"role\": \"sidecar\"", HQ_E_CORRUPT},
        {"\"TR\"", "\"DE\"", HQ_E_KEY},
        {"\"f78d60", "\"f78d61", HQ_E_KEY},
        {"argon2id", "argon2i", HQ_E_UNSUPPORTED},
        {"\"kdf\"", "\"k\"", HQ_E_CONFIG},
        {"\"operations\": 1", "\"operations\": 0", HQ_E_CONFIG},
        {"\"operations\": 1", "\"operations\": 17", HQ_E_CONFIG},
        {"\"operations\": 1", "\"operations\": 16", HQ_E_KEY},
        {"\"memory\": 8192", "\"memory\": 7168", HQ_E_CONFIG},
        {"\"memory\": 8192", "\"memory\": 8193", HQ_E_CONFIG},
        {"\"memory\": 8192", "\"memory\": 9216", HQ_E_KEY},
        {"\"memory\": 8192", "\"memory\": 4294968320", HQ_E_CONFIG},
        {"\"memory\": 8192", "\"memory\": 9223372036854775807", HQ_E_CONFIG},
        {"\"salt\": \"", "\"salt\": \"00", HQ_E_CONFIG},
        {"\"nonce\": \"", "\"nonce\": \"00", HQ_E_CONFIG},
        {"\"sealed\": \"", "\"sealed\": \"0", HQ_E_CONFIG},
        {"\"sealed\": \"", "\"sealed\": \"00", HQ_E_KEY},
        {"\"sealed\": \"", "\"sealed\": \"\", \"x\": \"", HQ_E_CORRUPT},
        {"\"sealed\": \"", "\"sealed\": 1, \"x\": \"", HQ_E_CONFIG},
    };
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};

    (void)state;
    read_golden("sealed.key", &sealed);
    CHECK_CHANGES(hq_buf_text(&sealed), changes);
}

static void
test_not_key_files(void **state)
{
    static const char *const texts[] = {
        "", "{}", "[]", "null", "\"x\"", "{\"format\": 1}", "\xff", "{\"a\":", "{} {}"};
    static const char deep[100000] = {0};
    char nested[4096];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_refused(texts[i], strlen(texts[i]), NULL, HQ_E_CONFIG);
    check_refused(deep, sizeof deep, NULL, HQ_E_CONFIG);
    memset(nested, '[', sizeof nested);
    check_refused(nested, sizeof nested, NULL, HQ_E_CONFIG);
}

static void
test_too_long(void **state)
{
    size_t len = (1 << 20) + 1;
    HQ_FREE char *text = malloc(len);
    struct hq_keyring *k;
    struct hq_error err;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', len);
    memcpy(text, HQ_VECTOR_RESTORE_KEY, strlen(HQ_VECTOR_RESTORE_KEY));
    check_refused(text, len, NULL, HQ_E_CONFIG);
    assert_int_equal(hq_keyring_parse(text, len - 1, "t", NULL, NULL, &k, &err), 0);
    hq_keyring_free(k);
}

/* No error text may quote the file: a key stands where the mistake is. */
static void
test_errors_keep_secrets(void **state)
{
    HQ_FREE char *broken = changed(HQ_VECTOR_RESTORE_KEY, "56db", "56db\n");
    HQ_FREE char *unquoted = changed(HQ_VECTOR_RESTORE_KEY, "\"56db", "56db");
    HQ_FREE char *capital = changed(HQ_VECTOR_RESTORE_KEY, "56db", "56DB");
    const char *const texts[] = {broken, unquoted, capital};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct hq_keyring *k;
        struct hq_error err;

        assert_int_equal(hq_keyring_parse(texts[i], strlen(texts[i]), "k", NULL, NULL, &k, &err),
                         -1);
        assert_int_equal(err.code, HQ_E_CONFIG);
        assert_null(strstr(err.message, "56"));
        assert_null(strstr(err.message, "661844f1"));
    }
}

/* Members of a later version 1 writer are passed over. */
static void
test_unknown_members(void **state)
{
    HQ_FREE char *text =
        changed(HQ_VECTOR_RESTORE_KEY, "\"epochs\"", "\"comment\": {\"a\": [1]}, \"epochs\"");
    struct hq_keyring *k = hq_vector_keyring(text);

    (void)state;
    hq_keyring_free(k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_files),     cmocka_unit_test(test_golden_sealed),
        cmocka_unit_test(test_passphrase),       cmocka_unit_test(test_sealed_every_bit),
        cmocka_unit_test(test_tampered_restore), cmocka_unit_test(test_tampered_sidecar),
        cmocka_unit_test(test_tampered_sealed),  cmocka_unit_test(test_not_key_files),
        cmocka_unit_test(test_too_long),         cmocka_unit_test(test_errors_keep_secrets),
        cmocka_unit_test(test_unknown_members),
    };

    struct hq_error err;

    if (hq_crypto_init(&err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
