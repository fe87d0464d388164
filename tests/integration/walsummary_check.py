"""Compares what walblocks_tool printed with what happened.

    walsummary_check.py pages TOOL-OUTPUT BEFORE AFTER
        every page of BEFORE's and AFTER's relation files (copies of a data directory, links
        followed) that differs must be named; so must every page that is not zero behind the end of
        BEFORE's file
    walsummary_check.py waldump TOOL-OUTPUT DUMP
        the blocks must be those of pg_waldump's output
    walsummary_check.py blocks TOOL-OUTPUT ROWS
        the same with rows "tablespace|database|relation|fork|block", as pg_walinspect gives them
    walsummary_check.py server TOOL-OUTPUT ROWS
        both must say the same as PostgreSQL's own summary, rows
        "tablespace|database|relation|fork|block|is-limit"
"""

import os
import re
import sys

PAGE = 8192
SEGMENT_PAGES = 131072
NO_LIMIT = 2**32 - 1
FORKS = {"": 0, "_fsm": 1, "_vm": 2, "_init": 3}
NAMES = {"fsm": 1, "vm": 2, "init": 3}


class Said:
    def __init__(self, path):
        self.blocks, self.limits, self.databases = {}, {}, set()
        for line in open(path):
            what, *numbers = line.split()
            numbers = tuple(map(int, numbers))
            if what == "block":
                self.blocks.setdefault(numbers[:4], set()).add(numbers[4])
            elif what == "limit":
                self.limits[numbers[:4]] = numbers[4]
            elif what == "database":
                self.databases.add(numbers)

    def limit(self, fork):
        return self.limits.get(fork, NO_LIMIT)

    def changed(self, fork, block):
        return block >= self.limit(fork) or block in self.blocks.get(fork, ())

    def untrusted(self, fork):
        return fork[:2] in self.databases or (fork[0], 0) in self.databases


def relation_files(top):
    """path -> (tablespace, database, relation, fork), first block"""
    found = {}
    for folder, _, names in os.walk(top):
        parts = os.path.relpath(folder, top).split(os.sep)
        if parts == ["global"]:
            place = (1664, 0)
        elif parts[0] == "base" and len(parts) == 2:
            place = (1663, int(parts[1])) if parts[1].isdigit() else None
        elif parts[0] == "pg_tblspc" and len(parts) == 4 and parts[3].isdigit():
            place = (int(parts[1]), int(parts[3]))
        else:
            continue
        for name in names:
            m = re.fullmatch(r"(\d+)(_fsm|_vm|_init|)(?:\.(\d+))?", name)
            if m and place:
                path = os.path.relpath(os.path.join(folder, name), top)
                fork = place + (int(m[1]), FORKS[m[2]])
                found[path] = (fork, int(m[3] or 0) * SEGMENT_PAGES)
    return found


def check_pages(said, before, after):
    files, old = relation_files(after), relation_files(before)
    unlogged = {f[:3] for d in (files, old) for f, _ in d.values() if f[3] == 3}
    looked = differ = named = 0
    errors = []
    for path, (fork, first) in sorted(files.items()):
        if fork[3] in (1, 2) or (fork[3] == 0 and fork[:3] in unlogged) or said.untrusted(fork):
            continue
        new = open(os.path.join(after, path), "rb").read()
        was = open(os.path.join(before, path), "rb").read() if path in old else b""
        for at in range(0, len(new), PAGE):
            page, block = new[at : at + PAGE], first + at // PAGE
            looked += 1
            named += said.changed(fork, block)
            if page == (was[at : at + PAGE] or bytes(len(page))):
                continue
            differ += 1
            if not said.changed(fork, block):
                errors.append(f"{path} block {block} differs and is not named")
    print(f"{looked} pages, {differ} differ, {named} are named")
    if differ < 100:
        errors.append("too little changed for a test")
    return errors


def check_blocks(said, wanted):
    errors = []
    count = 0
    for fork, blocks in wanted.items():
        if fork[3] in (1, 2):
            continue
        count += len(blocks)
        errors += [f"{fork} block {b} is not named" for b in blocks if not said.changed(fork, b)]
    for fork, blocks in said.blocks.items():
        errors += [f"{fork} block {b} is named, but no record does"
                   for b in blocks if b not in wanted.get(fork, ())]
    print(f"{count} blocks of {len(wanted)} forks")
    if count < 100:
        errors.append("too little changed for a test")
    return errors


