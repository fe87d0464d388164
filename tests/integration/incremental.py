#!/usr/bin/python3
"""For incremental.sh: a seeded random workload, and the comparison of a restored data directory
with the one that it is of.

    incremental.py load SEED            SQL of one round, to standard output
    incremental.py compare LIVE COPY    every relation file, page by page
    incremental.py visible DATA PATH    how many pages of the file have PD_ALL_VISIBLE

LIVE belongs to a server that has nothing to write: it is idle, and its last checkpoint is behind.
"""

import os
import random
import re
import sys

RELATION = re.compile(r"(base/\d+|global|pg_tblspc/\d+/PG_[^/]+/\d+)/\d+(_init|_fsm|_vm)?(\.\d+)?")
PAGE = 8192


def changes(rng: random.Random) -> list[str]:
    """What one round does to whom."""
    table = f"t{rng.randrange(6)}"
    low, high = sorted(rng.sample(range(20000), 2))
    insert = (f"INSERT INTO {table} SELECT g, repeat(md5(g::text), {rng.randrange(1, 9)}) "
              f"FROM generate_series({low}, {low + rng.randrange(1, 3000)}) g")
    return rng.choice([
        [insert], [insert], [insert],
        [f"UPDATE {table} SET b = md5(b) WHERE a BETWEEN {low} AND {high}"],
        [f"UPDATE {table} SET b = md5(b) WHERE a % {rng.randrange(7, 200)} = 0"],
        [f"DELETE FROM {table} WHERE a > {low}", f"VACUUM {table}"],
        [f"DELETE FROM {table} WHERE a BETWEEN {low} AND {high}"],
        [f"VACUUM FULL {table}"],
        [f"TRUNCATE {table}", insert],
        [f"REINDEX TABLE {table}"],
        [f"CLUSTER {table} USING {table}_a"],
        [f"DROP TABLE {table}", f"CREATE TABLE {table} (a int, b text)",
         f"CREATE INDEX {table}_a ON {table} (a)", insert],
        [f"ALTER TABLE {table} SET UNLOGGED", insert, f"ALTER TABLE {table} SET LOGGED"],
        [f"ALTER TABLE {table} SET TABLESPACE " + rng.choice(["fast", "pg_default"])],
        [insert, f"SELECT count(*) FROM {table}", f"SELECT sum(length(b)) FROM {table}"],
        [f"BEGIN; {insert}; ROLLBACK"],
        ["SELECT nextval('s') FROM generate_series(1, 100)"],
        ["DROP DATABASE IF EXISTS d", "CREATE DATABASE d TEMPLATE mould "
         "STRATEGY " + rng.choice(["WAL_LOG", "FILE_COPY"])],
        [f"SELECT lo_import('/etc/services')"],
        ["CHECKPOINT"],
    ])


def load(seed: int) -> None:
    """Print it: each statement for itself, for some can't be in a transaction."""
    rng = random.Random(seed)
    for _ in range(rng.randrange(1, 6)):
        for statement in changes(rng):
            print(statement + ";")


def relation_files(root: str) -> dict[str, str]:
    """Paths of relation files, with the place of each."""
    found = {}
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if RELATION.fullmatch(path):
                found[path] = os.path.join(folder, name)
    return found


def unlogged(files: dict[str, str], path: str) -> bool:
    """A server that was stopped hard empties these: a backup does without."""
    stem = re.sub(r"(_fsm|_vm)?(\.\d+)?$", "", path)
    return stem + "_init" in files and "_init" not in path


def compare(live: str, copy: str) -> int:
    """Print what differs."""
    ours, theirs = relation_files(live), relation_files(copy)
    differences = 0
    for path in sorted(set(ours) | set(theirs)):
        if unlogged(ours, path):
            continue
        if path not in theirs or path not in ours:
            present = ours.get(path, theirs.get(path))
            if os.path.getsize(present) > 0:
                print(f"{path} is only in {'the server' if path in ours else 'the copy'}")
                differences += 1
            continue
        with open(ours[path], "rb") as one, open(theirs[path], "rb") as other:
            a, b = one.read(), other.read()
        pages = [i // PAGE for i in range(0, max(len(a), len(b)), PAGE)
                 if a[i:i + PAGE] != b[i:i + PAGE]]
        if pages:
            print(f"{path}: pages {pages[:10]} of {len(a) // PAGE} ({len(pages)} in all) differ")
            differences += len(pages)
    if not ours:
        print("nothing to compare")
    return 1 if differences or not ours else 0


def visible(data: str, path: str) -> None:
    """PD_ALL_VISIBLE is bit 2 of the flags, the page header's bytes 10 and 11."""
    with open(os.path.join(data, path), "rb") as file:
        pages = file.read()
    print(sum(pages[at + 10] >> 2 & 1 for at in range(0, len(pages), PAGE)))


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load(int(sys.argv[2]))
    elif sys.argv[1] == "visible":
        visible(sys.argv[2], sys.argv[3])
    else:
        sys.exit(compare(sys.argv[2], sys.argv[3]))
