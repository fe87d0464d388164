#!/usr/bin/python3
"""The independent reader's own tests, on objects that hqwriter.py makes by hand.

Prints 'ok - what' or 'not ok - what' for each.
"""

import json
import struct
import sys
import unittest
from dataclasses import replace
from typing import Iterator

import zstandard

import hqbase
import hqwriter
from hqbase import FormatError, h
from hqformat import Repository
from hqkeys import KeyFile, check_repository, read_key_file
from hqmanifest import read_entry, read_manifest, read_page_map
from hqpack import DATA, PAGES, read_index, read_pack
from hqwal import chain_of, check_history, parse_name, read_header
from hqwriter import Keys, entry, field, page_map, summed_map
from unit_sample import (
    MIB, ONE, PAGE, ROOT_NAME, SAMPLE, SEGMENT, WAL_FOLDER, Case, Lines, MemoryStore, damaged,
    ids, pack_name, read_all,
)


class Reading(Case):
    """A whole repository."""

    def test_everything_is_read(self) -> None:
        self.assertEqual(read_all(SAMPLE.objects), {
            "base/16384": SAMPLE.relation, "file": SAMPLE.file, "nothing": b"",
            "000000010000000000000002": b"w" * 768 + bytes(MIB - 768),
            "history": SAMPLE.history})

    def test_damage_of_any_object_is_found(self) -> None:
        for name, data in SAMPLE.objects.items():
            whole = len(data)
            if name.startswith("packs/"):
                whole -= 32 + 16 + 48 * 3  # a restore does not read the directory
            for what, changed in damaged(data[:whole]):
                if (what == "a byte more" and name.startswith("packs/")
                        or name == "index/notes.txt"):
                    continue
                with self.subTest(name=name, what=what), self.assertRaises(FormatError):
                    read_all(SAMPLE.objects | {name: changed})

    def test_a_missing_object_is_missing(self) -> None:
        for name in SAMPLE.objects:
            if name.startswith(("packs/", "repository", "index/")) and name != "index/notes.txt":
                self.replaced("MISSING", name, None)

    def test_objects_under_another_name(self) -> None:
        other = ROOT_NAME[:-1] + "c"
        self.replaced("CORRUPT", other, SAMPLE.objects[ROOT_NAME])
        part = SAMPLE.objects[SEGMENT + ".00000000-00000300"]
        self.replaced("CORRUPT", SEGMENT + ".00000000-00000301", part)
        self.replaced("CORRUPT", SEGMENT[:-1] + "3.00000000-00000300", part)
        self.replaced("CORRUPT", SEGMENT.replace("1234", "1235") + ".00000000-00000300", part)
        self.replaced("CORRUPT", SEGMENT, part)
        self.replaced("CORRUPT", SEGMENT.replace("00000001", "00000002") + ".00000000-00000300",
                      part)
        self.replaced("CORRUPT", pack_name(SAMPLE.data), SAMPLE.metadata)
        self.replaced("CORRUPT", "index/" + "0" * 64, ONE.index([]))

    def test_wal_of_another_cluster(self) -> None:
        part = SEGMENT + ".00000000-00000300"
        name = parse_name(part.replace("wal/main", "wal/other"))
        store = MemoryStore(SAMPLE.objects | {name.name: SAMPLE.objects[part]})
        self.fails("CORRUPT", Repository(store, ONE.key_file()).wal_content, name)

    def test_objects_of_another_region_or_repository(self) -> None:
        for keys in (Keys("one", "EU"), self._other_id()):
            moved = SAMPLE.objects | {"repository.json": keys.repository()}
            self.fails("CORRUPT", read_all, moved, keys.key_file())

    def _other_id(self) -> Keys:
        keys = Keys()
        keys.repository_id = bytes(16)
        return keys

    def test_a_sidecar_lists_and_does_not_read(self) -> None:
        repository = Repository(MemoryStore(SAMPLE.objects), ONE.key_file("sidecar"))
        entries = list(repository.entries(repository.root(*repository.backups()[0])))
        self.assertEqual([item.path for item in entries],
                         [b"base", b"base/16384", b"file", b"nothing"])
        self.assertEqual(repository.wal_header(repository.wal("main")[1]).end, 2 * MIB + 768)
        self.fails("KEY", repository.content, entries[1])
        self.fails("KEY", repository.content, entries[2])
        self.fails("KEY", repository.wal_content, repository.wal("main")[1])

    def test_an_epoch_that_the_key_file_lacks(self) -> None:
        pack, entries = ONE.pack([(DATA, b"later", 0)], epoch=2)
        self.fails("KEY", read_pack, ONE.key_file(), h(pack), pack)
        for name in (ROOT_NAME, SEGMENT + ".00000000-00000300"):
            data = bytearray(SAMPLE.objects[name])
            data[12] = 2
            self.replaced("KEY", name, bytes(data))


