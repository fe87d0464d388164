"""Roots (§9), audit records (§9a), the manifest stream (§10), page maps (§11) of docs/format.md."""

import re
import struct
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator

from hqbase import (
    MIB, check_zero, fail, need, number_of, object_of, parse_lsn, parse_object,
    parse_time, print_time, text_of, unhex, verify,
)
from hqkeys import KeyFile, check_certificate
from hqpack import AUDIT, DATA, LARGEST_RAW, PAGE_MAP, ROOT, open_sealed

CLUSTER = re.compile("[a-z0-9][a-z0-9._-]{0,62}")
BACKUP = re.compile("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
AUDIT_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True)
class Root:
    """The root of a backup, verified."""

    cluster: str
    backup: str
    manifest_chunks: list[bytes]
    manifest_bytes: int
    manifest_entries: int
    start_lsn: int
    stop_lsn: int
    timeline: int
    system: int
    members: dict[str, Any]


def _verified(key_file: KeyFile, name: str, body: bytes, label: bytes) -> dict[str, Any]:
    """A JSON text whose writer is certified and signed it under this name (§9, §9a)."""
    need(len(body) > 64, f"{name}: cut short")
    signature, text = body[:64], body[64:]
    members = parse_object(text, name)
    public_key = check_certificate(key_file, object_of(members, "writer"))
    message = label + b"\0" + name.encode() + b"\0" + text
    verify(signature, message, public_key, name)
    return members


def read_root(key_file: KeyFile, name: str, data: bytes) -> Root:
    """The object backups/<cluster>/<backup>."""
    members = _verified(key_file, name, open_sealed(key_file, data, ROOT, name),
                        b"hq-backup manifest v1")
    need(number_of(members, "version") == 1, f"{name}: later version", "UNSUPPORTED")
    need(members.get("kind") == "postgresql", f"{name}: unknown kind", "UNSUPPORTED")
    cluster, backup = text_of(members, "cluster"), text_of(members, "backup")
    need(f"backups/{cluster}/{backup}" == name, f"{name}: is of {cluster}/{backup}")
    manifest, source = object_of(members, "manifest"), object_of(members, "postgresql")
    chunks = manifest.get("chunks")
    need(isinstance(chunks, list), f"{name}: no manifest")
    system = text_of(source, "system_identifier")
    need(bool(re.fullmatch("[0-9]{1,20}", system)), f"{name}: system identifier")
    return Root(
        cluster, backup, [unhex(chunk, 32, "manifest chunk") for chunk in chunks],
        number_of(manifest, "bytes"), number_of(manifest, "entries"),
        parse_lsn(text_of(source, "start_lsn")), parse_lsn(text_of(source, "stop_lsn")),
        number_of(source, "timeline", 1, 2**32 - 1), int(system), members)


def read_audit(key_file: KeyFile, name: str, data: bytes) -> dict[str, Any]:
    """The object audit/<cluster>/<time>-<random>, verified (§9a)."""
    body = open_sealed(key_file, data, AUDIT, name)
    need(len(body) <= 65536, f"{name}: {len(body)} bytes")
    members = _verified(key_file, name, body, b"hq-backup audit v1")
    need(number_of(members, "version") == 1, f"{name}: later version", "UNSUPPORTED")
    cluster, time = text_of(members, "cluster"), parse_time(text_of(members, "time"))
    stem = re.sub("[-:]", "", print_time(time))
    need(name.startswith(f"audit/{cluster}/{stem}-"), f"{name}: is another's")
    for member, most in (("who", 128), ("reason", 1024)):
        text = text_of(members, member)
        need(1 <= len(text.encode()) <= most and not any(
            ord(c) < 32 or 127 <= ord(c) < 160 for c in text), f"{name}: {member}")
    if members.get("kind") == "gap-acknowledged":
        number_of(members, "timeline", 1, 2**32 - 1)
        need(parse_lsn(text_of(members, "from_lsn")) < parse_lsn(text_of(members, "to_lsn")),
             f"{name}: positions")
    return members


# ---- the manifest stream -------------------------------------------------------------------------

FILE, DIRECTORY, LINK, RELATION = 1, 2, 3, 4
LARGEST_ENTRY = 64 * MIB
CHUNK_REFERENCE = struct.Struct("<32sI")
(PATH, TYPE, MODE, UID, GID, MODIFIED, SIZE, CHUNKS, MAP, TARGET, DAMAGED, ATTRIBUTE, OWNER,
 GROUP) = range(1, 15)
ONLY_WITH = {CHUNKS: FILE, MAP: RELATION, TARGET: LINK, DAMAGED: RELATION}
INTEGERS = {TYPE: "<B", MODE: "<I", UID: "<I", GID: "<I", MODIFIED: "<q", SIZE: "<Q"}


