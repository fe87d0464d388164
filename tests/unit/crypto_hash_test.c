#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/hash.h"

static void
check_hex(const void *data, size_t len, const char *expected)
{
    char hex[2 * 64 + 1];

    assert_true(len <= 64);
    (void)sodium_bin2hex(hex, sizeof hex, data, len);
    assert_string_equal(hex, expected);
}

static struct hq_key
counting_key(void)
{
    struct hq_key key;

    for (size_t i = 0; i < sizeof key.bytes; i++)
        key.bytes[i] = (uint8_t)i;
    return key;
}

static void
test_known_answers(void **state)
{
    struct hq_id id;

    (void)state;
    hq_hash(NULL, "", 0, &id);
    check_hex(&id, sizeof id, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    hq_hash(NULL, NULL, 0, &id);
    check_hex(&id, sizeof id, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    hq_hash(NULL, "abc", 3, &id);
    check_hex(&id, sizeof id, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void
test_keyed_known_answers(void **state)
{
    struct hq_key key = counting_key(), derived;
    struct hq_id id;

    (void)state;
    hq_hash(&key, "abc", 3, &id);
    check_hex(&id, sizeof id, "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
    hq_derive(&key, "key-id", NULL, 0, &derived);
    check_hex(&derived, sizeof derived,
              "791967689bcdaa250da48f501befaf49c3f86d36a7850295294e10072cdafae9");
    hq_derive(&key, "object", "\1\0", 2, &derived);
    check_hex(&derived, sizeof derived,
              "651d657e68b5597cd691b34b5042f5d93e75a8465f0cfe7336ec19533aeb91ec");
}

/* Label and extra data must not run into each other. */
static void
test_derive_separates(void **state)
{
    struct hq_key key = counting_key(), a, b;

    (void)state;
    hq_derive(&key, "ab", "c", 1, &a);
    hq_derive(&key, "a", "bc", 2, &b);
    assert_memory_not_equal(&a, &b, sizeof a);
    hq_derive(&key, "abc", NULL, 0, &b);
    assert_memory_not_equal(&a, &b, sizeof a);
}

/* A million bytes, in pieces of every length around BLAKE2b's block of 128. */
static void
test_incremental(void **state)
{
    static uint8_t data[1000000];
    struct hq_key key = counting_key();

    (void)state;
    memset(data, 'a', sizeof data);
    for (int keyed = 0; keyed < 2; keyed++) {
        const struct hq_key *k = keyed != 0 ? &key : NULL;
        struct hq_id whole, pieces;
        struct hq_hasher h;
        size_t at = 0;

        hq_hash(k, data, sizeof data, &whole);
        hq_hasher_begin(&h, k);
        for (size_t n = 0; at < sizeof data; n = (n + 1) % 260) {
            size_t len = n < sizeof data - at ? n : sizeof data - at;

            hq_hasher_add(&h, data + at, len);
            at += len;
        }
        hq_hasher_end(&h, &pieces);
        assert_memory_equal(&whole, &pieces, sizeof whole);
    }
}

static void
test_hasher_leaves_no_key(void **state)
{
    static const struct hq_hasher zero;
    struct hq_key key = counting_key();
    struct hq_hasher h;
    struct hq_id id;

    (void)state;
    hq_hasher_begin(&h, &key);
    assert_memory_not_equal(&h, &zero, sizeof h);
    hq_hasher_end(&h, &id);
    assert_memory_equal(&h, &zero, sizeof h);
    hq_key_wipe(&key);
    assert_memory_equal(&key, &zero, sizeof key);
}

static void
test_id_order(void **state)
{
    struct hq_id a = {{0}}, b = {{0}};

    (void)state;
    assert_int_equal(hq_id_compare(&a, &b), 0);
    b.bytes[31] = 1;
    assert_true(hq_id_compare(&a, &b) < 0);
    a.bytes[0] = 0x80;
    assert_true(hq_id_compare(&a, &b) > 0);
}

/* RFC 8439, section 2.5.2. */
static void
test_fingerprint_known_answer(void **state)
{
    static const struct hq_key key = {{0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33,
                                       0x7f, 0x44, 0x52, 0xfe, 0x42, 0xd5, 0x06, 0xa8,
                                       0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d, 0xb2, 0xfd,
                                       0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b}};
    static const char message[] = "Cryptographic Forum Research Group";
    uint8_t out[HQ_FINGERPRINT_BYTES];

    (void)state;
    hq_fingerprint(&key, message, sizeof message - 1, out);
    check_hex(out, sizeof out, "a8061dc1305136c6c22b8baf0c0127a9");
}

/* Of two libraries whichever is there is used: nobody may tell which one it was. */
static void
test_fingerprint_as_libsodium(void **state)
{
    static const struct hq_key key = {{0x7f, 3, 5, 0xff, 0xff, [31] = 0xff}};
    static uint8_t message[70000];
    uint8_t out[HQ_FINGERPRINT_BYTES], expected[crypto_onetimeauth_BYTES];

    (void)state;
    memset(message, 0xfb, sizeof message);
    for (size_t len = 0; len < sizeof message; len = len < 300 ? len + 1 : len * 3 + 1) {
        hq_fingerprint(&key, message, len, out);
        assert_int_equal(crypto_onetimeauth(expected, message, len, key.bytes), 0);
        assert_memory_equal(out, expected, sizeof expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_keyed_known_answers),
        cmocka_unit_test(test_derive_separates),
        cmocka_unit_test(test_incremental),
        cmocka_unit_test(test_hasher_leaves_no_key),
        cmocka_unit_test(test_id_order),
        cmocka_unit_test(test_fingerprint_known_answer),
        cmocka_unit_test(test_fingerprint_as_libsodium),
    };
    struct hq_error err;

    if (hq_crypto_init(&err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
