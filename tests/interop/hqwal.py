"""WAL objects (§12) of docs/format.md: segments, parts of segments, timeline history files."""

import re
import struct
from dataclasses import dataclass
from typing import Iterator

from hqbase import (
    MIB, TAG, check_header, decode, derive, h, need, nonce_of, parse_lsn,
    poly1305, unseal)
from hqkeys import KeyFile

SEGMENT, PART, HISTORY = 1, 2, 3
HEADER = struct.Struct("<8sHHIIIQQQIIqqq80s32s")
NAME = re.compile(
    "wal/([a-z0-9][a-z0-9._-]{0,62})/([0-9a-f]{16})/([0-9A-F]{8})"
    r"(?:\.history|/([0-9A-F]{24})(?:\.([0-9a-f]{8})-([0-9a-f]{8}))?)")
SMALLEST_SEGMENT, LARGEST_SEGMENT = MIB, 1024 * MIB
FRAME = MIB


@dataclass(frozen=True)
class WalName:
    """What the name of a WAL object says (§2)."""

    name: str
    cluster: str
    system: int
    timeline: int
    type: int
    segment: str
    begin: int
    end: int


def parse_name(name: str) -> WalName | None:
    """The name of a WAL object; None when it is not one, which readers ignore (§2)."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    cluster, system, timeline, segment, begin, end = match.groups()
    if segment is not None and segment[:8] != timeline:
        return None
    kind = HISTORY if segment is None else PART if begin is not None else SEGMENT
    return WalName(name, cluster, int(system, 16), int(timeline, 16), kind, segment or "",
                   int(begin or "0", 16), int(end or "0", 16))


@dataclass(frozen=True)
class WalHeader:
    """The header of a WAL object, which every key file's owner can read (§12)."""

    raw: bytes
    type: int
    epoch: int
    timeline: int
    start: int
    end: int
    system: int
    segment_size: int
    raw_length: int
    first_time: int
    last_time: int
    sent: int
    sealed_key: bytes
    tag: bytes | None


def _segment_start(segment: str, segment_size: int) -> int:
    """The LSN at which a segment begins, from PostgreSQL's name for it."""
    high, low = int(segment[8:16], 16), int(segment[16:24], 16)
    need(low < 2**32 // segment_size, f"{segment}: not a segment of this size")
    return (high << 32) + low * segment_size


def _check_place(name: WalName, header: WalHeader) -> None:
    """Start, end, segment size and raw length against the name (§12)."""
    if header.type == HISTORY:
        need(header.end == 0 and (header.start == 0) == (header.segment_size == 0)
             and header.segment_size < header.timeline, f"{name.name}: where it branched")
        return
    size = header.segment_size
    need(SMALLEST_SEGMENT <= size <= LARGEST_SEGMENT and not size & (size - 1),
         f"{name.name}: segment size")
    start = _segment_start(name.segment, size)
    begin, end = (name.begin, name.end) if header.type == PART else (0, size)
    need(begin < end <= size, f"{name.name}: outside of its segment")
    need((header.start, header.end) == (start + begin, start + end),
         f"{name.name}: header and name differ")
    need(header.raw_length == end - begin, f"{name.name}: raw length")


def read_header(name: WalName, data: bytes) -> WalHeader:
    """The header of a WAL object, checked against its name."""
    need(len(data) >= HEADER.size, f"{name.name}: cut short")
    (magic, version, kind, epoch, features, timeline, start, end, system, segment_size, raw_length,
     first, last, sent, sealed, tag) = HEADER.unpack(data[: HEADER.size])
    need(magic == b"HQBWAL01", f"{name.name}: not a WAL object")
    check_header(version, features, name.name)
    need(SEGMENT <= kind <= HISTORY, f"{name.name}: type {kind}", "UNSUPPORTED")
    header = WalHeader(data[: HEADER.size], kind, epoch, timeline, start, end, system,
                       segment_size, raw_length, first, last, sent, sealed,
                       tag if any(tag) else None)
    need(1 <= raw_length <= LARGEST_SEGMENT, f"{name.name}: raw length")
    need((kind, timeline, system) == (name.type, name.timeline, name.system),
         f"{name.name}: header and name differ")
    _check_place(name, header)
    return header


def content_tag(key_file: KeyFile, epoch: int, name: str, content: bytes) -> bytes:
    """By what a sidecar recognises what it wrote (§12)."""
    metadata_key = key_file.epoch(epoch).metadata_key
    fingerprint = poly1305(derive(metadata_key, "wal-fingerprint"), content)
    return h(fingerprint + name.encode(), derive(metadata_key, "wal-tag"))


def read_content(key_file: KeyFile, name: WalName, data: bytes) -> Iterator[bytes]:
    """The frames of a WAL object, a MiB at a time (§12)."""
    header = read_header(name, data)
    sealed_key = key_file.open_sealed_key(header.epoch, header.sealed_key)
    metadata_key = key_file.epoch(header.epoch).metadata_key
    key = derive(metadata_key, "wal", sealed_key + header.raw)
    at, frames = HEADER.size, -(-header.raw_length // FRAME)
    for number in range(frames):
        what = f"{name.name}: frame {number}"
        raw = min(FRAME, header.raw_length - number * FRAME)
        need(len(data) - at >= 4, f"{what}: cut short")
        (word,) = struct.unpack_from("<I", data, at)
        codec, stored = word >> 31, word & 0x7FFFFFFF
        at += 4
        need(TAG <= stored <= raw + TAG, f"{what}: stored length")
        need(stored <= len(data) - at, f"{what}: cut short")
        bound = key_file.bind + struct.pack("<IBBH", number, number == frames - 1, codec, 0)
        sealed = data[at : at + stored]
        at += stored
        content = unseal(key, nonce_of(number), bound + name.name.encode(), sealed, what)
        yield decode(codec, content, raw, what)
    need(at == len(data), f"{name.name}: something follows the last frame")


def check_history(name: WalName, header: WalHeader, content: bytes) -> None:
    """Where a history file's header tells where its timeline branched, its last line does too."""
    if name.type != HISTORY or header.start == 0:
        return
    lines = [line.split() for line in content.decode(errors="replace").splitlines()]
    steps = [words for words in lines if words and not words[0].startswith("#")]
    need(bool(steps) and len(steps[-1]) >= 2 and steps[-1][0] == str(header.segment_size)
         and parse_lsn(steps[-1][1]) == header.start, f"{name.name}: header and content differ")


def chain_of(parts: list[WalName]) -> list[WalName]:
    """A chain of parts that reaches as far as any does, from byte 0 of the segment on (§12)."""
    chain, reached = [], 0
    for part in sorted(parts, key=lambda part: (part.begin, -part.end)):
        if part.begin <= reached < part.end:
            chain.append(part)
            reached = part.end
    return chain
