#!/usr/bin/python3
"""Check tests/golden/v1/vectors.json, which the engine wrote, with the independent reader (§18).

Prints 'ok - what' or 'not ok - what' for each sort of vector.
"""

import json
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, Callable

import xxhash

from hqbase import FormatError, derive, h, need
from hqkeys import KeyFile, check_repository, read_key_file, signed_bytes
from hqmanifest import read_audit, read_manifest, read_page_map, read_root
from hqpack import (
    AUDIT, DATA_PACK, INDEX, ROOT, PackHeader, chunk_id, frame_key, open_frame, open_sealed,
    read_index, read_pack,
)
from hqwal import HEADER, check_history, content_tag, parse_name, read_content, read_header
from hqwriter import cut_lengths, gear_of

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "v1"
PASSPHRASE = b"correct horse battery staple"
Vectors = dict[str, Any]


def same(what: str, expected: object, found: object) -> None:
    """Fail where a vector is not what the reader computes."""
    need(expected == found, f"{what}: expected {expected!r:.200}, found {found!r:.200}")


def key_file(name: str, passphrase: bytes | None = None) -> KeyFile:
    """A fixed key file."""
    return read_key_file((GOLDEN / name).read_bytes(), passphrase)


def refused(code: str, call: Callable[..., object], *args: object) -> None:
    """The call must end in this trouble."""
    try:
        call(*args)
    except FormatError as error:
        same("error", code, error.code)
        return
    need(False, f"not refused with {code}")


def key_files(vectors: Vectors) -> None:
    """§3.1: sealed and plain key file hold the same; the vectors are of this repository."""
    keys = key_file("restore.key")
    same("sealed key file", keys, key_file("sealed.key", PASSPHRASE))
    refused("KEY", key_file, "sealed.key", b"another")
    same("bind", vectors["bind"], keys.bind.hex())
    same("id", vectors["repository_id"], keys.repository_id.hex())
    same("region", vectors["region"], keys.region)


def derivations(vectors: Vectors) -> None:
    """§1: D(k, label, x)."""
    keys = key_file("restore.key")
    for vector in vectors["derivations"]:
        identity = vector["key"] == "identity"
        key = keys.identity_key if identity else keys.epoch(vector["epoch"]).metadata_key
        output = derive(key, vector["label"], bytes.fromhex(vector["extra"]))
        same(vector["label"], vector["output"], output.hex())


def chunk_ids(vectors: Vectors) -> None:
    """§5."""
    keys = key_file("sidecar.key")
    for vector in vectors["chunks"]:
        found = chunk_id(keys.identity_key, vector["kind"], bytes.fromhex(vector["bytes"]))
        same(f"kind {vector['kind']}", vector["id"], found.hex())


def gear(vectors: Vectors) -> None:
    """§7, the table: its entries 0 to 7 and 255."""
    table = gear_of(key_file("sidecar.key").identity_key)
    same("gear", [int(value, 16) for value in vectors["gear"]["values"]], table[:8] + table[255:])


