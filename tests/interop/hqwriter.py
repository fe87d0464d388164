"""A small writer of every object of docs/format.md, for the reader's own tests."""

import hashlib
import json
import struct
from typing import Any

import zstandard
from nacl import bindings, pwhash

from hqbase import derive, h, nonce_of, print_time
from hqkeys import KeyFile, read_key_file, signed_bytes
from hqpack import DATA_PACK, PACK_OF_KIND, PAGES, chunk_id

MASK = 2**64 - 1
CREATED = 1767225600000000


def secret(name: str) -> bytes:
    """32 bytes that depend on a name."""
    return hashlib.sha256(name.encode()).digest()


def aead(key: bytes, nonce: bytes, data: bytes, plain: bytes) -> bytes:
    """AEAD of §1."""
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, data, nonce, key)


def compress(plain: bytes, level: int = 1) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor(level=level).compress(plain)


# ---- cutting (§7) --------------------------------------------------------------------------------


def gear_of(identity_key: bytes) -> list[int]:
    """The keyed table of §7."""
    key = derive(identity_key, "gear")
    return [int.from_bytes(h(bytes([value]), key)[:8], "little") for value in range(256)]


def _cut(gear: list[int], data: bytes, minimum: int, average: int, maximum: int) -> int:
    if len(data) <= minimum:
        return len(data)
    bits = average.bit_length() - 1
    small = MASK ^ MASK >> (bits + 2)
    large = MASK ^ MASK >> (bits - 2)
    fingerprint, end = 0, min(len(data), maximum)
    for at in range(minimum, end):
        fingerprint = ((fingerprint << 1) + gear[data[at]]) & MASK
        if fingerprint & (small if at < average else large) == 0:
            return at + 1
    return end


def cut_lengths(gear: list[int], data: bytes, minimum: int, average: int,
                maximum: int) -> list[int]:
    """The lengths of the pieces that data is cut into."""
    lengths, at = [], 0
    while at < len(data):
        lengths.append(_cut(gear, data[at : at + maximum], minimum, average, maximum))
        at += lengths[-1]
    return lengths


# ---- keys and repository.json (§3, §4) -----------------------------------------------------------


