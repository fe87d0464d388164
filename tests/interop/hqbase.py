"""Conventions of docs/format.md: errors (§16), hashes, sealing, codecs (§1), JSON, times."""

import hashlib
import json
import re
import struct
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

import zstandard
from nacl import bindings
from nacl.exceptions import CryptoError

MIB = 1 << 20
TAG = 16
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class FormatError(Exception):
    """A trouble with the name that §16 gives it."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def fail(code: str, message: str) -> NoReturn:
    """Raise FormatError: KEY, REGION, CORRUPT, MISSING or UNSUPPORTED."""
    raise FormatError(code, message)


def need(condition: bool, message: str, code: str = "CORRUPT") -> None:
    """A rule of the format: CORRUPT where it is broken, or what the caller says."""
    if not condition:
        fail(code, message)


def h(message: bytes, key: bytes = b"") -> bytes:
    """H(m) and H(k, m) of §1."""
    return hashlib.blake2b(message, digest_size=32, key=key).digest()


def derive(key: bytes, label: str, extra: bytes = b"") -> bytes:
    """D(k, "label", x) of §1."""
    return h(label.encode("ascii") + b"\0" + extra, key)


def bind_of(repository_id: bytes, region: str) -> bytes:
    """What ties sealed bytes to a repository and its region (§3)."""
    return h(b"hq-backup bind v1\0" + repository_id + region.encode())


def poly1305(key: bytes, message: bytes) -> bytes:
    """Poly1305 as RFC 8439, §2.5.1, writes it down."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        block = message[at : at + 16] + b"\1"
        total = (total + int.from_bytes(block, "little")) * r % ((1 << 130) - 5)
    total += int.from_bytes(key[16:], "little")
    return (total % (1 << 128)).to_bytes(16, "little")


def nonce_of(number: int) -> bytes:
    """N(i) of §1."""
    return struct.pack("<Q16x", number)


def unseal(key: bytes, nonce: bytes, data: bytes, sealed: bytes, what: str) -> bytes:
    """AEAD of §1, backwards; CORRUPT when it does not authenticate."""
    need(len(sealed) >= TAG, f"{what}: shorter than a tag")
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, data, nonce, key)
    except CryptoError:
        fail("CORRUPT", f"{what}: does not authenticate")


def verify(signature: bytes, message: bytes, public_key: bytes, what: str) -> None:
    """An Ed25519 signature; CORRUPT when it is not one of these bytes by that key."""
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except CryptoError:
        fail("CORRUPT", f"{what}: wrong signature")


def zstd_frame_length(data: bytes) -> int:
    """Bytes of the zstd frame that data begins with, found from its blocks' headers (RFC 8878)."""
    at = zstandard.frame_header_size(data)
    last = False
    while not last:
        header = int.from_bytes(data[at : at + 3], "little")
        last, block_type, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if block_type == 1 else size)
        need(at <= len(data), "zstd frame is cut short")
    return at + (4 if zstandard.get_frame_parameters(data).has_checksum else 0)


def decode(codec: int, data: bytes, raw_length: int, what: str) -> bytes:
    """The bytes before a codec (§1): exactly raw_length of them, never more room than that."""
    need(codec in (0, 1), f"{what}: codec {codec}", "UNSUPPORTED")
    if codec == 0:
        need(len(data) == raw_length, f"{what}: {len(data)} bytes, not {raw_length}")
        return data
    need(data[:4] == ZSTD_MAGIC, f"{what}: not a zstd frame")
    try:
        stated = zstandard.get_frame_parameters(data).content_size
        need(stated in (raw_length, zstandard.CONTENTSIZE_UNKNOWN), f"{what}: wrong raw length")
        need(zstd_frame_length(data) == len(data), f"{what}: not one zstd frame")
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_length)
    except zstandard.ZstdError as error:
        fail("CORRUPT", f"{what}: {error}")
    need(len(raw) == raw_length, f"{what}: {len(raw)} bytes, not {raw_length}")
    return raw


def check_header(version: int, features: int, what: str) -> None:
    """§15: what is from a later version is UNSUPPORTED."""
    need(version == 1, f"{what}: version {version}", "UNSUPPORTED")
    need(features == 0, f"{what}: required features {features:#x}", "UNSUPPORTED")


def check_zero(reserved: bytes, what: str) -> None:
    """§1: reserved bytes that are not zero are UNSUPPORTED."""
    need(not any(reserved), f"{what}: reserved bytes are not zero", "UNSUPPORTED")


# ---- JSON ----------------------------------------------------------------------------------------


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    need(len(members) == len(pairs), "JSON: a member is there twice")
    return members


def parse_object(text: bytes, what: str) -> dict[str, Any]:
    """One JSON object, every member of which is there once."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        fail("CORRUPT", f"{what}: {error}")
    need(isinstance(value, dict), f"{what}: not a JSON object")
    return value


def text_of(members: dict[str, Any], name: str) -> str:
    """A string member."""
    value = members.get(name)
    need(isinstance(value, str), f"member {name}: not a string")
    return value


def number_of(members: dict[str, Any], name: str, least: int = 0, most: int = 2**64 - 1) -> int:
    """An integer member in a range."""
    value = members.get(name)
    need(type(value) is int and least <= value <= most, f"member {name}: not a number in range")
    return value


def object_of(members: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object."""
    value = members.get(name)
    need(isinstance(value, dict), f"member {name}: not an object")
    return value


def objects_of(members: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A member that is an array of objects."""
    value = members.get(name)
    need(isinstance(value, list), f"member {name}: not an array")
    need(all(isinstance(item, dict) for item in value), f"member {name}: not objects")
    return value


def unhex(text: Any, length: int, what: str) -> bytes:
    """Lower-case hexadecimal of a known number of bytes (§1)."""
    good = isinstance(text, str) and re.fullmatch(f"(?:[0-9a-f]{{2}}){{{length}}}", text)
    need(bool(good), f"{what}: not {length} bytes of lower-case hexadecimal")
    return bytes.fromhex(text)


def bytes_of(members: dict[str, Any], name: str, length: int) -> bytes:
    """A member that is bytes in hexadecimal."""
    return unhex(members.get(name), length, f"member {name}")


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z", re.ASCII)


def parse_time(text: str) -> int:
    """A time of JSON as microseconds since 1970 (§1)."""
    need(bool(TIME.fullmatch(text)), f"not a time: {text!r}")
    try:
        return (datetime.fromisoformat(text[:-1] + "+00:00") - EPOCH) // timedelta(microseconds=1)
    except ValueError:
        fail("CORRUPT", f"not a time: {text!r}")


def print_time(microseconds: int) -> str:
    """A time as JSON has it."""
    at = EPOCH + timedelta(microseconds=microseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_lsn(text: str) -> int:
    """An LSN of JSON (§1)."""
    need(bool(re.fullmatch("[0-9A-F]{1,8}/[0-9A-F]{1,8}", text)), f"not an LSN: {text!r}")
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def print_lsn(lsn: int) -> str:
    """An LSN as PostgreSQL prints it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
