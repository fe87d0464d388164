#!/usr/bin/env python3
"""Make the fixed keys of the golden repository: tests/golden/v1/*.key and tests/unit/vectors.h.

A second implementation of docs/format.md §1 and §3, on hashlib and PyNaCl: what it derives is what
the unit tests expect of crypto/. Every secret is BLAKE2b-256 of "hq-backup golden v1 " and its
name, so that the files can be made again, byte for byte:

    python3 tests/golden/keys.py
"""

import hashlib
import json
import struct
from pathlib import Path

from nacl import bindings, pwhash

HERE = Path(__file__).parent
REGION = "TR"
PASSPHRASE = b"correct horse battery staple"
CREATED, CREATED_US = "2026-01-01T00:00:00Z", 1767225600000000
ROTATED, ROTATED_US = "2026-06-01T00:00:00.000001Z", 1780272000000001
OPERATIONS, MEMORY = 1, 8192  # the least there is: a test, not a protection


def h(message, key=b""):
    return hashlib.blake2b(message, digest_size=32, key=key).digest()


def derive(key, label, extra=b""):
    return h(label.encode() + b"\0" + extra, key)


def secret(name):
    return h(b"hq-backup golden v1 " + name.encode())


REPOSITORY_ID = secret("repository id")[:16]
IDENTITY = secret("identity key")
REPOSITORY_PUBLIC, REPOSITORY_SECRET = bindings.crypto_sign_seed_keypair(secret("repository key"))


def writer(name, issued, issued_us):
    public, key = bindings.crypto_sign_seed_keypair(secret("writer " + name))
    message = b"hq-backup writer v1\0" + REPOSITORY_ID + public + struct.pack("<q", issued_us)
    certificate = bindings.crypto_sign(message + name.encode(), REPOSITORY_SECRET)[:64]
    return {"name": name, "public_key": public.hex(), "secret_key": key.hex(), "issued": issued,
            "certificate": certificate.hex()}


def epoch(number, created, role):
    key = secret(f"data key {number}")
    members = {"epoch": number, "created": created,
               "metadata_key": secret(f"metadata key {number}").hex(),
               "data_public_key": bindings.crypto_scalarmult_base(key).hex()}
    if role == "restore":
        members["data_secret_key"] = key.hex()
    return members


def head(role):
    return {"format": "hq-backup key", "version": 1, "role": role,
            "repository_id": REPOSITORY_ID.hex(), "region": REGION}


def key_file(role):
    members = head(role) | {"created": CREATED, "identity_key": IDENTITY.hex(),
                            "repository_public_key": REPOSITORY_PUBLIC.hex()}
    if role == "restore":
        members["repository_secret_key"] = REPOSITORY_SECRET.hex()
        members["writer"] = writer("golden", CREATED, CREATED_US)
    else:
        members["writer"] = writer("golden-sidecar", ROTATED, ROTATED_US)
    members["epochs"] = [epoch(1, CREATED, role), epoch(2, ROTATED, role)]
    return json.dumps(members, indent=1) + "\n"


def sealed_file(role):
    salt, nonce = secret("salt")[:16], secret("nonce")[:24]
    key = pwhash.argon2id.kdf(32, PASSPHRASE, salt, OPERATIONS, MEMORY)
    data = b"hq-backup key v1\0" + REPOSITORY_ID + REGION.encode()
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        key_file(role).encode(), data, nonce, key)
    kdf = {"name": "argon2id", "operations": OPERATIONS, "memory": MEMORY, "salt": salt.hex()}
    members = head(role) | {"kdf": kdf, "nonce": nonce.hex(), "sealed": sealed.hex()}
    return json.dumps(members, indent=1) + "\n"


def c_text(name, text):
    lines = [json.dumps(line + "\n") for line in text.splitlines()]
    return f"#define {name} \\\n    " + " \\\n    ".join(lines) + "\n"


def c_bytes(name, data):
    return f'#define {name} "{data.hex()}"\n'


def header():
    metadata = secret("metadata key 2")
    bind = h(b"hq-backup bind v1\0" + REPOSITORY_ID + REGION.encode())
    values = {
        "REPOSITORY_ID": REPOSITORY_ID,
        "BIND": bind,
        "IDENTITY_KEY_ID": derive(IDENTITY, "key-id")[:8],
        "METADATA_KEY_ID_1": derive(secret("metadata key 1"), "key-id")[:8],
        "METADATA_KEY_ID_2": derive(metadata, "key-id")[:8],
        "CHUNK_DATA_KEY": derive(IDENTITY, "chunk-data"),
        "GEAR_KEY": derive(IDENTITY, "gear"),
        "OBJECT_KEY_2": derive(metadata, "object", struct.pack("<H", 1)),
        # seal(bytes 0 to 31, data public key 2), made with the ephemeral key "ephemeral key"
        "SEALED_DATA_KEY_2": seal(bytes(range(32)), secret("data key 2")),
    }
    return "".join(c_bytes("HQ_VECTOR_" + name, value) for name, value in values.items())


def seal(plain, receiver_secret):
    ephemeral = secret("ephemeral key")
    public = bindings.crypto_scalarmult_base(ephemeral)
    receiver = bindings.crypto_scalarmult_base(receiver_secret)
    nonce = hashlib.blake2b(public + receiver, digest_size=24).digest()
    return public + bindings.crypto_box(plain, nonce, receiver, ephemeral)


HEADER = '''/**
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
@VALUES@
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
        fprintf(stderr, "%s\\n", err.message);
        abort();
    }
    return keyring;
}

#endif
'''


def main():
    v1 = HERE / "v1"
    v1.mkdir(exist_ok=True)
    (v1 / "restore.key").write_text(key_file("restore"))
    (v1 / "sidecar.key").write_text(key_file("sidecar"))
    (v1 / "sealed.key").write_text(sealed_file("restore"))
    values = (f'#define HQ_VECTOR_REGION "{REGION}"\n'
              f'#define HQ_VECTOR_PASSPHRASE "{PASSPHRASE.decode()}"\n' + header() +
              f"#define HQ_VECTOR_CREATED_US INT64_C({CREATED_US})\n"
              f"#define HQ_VECTOR_ROTATED_US INT64_C({ROTATED_US})\n" +
              c_text("HQ_VECTOR_RESTORE_KEY", key_file("restore")) +
              c_text("HQ_VECTOR_SIDECAR_KEY", key_file("sidecar")))
    (HERE.parent / "unit" / "vectors.h").write_text(HEADER.replace("@VALUES@", values.rstrip()))


if __name__ == "__main__":
    main()
