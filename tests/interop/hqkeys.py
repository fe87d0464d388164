"""Key files (§3.1), writers' certificates, repository.json (§4) of docs/format.md."""

import json
import re
import struct
from dataclasses import dataclass
from typing import Any

from nacl import bindings, pwhash
from nacl.exceptions import CryptoError

from hqbase import (
    MIB, bind_of, bytes_of, derive, fail, need, number_of, object_of, objects_of, parse_object,
    parse_time, text_of, unhex, verify,
)

MOST_OPERATIONS = 16
LEAST_MEMORY, MOST_MEMORY = 8192, 4 << 30
LARGEST_JSON = MIB
MOST_EPOCHS = 4096
REGION = re.compile("[A-Z]{2}[A-Z0-9-]{0,30}")
WRITER_NAME = re.compile(r"[ !#-\[\]-~]{1,64}")


@dataclass(frozen=True)
class Epoch:
    """The keys of one epoch; without the secret key in a sidecar's key file."""

    metadata_key: bytes
    data_public_key: bytes
    data_secret_key: bytes | None


@dataclass(frozen=True)
class KeyFile:
    """What a key file holds (§3.1)."""

    role: str
    repository_id: bytes
    region: str
    identity_key: bytes
    repository_public_key: bytes
    epochs: dict[int, Epoch]
    writer: dict[str, Any] | None

    @property
    def bind(self) -> bytes:
        """The bind of §3."""
        return bind_of(self.repository_id, self.region)

    def epoch(self, number: int) -> Epoch:
        """The keys that an object's header names (§3)."""
        need(number in self.epochs, f"the key file lacks epoch {number}", "KEY")
        return self.epochs[number]

    def open_sealed_key(self, number: int, sealed: bytes) -> bytes:
        """The random K of a data pack or WAL object; KEY for who holds a sidecar's key file."""
        epoch = self.epoch(number)
        if epoch.data_secret_key is None:
            fail("KEY", f"the key file has no data secret key of epoch {number}")
        try:
            return bindings.crypto_box_seal_open(
                sealed, epoch.data_public_key, epoch.data_secret_key)
        except CryptoError:
            fail("CORRUPT", "the sealed key of an object does not open")


def _head(members: dict[str, Any]) -> tuple[str, bytes, str]:
    """What every key file says of itself, sealed or not."""
    need(members.get("format") == "hq-backup key", "not a key file", "UNSUPPORTED")
    need(number_of(members, "version") == 1, "key file of a later version", "UNSUPPORTED")
    role = text_of(members, "role")
    need(role in ("sidecar", "restore"), f"key file with role {role!r}", "UNSUPPORTED")
    region = text_of(members, "region")
    need(bool(REGION.fullmatch(region)), f"key file with region {region!r}")
    return role, bytes_of(members, "repository_id", 16), region


def _unlock(members: dict[str, Any], passphrase: bytes | None) -> dict[str, Any]:
    """The members of a key file that a passphrase protects."""
    _, repository_id, region = _head(members)
    kdf = object_of(members, "kdf")
    need(text_of(kdf, "name") == "argon2id", "unknown key derivation", "UNSUPPORTED")
    operations = number_of(kdf, "operations", 1, MOST_OPERATIONS)
    memory = number_of(kdf, "memory", LEAST_MEMORY, MOST_MEMORY)
    need(memory % 1024 == 0, "key derivation: memory is not a multiple of 1024")
    salt, nonce = bytes_of(kdf, "salt", 16), bytes_of(members, "nonce", 24)
    text = text_of(members, "sealed")
    sealed = unhex(text, len(text) // 2, "member sealed")
    need(passphrase is not None, "the key file needs a passphrase", "KEY")
    key = pwhash.argon2id.kdf(32, passphrase, salt, operations, memory)
    data = b"hq-backup key v1\0" + repository_id + region.encode()
    try:
        plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, data, nonce, key)
    except CryptoError:
        fail("KEY", "wrong passphrase, or a damaged key file")
    inner = parse_object(plain, "sealed key file")
    need(_head(inner) == _head(members), "the sealed key file is of something else")
    return inner