class KeyFiles(Case):
    """§3.1 and §4."""

    def read(self, members: dict, passphrase: bytes | None = None) -> KeyFile:
        return read_key_file(json.dumps(members).encode(), passphrase)

    def test_passphrase(self) -> None:
        members = ONE.protected(b"open")
        self.assertEqual(self.read(members, b"open"), ONE.key_file())
        self.fails("KEY", self.read, members, b"wrong")
        self.fails("KEY", self.read, members, None)
        self.fails("KEY", self.read, members | {"region": "EU"}, b"open")
        self.fails("CORRUPT", self.read, members | {"role": "sidecar"}, b"open")

    def test_kdf_limits(self) -> None:
        for change in ({"operations": 17}, {"memory": (4 << 30) + 1}, {"operations": 0},
                       {"memory": 7168}, {"memory": 8193}):
            self.fails("CORRUPT", self.read, ONE.protected(b"open", **change), b"open")
        self.fails("UNSUPPORTED", self.read, ONE.protected(b"open", name="scrypt"), b"open")

    def test_damaged_key_files(self) -> None:
        good = ONE.file()
        self.fails("UNSUPPORTED", self.read, good | {"version": 2})
        self.fails("UNSUPPORTED", self.read, good | {"format": "another"})
        self.fails("CORRUPT", self.read, good | {"identity_key": good["identity_key"].upper()})
        self.fails("CORRUPT", self.read, good | {"epochs": good["epochs"] * 2})
        self.fails("CORRUPT", self.read, good | {"epochs": []})
        for region in ("tr", "T", "TR_1", "T" * 33):
            self.fails("CORRUPT", self.read, good | {"region": region})
        self.fails("CORRUPT", read_key_file, b" " * (MIB + 1))

    def test_repository_json(self) -> None:
        key_file, good = ONE.key_file(), ONE.repository()
        check_repository(good, key_file, "TR")
        self.fails("REGION", check_repository, good, key_file, "EU")
        self.fails("REGION", check_repository, ONE.repository(region="EU"), key_file)
        for change in ({"version": 2}, {"required_features": 1}, {"format": "another"}):
            self.fails("UNSUPPORTED", check_repository, ONE.repository(**change), key_file)
        for change in ({"identity_key_id": "00" * 8}, {"repository_id": "00" * 16}):
            self.fails("KEY", check_repository, ONE.repository(**change), key_file)
        self.fails("KEY", check_repository, Keys("two").repository(), key_file)

    def test_repository_json_is_signed(self) -> None:
        key_file, good = ONE.key_file(), ONE.repository()
        self.fails("CORRUPT", check_repository, good.replace(b"262144", b"131072"), key_file)
        self.fails("CORRUPT", check_repository, good.replace(b"TR", b"EU"), key_file)
        self.fails("CORRUPT", check_repository, ONE.repository(extra=1.5), key_file)
        unknown = ONE.repository(extra=[{"b": 1, "a": "x"}])
        self.assertIn("extra", check_repository(unknown, key_file))


