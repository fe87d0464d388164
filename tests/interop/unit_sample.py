"""What the reader's own tests share: a small repository in memory, damage, lines of output."""

import struct
import unittest
from typing import Callable, Iterator

from hqbase import FormatError, h
from hqformat import Repository
from hqkeys import KeyFile
from hqpack import DATA, MANIFEST, PAGE_MAP, PAGES
from hqwriter import Keys, entry, field, page_map

ONE = Keys()
ROOT_NAME = "backups/main/20260101T000000Z-0011aabb"
WAL_FOLDER = "wal/main/0000000000001234"
SEGMENT = f"{WAL_FOLDER}/00000001/000000010000000000000002"
MIB = 1 << 20
PAGE = 8192


class MemoryStore:
    """Objects in a dictionary."""

    def __init__(self, objects: dict[str, bytes]):
        self.objects = dict(objects)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """As hqformat.Store says."""
        if name not in self.objects:
            raise FormatError("MISSING", name)
        end = None if length is None else offset + length
        return self.objects[name][offset:end]

    def names(self, prefix: str) -> list[str]:
        """As hqformat.Store says."""
        return sorted(name for name in self.objects if name.startswith(prefix))


def pack_name(pack: bytes) -> str:
    """The name of a pack, from its bytes."""
    return f"packs/{h(pack).hex()[:2]}/{h(pack).hex()}"


def ids(entries: bytes) -> list[bytes]:
    """The chunk ids of a directory."""
    return [entries[at : at + 32] for at in range(0, len(entries), 48)]


class Sample:
    """A small repository: a file of two chunks, an empty one, a relation file, WAL."""

    file = b"one " * 200 + bytes(range(256))
    pages = bytes([1]) * PAGE + bytes([2]) * PAGE
    relation = pages[PAGE:] + bytes(2 * PAGE) + pages
    history = b"1\t0/3000000\tno recovery target specified\n"

    def __init__(self) -> None:
        self.data, self.data_entries = ONE.pack(
            [(DATA, self.file[:800], 1), (DATA, self.file[800:], 0), (PAGES, self.pages, 1)])
        first, second, pages = ids(self.data_entries)
        self.map = page_map([(pages, 2)], [(1, 0, 1), (2, 0xFFFFFFFF, 0), (2, 0, 0)])
        _, map_entries = ONE.pack([(PAGE_MAP, self.map, 0)])
        self.stream = self._stream([(first, 800), (second, len(self.file) - 800)],
                                   ids(map_entries)[0])
        self.metadata, self.metadata_entries = ONE.pack(
            [(PAGE_MAP, self.map, 0), (MANIFEST, self.stream[:50], 0),
             (MANIFEST, self.stream[50:], 1)])
        self.manifest = ids(self.metadata_entries)[1:]
        self.objects = self._objects()

    def _stream(self, chunks: list[tuple[bytes, int]], map_id: bytes) -> bytes:
        listed = b"".join(struct.pack("<32sI", *chunk) for chunk in chunks)
        size = field(7, struct.pack("<Q", len(self.relation)))
        return (entry(b"base", 2, field(3, struct.pack("<I", 0o700)))
                + entry(b"base/16384", 4, size, field(11, struct.pack("<I", 4)),
                        field(9, map_id + struct.pack("<I", len(self.map))))
                + entry(b"file", 1, field(8, listed), field(0x7000, b"skipped"),
                        field(7, struct.pack("<Q", len(self.file))))
                + entry(b"nothing", 1, field(7, bytes(8))))

    def _objects(self) -> dict[str, bytes]:
        index = ONE.index(
            [(self.data, self.data_entries), (self.metadata, self.metadata_entries)])
        start = 2 * MIB
        return {
            "repository.json": ONE.repository(),
            pack_name(self.data): self.data, pack_name(self.metadata): self.metadata,
            f"index/{h(index).hex()}": index, "index/notes.txt": b"ignored",
            ROOT_NAME: ONE.root(ROOT_NAME, self.manifest, self.stream, 4),
            SEGMENT + ".00000000-00000300":
                ONE.wal(SEGMENT + ".00000000-00000300", 2, (start, start + 768, MIB), b"w" * 768),
            f"{WAL_FOLDER}/00000001.history":
                ONE.wal(f"{WAL_FOLDER}/00000001.history", 3, (0, 0, 0), self.history, 0)}


SAMPLE = Sample()


def read_all(objects: dict[str, bytes], key_file: KeyFile | None = None) -> dict[str, bytes]:
    """Everything that can be read of a repository: files, segments, histories."""
    repository = Repository(MemoryStore(objects), key_file or ONE.key_file())
    found = {}
    for cluster, backup in repository.backups():
        for item in repository.entries(repository.root(cluster, backup)):
            if item.type in (1, 4):
                found[item.path.decode()] = b"".join(repository.content(item))
    for (_, segment), parts in repository.segments("main").items():
        found[segment] = repository.segment(parts)[0]
    for name in repository.wal("main"):
        if name.type == 3:
            found["history"] = repository.wal_content(name)
    return found


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """One bit of each byte the other way, and every length that is too short; one too long."""
    for at in range(len(data)):
        yield f"byte {at}", data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        yield f"only {at} bytes", data[:at]
    yield "a byte more", data + b"\0"


class Case(unittest.TestCase):
    """What all tests share."""

    def fails(self, code: str, call: Callable[..., object], *args: object) -> None:
        """The call must end in this trouble."""
        with self.assertRaises(FormatError) as caught:
            result = call(*args)
            if isinstance(result, Iterator):
                list(result)
        self.assertEqual(caught.exception.code, code, str(caught.exception))

    def replaced(self, code: str, name: str, data: bytes | None) -> None:
        """Reading the sample with another object (None: without it) must end in this trouble."""
        objects = SAMPLE.objects | {name: data}
        self.fails(code, read_all, {key: value for key, value in objects.items()
                                    if value is not None})

    def indexed(self, code: str, entries: bytes) -> None:
        """The sample with other entries for its data pack."""
        index = ONE.index([(SAMPLE.data, entries), (SAMPLE.metadata, SAMPLE.metadata_entries)])
        objects = {name: data for name, data in SAMPLE.objects.items()
                   if not name.startswith("index/")}
        self.fails(code, read_all, objects | {f"index/{h(index).hex()}": index})


class Lines(unittest.TestResult):
    """One line for each test."""

    def stopTest(self, test: unittest.TestCase) -> None:
        name = f"{type(test).__name__}: {test._testMethodName[5:].replace('_', ' ')}"
        troubles = [text for found, text in self.failures + self.errors
                    if test.id() in found.id()]
        print(f"{'not ok' if troubles else 'ok'} - {name}")
        for text in troubles[:3]:
            print("    " + text.rstrip().replace("\n", "\n    "))