class Keys:
    """Keys that are always the same, and what they sign."""

    def __init__(self, name: str = "one", region: str = "TR"):
        self.region = region
        self.repository_id = secret(name + " id")[:16]
        self.identity = secret(name + " identity")
        self.metadata = secret(name + " metadata")
        self.data_secret = secret(name + " data")
        self.data_public = bindings.crypto_scalarmult_base(self.data_secret)
        self.public, self.secret = bindings.crypto_sign_seed_keypair(secret(name + " repository"))
        self.writer_public, self.writer_secret = bindings.crypto_sign_seed_keypair(
            secret(name + " writer"))

    def writer(self) -> dict[str, Any]:
        """The writer and its certificate, as a root has them."""
        message = (b"hq-backup writer v1\0" + self.repository_id + self.writer_public
                   + struct.pack("<q", CREATED) + b"unit")
        return {"name": "unit", "public_key": self.writer_public.hex(),
                "issued": print_time(CREATED),
                "certificate": bindings.crypto_sign(message, self.secret)[:64].hex()}

    def file(self, role: str = "restore") -> dict[str, Any]:
        """The members of a key file (§3.1)."""
        epoch = {"epoch": 1, "created": print_time(CREATED), "metadata_key": self.metadata.hex(),
                 "data_public_key": self.data_public.hex()}
        members = {"format": "hq-backup key", "version": 1, "role": role,
                   "repository_id": self.repository_id.hex(), "region": self.region,
                   "created": print_time(CREATED), "identity_key": self.identity.hex(),
                   "repository_public_key": self.public.hex(),
                   "writer": self.writer() | {"secret_key": self.writer_secret.hex()},
                   "epochs": [epoch]}
        if role == "restore":
            epoch["data_secret_key"] = self.data_secret.hex()
            members["repository_secret_key"] = self.secret.hex()
        return members

    def key_file(self, role: str = "restore") -> KeyFile:
        """The same, read."""
        return read_key_file(json.dumps(self.file(role)).encode())

    def protected(self, passphrase: bytes, **changed: Any) -> dict[str, Any]:
        """A restore key file with a passphrase; further members replace those of kdf."""
        salt, nonce = secret("salt")[:16], secret("nonce")[:24]
        key = pwhash.argon2id.kdf(32, passphrase, salt, 1, 8192)
        data = b"hq-backup key v1\0" + self.repository_id + self.region.encode()
        sealed = aead(key, nonce, data, json.dumps(self.file()).encode())
        kdf = {"name": "argon2id", "operations": 1, "memory": 8192, "salt": salt.hex()}
        head = ("format", "version", "role", "repository_id", "region")
        return {name: self.file()[name] for name in head} | {
            "kdf": kdf | changed, "nonce": nonce.hex(), "sealed": sealed.hex()}

    def repository(self, **changed: Any) -> bytes:
        """repository.json, signed; further members replace its own before that."""
        members = {
            "format": "hq-backup repository", "version": 1, "required_features": 0,
            "repository_id": self.repository_id.hex(), "region": self.region,
            "created": print_time(CREATED),
            "identity_key_id": derive(self.identity, "key-id")[:8].hex(),
            "repository_public_key": self.public.hex(),
            "chunking": {"algorithm": "fastcdc-keyed", "minimum": 65536, "average": 262144,
                         "maximum": 1048576},
            "epochs": [{"epoch": 1, "created": print_time(CREATED),
                        "metadata_key_id": derive(self.metadata, "key-id")[:8].hex(),
                        "data_public_key": self.data_public.hex()}]} | changed
        members["signature"] = bindings.crypto_sign(signed_bytes(members), self.secret)[:64].hex()
        return json.dumps(members, indent=1).encode()

    # ---- packs and indexes (§6, §8) ----

    def pack(self, chunks: list[tuple[int, bytes, int]], epoch: int = 1) -> tuple[bytes, bytes]:
        """A pack of (kind, plaintext, codec), and its directory's entries."""
        kind = PACK_OF_KIND[chunks[0][0]]
        sealed = bindings.crypto_box_seal(secret("K"), self.data_public)
        header = struct.pack("<8sHHIII16s80sQ", b"HQBPACK1", 1, kind, epoch, 0, 0,
                             secret("salt")[:16], sealed if kind == DATA_PACK else b"", 0)
        label, more = (("pack-data", secret("K")) if kind == DATA_PACK else ("pack-metadata", b""))
        key = derive(self.metadata, label, more + header)
        frames, entries, offset = b"", b"", 128
        for number, (sort, plain, codec) in enumerate(chunks):
            content = compress(plain) if codec == 1 else plain
            name = chunk_id(self.identity, sort, content if sort == PAGES else plain)
            data = self.bind + struct.pack("<IBBHI", number, sort, codec, 0, len(plain)) + name
            frame = aead(key, nonce_of(number), data, content)
            entries += struct.pack("<32sIIIBBH", name, offset, len(frame), len(plain), sort, codec,
                                   0)
            frames, offset = frames + frame, offset + len(frame)
        return self.finish_pack(header, frames, entries), entries

    def finish_pack(self, header: bytes, frames: bytes, entries: bytes) -> bytes:
        """Header and frames with a directory and a trailer."""
        key = derive(self.metadata, "pack-directory", header)
        directory = aead(key, nonce_of(0), self.bind, entries)
        trailer = struct.pack("<IIII8s8s", 128 + len(frames), len(directory), len(entries) // 48,
                              0, b"", b"HQBPEND1")
        return header + frames + directory + trailer

    @property
    def bind(self) -> bytes:
        """§3."""
        return h(b"hq-backup bind v1\0" + self.repository_id + self.region.encode())

    def sealed(self, kind: int, name: str, body: bytes, codec: int = 1) -> bytes:
        """A sealed object (§8)."""
        header = struct.pack("<8sHHIIB3sQ24sQ", b"HQBSEAL1", 1, kind, 1, 0, codec, b"", len(body),
                             secret("nonce")[:24], 0)
        key = derive(self.metadata, "object", struct.pack("<H", kind))
        content = compress(body) if codec == 1 else body
        return header + aead(key, header[32:56], self.bind + header + name.encode(), content)

    def index(self, packs: list[tuple[bytes, bytes]]) -> bytes:
        """An index of (pack, its directory's entries)."""
        body = b""
        for pack, entries in packs:
            (kind,) = struct.unpack_from("<H", pack, 10)
            body += struct.pack("<32sIHHII", h(pack), len(pack), kind, 0, 1, len(entries) // 48)
            body += entries
        return self.sealed(1, "index", body)

    # ---- roots and WAL (§9, §12) ----

    def root(self, name: str, chunks: list[bytes], stream: bytes, entries: int,
             **changed: Any) -> bytes:
        """The root of a backup; further members replace its own before it is signed."""
        cluster, backup = name.split("/")[1:]
        members = {
            "version": 1, "kind": "postgresql", "cluster": cluster, "backup": backup,
            "parent": None, "started": print_time(CREATED), "finished": print_time(CREATED),
            "host": "unit", "program": "hqwriter", "writer": self.writer(),
            "manifest": {"chunks": [chunk.hex() for chunk in chunks], "bytes": len(stream),
                         "entries": entries},
            "statistics": {"files": entries, "bytes": len(stream), "pages": 0, "damaged_pages": 0,
                           "new_bytes": 0, "stored_bytes": 0},
            "postgresql": {
                "version_number": 150020, "system_identifier": "7312345678901234567",
                "mode": "stream", "timeline": 1, "start_lsn": "0/2000028",
                "stop_lsn": "0/2000100", "wal_segment_size": 1048576, "block_size": 8192,
                "checksums": True, "tablespaces": []}} | changed
        text = json.dumps(members).encode()
        message = b"hq-backup manifest v1\0" + name.encode() + b"\0" + text
        signature = bindings.crypto_sign(message, self.writer_secret)[:64]
        return self.sealed(2, name, signature + text)

    def wal(self, name: str, kind: int, place: tuple[int, int, int], content: bytes,
            codec: int = 1, system: int = 0x1234) -> bytes:
        """A WAL object; place is start, end, segment size."""
        start, end, size = place
        sealed = bindings.crypto_box_seal(secret("K"), self.data_public)
        header = struct.pack("<8sHHIIIQQQIIqqq80s32s", b"HQBWAL01", 1, kind, 1, 0, 1, start, end,
                             system, size, len(content), 0, 0, CREATED, sealed, b"")
        key = derive(self.metadata, "wal", secret("K") + header)
        pieces = [content[at : at + 2**20] for at in range(0, len(content), 2**20)]
        frames = b""
        for number, piece in enumerate(pieces):
            data = self.bind + struct.pack("<IBBH", number, number == len(pieces) - 1, codec, 0)
            frame = aead(key, nonce_of(number), data + name.encode(),
                         compress(piece) if codec else piece)
            frames += struct.pack("<I", codec << 31 | len(frame)) + frame
        return header + frames


# ---- manifests and page maps (§10, §11) ----------------------------------------------------------


def field(tag: int, value: bytes) -> bytes:
    """One field of an entry."""
    return struct.pack("<HI", tag, len(value)) + value


def entry(path: bytes, kind: int, *fields: bytes) -> bytes:
    """One entry of a manifest, with its length."""
    body = field(1, path) + field(2, bytes([kind])) + b"".join(fields)
    return struct.pack("<I", len(body)) + body


def page_map(chunks: list[tuple[bytes, int]], runs: list[tuple[int, int, int]],
             blocks: int | None = None, block_size: int = 8192) -> bytes:
    """A page map."""
    count = sum(run[0] for run in runs) if blocks is None else blocks
    return (struct.pack("<B3sIIII", 1, b"", block_size, count, len(chunks), len(runs))
            + b"".join(struct.pack("<32sI", *chunk) for chunk in chunks)
            + b"".join(struct.pack("<III", *run) for run in runs))


def summed_map(chunks: list[tuple[bytes, int]], runs: list[tuple[int, int, int]],
               places: list[tuple[int, int]], sums: list[int]) -> bytes:
    """A page map of version 2; places are those of the chunks' sums, sums are counts."""
    return (struct.pack("<B3sIIIII", 2, b"", 8192, sum(run[0] for run in runs), len(chunks),
                        len(runs), len(sums))
            + b"".join(struct.pack("<32sIII", *chunk, *place)
                       for chunk, place in zip(chunks, places))
            + b"".join(struct.pack("<III", *run) for run in runs)
            + b"".join(struct.pack("<32sI", bytes(32), count) for count in sums))