class Packs(Case):
    """§5, §6 and §8."""

    def test_whole_pack(self) -> None:
        header, frames = read_pack(ONE.key_file("sidecar"), h(SAMPLE.data), SAMPLE.data)
        self.assertEqual((header.type, [frame.kind for frame in frames]), (1, [1, 1, 2]))
        self.fails("CORRUPT", read_pack, ONE.key_file(), bytes(32), SAMPLE.data)

    def test_damage_behind_a_right_name(self) -> None:
        ends = (len(SAMPLE.data) - 32 - 16 - 48 * 3, 128)
        for what, changed in damaged(SAMPLE.data):
            at = int(what.split()[1]) if what.startswith("byte") else 0
            if ends[1] <= at < ends[0]:
                continue  # frames are read one by one
            with self.subTest(what=what), self.assertRaises(FormatError):
                read_pack(ONE.key_file(), h(changed), changed)

    def test_headers_from_the_future(self) -> None:
        for name in (pack_name(SAMPLE.data), ROOT_NAME, SEGMENT + ".00000000-00000300"):
            for offset in (8, 16):
                data = bytearray(SAMPLE.objects[name])
                data[offset] = 2
                self.replaced("UNSUPPORTED", name, bytes(data))

    def test_reserved_bytes(self) -> None:
        for name, offsets in ((pack_name(SAMPLE.data), (20, 127)),
                              (pack_name(SAMPLE.metadata), (40, 119)),
                              (ROOT_NAME, (21, 63))):
            for offset in offsets:
                data = bytearray(SAMPLE.objects[name])
                data[offset] = 1
                self.replaced("UNSUPPORTED", name, bytes(data))

    def test_content_tag_is_bound_by_the_frames(self) -> None:
        name = SEGMENT + ".00000000-00000300"
        for offset in (160, 191):
            data = bytearray(SAMPLE.objects[name])
            data[offset] = 1
            self.replaced("CORRUPT", name, bytes(data))

    def test_entries(self) -> None:
        def changed(offset: int, layout: str, value: int) -> bytes:
            entries = bytearray(SAMPLE.data_entries)
            struct.pack_into(layout, entries, offset, value)
            return bytes(entries)

        self.indexed("UNSUPPORTED", changed(44, "<B", 9))
        self.indexed("UNSUPPORTED", changed(45, "<B", 2))
        self.indexed("UNSUPPORTED", changed(46, "<H", 1))
        for offset, layout, value in ((32, "<I", 127), (36, "<I", 15), (40, "<I", 4 * MIB + 1),
                                      (44, "<B", 3), (45, "<B", 0), (80, "<I", 0), (84, "<Q", 0)):
            self.indexed("CORRUPT", changed(offset, layout, value))
        self.indexed("CORRUPT", SAMPLE.data_entries[:96])
        self.indexed("CORRUPT", SAMPLE.data_entries + SAMPLE.data_entries[96:])
        self.indexed("CORRUPT", b"")

    def test_index_must_agree_with_its_pack(self) -> None:
        self.indexed("MISSING", bytes(32) + SAMPLE.data_entries[32:])
        pack, entries = ONE.pack([(DATA, SAMPLE.file[:800], 1)])
        other = struct.pack("<32sIHHII", h(pack), len(pack), 1, 0, 2, 1) + entries
        index = ONE.sealed(1, "index", other)
        repository = Repository(MemoryStore({
            "repository.json": ONE.repository(), pack_name(pack): pack,
            f"index/{h(index).hex()}": index}), ONE.key_file())
        self.fails("CORRUPT", repository.chunk, ids(entries)[0], DATA)

    def test_a_chunk_is_what_its_id_says(self) -> None:
        keys = Keys()
        keys.identity = hqwriter.secret("another")  # who forges ids, and has all other keys
        pack, entries = keys.pack([(DATA, SAMPLE.file[:800], 1), (DATA, b"x", 0),
                                   (PAGES, b"y", 0)])
        index = ONE.index([(pack, entries)])
        repository = Repository(MemoryStore({
            "repository.json": ONE.repository(), pack_name(pack): pack,
            f"index/{h(index).hex()}": index}), ONE.key_file())
        for name, kind in zip(ids(entries), (DATA, DATA, PAGES)):
            self.fails("CORRUPT", repository.chunk, name, kind)

    def test_sealed_objects(self) -> None:
        def index(data: bytes) -> Iterator:
            return read_index(ONE.key_file(), h(data), data)

        self.assertEqual(list(index(ONE.index([]))), [])
        self.fails("CORRUPT", index, ONE.sealed(2, "index", b""))
        self.fails("UNSUPPORTED", index, ONE.sealed(6, "index", b""))
        self.fails("CORRUPT", index, ONE.sealed(1, "other", b""))
        self.fails("UNSUPPORTED", index, ONE.sealed(1, "index", b"", codec=2))
        self.fails("CORRUPT", index, ONE.sealed(1, "index", bytes(47)))
        self.fails("CORRUPT", index, ONE.sealed(1, "index", bytes(64 * MIB + 1)))


