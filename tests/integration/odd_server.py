#!/usr/bin/env python3
"""Base backups from a server that breaks the protocol: odd_server.py PATH/basebackup_test.

A stand-in for PostgreSQL's walsender: it answers what the client asks before BASE_BACKUP, then
sends what each case says. Every case names the error code that must come of it.
"""
import io
import os
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading

SETTINGS = {"wal_segment_size": "16MB", "block_size": "8192", "data_checksums": "on",
            "segment_size": "1GB"}


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def rows(columns, values, tag=b"SELECT 1"):
    description = struct.pack("!h", columns)
    for i in range(columns):
        description += b"c%d\0" % i + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
    out = message("T", description)
    for row in values:
        data = struct.pack("!h", len(row))
        for value in row:
            data += struct.pack("!i", -1) if value is None else \
                struct.pack("!i", len(value)) + value.encode()
        out += message("D", data)
    return out + message("C", tag + b"\0")


def error(state, text):
    return message("E", b"SERROR\0VERROR\0C%s\0M%s\0\0" % (state.encode(), text.encode()))


def tar(*names):
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT)
    for name in names:
        info = tarfile.TarInfo(name)
        info.size, info.mode = 5, 0o600
        archive.addfile(info, io.BytesIO(b"hello"))
    return out.getvalue()


READY = message("Z", b"I")
START = rows(2, [["0/2000028", "1"]])
STOP = rows(2, [["0/2000100", "1"]])
SPACES = rows(3, [[None, None, "100"]])
TWO = rows(3, [["16400", "/srv/fast", "1"], [None, None, "100"]])
COPY = message("H", struct.pack("!bh", 0, 0))
DONE = message("c")
END = message("C", b"SELECT\0") + READY
BASE = message("d", b"nbase.tar\0\0")
FAST = message("d", b"n16400.tar\0/srv/fast\0")
P = message("d", b"p" + struct.pack("!q", 7))


def data(content):
    return b"".join(message("d", b"d" + content[i:i + 1000]) for i in range(0, len(content), 1000))


HEAD = START + SPACES + COPY
TAIL = DONE + STOP + END
ONE = data(tar("one"))
PIECE = data(tar("one")[:600])

# name, server's version, what follows BASE_BACKUP, code that must come of it ("": success)
CASES = [
    ("as it should be", 15, HEAD + P + BASE + P + ONE + P + TAIL, ""),
    ("two archives", 15, START + TWO + COPY + FAST + ONE + BASE + ONE + TAIL, ""),
    ("an empty piece", 15, HEAD + BASE + message("d", b"d") + ONE + TAIL, ""),
    ("14", 14, HEAD + message("d", tar("one")) + TAIL, ""),
    ("14, two", 14, START + TWO + (COPY + message("d", tar("one")) + DONE) * 2 + STOP + END, ""),
    ("damage the server found", 15, HEAD + BASE + ONE + DONE + STOP +
     error("XX001", "checksum verification failure during base backup") + READY, ""),
    ("damage before the end", 15, HEAD + BASE + ONE +
     error("XX001", "checksum") + READY, "CORRUPT"),
    ("error after the stop position", 15, HEAD + BASE + ONE + DONE + STOP +
     error("58030", "input/output error") + READY, "SERVER"),
    ("error within an archive", 15, HEAD + BASE + PIECE +
     error("58030", "could not read file") + READY, "SERVER"),
    ("shutdown within an archive", 15, HEAD + BASE + PIECE +
     error("57P01", "terminating connection"), "TRANSIENT"),
    ("cut within an archive", 15, HEAD + BASE + ONE[:500], "TRANSIENT"),
    ("cut before anything", 15, b"", "TRANSIENT"),
    ("archive cut short", 15, HEAD + BASE + data(tar("one")[:514]) + TAIL, "CORRUPT"),
    ("archive cut short, 14", 14, HEAD + message("d", tar("one")[:514]) + TAIL, "CORRUPT"),
    ("no archive", 15, HEAD + TAIL, "CORRUPT"),
    ("one archive too many", 15, HEAD + BASE + ONE + BASE + ONE + TAIL, "CORRUPT"),
    ("one too few", 15, START + TWO + COPY + FAST + ONE + TAIL, "CORRUPT"),
    ("other order", 15, START + TWO + COPY + BASE + ONE + FAST + ONE + TAIL, "CORRUPT"),
    ("a name that does not end", 15, HEAD + message("d", b"nbase.tar") + ONE + TAIL, "CORRUPT"),
    ("a name alone", 15, HEAD + message("d", b"n") + ONE + TAIL, "CORRUPT"),
    ("data before an archive", 15, HEAD + ONE + TAIL, "CORRUPT"),
    ("a manifest not asked for", 15, HEAD + BASE + ONE + message("d", b"m") + TAIL, "CORRUPT"),
    ("unknown message", 15, HEAD + BASE + message("d", b"?x") + ONE + TAIL, "CORRUPT"),
    ("no COPY", 15, START + SPACES + STOP + END, "CORRUPT"),
    ("no COPY, 14", 14, START + SPACES + STOP + END, "CORRUPT"),
    ("no rows", 15, START + rows(3, []) + COPY + TAIL, "CORRUPT"),
    ("too few columns", 15, START + rows(2, [["1", "2"]]) + COPY + TAIL, "CORRUPT"),
    ("no data directory", 15, START + rows(3, [["16400", "/srv/fast", "1"]]) + COPY +
     TAIL, "CORRUPT"),
    ("listed twice", 15, START + rows(3, [[None, None, "1"]] * 2) + COPY + TAIL, "CORRUPT"),
    ("OID 0", 15, START + rows(3, [["0", "/x", "1"], [None, None, "1"]]) + COPY + TAIL, "CORRUPT"),
    ("OID of 33 bits", 15, START + rows(3, [["4294967296", "/x", "1"], [None, None, "1"]]) +
     COPY + DONE + END, "SERVER"),
    ("place of 5000 bytes", 15, START + rows(3, [["16400", "/" +
     "x" * 5000, "1"], [None, None, "1"]]) + END, "CORRUPT"),
    ("size is no number", 15, START + rows(3, [[None, None, "-1"]]) + COPY + TAIL, "SERVER"),
    ("no LSN", 15, rows(2, [["2000028", "1"]]) + SPACES + END, "SERVER"),
    ("LSN of nine digits", 15, rows(2, [["0/123456789", "1"]]) + SPACES + END, "SERVER"),
    ("stop before start", 15, HEAD + BASE + ONE + DONE + rows(2, [["0/10", "1"]]) + END, "CORRUPT"),
    ("stop on another timeline", 15, HEAD + BASE + ONE + DONE +
     rows(2, [["0/2000100", "2"]]) + END, "CORRUPT"),
    ("no stop", 15, HEAD + BASE + ONE + DONE + END, "CORRUPT"),
    ("path that leaves the root", 15, HEAD + BASE + data(tar("../one")) + TAIL, "CORRUPT"),
    ("too old", 13, b"", "UNSUPPORTED"),
]


