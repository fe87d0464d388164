hq_unit(crypto_hash DEPENDS hq_crypto PkgConfig::libsodium)
hq_unit(crypto_aead DEPENDS hq_crypto PkgConfig::libsodium)
hq_unit(crypto_keyring DEPENDS hq_crypto PkgConfig::libsodium)
# Looks into a sidecar's keyring for secrets that must not be there.
target_include_directories(crypto_keyring_test PRIVATE ${PROJECT_SOURCE_DIR}/crypto)
hq_unit(crypto_keyfile DEPENDS hq_crypto)
target_compile_definitions(crypto_keyfile_test
    PRIVATE HQ_GOLDEN="${CMAKE_CURRENT_SOURCE_DIR}/golden/v1")
hq_unit(crypto_keyfile_save DEPENDS hq_crypto)
hq_fuzz(keyfile DEPENDS hq_crypto)