@dataclass
class Entry:
    """One entry of a manifest (§10); None where the field is not there."""

    path: bytes
    type: int
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    modified: int | None = None
    chunks: list[tuple[bytes, int]] = field(default_factory=list)
    page_map: tuple[bytes, int] | None = None
    target: bytes | None = None
    damaged: list[int] = field(default_factory=list)
    attributes: list[tuple[bytes, bytes]] = field(default_factory=list)
    owner: bytes | None = None
    group: bytes | None = None


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The known tags of an entry and their values; each once but attributes."""
    at, seen = 0, set()
    while at < len(data):
        need(len(data) - at >= 6, "entry: cut short")
        tag, length = struct.unpack_from("<HI", data, at)
        at += 6
        need(length <= len(data) - at, f"tag {tag}: longer than its entry")
        if PATH <= tag <= GROUP:
            need(tag == ATTRIBUTE or tag not in seen, f"tag {tag} is there twice")
            seen.add(tag)
            yield tag, data[at : at + length]
        else:
            need(not tag & 0x8000, f"entry: tag {tag:#x}", "UNSUPPORTED")
        at += length


def _integer(tag: int, value: bytes) -> int:
    layout = INTEGERS[tag]
    need(len(value) == struct.calcsize(layout), f"tag {tag}: length")
    return struct.unpack(layout, value)[0]


def check_path(path: bytes) -> None:
    """§10, tag 1."""
    need(1 <= len(path) <= 4096, "path: length")
    need(b"\0" not in path, "path: a zero byte")
    need(not {b"", b".", b".."} & set(path.split(b"/")), "path: a part is empty, '.' or '..'")


def _references(value: bytes, most: int) -> list[tuple[bytes, int]]:
    need(len(value) % CHUNK_REFERENCE.size == 0, "chunk references: length")
    references = list(CHUNK_REFERENCE.iter_unpack(value))
    need(all(raw <= most for _, raw in references), "chunk reference: raw length")
    return references


def _attribute(value: bytes) -> tuple[bytes, bytes]:
    need(len(value) >= 2, "extended attribute: cut short")
    (length,) = struct.unpack_from("<H", value)
    need(length <= len(value) - 2, "extended attribute: cut short")
    return value[2 : 2 + length], value[2 + length :]


def _store(entry: Entry, tag: int, value: bytes) -> None:
    """Put one field into its entry."""
    if tag in INTEGERS:
        name = {TYPE: "type", MODE: "mode", UID: "uid", GID: "gid", MODIFIED: "modified",
                SIZE: "size"}[tag]
        setattr(entry, name, _integer(tag, value))
    elif tag == CHUNKS:
        entry.chunks = _references(value, LARGEST_RAW[DATA])
    elif tag == MAP:
        references = _references(value, LARGEST_RAW[PAGE_MAP])
        need(len(references) == 1, "page map: not one reference")
        entry.page_map = references[0]
    elif tag == DAMAGED:
        need(len(value) % 4 == 0, "damaged pages: length")
        entry.damaged = [block for (block,) in struct.iter_unpack("<I", value)]
    elif tag == ATTRIBUTE:
        entry.attributes.append(_attribute(value))
    else:
        name = {PATH: "path", TARGET: "target", OWNER: "owner", GROUP: "group"}[tag]
        setattr(entry, name, value)


def _check_entry(entry: Entry) -> None:
    """What must be there for each type of entry (§10)."""
    check_path(entry.path)
    need(entry.type != 0, "entry without type")
    need(entry.type in (FILE, DIRECTORY, LINK, RELATION), f"entry of type {entry.type}",
         "UNSUPPORTED")
    need(entry.mode is None or entry.mode <= 0o7777, "mode: more than permission bits")
    if entry.type in (FILE, RELATION):
        need(entry.size is not None, "file without size")
    if entry.type == FILE:
        need(sum(raw for _, raw in entry.chunks) == entry.size, "file: its chunks' lengths")
    if entry.type == RELATION:
        need(bool(entry.size) and entry.page_map is not None, "relation file without page map")
    if entry.type == LINK:
        need(entry.target is not None and 1 <= len(entry.target) <= 4096, "link without target")


def read_entry(data: bytes) -> Entry:
    """One entry, without its length."""
    entry = Entry(b"", 0)
    tags = set()
    for tag, value in _fields(data):
        tags.add(tag)
        _store(entry, tag, value)
    _check_entry(entry)
    for tag, only in ONLY_WITH.items():
        need(tag not in tags or entry.type == only, f"tag {tag} in an entry of type {entry.type}")
    return entry


def read_manifest(pieces: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a stream that comes in pieces, which must be sorted by path (§10)."""
    buffer, last = bytearray(), b""
    for piece in pieces:
        buffer += piece
        at = 0
        while len(buffer) - at >= 4:
            (length,) = struct.unpack_from("<I", buffer, at)
            need(length <= LARGEST_ENTRY, "entry above 64 MiB")
            if len(buffer) - at - 4 < length:
                break
            entry = read_entry(bytes(buffer[at + 4 : at + 4 + length]))
            need(entry.path > last, f"path {entry.path!r}: not in order")
            last, at = entry.path, at + 4 + length
            yield entry
        del buffer[:at]
    need(not buffer, "manifest: cut short")