def receive(connection, length):
    out = b""
    while len(out) < length:
        piece = connection.recv(length - len(out))
        if not piece:
            raise EOFError
        out += piece
    return out


def answer(query, version, backup):
    if query.startswith("SHOW "):
        return rows(1, [[SETTINGS[query[5:]]]]) + READY
    if query == "IDENTIFY_SYSTEM":
        return rows(4, [["7312345678901234567", "1", "0/2000000", None]]) + READY
    labelled = query.startswith("BASE_BACKUP (LABEL 'it''s a test'," if version >= 15
                                else "BASE_BACKUP LABEL 'it''s a test' ")
    return backup if labelled else error("42601", "syntax error") + READY


def serve(listener, version, backup):
    connection, _ = listener.accept()
    with connection:
        try:
            receive(connection, struct.unpack("!i", receive(connection, 4))[0] - 4)
            connection.sendall(message("R", struct.pack("!i", 0)) +
                               message("S", b"server_version\0%d.4\0" % version) + READY)
            while True:
                kind, length = struct.unpack("!ci", receive(connection, 5))
                body = receive(connection, length - 4)
                if kind != b"Q":
                    return
                query = body[:-1].decode()
                connection.sendall(answer(query, version, backup))
                # What ends within an answer is a connection that is cut.
                if query.startswith("BASE_BACKUP") and not backup.endswith(READY):
                    return
        except (EOFError, ConnectionError):
            pass


def run(tool, scratch, version, backup):
    with socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(scratch, ".s.PGSQL.5432")
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener, version, backup))
        thread.start()
        with tempfile.TemporaryDirectory(dir=scratch) as target:
            result = subprocess.run(
                [tool, "backup", target], text=True, capture_output=True, timeout=60,
                env=dict(os.environ, HQ_TEST_CONNINFO=f"host={scratch} port=5432 user=x"))
        thread.join()
    return result


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, version, backup, want in CASES:
            result = run(sys.argv[1], scratch, version, backup)
            lines = [x for x in result.stdout.splitlines() if x.startswith("error ")]
            got = lines[0].split()[1] if lines else ""
            if got != want or result.returncode != (1 if want else 0):
                failed += 1
                print(f"FAILED {name}: {got or 'success'}, not {want or 'success'}\n"
                      f"{result.stdout}{result.stderr[-2000:]}")
    print(f"{len(CASES) - failed} of {len(CASES)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
