/**
 * @file vectors.h
 * The fixed keys of the golden repository and what follows from them, for tests; in hexadecimal
 * where it is bytes. Made by tests/golden/keys.py, which derives them without this project's code.
 */
#ifndef HQ_TESTS_VECTORS_H
#define HQ_TESTS_VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyring.h"

/* clang-format off */
#define HQ_VECTOR_REGION "TR"
#define HQ_VECTOR_PASSPHRASE "correct horse battery staple"
#define HQ_VECTOR_REPOSITORY_ID "f78d60d0be22974ad233a2ab0cdd621b"
#define HQ_VECTOR_BIND "3a84b3f57b8ceb8ff8c196f8ccb7b49da6274d4921f8e48f6429e16e6377c71d"
#define HQ_VECTOR_IDENTITY_KEY_ID "3701f339b4c7e8a0"
#define HQ_VECTOR_METADATA_KEY_ID_1 "707c8f3706f5c4fe"
#define HQ_VECTOR_METADATA_KEY_ID_2 "b78ec95bdf23b8ab"
#define HQ_VECTOR_CHUNK_DATA_KEY "34889ec9e2c02335571fee3b073a68ca6b3ef830f25098f02f22e47d5e44db33"
#define HQ_VECTOR_GEAR_KEY "eb9516d188ac0c2a8f539a58cf73ad25c0c0c4b24178b1c91a438aa7d23fbfa0"
#define HQ_VECTOR_OBJECT_KEY_2 "1fa7f93cdf50e59029e9cd31b1f5586f52b89867866368e599583398fc84f923"
#define HQ_VECTOR_SEALED_DATA_KEY_2 "8c2bc1da1a7607b7fd3a420531b5695479350352bc6f9e989c9500734bc48a20ab2ee0579d56573c524809d22e64ff203173cb283cf0e4bb2762b8e3c5061554bcd1c8806466d7b50948c8469bc23c3c"
#define HQ_VECTOR_CREATED_US INT64_C(1767225600000000)
#define HQ_VECTOR_ROTATED_US INT64_C(1780272000000001)
#define HQ_VECTOR_RESTORE_KEY \
    "{\n" \
    " \"format\": \"hq-backup key\",\n" \
    " \"version\": 1,\n" \
    " \"role\": \"restore\",\n" \
    " \"repository_id\": \"f78d60d0be22974ad233a2ab0cdd621b\",\n" \
    " \"region\": \"TR\",\n" \
    " \"created\": \"2026-01-01T00:00:00Z\",\n" \
    " \"identity_key\": \"15ee549f8404bc6202906b52391154f3b27a902876004c2f301f6a6dc6a6fc6b\",\n" \
    " \"repository_public_key\": \"93507237551f99b1a33f8011c77ac1da68187b8035b1ae2558b47211c392f9c6\",\n" \
    " \"repository_secret_key\": \"af6b0610b62602d5e76ac18947892463bd44bbe6ea56f7f9c0d4c3522062407c93507237551f99b1a33f8011c77ac1da68187b8035b1ae2558b47211c392f9c6\",\n" \
    " \"writer\": {\n" \
    "  \"name\": \"golden\",\n" \
    "  \"public_key\": \"c33c42b41c405919bd7da1d05c53195df4f6d807bb8371e3a2f20fca0271b496\",\n" \
    "  \"secret_key\": \"56db50fa661844f1fa42621062073c5b75581d6729da463662b2fe7ab92980e4c33c42b41c405919bd7da1d05c53195df4f6d807bb8371e3a2f20fca0271b496\",\n" \
    "  \"issued\": \"2026-01-01T00:00:00Z\",\n" \
    "  \"certificate\": \"96869f89af5d931fab26decd71207595b519b7db7df30f6ca2a16c73bfe3958900e9803d7d1c544c3abab2c39f6948cf2a20560cc0f62b08a83f9917cb06910b\"\n" \
    " },\n" \
    " \"epochs\": [\n" \
    "  {\n" \
    "   \"epoch\": 1,\n" \
    "   \"created\": \"2026-01-01T00:00:00Z\",\n" \
    "   \"metadata_key\": \"0d5d39bfa3217663cc51745c939ad6168e812b232d28c0c60ac747864b25ab45\",\n" \
    "   \"data_public_key\": \"1610909fe637836cc2031a67173161f5db78fb2c0eea2028a75e0c61790d5850\",\n" \
    "   \"data_secret_key\": \"6b2304bd9ce448bfcdd3e45802aff8519e35f59ddd3471c4badf1c24600ef3e9\"\n" \
    "  },\n" \
    "  {\n" \
    "   \"epoch\": 2,\n" \
    "   \"created\": \"2026-06-01T00:00:00.000001Z\",\n" \
    "   \"metadata_key\": \"f40f379f1ccac740b0f42f6e87e6c7db708a9cfa6a37bfd1acfc21db5c16eb56\",\n" \
    "   \"data_public_key\": \"8adf0acef0e340a90ad7b42d5d59d1f3dad28c504ac4ae283a34d1993b802646\",\n" \
    "   \"data_secret_key\": \"603ac7c7d061a2e69c02d70df3ced8b1d497cb68e0db0238552728b08252f8db\"\n" \
    "  }\n" \
    " ]\n" \
    "}\n"
