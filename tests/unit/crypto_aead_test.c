#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/aead.h"

/* The example of draft-irtf-cfrg-xchacha-03, A.3.1. */
static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you only "
                            "one tip for the future, sunscreen would be it.";
static const char expected[] =
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e"
    "39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3"
    "fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";
static const uint8_t ad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
                               0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};

enum {
    PLAIN_BYTES = sizeof plain - 1,
    SEALED_BYTES = PLAIN_BYTES + HQ_TAG_BYTES
};

static struct hq_key key;
static uint8_t nonce[HQ_NONCE_BYTES];

static int
set_up(void **state)
{
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof key.bytes; i++)
        key.bytes[i] = (uint8_t)(0x80 + i);
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(0x40 + i);
    /* Twice: it may be called again. */
    return hq_crypto_init(&err) != 0 || hq_crypto_init(&err) != 0;
}

static void
seal(uint8_t sealed[SEALED_BYTES])
{
    hq_aead_seal(&key, nonce, ad, sizeof ad, plain, PLAIN_BYTES, sealed);
}

static void
test_known_answer(void **state)
{
    uint8_t sealed[SEALED_BYTES], opened[PLAIN_BYTES];
    char hex[2 * SEALED_BYTES + 1];

    (void)state;
    seal(sealed);
    (void)sodium_bin2hex(hex, sizeof hex, sealed, sizeof sealed);
    assert_string_equal(hex, expected);
    assert_true(hq_aead_open(&key, nonce, ad, sizeof ad, sealed, sizeof sealed, opened));
    assert_memory_equal(opened, plain, PLAIN_BYTES);
}

static void
test_in_place(void **state)
{
    uint8_t sealed[SEALED_BYTES], bytes[SEALED_BYTES];

    (void)state;
    seal(sealed);
    memcpy(bytes, plain, PLAIN_BYTES);
    hq_aead_seal(&key, nonce, ad, sizeof ad, bytes, PLAIN_BYTES, bytes);
    assert_memory_equal(bytes, sealed, sizeof sealed);
    assert_true(hq_aead_open(&key, nonce, ad, sizeof ad, bytes, sizeof bytes, bytes));
    assert_memory_equal(bytes, plain, PLAIN_BYTES);
}

static void
test_empty(void **state)
{
    uint8_t tag[HQ_TAG_BYTES], nothing[1];

    (void)state;
    hq_aead_seal(&key, nonce, NULL, 0, NULL, 0, tag);
    assert_true(hq_aead_open(&key, nonce, NULL, 0, tag, sizeof tag, nothing));
    assert_false(hq_aead_open(&key, nonce, ad, 1, tag, sizeof tag, nothing));
}

static void
test_every_bit_counts(void **state)
{
    uint8_t sealed[SEALED_BYTES], opened[PLAIN_BYTES];

    (void)state;
    seal(sealed);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(hq_aead_open(&key, nonce, ad, sizeof ad, sealed, sizeof sealed, opened));
        assert_memory_not_equal(opened, plain, PLAIN_BYTES);
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_false(hq_aead_open(&key, nonce, ad, sizeof ad, sealed, len, opened));
    assert_true(hq_aead_open(&key, nonce, ad, sizeof ad, sealed, sizeof sealed, opened));
}

static void
test_key_nonce_and_data_count(void **state)
{
    uint8_t sealed[SEALED_BYTES], opened[PLAIN_BYTES], other_ad[sizeof ad], other[HQ_NONCE_BYTES];
    struct hq_key other_key = key;

    (void)state;
    seal(sealed);
    other_key.bytes[0] ^= 1;
    assert_false(hq_aead_open(&other_key, nonce, ad, sizeof ad, sealed, sizeof sealed, opened));
    memcpy(other, nonce, sizeof other);
    other[23] ^= 1;
    assert_false(hq_aead_open(&key, other, ad, sizeof ad, sealed, sizeof sealed, opened));
    memcpy(other_ad, ad, sizeof ad);
    other_ad[0] ^= 1;
    assert_false(
        hq_aead_open(&key, nonce, other_ad, sizeof other_ad, sealed, sizeof sealed, opened));
    assert_false(hq_aead_open(&key, nonce, ad, sizeof ad - 1, sealed, sizeof sealed, opened));
}

static void
test_counter_nonce(void **state)
{
    static const uint8_t one[HQ_NONCE_BYTES] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
    uint8_t out[HQ_NONCE_BYTES];

    (void)state;
    memset(out, 0xFF, sizeof out);
    hq_nonce_counter(UINT64_C(0x0102030405060708), out);
    assert_memory_equal(out, one, sizeof out);
}

static void
test_sealed_keys(void **state)
{
    uint8_t public_key[32], secret_key[32], one[HQ_SEALED_KEY_BYTES], two[HQ_SEALED_KEY_BYTES];
    struct hq_key opened;

    (void)state;
    (void)crypto_box_keypair(public_key, secret_key);
    assert_true(hq_key_seal(&key, public_key, one));
    assert_true(hq_key_seal(&key, public_key, two));
    assert_memory_not_equal(one, two, sizeof one);
    assert_int_equal(crypto_box_seal_open(opened.bytes, one, sizeof one, public_key, secret_key),
                     0);
    assert_memory_equal(&opened, &key, sizeof key);
}

/* Sealed to a point of small order, anybody could open it. */
static void
test_no_sealing_to_small_order(void **state)
{
    static const uint8_t zero[32], one[32] = {1};
    uint8_t out[HQ_SEALED_KEY_BYTES];

    (void)state;
    assert_false(hq_key_seal(&key, zero, out));
    assert_false(hq_key_seal(&key, one, out));
}

static void
test_random_differs(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    hq_random(a, sizeof a);
    hq_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_key_nonce_and_data_count),
        cmocka_unit_test(test_counter_nonce),
        cmocka_unit_test(test_sealed_keys),
        cmocka_unit_test(test_no_sealing_to_small_order),
        cmocka_unit_test(test_random_differs),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
