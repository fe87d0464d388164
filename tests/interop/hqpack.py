"""Chunks (§5), packs (§6), sealed objects and indexes (§8) of docs/format.md."""

import struct
from dataclasses import dataclass
from typing import Iterator

from hqbase import (
    MIB, TAG, check_header, check_zero, decode, derive, fail, h, need, nonce_of, unseal,
)
from hqkeys import KeyFile

DATA, PAGES, MANIFEST, PAGE_MAP, PAGE_SUMS = 1, 2, 3, 4, 5
ID_LABEL = {DATA: "chunk-data", PAGES: "chunk-pages", MANIFEST: "chunk-manifest",
            PAGE_MAP: "chunk-pagemap", PAGE_SUMS: "chunk-pagesums"}
LARGEST_RAW = {DATA: 4 * MIB, PAGES: 2 * MIB, MANIFEST: 4 * MIB, PAGE_MAP: 64 * MIB,
               PAGE_SUMS: 8 * MIB}
DATA_PACK, METADATA_PACK = 1, 2
PACK_OF_KIND = {DATA: DATA_PACK, PAGES: DATA_PACK, MANIFEST: METADATA_PACK,
                PAGE_MAP: METADATA_PACK, PAGE_SUMS: METADATA_PACK}

PACK_HEADER = struct.Struct("<8sHHII4s16s80s8s")
PACK_ENTRY = struct.Struct("<32sIIIBB2s")
PACK_TRAILER = struct.Struct("<III4s8s8s")
LARGEST_PACK = 256 * MIB
MOST_FRAMES = 1 << 20

SEALED_HEADER = struct.Struct("<8sHHIIB3sQ24s8s")
INDEX, ROOT, AUDIT = 1, 2, 5
LARGEST_SEALED = 64 * MIB
INDEX_PACK = struct.Struct("<32sIH2sII")


def chunk_id(identity_key: bytes, kind: int, content: bytes) -> bytes:
    """§5: the id of a chunk; content is the frame before sealing for pages, else the plaintext."""
    return h(content, derive(identity_key, ID_LABEL[kind]))


@dataclass(frozen=True)
class Frame:
    """A directory entry (§6) and the number of its frame."""

    number: int
    chunk_id: bytes
    offset: int
    stored: int
    raw: int
    kind: int
    codec: int


def _frame(number: int, entry: tuple[bytes, int, int, int, int, int, bytes],
           pack_type: int) -> Frame:
    frame = Frame(number, *entry[:6])
    what = f"frame {number}"
    check_zero(entry[6], what)
    need(frame.kind in ID_LABEL, f"{what}: kind {frame.kind}", "UNSUPPORTED")
    need(frame.codec in (0, 1), f"{what}: codec {frame.codec}", "UNSUPPORTED")
    need(PACK_OF_KIND[frame.kind] == pack_type, f"{what}: kind in the wrong sort of pack")
    need(frame.raw <= LARGEST_RAW[frame.kind], f"{what}: raw length above its kind's")
    need(TAG <= frame.stored <= frame.raw + TAG, f"{what}: stored length out of range")
    need(frame.codec == 1 or frame.stored == frame.raw + TAG, f"{what}: lengths differ")
    return frame


def read_entries(entries: bytes, pack_type: int, pack_size: int) -> list[Frame]:
    """The entries of a directory, which must lie one behind the other up to it (§6)."""
    need(len(entries) % PACK_ENTRY.size == 0, "directory: not whole entries")
    frames, end = [], PACK_HEADER.size
    for number, entry in enumerate(PACK_ENTRY.iter_unpack(entries)):
        frame = _frame(number, entry, pack_type)
        need(frame.offset == end, f"frame {number}: not where the one before it ends")
        end += frame.stored
        frames.append(frame)
    need(1 <= len(frames) <= MOST_FRAMES, "directory: number of frames")
    need(pack_size <= LARGEST_PACK, "pack above 256 MiB")
    need(end + len(entries) + TAG + PACK_TRAILER.size == pack_size,
         "directory: frames do not end where it begins")
    return frames


@dataclass(frozen=True)
class PackHeader:
    """The first 128 bytes of a pack, checked."""

    raw: bytes
    type: int
    epoch: int
    sealed_key: bytes


def read_pack_header(data: bytes) -> PackHeader:
    """§6, header."""
    need(len(data) >= PACK_HEADER.size, "pack: cut short")
    raw = data[: PACK_HEADER.size]
    magic, version, kind, epoch, features, reserved, _, sealed, more = (
        PACK_HEADER.unpack(raw))
    need(magic == b"HQBPACK1", "not a pack")
    check_header(version, features, "pack")
    need(kind in (DATA_PACK, METADATA_PACK), f"pack of type {kind}", "UNSUPPORTED")
    check_zero(reserved + more, "pack")
    if kind == METADATA_PACK:
        check_zero(sealed, "metadata pack")
    return PackHeader(raw, kind, epoch, sealed)