def cuts(vectors: Vectors) -> None:
    """§7: block j of 32 bytes is H(u64 j); zeros from 2 MiB to 5 MiB."""
    length = vectors["cuts"]["length"]
    data = bytearray(b"".join(h(struct.pack("<Q", block)) for block in range(-(-length // 32))))
    data[2 << 20 : 5 << 20] = bytes(3 << 20)
    table = gear_of(key_file("sidecar.key").identity_key)
    for what in ("files", "manifests"):
        vector, point, points = vectors["cuts"][what], 0, []
        limits = vector["minimum"], vector["average"], vector["maximum"]
        for piece in cut_lengths(table, bytes(data[:length]), *limits):
            point += piece
            points.append(point)
        same(what, vector["points"], points)


def _frames(keys: KeyFile, vector: Vectors, data: bytes, header: PackHeader) -> None:
    _, frames = read_pack(keys, bytes.fromhex(vector["id"]), data)
    same("frames", len(vector["entries"]), len(frames))
    for entry, frame in zip(vector["entries"], frames):
        plain = open_frame(keys, header, frame, data[frame.offset : frame.offset + frame.stored])
        same("entry", entry, {
            "id": frame.chunk_id.hex(), "offset": frame.offset, "stored": frame.stored,
            "raw": frame.raw, "kind": frame.kind, "codec": frame.codec, "plaintext": plain.hex()})


def packs(vectors: Vectors) -> None:
    """§6: keys, directory, frames; a sidecar reads the directory and no data."""
    keys, sidecar = key_file("restore.key"), key_file("sidecar.key")
    for vector in vectors["packs"]:
        data = bytes.fromhex(vector["bytes"])
        header, frames = read_pack(sidecar, bytes.fromhex(vector["id"]), data)
        same("header", (vector["type"], vector["epoch"]), (header.type, header.epoch))
        same("frame key", vector["frame_key"], frame_key(keys, header).hex())
        _frames(keys, vector, data, header)
        if header.type == DATA_PACK:
            sealed = keys.open_sealed_key(header.epoch, header.sealed_key)
            same("data key", vector["data_key"], sealed.hex())
            refused("KEY", open_frame, sidecar, header, frames[0], bytes(frames[0].stored))
        else:
            _frames(sidecar, vector, data, header)


def index(vectors: Vectors) -> None:
    """§8."""
    keys, vector = key_file("sidecar.key"), vectors["index"]
    data = bytes.fromhex(vector["bytes"])
    same("name", vector["name"], "index/" + h(data).hex())
    same("body", vector["body"], open_sealed(keys, data, INDEX, "index").hex())
    listed = [pack.pack_id.hex() for pack in read_index(keys, h(data), data)]
    same("packs", [pack["id"] for pack in vectors["packs"]][: len(listed)], listed)
    need(bool(listed), "an index without packs")


def root(vectors: Vectors) -> None:
    """§9."""
    keys, vector = key_file("sidecar.key"), vectors["root"]
    data = bytes.fromhex(vector["bytes"])
    body = open_sealed(keys, data, ROOT, vector["name"])
    same("signature", vector["signature"], body[:64].hex())
    same("JSON", vector["json"], body[64:].decode())
    found = read_root(keys, vector["name"], data)
    same("name", vector["name"], f"backups/{found.cluster}/{found.backup}")
    refused("CORRUPT", read_root, keys, vector["name"][:-1] + "d", data)


def audit(vectors: Vectors) -> None:
    """§9a."""
    keys, vector = key_file("sidecar.key"), vectors["audit"]
    data = bytes.fromhex(vector["bytes"])
    body = open_sealed(keys, data, AUDIT, vector["name"])
    same("signature", vector["signature"], body[:64].hex())
    same("JSON", vector["json"], body[64:].decode())
    found = read_audit(keys, vector["name"], data)
    same("who", "Ayşe Yılmaz", found["who"])
    refused("CORRUPT", read_audit, keys, vector["name"][:-1] + "!", data)


def page_map(vectors: Vectors) -> None:
    """§11."""
    for vector in (vectors["page_map"], vectors["page_map_1"]):
        size = vector["blocks"] * vector["block_size"]
        found = read_page_map(bytes.fromhex(vector["bytes"]), size)
        same("sizes", (vector["block_size"], vector["blocks"]), (found.block_size, found.blocks))
        same("chunks", [chunk[:2] for chunk in vector["chunks"]],
             [[name.hex(), pages] for name, pages in found.chunks])
        same("runs", vector["runs"], [list(run) for run in found.runs])


def page_sum(vectors: Vectors) -> None:
    """§11: the sum of a page."""
    vector = vectors["page_sum"]
    seed = struct.unpack("<Q", derive(key_file("restore.key").identity_key, "page-sum")[:8])[0]
    page = bytes(i % 256 for i in range(vector["block_size"]))
    same("page sum", int(vector["sum"], 0), xxhash.xxh3_64_intdigest(page, seed))


def entries(vectors: Vectors) -> None:
    """§10."""
    vector = vectors["entries"]
    found = list(read_manifest([bytes.fromhex(vector["bytes"])]))
    same("paths", vector["paths"], [entry.path.decode() for entry in found])


def wal(vectors: Vectors) -> None:
    """§12."""
    keys = key_file("restore.key")
    for vector in vectors["wal"]:
        data, name = bytes.fromhex(vector["bytes"]), parse_name(vector["name"])
        need(name is not None, f"{vector['name']}: not a name")
        header = read_header(name, data)
        same("header", (vector["type"], vector["raw_length"]), (header.type, header.raw_length))
        data_key = keys.open_sealed_key(header.epoch, header.sealed_key)
        same("data key", vector["data_key"], data_key.hex())
        metadata_key = keys.epoch(header.epoch).metadata_key
        content_key = derive(metadata_key, "wal", data_key + data[: HEADER.size])
        same("content key", vector["content_key"], content_key.hex())
        content = b"".join(read_content(keys, name, data))
        same("content", vector["raw_hash"], h(content).hex())
        check_history(name, header, content)
        same("content tag", vector.get("content_tag"), header.tag and header.tag.hex())
        if header.tag is not None:
            sidecar = key_file("sidecar.key")
            same("content tag", header.tag,
                 content_tag(sidecar, header.epoch, name.name, content))
    same("branch", (1, 0x2000100), (header.segment_size, header.start))


def repository_json(vectors: Vectors) -> None:
    """§4."""
    text = vectors["repository_json"]["text"].encode()
    for name in ("restore.key", "sidecar.key"):
        members = check_repository(text, key_file(name), vectors["region"])
    same("signed bytes", vectors["repository_json"]["signed_bytes"], signed_bytes(members).hex())
    refused("REGION", check_repository, text, key_file("sidecar.key"), "EU")


CHECKS = (key_files, derivations, chunk_ids, gear, cuts, packs, index, root, audit, page_map,
          page_sum, entries, wal, repository_json)


def main() -> int:
    """Run them all."""
    vectors, failures = json.loads((GOLDEN / "vectors.json").read_text()), 0
    same("vectors", ("hq-backup vectors", 1), (vectors["format"], vectors["version"]))
    for check in CHECKS:
        name = "vectors: " + check.__name__.replace("_", " ")
        try:
            check(vectors)
            print(f"ok - {name}")
        except Exception:  # of whatever sort: one line for each check, then its story
            failures += 1
            print(f"not ok - {name}\n    " + traceback.format_exc().replace("\n", "\n    "))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