class Codecs(Case):
    """§1, codec."""

    def test_zstd(self) -> None:
        frame = hqwriter.compress(b"z" * 1000)
        self.assertEqual(hqbase.decode(1, frame, 1000, "it"), b"z" * 1000)
        self.fails("CORRUPT", hqbase.decode, 1, frame, 999, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame, 1001, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame + frame, 1000, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame + b"\0", 1000, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame[:-1], 1000, "it")
        self.fails("CORRUPT", hqbase.decode, 1, b"", 0, "it")
        self.fails("UNSUPPORTED", hqbase.decode, 2, frame, 1000, "it")

    def test_zstd_without_content_size(self) -> None:
        maker = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
        frame = maker.compress(bytes(MIB))
        self.assertEqual(hqbase.decode(1, frame, MIB, "it"), bytes(MIB))
        self.fails("CORRUPT", hqbase.decode, 1, frame, MIB - 1, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame, MIB + 1, "it")
        self.fails("CORRUPT", hqbase.decode, 1, frame + b"\0", MIB, "it")


class Roots(Case):
    """§9."""

    def root(self, **changed: object) -> bytes:
        return ONE.root(ROOT_NAME, SAMPLE.manifest, SAMPLE.stream, 4, **changed)

    def test_versions_and_kinds(self) -> None:
        self.replaced("UNSUPPORTED", ROOT_NAME, self.root(version=2))
        self.replaced("UNSUPPORTED", ROOT_NAME, self.root(kind="volume"))

    def test_writers(self) -> None:
        self.replaced("CORRUPT", ROOT_NAME, self.root(writer=Keys("two").writer()))
        self.replaced("CORRUPT", ROOT_NAME, self.root(writer=ONE.writer() | {"name": "other"}))
        quoted = ONE.writer() | {"name": 'a"b'}
        self.replaced("CORRUPT", ROOT_NAME, self.root(writer=quoted))
        late = {"issued": "2026-01-01T00:00:00.000001Z"}
        self.replaced("CORRUPT", ROOT_NAME, self.root(writer=ONE.writer() | late))
        body = bytes(64) + b'{"version": 1}'
        self.replaced("CORRUPT", ROOT_NAME, ONE.sealed(2, ROOT_NAME, body))

    def test_signed_by_another_certified_writer(self) -> None:
        keys = Keys()
        keys.writer_secret = Keys("two").writer_secret
        self.replaced("CORRUPT", ROOT_NAME,
                      keys.root(ROOT_NAME, SAMPLE.manifest, SAMPLE.stream, 4))

    def test_totals(self) -> None:
        make = ONE.root
        self.replaced("CORRUPT", ROOT_NAME, make(ROOT_NAME, SAMPLE.manifest, SAMPLE.stream, 5))
        self.replaced("CORRUPT", ROOT_NAME, make(ROOT_NAME, SAMPLE.manifest, b"x", 4))
        self.replaced("CORRUPT", ROOT_NAME, self.root(cluster="other"))
        self.replaced("MISSING", ROOT_NAME, make(ROOT_NAME, [bytes(32)], SAMPLE.stream, 4))
        data_chunk = ids(SAMPLE.data_entries)[:1]
        self.replaced("CORRUPT", ROOT_NAME, make(ROOT_NAME, data_chunk, SAMPLE.stream, 4))


