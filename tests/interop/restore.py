#!/usr/bin/python3
"""Read an hq-backup repository without hq-backup: list it, restore a backup, write its WAL.

    restore.py [options] REPOSITORY-DIR KEYFILE CLUSTER BACKUP TARGETDIR
    restore.py [options] REPOSITORY-DIR KEYFILE CLUSTER --wal TARGETDIR
    restore.py [options] REPOSITORY-DIR KEYFILE [CLUSTER] --list

A tablespace becomes a plain directory, TARGETDIR/pg_tblspc/<oid>: nothing is written outside of
TARGETDIR. WAL goes to TARGETDIR/<system identifier>/. The passphrase of a protected key file is in
the environment, HQ_PASSPHRASE. Trouble ends with status 1 and its name (docs/format.md §16).
"""

import argparse
import os
import re
import sys
from typing import Iterable

from hqbase import FormatError, fail, need, parse_time, print_lsn, print_time
from hqformat import DirectoryStore, Repository
from hqkeys import read_key_file
from hqmanifest import DIRECTORY, FILE, LINK, Entry
from hqpack import DATA
from hqwal import HISTORY, SEGMENT

CONTROL_FILE = b"global/pg_control"
TABLESPACE = re.compile(rb"pg_tblspc/[0-9]+")


class Target:
    """The directory that a backup is restored into."""

    def __init__(self, root: str):
        self.root = os.fsencode(root)
        self.folders: list[Entry] = []
        os.makedirs(self.root, mode=0o700)

    def path(self, entry: Entry) -> bytes:
        """Where an entry goes; its folder is made."""
        path = os.path.join(self.root, entry.path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            fail("CORRUPT", f"{entry.path!r}: below something that is no directory")
        return path

    def folder(self, entry: Entry) -> None:
        """A directory, or a tablespace's link that becomes one."""
        os.makedirs(self.path(entry), exist_ok=True)
        self.folders.append(entry)

    def file(self, entry: Entry, content: Iterable[bytes]) -> None:
        """A file, whose size is checked once more."""
        path = self.path(entry)
        with open(path, "xb") as file:
            for piece in content:
                file.write(piece)
            need(file.tell() == entry.size, f"{entry.path!r}: {file.tell()} bytes")
        self.attributes(entry, path)

    def attributes(self, entry: Entry, path: bytes) -> None:
        """Owner (for root), mode, extended attributes, time: in the order that keeps them."""
        if os.geteuid() == 0 and entry.uid is not None and entry.gid is not None:
            os.chown(path, entry.uid, entry.gid)
        if entry.mode is not None:
            os.chmod(path, entry.mode)
        for name, value in entry.attributes:
            os.setxattr(path, name, value)
        if entry.modified is not None:
            os.utime(path, ns=(entry.modified * 1000, entry.modified * 1000))

    def finish(self) -> None:
        """What directories get once nothing is written into them any more."""
        for entry in reversed(self.folders):
            if entry.type == DIRECTORY:
                self.attributes(entry, os.path.join(self.root, entry.path))


def restore(repository: Repository, cluster: str, backup: str, directory: str) -> None:
    """All files of a backup; the control file last (§10)."""
    target, control = Target(directory), None
    for entry in repository.entries(repository.root(cluster, backup)):
        if entry.type == DIRECTORY or entry.type == LINK and TABLESPACE.fullmatch(entry.path):
            target.folder(entry)
        elif entry.type == LINK:
            fail("CORRUPT", f"{entry.path!r}: a link that is not a tablespace's")
        elif entry.path == CONTROL_FILE:
            control = entry
        else:
            target.file(entry, repository.content(entry))
    if control is not None:
        target.file(control, repository.content(control))
    target.finish()


def write_wal(repository: Repository, cluster: str, directory: str) -> None:
    """Every segment and every history file of a cluster."""
    for (system, segment), objects in repository.segments(cluster).items():
        content, reached = repository.segment(objects)
        if reached:
            _write(f"{directory}/{system}/{segment}", content)
            print(f"{system} {segment} {reached} of {len(content)} bytes")
    for name in repository.wal(cluster):
        if name.type == HISTORY:
            content = repository.wal_content(name)
            _write(f"{directory}/{name.system}/{name.timeline:08X}.history", content)


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(content)


def list_backup(repository: Repository, cluster: str, backup: str) -> None:
    """One line for a backup, one for each entry of it."""
    root = repository.root(cluster, backup)
    finished = parse_time(root.members["finished"])
    print(f"backup {cluster} {backup} finished {print_time(finished)} timeline {root.timeline}"
          f" from {print_lsn(root.start_lsn)} to {print_lsn(root.stop_lsn)}")
    for entry in repository.entries(root):
        size = "-" if entry.size is None else entry.size
        print(f"  {entry.type} {entry.mode or 0:04o} {size} {os.fsdecode(entry.path)!r}")


def list_wal(repository: Repository, cluster: str) -> None:
    """One line for each WAL object, from its header alone."""
    for name in repository.wal(cluster):
        header = repository.wal_header(name)
        sort = "history" if header.type == HISTORY else (
            "segment" if header.type == SEGMENT else "part")
        print(f"{sort} {name.name} from {print_lsn(header.start)} to {print_lsn(header.end)}"
              f" sent {print_time(header.sent)}" + (
                  f" branched from {header.segment_size} at {print_lsn(header.start)}"
                  if header.type == HISTORY and header.start else ""))


def list_audit(repository: Repository, cluster: str) -> None:
    """One line for each decision."""
    for record in repository.audit_records(cluster):
        print(f"audit {record['time']} {record['kind']} by {record['who']}: {record['reason']}")


def show(repository: Repository, only: str | None) -> None:
    """--list."""
    clusters = {cluster for cluster, _ in repository.backups()} | {
        name.split("/")[1] for name in repository.store.names("wal/")}
    for cluster, backup in repository.backups():
        if only in (None, cluster):
            list_backup(repository, cluster, backup)
    for cluster in sorted(clusters):
        if only in (None, cluster):
            list_wal(repository, cluster)
            list_audit(repository, cluster)


def check_cuts(repository: Repository, cluster: str, backup: str) -> None:
    """Whether the writer cut files and the manifest stream as §7 tells it to."""
    from hqwriter import cut_lengths, gear_of
    gear = gear_of(repository.key_file.identity_key)
    chunking = repository.description["chunking"]
    limits = chunking["minimum"], chunking["average"], chunking["maximum"]
    root, files = repository.root(cluster, backup), 0
    pieces = [len(piece) for piece in repository.manifest_chunks(root)]
    stream = b"".join(repository.manifest_chunks(root))
    need(cut_lengths(gear, stream, 16384, 65536, 262144) == pieces, "the manifest's cuts")
    for entry in repository.entries(root):
        if entry.type == FILE and len(entry.chunks) > 1:
            content = b"".join(repository.chunk(name, DATA, raw) for name, raw in entry.chunks)
            lengths = [raw for _, raw in entry.chunks]
            need(cut_lengths(gear, content, *limits) == lengths, f"cuts of {entry.path!r}")
            files += 1
    print(f"{len(pieces)} manifest chunks and {files} files of several chunks are cut as they must")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Read an hq-backup repository.")
    parser.add_argument("repository")
    parser.add_argument("key_file")
    parser.add_argument("cluster", nargs="?")
    parser.add_argument("backup", nargs="?")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--wal", metavar="TARGETDIR")
    parser.add_argument("--cuts", action="store_true", help="check where a backup's files are cut")
    parser.add_argument("--region", help="refuse a repository of another region")
    options = parser.parse_args()
    enough = options.list or (
        options.cluster if options.wal else
        options.backup if options.cuts else options.target)
    if not enough:
        parser.error("what is missing: see the first lines of this program")
    return options


def run(options: argparse.Namespace) -> None:
    """Do what the command line says."""
    passphrase = os.environb.get(b"HQ_PASSPHRASE")
    with open(options.key_file, "rb") as file:
        key_file = read_key_file(file.read(), passphrase)
    repository = Repository(DirectoryStore(options.repository), key_file, options.region)
    if options.list:
        show(repository, options.cluster)
    elif options.wal:
        write_wal(repository, options.cluster, options.wal)
    elif options.cuts:
        check_cuts(repository, options.cluster, options.backup)
    else:
        restore(repository, options.cluster, options.backup, options.target)


def main() -> int:
    """The program."""
    try:
        run(arguments())
    except (FormatError, OSError) as error:
        print(f"restore.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
