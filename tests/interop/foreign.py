#!/usr/bin/python3
"""Write repositories that hq-backup did not: the other direction, the engine reads a stranger's.

    foreign.py DIRECTORY      one folder for each case of CASES, restore.key beside them; prints the
                              cases and the exit statuses that hq-restore may end with

Each holds one backup of a few files that look like a data directory, and its WAL. In all cases but
'good' something breaks a rule of docs/format.md, sealed and signed as it must be: only a check of
that rule finds it.
"""

import json
import os
import struct
import sys
from typing import Any

from hqbase import h
from hqpack import DATA, MANIFEST, PAGE_MAP, PAGES, chunk_id
from hqwriter import Keys, entry, field, page_map

KEYS = Keys("foreign")
PAGE = 8192
MIB = 1 << 20
SYSTEM = 7312345678901234567
ROOT = "backups/main/20260101T000000Z-0011aabb"
WAL = f"wal/main/{SYSTEM:016x}/00000001"
LABEL = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000020)\n"


def number(tag: int, layout: str, value: int) -> bytes:
    """An integer field."""
    return field(tag, struct.pack("<" + layout, value))


class Backup:
    """Files and what becomes of them, step by step, so that a case can change any step."""

    def __init__(self) -> None:
        self.data: list[tuple[int, bytes, int]] = []
        self.metadata: list[tuple[int, bytes, int]] = []
        self.entries: list[tuple[bytes, bytes]] = []
        self.root: dict[str, Any] = {}
        self.repository: dict[str, Any] = {}
        self.more = [0, 0]  # bytes and entries that the root states beyond those there are
        self.wal_content = b"".join(h(struct.pack("<I", at)) for at in range(MIB // 32))

    def folder(self, path: bytes) -> None:
        """A directory."""
        self.add(path, 2, number(3, "I", 0o700))

    def add(self, path: bytes, kind: int, *fields: bytes) -> None:
        """Any entry."""
        self.entries.append((path, entry(path, kind, *fields)))

    def file(self, path: bytes, *contents: bytes, codec: int = 0) -> None:
        """A file of one chunk for each content."""
        listed = b""
        for content in contents:
            self.data.append((DATA, content, codec))
            listed += chunk_id(KEYS.identity, DATA, content) + struct.pack("<I", len(content))
        size = sum(map(len, contents))
        self.add(path, 1, number(3, "I", 0o600), number(7, "Q", size), field(8, listed))

    def relation(self, path: bytes, data: bytes, size: int, *fields: bytes) -> None:
        """A relation file with a page map."""
        self.metadata.append((PAGE_MAP, data, 0))
        reference = chunk_id(KEYS.identity, PAGE_MAP, data) + struct.pack("<I", len(data))
        self.add(path, 4, number(3, "I", 0o600), number(7, "Q", size), field(9, reference), *fields)

    def pages(self, content: bytes) -> bytes:
        """A chunk of pages; its id, which is that of the bytes as they are stored."""
        self.data.append((PAGES, content, 0))
        return chunk_id(KEYS.identity, PAGES, content)

    def objects(self) -> dict[str, bytes]:
        """The repository: name and bytes of every object."""
        stream = b"".join(made for _, made in sorted(self.entries, key=lambda pair: pair[0]))
        pieces = [stream[at : at + 100] for at in range(0, len(stream), 100)]
        packs = [KEYS.pack(self.data), KEYS.pack(
            self.metadata + [(MANIFEST, piece, 0) for piece in pieces])]
        index = KEYS.index(packs)
        chunks = [chunk_id(KEYS.identity, MANIFEST, piece) for piece in pieces]
        made = {f"packs/{h(pack).hex()[:2]}/{h(pack).hex()}": pack for pack, _ in packs}
        return made | {
            "repository.json": KEYS.repository(**self.repository),
            f"index/{h(index).hex()}": index,
            ROOT: KEYS.root(ROOT, chunks, stream + bytes(self.more[0]),
                            len(self.entries) + self.more[1], **self.root),
            **self._wal("", 0x20, 0, MIB), **self._wal(".00000000-00080000", 0x21, 0, 0x80000),
            **self._wal(".00040000-000c0000", 0x21, 0x40000, 0xC0000),
            "notes.txt": b"readers ignore other names\n"}

    def _wal(self, suffix: str, segment: int, begin: int, end: int) -> dict[str, bytes]:
        """A segment of 1 MiB or a part of it."""
        name, start = f"{WAL}/00000001{segment:016X}{suffix}", segment * MIB
        return {name: KEYS.wal(name, 2 if suffix else 1, (start + begin, start + end, MIB),
                               self.wal_content[begin:end], 0, SYSTEM)}


def sound() -> Backup:
    """A backup that breaks no rule."""
    made = Backup()
    for path in (b"base", b"base/5", b"global", b"pg_tblspc", b"pg_wal"):
        made.folder(path)
    made.file(b"PG_VERSION", b"15\n")
    made.file(b"backup_label", LABEL)
    made.file(b"global/pg_control", bytes(range(256)) * 32)
    made.file(b"large", b"first " * 30000, b"second " * 10000, codec=1)
    made.add(b"nothing", 1, number(3, "I", 0o600), number(7, "Q", 0), field(0x7ABC, b"skipped"))
    content = b"".join(bytes([value]) * PAGE for value in (1, 2, 3))
    runs = [(1, 0, 2), (5, 0xFFFFFFFF, 0), (3, 0, 0)]
    made.relation(b"base/5/1259", page_map([(made.pages(content), 3)], runs), 9 * PAGE)
    return made


PAGE_OF_FOUR = b"4" * PAGE
FIRST = h(b"an id that is nowhere")


def broken(case: str) -> Backup:
    """The same with an entry, page map or member that breaks a rule."""
    made = sound()
    entries = {
        "path-zero-byte": (b"a\0b", 2), "path-dots": (b"a/../b", 2), "path-absolute": (b"/a", 2),
        "path-empty-part": (b"a//b", 2), "path-twice": (b"base", 2), "path-long": (b"a" * 4097, 2),
        "type-unknown": (b"a", 7), "link-elsewhere": (b"link", 3, field(10, b"/tmp")),
        "below-file": (b"large/x", 2), "tag-elsewhere": (b"a", 2, field(10, b"/tmp")),
        "tag-required": (b"a", 2, field(0x8001, b"")), "tag-twice": (b"a", 2, field(2, b"\2")),
        "mode-large": (b"a", 2, number(3, "I", 0o10000)), "tag-length": (b"a", 2, field(6, b"1")),
        "size-missing": (b"a", 1), "size-differs": (b"a", 1, number(7, "Q", 1)),
        "chunk-nowhere": (b"a", 1, number(7, "Q", 1), field(8, FIRST + b"\1\0\0\0")),
        "target-missing": (b"a", 3), "map-missing": (b"a", 4, number(7, "Q", PAGE)),
        "attribute-cut": (b"a", 2, field(12, b"\5\0a")), "damaged-cut": (b"a", 2, field(11, b"1"))}
    if case in entries:
        made.add(*entries[case])
        return made
    if case.startswith("map-"):
        _break_map(made, case)
    elif case == "root-version":
        made.root["version"] = 2
    elif case == "root-kind":
        made.root["kind"] = "volume"
    elif case == "root-bytes":
        made.more[0] = 1
    elif case == "root-entries":
        made.more[1] = 1
    elif case == "root-empty":
        made.root["manifest"] = {"chunks": [], "bytes": 1, "entries": 1}
    elif case == "root-writer":
        made.root["writer"] = Keys("another").writer()
    elif case == "repository-feature":
        made.repository["required_features"] = 1
    elif case == "repository-region":
        made.repository["region"] = "EU"
    return made


def _break_map(made: Backup, case: str) -> None:
    pages, size = [(made.pages(PAGE_OF_FOUR), 1)], PAGE
    maps = {
        "map-slot": page_map(pages, [(1, 0, 1)]), "map-chunk": page_map(pages, [(1, 1, 0)]),
        "map-zero-slot": page_map(pages, [(1, 0xFFFFFFFF, 1)]),
        "map-empty-run": page_map(pages, [(0, 0, 0), (1, 0, 0)]),
        "map-overflow": page_map(pages, [(1, 0, 2**32 - 1)]),
        "map-blocks": page_map(pages, [(1, 0, 0)], blocks=2),
        "map-block-size": page_map(pages, [(1, 0, 0)], block_size=3000),
        "map-pages": page_map([(pages[0][0], 2)], [(1, 0, 0)]),
        "map-longer": page_map(pages, [(1, 0, 0)]) + b"\0",
        "map-reserved": b"\1\1" + page_map(pages, [(1, 0, 0)])[2:],
        "map-version": b"\3" + page_map(pages, [(1, 0, 0)])[1:]}
    if case == "map-size":
        made.relation(b"base/5/1260", page_map(pages, [(1, 0, 0)]), 2 * PAGE)
    else:
        made.relation(b"base/5/1260", maps[case], size)


# Exit statuses of docs/errors.md that the engine may end with; CORRUPT's where none is named. A root
# that can't be read is one of several: the engine goes on without it, and misses a backup.
STATUSES = {
    "good": "0", "type-unknown": "11", "tag-required": "11", "map-version": "11",
    "map-reserved": "11", "repository-feature": "11", "repository-region": "13",
    "chunk-nowhere": "8", "below-file": "5|10", "root-version": "8", "root-kind": "8",
    "root-writer": "8", "root-empty": "8|10"}
CASES = (
    "good path-zero-byte path-dots path-absolute path-empty-part path-twice path-long"
    " type-unknown link-elsewhere below-file tag-required tag-twice tag-elsewhere mode-large"
    " tag-length size-missing size-differs chunk-nowhere target-missing attribute-cut damaged-cut"
    " map-missing map-slot map-chunk map-zero-slot map-empty-run map-overflow map-blocks"
    " map-block-size map-pages map-longer map-reserved map-version map-size root-version root-kind"
    " root-bytes root-entries root-empty root-writer repository-feature repository-region").split()


def write(path: str, content: bytes) -> None:
    """One file and its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def main(directory: str) -> None:
    """Write key file and all cases."""
    write(f"{directory}/restore.key", json.dumps(KEYS.file()).encode())
    os.chmod(f"{directory}/restore.key", 0o600)
    for case in CASES:
        for name, content in (sound() if case == "good" else broken(case)).objects().items():
            write(f"{directory}/{case}/{name}", content)
        print(case, STATUSES.get(case, "10"))


if __name__ == "__main__":
    main(sys.argv[1])