def frame_key(key_file: KeyFile, header: PackHeader) -> bytes:
    """§6: the key of a pack's frames; KEY for a data pack without the data secret key."""
    metadata_key = key_file.epoch(header.epoch).metadata_key
    if header.type == METADATA_PACK:
        return derive(metadata_key, "pack-metadata", header.raw)
    key = key_file.open_sealed_key(header.epoch, header.sealed_key)
    return derive(metadata_key, "pack-data", key + header.raw)


def open_frame(key_file: KeyFile, header: PackHeader, frame: Frame, sealed: bytes) -> bytes:
    """The plaintext of a frame, whose chunk id is computed anew (§5, §6)."""
    what = f"chunk {frame.chunk_id.hex()}"
    need(len(sealed) == frame.stored, f"{what}: cut short")
    data = key_file.bind + struct.pack(
        "<IBBHI", frame.number, frame.kind, frame.codec, 0, frame.raw) + frame.chunk_id
    content = unseal(frame_key(key_file, header), nonce_of(frame.number), data, sealed, what)
    plain = decode(frame.codec, content, frame.raw, what)
    named = content if frame.kind == PAGES else plain
    need(chunk_id(key_file.identity_key, frame.kind, named) == frame.chunk_id,
         f"{what}: has another content")
    return plain


def read_pack(key_file: KeyFile, pack_id: bytes, data: bytes) -> tuple[PackHeader, list[Frame]]:
    """A whole pack: its id, header, trailer and directory (§6)."""
    need(len(data) <= LARGEST_PACK, "pack above 256 MiB")
    need(h(data) == pack_id, f"pack {pack_id.hex()}: has another content")
    header = read_pack_header(data)
    need(len(data) >= PACK_HEADER.size + PACK_TRAILER.size + TAG, "pack: cut short")
    offset, stored, count, reserved, more, magic = PACK_TRAILER.unpack(data[-PACK_TRAILER.size:])
    need(magic == b"HQBPEND1", "pack: no trailer")
    check_zero(reserved + more, "pack trailer")
    need(1 <= count <= MOST_FRAMES, "pack trailer: number of frames")
    need(stored == PACK_ENTRY.size * count + TAG, "pack trailer: length of the directory")
    need(offset + stored + PACK_TRAILER.size == len(data), "pack trailer: offset of the directory")
    key = derive(key_file.epoch(header.epoch).metadata_key, "pack-directory", header.raw)
    entries = unseal(key, nonce_of(0), key_file.bind, data[offset : offset + stored], "directory")
    return header, read_entries(entries, header.type, len(data))


# ---- sealed objects and indexes ------------------------------------------------------------------


def open_sealed(key_file: KeyFile, data: bytes, kind: int, name: str) -> bytes:
    """The body of a sealed object of a known type and name (§8)."""
    need(len(data) >= SEALED_HEADER.size, f"{name}: cut short")
    header, sealed = data[: SEALED_HEADER.size], data[SEALED_HEADER.size :]
    magic, version, found, epoch, features, codec, reserved, raw, nonce, more = (
        SEALED_HEADER.unpack(header))
    need(magic == b"HQBSEAL1", f"{name}: not a sealed object")
    check_header(version, features, name)
    need(1 <= found <= 5, f"{name}: type {found}", "UNSUPPORTED")
    need(found == kind, f"{name}: an object of another type")
    check_zero(reserved + more, name)
    need(raw <= LARGEST_SEALED, f"{name}: above 64 MiB")
    need(codec in (0, 1), f"{name}: codec {codec}", "UNSUPPORTED")
    key = derive(key_file.epoch(epoch).metadata_key, "object", struct.pack("<H", kind))
    bound = key_file.bind + header + name.encode()
    return decode(codec, unseal(key, nonce, bound, sealed, name), raw, name)


@dataclass(frozen=True)
class IndexedPack:
    """What an index says of a pack (§8)."""

    pack_id: bytes
    size: int
    type: int
    epoch: int
    frames: list[Frame]


def read_index(key_file: KeyFile, name_id: bytes, data: bytes) -> Iterator[IndexedPack]:
    """The packs of an index, whose name is the hash of its bytes (§2, §8)."""
    need(h(data) == name_id, f"index {name_id.hex()}: has another content")
    body = open_sealed(key_file, data, INDEX, "index")
    at, total = 0, 0
    while at < len(body):
        need(len(body) - at >= INDEX_PACK.size, "index: cut short")
        pack_id, size, kind, reserved, epoch, count = INDEX_PACK.unpack_from(body, at)
        check_zero(reserved, "index")
        need(kind in (DATA_PACK, METADATA_PACK), f"pack of type {kind}", "UNSUPPORTED")
        at, total = at + INDEX_PACK.size, total + count
        need(total <= MOST_FRAMES, "index: too many entries")
        need(count * PACK_ENTRY.size <= len(body) - at, "index: cut short")
        entries = body[at : at + count * PACK_ENTRY.size]
        at += len(entries)
        yield IndexedPack(pack_id, size, kind, epoch, read_entries(entries, kind, size))


def check_same_pack(listed: IndexedPack, header: PackHeader) -> None:
    """A pack must be what its index says it is."""
    if (listed.type, listed.epoch) != (header.type, header.epoch):
        fail("CORRUPT", f"pack {listed.pack_id.hex()}: not what its index says")