def check_waldump(said, dump):
    wanted, limits, databases = {}, {}, set()

    def limit(path, block, forks=(0,)):
        m = re.fullmatch(r"(?:base/(\d+)|(global)|pg_tblspc/(\d+)/PG_[^/]*/(\d+))/(\d+)(_\w+)?", path)
        if not m:
            raise SystemExit(f"not a path: {path}")
        place = (1664, 0) if m[2] else (1663, int(m[1])) if m[1] else (int(m[3]), int(m[4]))
        for fork in [FORKS[m[6]]] if m[6] else forks:
            key = place + (int(m[5]), fork)
            if fork in (0, 3):
                limits[key] = min(limits.get(key, NO_LIMIT), block)

    for line in open(dump):
        for m in re.finditer(r"blkref #\d+: rel (\d+)/(\d+)/(\d+)(?: fork (\w+))? blk (\d+)", line):
            fork = (int(m[1]), int(m[2]), int(m[3]), NAMES.get(m[4], 0))
            wanted.setdefault(fork, set()).add(int(m[5]))
        rmgr = re.match(r"rmgr: (\w+)", line)
        text = line.split(" desc: ", 1)[1] if " desc: " in line else ""
        if rmgr and rmgr[1] == "Storage":
            if m := re.match(r"CREATE (\S+)", text):
                limit(m[1], 0)
            elif (m := re.match(r"TRUNCATE (\S+) to (\d+) blocks flags (\d+)", text)) and int(m[3]) & 1:
                limit(m[1], int(m[2]))
        elif rmgr and rmgr[1] == "Transaction" and not text.startswith("PREPARE"):
            if m := re.search(r"rels: ([^;]*)", text):
                for path in m[1].split():
                    limit(path, 0, (0, 3))
        elif rmgr and rmgr[1] == "Database":
            if text.startswith("CREATE"):
                place = re.findall(r"(\d+)/(\d+)", text)[-1]
                databases.add(tuple(map(int, place)))
            else:
                databases |= {tuple(map(int, p)) for p in re.findall(r"(\d+)/(\d+)", text)}
        elif rmgr and rmgr[1] == "Tablespace" and (m := re.match(r"DROP (\d+)", text)):
            databases.add((int(m[1]), 0))
    errors = check_blocks(said, wanted)
    print(f"{len(limits)} limits, {len(databases)} databases")
    if limits != said.limits:
        errors.append(f"limits differ: {sorted(set(limits.items()) ^ set(said.limits.items()))[:10]}")
    if databases != said.databases:
        errors.append(f"databases: {sorted(databases)}, found {sorted(said.databases)}")
    return errors


def rows(path):
    for line in open(path):
        if line.strip():
            yield line.strip().split("|")


def check_rows(said, path):
    wanted = {}
    for space, database, relation, fork, block in rows(path):
        key = (int(space), int(database), int(relation), int(fork))
        wanted.setdefault(key, set()).add(int(block))
    return check_blocks(said, wanted)


def check_server(said, path):
    """Its limits of a database are relation 0; it forgets what lies behind a limit, as we do."""
    blocks, limits, databases = {}, {}, set()
    for space, database, relation, fork, block, is_limit in rows(path):
        key = (int(space), int(database), int(relation), int(fork))
        if key[3] in (1, 2):
            continue
        if is_limit == "f":
            blocks.setdefault(key, set()).add(int(block))
        elif key[2] == 0:
            databases.add(key[:2])
        else:
            limits[key] = min(limits.get(key, NO_LIMIT), int(block))
    errors = []
    for fork in set(blocks) | set(said.blocks):
        bound = min(limits.get(fork, NO_LIMIT), said.limit(fork))
        theirs = {b for b in blocks.get(fork, ()) if b < bound}
        ours = {b for b in said.blocks.get(fork, ()) if b < bound}
        if theirs != ours:
            errors.append(f"{fork}: missing {sorted(theirs - ours)[:5]}, only here {sorted(ours - theirs)[:5]}")
        errors += [f"{fork} block {b}" for b in blocks.get(fork, ()) if not said.changed(fork, b)]
    ours = {k: v for k, v in said.limits.items()}
    if limits != ours:
        errors.append(f"limits differ: {sorted(set(limits.items()) ^ set(ours.items()))[:10]}")
    if not databases <= said.databases:
        errors.append(f"databases: {sorted(databases)}, found {sorted(said.databases)}")
    print(f"{sum(map(len, blocks.values()))} blocks, {len(limits)} limits, {len(databases)} databases")
    return errors


def main():
    said = Said(sys.argv[2])
    checks = {"pages": check_pages, "waldump": check_waldump, "blocks": check_rows, "server": check_server}
    errors = checks[sys.argv[1]](said, *sys.argv[3:])
    for e in errors[:20]:
        print(e)
    return 1 if errors else 0


sys.exit(main())