def _epochs(members: dict[str, Any], role: str) -> dict[int, Epoch]:
    epochs: dict[int, Epoch] = {}
    for item in objects_of(members, "epochs"):
        number = number_of(item, "epoch", 1, 2**32 - 1)
        need(number > max(epochs, default=0), "epochs are not in ascending order")
        secret = bytes_of(item, "data_secret_key", 32) if role == "restore" else None
        epochs[number] = Epoch(
            bytes_of(item, "metadata_key", 32), bytes_of(item, "data_public_key", 32), secret)
    need(1 <= len(epochs) <= MOST_EPOCHS, "number of epochs")
    return epochs


def read_key_file(text: bytes, passphrase: bytes | None = None) -> KeyFile:
    """A key file, opened with the passphrase where it has one."""
    need(len(text) <= LARGEST_JSON, "key file above 1 MiB")
    members = parse_object(text, "key file")
    _head(members)
    if "sealed" in members:
        members = _unlock(members, passphrase)
    role, repository_id, region = _head(members)
    return KeyFile(
        role, repository_id, region, bytes_of(members, "identity_key", 32),
        bytes_of(members, "repository_public_key", 32), _epochs(members, role),
        members.get("writer"))


def check_certificate(key_file: KeyFile, writer: dict[str, Any]) -> bytes:
    """The public key of a writer, whose certificate the repository's key signed (§3.1)."""
    public_key, name = bytes_of(writer, "public_key", 32), text_of(writer, "name")
    need(bool(WRITER_NAME.fullmatch(name)), f"writer's name {name!r}")
    issued = struct.pack("<q", parse_time(text_of(writer, "issued")))
    message = (b"hq-backup writer v1\0" + key_file.repository_id + public_key + issued
               + name.encode())
    verify(bytes_of(writer, "certificate", 64), message, key_file.repository_public_key,
           "the writer's certificate")
    return public_key


# ---- repository.json -----------------------------------------------------------------------------


def _check_plain(value: Any) -> None:
    """§4: strings, integers, arrays and objects, nothing else."""
    if isinstance(value, dict):
        for item in value.values():
            _check_plain(item)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item)
    else:
        need(type(value) in (str, int), "repository.json: neither string nor integer")


def signed_bytes(members: dict[str, Any]) -> bytes:
    """What the signature of repository.json covers (§4)."""
    rest = {name: value for name, value in members.items() if name != "signature"}
    text = json.dumps(rest, separators=(",", ":"), sort_keys=True)
    return b"hq-backup repository v1\0" + text.encode("ascii")


def _check_keys(members: dict[str, Any], key_file: KeyFile) -> None:
    """§4: id and key ids against the key file's; epochs that only one of them has are no error."""
    same = bytes_of(members, "repository_id", 16) == key_file.repository_id
    need(same, "the key file is of another repository", "KEY")
    identity = derive(key_file.identity_key, "key-id")[:8]
    need(bytes_of(members, "identity_key_id", 8) == identity, "another identity key", "KEY")
    for item in objects_of(members, "epochs"):
        number = number_of(item, "epoch", 1, 2**32 - 1)
        key_id = bytes_of(item, "metadata_key_id", 8)
        if number in key_file.epochs:
            wanted = derive(key_file.epochs[number].metadata_key, "key-id")[:8]
            need(key_id == wanted, f"another metadata key of epoch {number}", "KEY")


def check_repository(text: bytes, key_file: KeyFile, region: str | None = None) -> dict[str, Any]:
    """repository.json with every check that §4 asks for, in its order."""
    need(len(text) <= LARGEST_JSON, "repository.json above 1 MiB")
    need(text.isascii(), "repository.json is not ASCII")
    members = parse_object(text, "repository.json")
    _check_plain(members)
    need(members.get("format") == "hq-backup repository", "not a repository", "UNSUPPORTED")
    need(number_of(members, "version") == 1, "repository of a later version", "UNSUPPORTED")
    features = number_of(members, "required_features", 0, 2**32 - 1)
    need(features == 0, "repository.json has required features", "UNSUPPORTED")
    _check_keys(members, key_file)
    verify(bytes_of(members, "signature", 64), signed_bytes(members),
           key_file.repository_public_key, "repository.json")
    for other in (key_file.region, region):
        need(other in (None, text_of(members, "region")),
             f"region {members['region']}, not {other}", "REGION")
    return members