# ---- page maps -----------------------------------------------------------------------------------

PAGE_MAP_HEADER = struct.Struct("<B3sIIII")
PAGE_MAP_RUN = struct.Struct("<III")
PAGE_CHUNK = struct.Struct("<32sIII")
NO_SUMS = 0xFFFFFFFF
ZEROS = 0xFFFFFFFF
MOST_BLOCKS = 1 << 20


@dataclass(frozen=True)
class PageMap:
    """Where each block of a relation file is: chunks (id, pages) and runs (length, chunk, slot)."""

    block_size: int
    blocks: int
    chunks: list[tuple[bytes, int]]
    runs: list[tuple[int, int, int]]


def _check_run(run: tuple[int, int, int], chunks: list[tuple[bytes, int]]) -> None:
    length, chunk, slot = run
    need(length >= 1, "page map: an empty run")
    if chunk == ZEROS:
        need(slot == 0, "page map: zeros with a slot")
    else:
        need(chunk < len(chunks), "page map: a chunk that it does not list")
        need(slot + length <= chunks[chunk][1], "page map: a run beyond its chunk")


def _page_chunks(data: bytes, version: int) -> tuple[list[tuple[bytes, int]], list[tuple[int, int]]]:
    """The chunks of a page map as (id, pages), and where each one's sums are."""
    if version == 1:
        return list(CHUNK_REFERENCE.iter_unpack(data)), []
    listed = list(PAGE_CHUNK.iter_unpack(data))
    return [item[:2] for item in listed], [item[2:] for item in listed]


def _check_sums(chunks: list[tuple[bytes, int]], places: list[tuple[int, int]],
                sums: list[tuple[bytes, int]]) -> None:
    need(all(1 <= count <= MOST_BLOCKS for _, count in sums), "page map: page sums")
    for (_, pages), (number, first) in zip(chunks, places):
        if number == NO_SUMS:
            need(first == 0, "page map: place without page sums")
        else:
            need(number < len(sums) and first + pages <= sums[number][1],
                 "page map: page sums of a chunk")


def read_page_map(data: bytes, size: int) -> PageMap:
    """A page map, whose file has size bytes (§11)."""
    need(len(data) >= PAGE_MAP_HEADER.size, "page map: cut short")
    version, reserved, block_size, blocks, count, runs = PAGE_MAP_HEADER.unpack_from(data)
    need(version != 0, "page map: version 0")
    need(version <= 2, f"page map: version {version}", "UNSUPPORTED")
    check_zero(reserved, "page map")
    need(512 <= block_size <= 32768 and not block_size & (block_size - 1), "page map: block size")
    need(1 <= blocks <= MOST_BLOCKS, "page map: blocks")
    start = PAGE_MAP_HEADER.size + (4 if version == 2 else 0)
    need(len(data) >= start, "page map: cut short")
    sum_chunks = struct.unpack_from("<I", data, PAGE_MAP_HEADER.size)[0] if version == 2 else 0
    middle = start + count * (PAGE_CHUNK if version == 2 else CHUNK_REFERENCE).size
    end = middle + runs * PAGE_MAP_RUN.size
    need(len(data) == end + sum_chunks * CHUNK_REFERENCE.size, "page map: length")
    chunks, places = _page_chunks(data[start:middle], version)
    need(all(1 <= pages <= 64 for _, pages in chunks), "page map: pages of a chunk")
    sums = list(CHUNK_REFERENCE.iter_unpack(data[end:]))
    _check_sums(chunks, places, sums)
    described = list(PAGE_MAP_RUN.iter_unpack(data[middle:end]))
    for run in described:
        _check_run(run, chunks)
    need(sum(run[0] for run in described) == blocks, "page map: its runs' lengths")
    need(blocks * block_size == size, "page map: not of a file of this size")
    return PageMap(block_size, blocks, chunks, described)


def check_damaged(entry: Entry, page_map: PageMap) -> None:
    """Damaged blocks are blocks of the file."""
    if any(block >= page_map.blocks for block in entry.damaged):
        fail("CORRUPT", "damaged pages: a block beyond the file")
