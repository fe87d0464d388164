"""An independent reader of hq-backup repositories, written from docs/format.md alone.

This module walks a repository as §13 says; hqbase, hqkeys, hqpack, hqmanifest and hqwal decode its
objects. Every trouble is a FormatError with the name of §16.
"""

import os
import re
from dataclasses import dataclass
from typing import Any, Iterator, Protocol

from hqbase import fail, need
from hqkeys import KeyFile, check_repository
from hqmanifest import (
    AUDIT_NAME, BACKUP, CLUSTER, FILE, ZEROS, Entry, Root, check_damaged, read_audit,
    read_manifest, read_page_map, read_root,
)
from hqpack import (
    DATA, MANIFEST, PACK_HEADER, PAGE_MAP, PAGES, Frame, IndexedPack, PackHeader, check_same_pack,
    open_frame, read_index, read_pack_header,
)
from hqwal import (
    HISTORY, SEGMENT, WalHeader, WalName, chain_of, check_history, parse_name, read_content,
    read_header,
)


class Store(Protocol):
    """Where objects are."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object, fewer where it ends; MISSING without it."""

    def names(self, prefix: str) -> list[str]:
        """The names of all objects below a prefix that ends with '/', sorted."""


class DirectoryStore:
    """A repository in a directory (§2)."""

    def __init__(self, root: str):
        self.root = root

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            with open(os.path.join(self.root, name), "rb") as file:
                file.seek(offset)
                return file.read(-1 if length is None else length)
        except FileNotFoundError:
            fail("MISSING", name)

    def names(self, prefix: str) -> list[str]:
        found = []
        for folder, _, files in os.walk(os.path.join(self.root, prefix)):
            inside = os.path.relpath(folder, self.root)
            found += [f"{inside}/{file}" for file in files]
        return sorted(found)


@dataclass(frozen=True)
class Place:
    """Where a chunk is."""

    pack: IndexedPack
    frame: Frame