#define HQ_VECTOR_SIDECAR_KEY \
    "{\n" \
    " \"format\": \"hq-backup key\",\n" \
    " \"version\": 1,\n" \
    " \"role\": \"sidecar\",\n" \
    " \"repository_id\": \"f78d60d0be22974ad233a2ab0cdd621b\",\n" \
    " \"region\": \"TR\",\n" \
    " \"created\": \"2026-01-01T00:00:00Z\",\n" \
    " \"identity_key\": \"15ee549f8404bc6202906b52391154f3b27a902876004c2f301f6a6dc6a6fc6b\",\n" \
    " \"repository_public_key\": \"93507237551f99b1a33f8011c77ac1da68187b8035b1ae2558b47211c392f9c6\",\n" \
    " \"writer\": {\n" \
    "  \"name\": \"golden-sidecar\",\n" \
    "  \"public_key\": \"ae935d1d3fccedd655de78c175f6271b532b10d221be696df6be1a7a0daed3fa\",\n" \
    "  \"secret_key\": \"34af115fdea43a20a72fcd05c7dc154500882aaed9dbf8ad49b61ffd1ab067b7ae935d1d3fccedd655de78c175f6271b532b10d221be696df6be1a7a0daed3fa\",\n" \
    "  \"issued\": \"2026-06-01T00:00:00.000001Z\",\n" \
    "  \"certificate\": \"2a086fcbe8651fa9d340dfa59b79b7cac16d2fe4ffee2df0beceb30de59c0e31f6c4d30160f18bfb9b67b52047a18fb4e5a4970b5e988c2e3e48d30956e22602\"\n" \
    " },\n" \
    " \"epochs\": [\n" \
    "  {\n" \
    "   \"epoch\": 1,\n" \
    "   \"created\": \"2026-01-01T00:00:00Z\",\n" \
    "   \"metadata_key\": \"0d5d39bfa3217663cc51745c939ad6168e812b232d28c0c60ac747864b25ab45\",\n" \
    "   \"data_public_key\": \"1610909fe637836cc2031a67173161f5db78fb2c0eea2028a75e0c61790d5850\"\n" \
    "  },\n" \
    "  {\n" \
    "   \"epoch\": 2,\n" \
    "   \"created\": \"2026-06-01T00:00:00.000001Z\",\n" \
    "   \"metadata_key\": \"f40f379f1ccac740b0f42f6e87e6c7db708a9cfa6a37bfd1acfc21db5c16eb56\",\n" \
    "   \"data_public_key\": \"8adf0acef0e340a90ad7b42d5d59d1f3dad28c504ac4ae283a34d1993b802646\"\n" \
    "  }\n" \
    " ]\n" \
    "}\n"
/* clang-format on */

/**
 * The keyring of HQ_VECTOR_RESTORE_KEY or HQ_VECTOR_SIDECAR_KEY, or the program ends. Starts
 * libsodium. Release with hq_keyring_free().
 */
static inline struct hq_keyring *
hq_vector_keyring(const char *text)
{
    struct hq_keyring *keyring = NULL;
    struct hq_error err;

    if (hq_crypto_init(&err) != 0 ||
        hq_keyring_parse(text, strlen(text), "vector", NULL, NULL, &keyring, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return keyring;
}

#endif