class Manifests(Case):
    """§10 and §11."""

    SIZE = field(7, struct.pack("<Q", 5))
    CHUNK = field(8, struct.pack("<32sI", b"", 5))

    def bad(self, code: str, *made: bytes) -> None:
        self.fails(code, read_manifest, list(made))

    def test_paths(self) -> None:
        for path in (b"", b"/a", b"a/", b"a//b", b".", b"a/../b", b"..", b"a\0b", b"a" * 4097):
            self.bad("CORRUPT", entry(path, 2))
        self.assertEqual(len(list(read_manifest([entry(b"a" * 4096, 2)]))), 1)
        self.assertEqual(len(list(read_manifest([entry(b"...", 2)]))), 1)

    def test_order(self) -> None:
        self.assertEqual(len(list(read_manifest([entry(b"a!", 2) + entry(b"a/b", 2)]))), 2)
        self.bad("CORRUPT", entry(b"b", 2), entry(b"a", 2))
        self.bad("CORRUPT", entry(b"a", 2), entry(b"a", 2))

    def test_fields(self) -> None:
        self.fails("CORRUPT", read_entry, field(1, b"a"))
        self.fails("CORRUPT", read_entry, field(2, b"\2"))
        self.bad("UNSUPPORTED", entry(b"a", 5))
        self.bad("UNSUPPORTED", entry(b"a", 2, field(0x8001, b"")))
        for bad in (field(10, b"x"), field(9, bytes(36)), field(8, b""), field(11, b""),
                    field(3, bytes(3)), field(3, struct.pack("<I", 0o10000)), field(2, b"\2"),
                    field(6, bytes(9)), field(11, bytes(3)), field(12, b"\2\0a"), b"\0",
                    struct.pack("<HI", 99, 1)):
            self.bad("CORRUPT", entry(b"a", 2, bad))
        twice = entry(b"a", 2, field(12, b"\1\0nv"), field(12, b"\1\0mw"))
        self.assertEqual(next(read_manifest([twice])).attributes, [(b"n", b"v"), (b"m", b"w")])
        unknown = entry(b"a", 2, field(99, b"1"), field(99, b"2"))
        self.assertEqual(next(read_manifest([unknown])).path, b"a")

    def test_what_each_type_needs(self) -> None:
        self.bad("CORRUPT", entry(b"a", 1))
        self.bad("CORRUPT", entry(b"a", 1, self.SIZE))
        self.bad("CORRUPT", entry(b"a", 1, self.CHUNK, field(7, bytes(8))))
        self.bad("CORRUPT", entry(b"a", 1, self.SIZE, field(8, bytes(37))))
        self.bad("CORRUPT", entry(b"a", 3))
        self.bad("CORRUPT", entry(b"a", 3, field(10, b"x" * 4097)))
        self.bad("CORRUPT", entry(b"a", 4, self.SIZE))
        self.bad("CORRUPT", entry(b"a", 4, self.SIZE, field(9, bytes(35))))

    def test_pieces(self) -> None:
        stream = SAMPLE.stream
        for size in (1, 3, 50):
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            self.assertEqual(len(list(read_manifest(pieces))), 4)
        self.bad("CORRUPT", stream[:-1])
        self.bad("CORRUPT", struct.pack("<I", (64 << 20) + 1))

    def test_page_maps(self) -> None:
        chunk, run = [(bytes(32), 4)], [(4, 0, 0)]
        self.assertEqual(read_page_map(page_map(chunk, run), 4 * PAGE).blocks, 4)
        for bad in ([(5, 0, 0)], [(4, 0, 1)], [(4, 1, 0)], [(4, 0xFFFFFFFF, 1)],
                    [(0, 0, 0), (4, 0, 0)], [(2**32 - 1, 0, 2**32 - 1)]):
            self.fails("CORRUPT", read_page_map, page_map(chunk, bad, 4), 4 * PAGE)
        for bad in (page_map(chunk, run, 5), page_map([(bytes(32), 65)], run),
                    page_map([(bytes(32), 0)] + chunk, [(4, 1, 0)]), page_map(chunk, run) + b"\0",
                    page_map(chunk, run)[:-1], page_map(chunk, run, block_size=3000),
                    page_map(chunk, run, block_size=256), page_map([], [], 0), b"\1"):
            self.fails("CORRUPT", read_page_map, bad, 4 * PAGE)
        self.fails("CORRUPT", read_page_map, page_map(chunk, run), 4 * PAGE + 1)
        self.fails("CORRUPT", read_page_map, b"\0" + page_map(chunk, run)[1:], 4 * PAGE)
        self.assertEqual(read_page_map(summed_map(chunk, run, [(0, 3)], [7]), 4 * PAGE).chunks, chunk)
        for place, count in (((1, 0), 4), ((0, 4), 4), ((0xFFFFFFFF, 1), 4), ((0, 0), 0),
                             ((0, 0), 2**20 + 1)):
            self.fails("CORRUPT", read_page_map, summed_map(chunk, run, [place], [count]), 4 * PAGE)
        self.fails("UNSUPPORTED", read_page_map, b"\3" + page_map(chunk, run)[1:], 4 * PAGE)
        self.fails("UNSUPPORTED", read_page_map, b"\1\1" + page_map(chunk, run)[2:], 4 * PAGE)