class Repository:
    """A repository, opened with a key file."""

    def __init__(self, store: Store, key_file: KeyFile, region: str | None = None):
        self.store = store
        self.key_file = key_file
        self.description = check_repository(store.read("repository.json"), key_file, region)
        self._places: dict[bytes, Place] | None = None
        self._headers: dict[bytes, PackHeader] = {}

    # ---- chunks ----

    def places(self) -> dict[bytes, Place]:
        """Chunk id -> place, from all indexes (§13, 2); of a chunk listed twice the first copy."""
        if self._places is None:
            self._places = {}
            for name in self.store.names("index/"):
                match = re.fullmatch("index/([0-9a-f]{64})", name)
                if match is None:
                    continue
                name_id = bytes.fromhex(match.group(1))
                for pack in read_index(self.key_file, name_id, self.store.read(name)):
                    for frame in pack.frames:
                        self._places.setdefault(frame.chunk_id, Place(pack, frame))
        return self._places

    def _header(self, pack: IndexedPack, name: str) -> PackHeader:
        if pack.pack_id not in self._headers:
            header = read_pack_header(self.store.read(name, 0, PACK_HEADER.size))
            check_same_pack(pack, header)
            self._headers[pack.pack_id] = header
        return self._headers[pack.pack_id]

    def chunk(self, chunk_id: bytes, kind: int, raw: int | None = None) -> bytes:
        """The plaintext of a chunk of a kind and, where it is known, a raw length."""
        place = self.places().get(chunk_id)
        if place is None:
            fail("MISSING", f"chunk {chunk_id.hex()} is in no index")
        frame, folder = place.frame, place.pack.pack_id.hex()
        need(frame.kind == kind, f"chunk {chunk_id.hex()}: of kind {frame.kind}, not {kind}")
        need(raw in (None, frame.raw), f"chunk {chunk_id.hex()}: {frame.raw} bytes, not {raw}")
        name = f"packs/{folder[:2]}/{folder}"
        header = self._header(place.pack, name)
        sealed = self.store.read(name, frame.offset, frame.stored)
        return open_frame(self.key_file, header, frame, sealed)

    # ---- backups ----

    def backups(self) -> list[tuple[str, str]]:
        """Cluster and id of every backup: those whose root is there (§9)."""
        found = []
        for name in self.store.names("backups/"):
            parts = name.split("/")
            if len(parts) == 3 and CLUSTER.fullmatch(parts[1]) and BACKUP.fullmatch(parts[2]):
                found.append((parts[1], parts[2]))
        return found

    def audit_records(self, cluster: str) -> Iterator[dict[str, Any]]:
        """What people decided about a cluster, in order of time (§9a)."""
        for name in self.store.names(f"audit/{cluster}/"):
            if AUDIT_NAME.fullmatch(name.split("/")[-1]):
                yield read_audit(self.key_file, name, self.store.read(name))

    def root(self, cluster: str, backup: str) -> Root:
        """The root of a backup."""
        need(bool(CLUSTER.fullmatch(cluster)) and bool(BACKUP.fullmatch(backup)),
             f"no backup {cluster}/{backup}", "MISSING")
        name = f"backups/{cluster}/{backup}"
        return read_root(self.key_file, name, self.store.read(name))

    def manifest_chunks(self, root: Root) -> Iterator[bytes]:
        """The pieces of a manifest stream, which must be as long as the root says (§9)."""
        total = 0
        for chunk_id in root.manifest_chunks:
            piece = self.chunk(chunk_id, MANIFEST)
            total += len(piece)
            yield piece
        need(total == root.manifest_bytes, "manifest: its length is not the root's")

    def entries(self, root: Root) -> Iterator[Entry]:
        """The entries of a backup, as many as the root says."""
        count = 0
        for entry in read_manifest(self.manifest_chunks(root)):
            count += 1
            yield entry
        need(count == root.manifest_entries, "manifest: its entries are not as many as the root's")

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file or relation file, in pieces (§13, 4)."""
        if entry.type == FILE:
            for chunk_id, raw in entry.chunks:
                yield self.chunk(chunk_id, DATA, raw)
        else:
            yield from self._relation(entry)

    def _relation(self, entry: Entry) -> Iterator[bytes]:
        page_map = read_page_map(self.chunk(entry.page_map[0], PAGE_MAP, entry.page_map[1]),
                                 entry.size)
        check_damaged(entry, page_map)
        size, held, pages = page_map.block_size, None, b""
        for length, number, slot in page_map.runs:
            if number == ZEROS:
                for _ in range(length):
                    yield bytes(size)
                continue
            if number != held:
                chunk_id, count = page_map.chunks[number]
                held, pages = number, self.chunk(chunk_id, PAGES, count * size)
            yield pages[slot * size : (slot + length) * size]

    # ---- WAL ----

    def wal(self, cluster: str) -> list[WalName]:
        """Every WAL object of a cluster; other names are ignored (§2)."""
        parsed = (parse_name(name) for name in self.store.names(f"wal/{cluster}/"))
        return [name for name in parsed if name is not None]

    def wal_header(self, name: WalName) -> WalHeader:
        """The header of a WAL object, for which no data secret key is needed."""
        return read_header(name, self.store.read(name.name, 0, 192))

    def wal_content(self, name: WalName) -> bytes:
        """All bytes of a WAL object."""
        data = self.store.read(name.name)
        content = b"".join(read_content(self.key_file, name, data))
        check_history(name, read_header(name, data), content)
        return content

    def segment(self, objects: list[WalName]) -> tuple[bytes, int]:
        """A segment from the objects there are of it, and how much of it is real (§12).

        The complete object wins; of parts a chain from byte 0 on, zeros behind it.
        """
        for name in objects:
            if name.type == SEGMENT:
                content = self.wal_content(name)
                return content, len(content)
        content, size = bytearray(), self.wal_header(objects[0]).segment_size
        for part in chain_of(objects):
            need(self.wal_header(part).segment_size == size, f"{part.name}: segment size")
            content[part.begin :] = self.wal_content(part)
        reached = len(content)
        return bytes(content) + bytes(size - reached), reached

    def segments(self, cluster: str) -> dict[tuple[int, str], list[WalName]]:
        """The objects of each segment, by system identifier and segment name."""
        found: dict[tuple[int, str], list[WalName]] = {}
        for name in self.wal(cluster):
            if name.type != HISTORY:
                found.setdefault((name.system, name.segment), []).append(name)
        return found
