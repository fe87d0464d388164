#!/usr/bin/python3
"""Helper of main_damage.sh: flip FILE | compare WHOLE RESTORED LOSSES | tables CATALOG."""
import json
import os
import sqlite3
import sys

# Written by the restore itself: they name its directory, and hold keys of its own.
OWN = {"postgresql.auto.conf", "hq_restore"}


def flip(path):
    """One bit, in the contents rather than in a header."""
    with open(path, "r+b") as file:
        place = os.path.getsize(path) * 7 // 8
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def files(top):
    found = {}
    for folder, folders, names in os.walk(top):
        if folder == top:
            folders[:] = [name for name in folders if name not in OWN]
            names = [name for name in names if name not in OWN]
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = file.read()
    return found


def compare(whole_top, restored_top, losses_path):
    """Outside of the listed stretches every byte must be as it was; inside, zero."""
    with open(losses_path, encoding="utf-8") as file:
        text = file.read()
    losses = json.JSONDecoder().raw_decode(text)[0]["losses"] if text else []
    whole, restored = files(whole_top), files(restored_top)
    if text and not losses:
        sys.exit("no loss is listed")
    if whole.keys() != restored.keys():
        sys.exit(f"other files: {sorted(whole.keys() ^ restored.keys())[:10]}")
    wanted = {path: bytearray(content) for path, content in whole.items()}
    for loss in losses:
        content = wanted.get(loss["path"])
        if content is None:
            continue
        end = min(loss["offset"] + loss["length"], len(content))
        content[loss["offset"]:end] = bytes(max(0, end - loss["offset"]))
    wrong = [path for path, content in wanted.items() if bytes(content) != restored[path]]
    if wrong:
        sys.exit(f"{len(wrong)} files differ beyond what is listed: {sorted(wrong)[:10]}")


def tables(path):
    """Every row that the store knows: not jobs, notes and how often something was lost; numbers that
    SQLite gave out are left out."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    queries = {"chunks": "SELECT hex(c.id), p.name, c.frame, c.offset, c.stored, c.raw, c.kind, c.codec"
                         " FROM chunks c JOIN packs p ON p.number = c.pack",
               "identity": "SELECT repository_id FROM identity",
               "packs": "SELECT name, index_name, type, epoch, size, present FROM packs"}
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        if name in ("jobs", "notes") or name.startswith("sqlite_"):
            continue
        for row in sorted(db.execute(queries.get(name, f"SELECT * FROM {name}")).fetchall()):
            print(name, *row)


{"flip": flip, "compare": compare, "tables": tables}[sys.argv[1]](*sys.argv[2:])