class Wal(Case):
    """§12."""

    def wal(self, suffix: str, kind: int, place: tuple[int, int, int],
            content: bytes) -> dict[str, bytes]:
        return {SEGMENT + suffix: ONE.wal(SEGMENT + suffix, kind, place, content)}

    def read(self, objects: dict[str, bytes]) -> tuple[bytes, int]:
        store = MemoryStore(objects | {"repository.json": ONE.repository()})
        repository = Repository(store, ONE.key_file())
        return repository.segment(repository.wal("main"))

    def test_frames_and_the_complete_segment(self) -> None:
        size = 4 * MIB
        start = 2 * size
        content = bytes(range(256)) * (size // 256)
        whole = self.wal("", 1, (start, start + size, size), content)
        part = self.wal(".00000000-00180000", 2, (start, start + 0x180000, size),
                        content[:0x180000])
        self.assertEqual(self.read(whole | part), (content, size))
        self.assertEqual(self.read(part), (content[:0x180000] + bytes(size - 0x180000), 0x180000))
        name, data = next(iter(whole.items()))
        frame = 196 + struct.unpack_from("<I", data, 192)[0] % 2**31
        for bad in (data[:frame], data + b"\0", data[:192] + data[frame:]):
            self.fails("CORRUPT", self.read, {name: bad})

    def test_headers(self) -> None:
        start, size = 2 * MIB, MIB
        for kind, place, length in ((1, (start, start + 9, size), 9),
                                    (2, (start, start + 1, size), 1),
                                    (1, (start, start + size, 3 * MIB), size),
                                    (1, (start, start + size, 2**19), size),
                                    (1, (start, start + size, size), size - 1),
                                    (1, (0, size, size), size), (3, (0, 0, 0), 4)):
            self.fails("CORRUPT", self.read, self.wal("", kind, place, bytes(length)))
        self.fails("CORRUPT", self.read, self.wal(".00000001-00000001", 2,
                                                  (start + 1, start + 1, size), b""))
        self.fails("UNSUPPORTED", self.read,
                   self.wal("", 4, (start, start + size, size), bytes(size)))

    def test_branches(self) -> None:
        name = f"{WAL_FOLDER}/00000003.history"
        made = bytearray(ONE.wal(name, 3, (0, 0, 0), SAMPLE.history))
        struct.pack_into("<I", made, 20, 3)
        for parent, begin in ((3, 1), (2, 0), (0, 1)):
            data = bytearray(made)
            struct.pack_into("<I", data, 48, parent)
            struct.pack_into("<Q", data, 24, begin)
            self.fails("CORRUPT", read_header, parse_name(name), bytes(data))
        header = read_header(parse_name(name), bytes(made))
        for parent, begin in ((1, 0x3000000), (0, 0)):
            told = replace(header, segment_size=parent, start=begin)
            check_history(parse_name(name), told, SAMPLE.history)
        for parent, begin in ((1, 0x3000001), (2, 0x3000000)):
            told = replace(header, segment_size=parent, start=begin)
            self.fails("CORRUPT", check_history, parse_name(name), told, SAMPLE.history)

    def test_chains(self) -> None:
        def chain(*spans: tuple[int, int]) -> list[tuple[int, int]]:
            parts = [parse_name(f"{SEGMENT}.{a:08x}-{b:08x}") for a, b in spans]
            return [(part.begin, part.end) for part in chain_of(parts)]

        self.assertEqual(chain((0, 5), (5, 9)), [(0, 5), (5, 9)])
        self.assertEqual(chain((5, 9), (0, 5), (0, 9)), [(0, 9)])
        self.assertEqual(chain((0, 5), (3, 9), (4, 6)), [(0, 5), (3, 9)])
        self.assertEqual(chain((0, 5), (6, 9)), [(0, 5)])
        self.assertEqual(chain((1, 5), (0, 0)), [])

    def test_names_that_are_ignored(self) -> None:
        for name in (SEGMENT + ".tmp", SEGMENT.lower().replace("main", "MAIN"), SEGMENT[:-1],
                     f"{WAL_FOLDER}/00000002/000000010000000000000002",
                     f"{WAL_FOLDER}/0000000a.history", "wal/main/x"):
            self.assertIsNone(parse_name(name), name)


class Cutting(Case):
    """§7, of which only hqwriter has need."""

    def test_cuts(self) -> None:
        gear = hqwriter.gear_of(ONE.identity)
        data = b"".join(h(struct.pack("<I", number)) for number in range(4000))
        lengths = hqwriter.cut_lengths(gear, data, 1024, 4096, 16384)
        self.assertEqual(sum(lengths), len(data))
        self.assertTrue(all(1024 < length <= 16384 for length in lengths[:-1]))
        later = hqwriter.cut_lengths(gear, b"x" + data, 1024, 4096, 16384)
        self.assertGreater(len(set(later) & set(lengths)), len(lengths) // 2)
        self.assertEqual(hqwriter.cut_lengths(gear, b"", 1024, 4096, 16384), [])
        self.assertEqual(hqwriter.cut_lengths(gear, b"x" * 1024, 1024, 4096, 16384), [1024])


class Times(Case):
    """§1, times and LSNs of JSON."""

    def test_times(self) -> None:
        self.assertEqual(hqbase.parse_time("1970-01-01T00:00:01.000002Z"), 1000002)
        self.assertEqual(hqbase.parse_time("2026-01-01T00:00:00Z"), hqwriter.CREATED)
        for bad in ("2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+00:00"):
            self.fails("CORRUPT", hqbase.parse_time, bad)
        self.assertEqual(hqbase.parse_lsn("1/2000028"), 0x102000028)
        self.fails("CORRUPT", hqbase.parse_lsn, "0/x")


def main() -> int:
    """Run them all."""
    result = Lines()
    unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]).run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
