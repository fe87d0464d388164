#!/usr/bin/env python3
"""The WAL archiver and servers that are what a test needs: odd_walsender.py PATH/archiver_test [CASE...].

A stand-in for PostgreSQL's walsender: what WAL it has, what its slot keeps and what it refuses is
set by each case, and it writes down what it was asked and told. Real servers are in archiver.sh.
"""
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from odd_server import READY, error, message, receive, rows

MIB = 1 << 20
FIRST = 16 * MIB
SETTINGS = {"wal_segment_size": "1MB", "block_size": "8192", "data_checksums": "on"}
DONE = message("C", b"OK\0")
PATTERN = bytes(range(251))


def lsn_text(lsn):
    return "%X/%X" % (lsn >> 32, lsn & 0xFFFFFFFF)


def lsn_number(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def wal(start, end):
    """The same bytes for the same LSN."""
    return (PATTERN * (2 + (end - start) // len(PATTERN)))[start % len(PATTERN):][:end - start]


class Server:
    """WAL from `begin` to `end`; `slot` is what it keeps, None: there is none."""

    def __init__(self, scratch, port, end, begin=FIRST, slot=FIRST, system=7000000000000000001):
        self.begin, self.end, self.slot, self.system = begin, end, slot, system
        self.timeline, self.history = 1, None
        self.new_slot = slot      # what a slot made now keeps
        self.invalidated = None   # why, as version 18 says it
        self.removals = None      # it goes away after so many answers that WAL was removed
        self.queries, self.connections = [], []
        self.reports = []         # of the latest stream: (write, flush)
        self.path = os.path.join(scratch, ".s.PGSQL.%d" % port)
        self.listener = None
        self.up()

    def up(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def down(self):
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listener):
        try:
            while True:
                connection, _ = listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def serve(self, connection):
        try:
            receive(connection, struct.unpack("!i", receive(connection, 4))[0] - 4)
            connection.sendall(message("R", struct.pack("!i", 0)) +
                               message("S", b"server_version\x0018.4\0") +
                               message("S", b"in_hot_standby\0off\0") + READY)
            while True:
                kind, length = struct.unpack("!ci", receive(connection, 5))
                body = receive(connection, length - 4)
                if kind != b"Q":
                    return
                query = body[:-1].decode()
                self.queries.append(query)
                if query.startswith("START_REPLICATION"):
                    self.stream(connection, query)
                else:
                    connection.sendall(self.answer(query))
        except (EOFError, OSError):
            pass

    def answer(self, query):
        if query.startswith("SHOW "):
            return rows(1, [[SETTINGS[query[5:]]]]) + READY
        if query == "IDENTIFY_SYSTEM":
            return rows(4, [[str(self.system), str(self.timeline), lsn_text(self.end), None]]) + READY
        if query.startswith("TIMELINE_HISTORY") and self.history is not None:
            return rows(2, [["%08X.history" % self.timeline, self.history]]) + READY
        if query.startswith("READ_REPLICATION_SLOT"):
            kept = [None] * 3 if self.slot is None else ["physical", lsn_text(self.slot), "1"]
            return rows(3, [kept]) + READY
        if query.startswith("CREATE_REPLICATION_SLOT"):
            self.slot, self.invalidated = self.new_slot, None
            return rows(4, [["hq_backup", lsn_text(self.slot), None, None]]) + READY
        if query.startswith("DROP_REPLICATION_SLOT"):
            self.slot = None
            return DONE + READY
        return error("42601", "syntax error: " + query) + READY

    def stream(self, connection, query):
        at = lsn_number(query.split()[4])
        if self.invalidated is not None:
            connection.sendall(message("E", b"SERROR\0VERROR\0C55000\0Mgibt es nicht\0D... \"%s\".\0\0"
                                       % self.invalidated.encode()) + READY)
            return
        connection.sendall(message("W", struct.pack("!bh", 0, 0)))
        if at < self.begin:
            if self.removals is not None:
                self.removals -= 1
            connection.sendall(error("58P01", "requested WAL segment has already been removed") +
                               READY)
            if self.removals == 0:
                self.down()
            return
        reports = self.reports = []
        while True:
            now = int((time.time() - 946684800) * 1e6)
            n = min(self.end - at, 128 << 10)
            out = message("d", b"k" + struct.pack("!qqb", self.end, now, 1))
            if n > 0:
                out += message("d", b"w" + struct.pack("!qqq", at, self.end, now) + wal(at, at + n))
                at += n
            connection.sendall(out)
            if not select.select([connection], [], [], 0.05)[0]:
                continue
            kind, length = struct.unpack("!ci", receive(connection, 5))
            body = receive(connection, length - 4)
            if kind == b"d" and body[:1] == b"r":
                write, flush = struct.unpack("!qq", body[1:17])
                reports.append((write, flush))
            elif kind != b"d":
                connection.sendall(message("c") + DONE + DONE + READY)
                return

    def starts(self):
        return [lsn_number(q.split()[4]) for q in self.queries if q.startswith("START_REPL")]

    def asked(self, command):
        return [q for q in self.queries if q.startswith(command)]


class Case:
    """A place of its own for an archiver, and its process."""

    def __init__(self, tool, scratch):
        self.tool, self.scratch, self.process = tool, scratch, None
        self.place = os.path.join(scratch, "place")
        os.mkdir(self.place)
        self.call("init")

    def call(self, verb, *arguments):
        subprocess.run([self.tool, verb, self.place, *arguments], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def begin(self, ports="5432", wanted="any", look_ms=0):
        hosts = ",".join([self.scratch] * len(ports.split(",")))
        position = os.path.join(self.place, "position")
        if os.path.exists(position):
            os.unlink(position)
        env = dict(os.environ, HQ_TEST_FLUSH_MS="100", HQ_TEST_LOOK_MS=str(look_ms),
                   HQ_TEST_CONNINFO=f"host={hosts} port={ports} user=x connect_timeout=2 "
                                    f"target_session_attrs={wanted}")
        with open(os.path.join(self.scratch, "out"), "a", encoding="utf-8") as out:
            self.process = subprocess.Popen([self.tool, "run", self.place], env=env, stdout=out,
                                            stderr=subprocess.STDOUT)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(60)
        if how == signal.SIGTERM and status != 0:
            raise AssertionError(f"the archiver ended with {status}")
        self.process = None

    def fact(self, name):
        try:
            with open(os.path.join(self.place, "position"), encoding="utf-8") as f:
                return int(dict(line.split() for line in f)[name])
        except (FileNotFoundError, KeyError):
            return 0

    def until(self, what, condition):
        for _ in range(400):
            if condition():
                return
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the archiver is gone: {what}")
            time.sleep(0.05)
        raise AssertionError(f"given up: {what}")

    def durable(self, lsn):
        self.until(f"{lsn} durable", lambda: self.fact("durable") >= lsn)

    def objects(self):
        """Stored segments and parts, by their last names."""
        found = []
        for directory, _, names in os.walk(os.path.join(self.place, "repository", "wal")):
            found += [os.path.join(directory, name) for name in names]
        return sorted(found)


def same(what, wanted, found):
    if wanted != found:
        raise AssertionError(f"{what}: {found}, not {wanted}")


def spool_without_store(case, scratch):
    """After a restart, while the store is away, the server is told nothing of what the spool has."""
    server = Server(scratch, 5432, FIRST + 3000)
    store = os.path.join(case.place, "repository", "wal")
    case.begin()
    case.durable(FIRST + 3000)
    os.rename(store, store + ".away")
    with open(store, "w", encoding="utf-8"):
        pass
    server.end = FIRST + 9000
    case.until("receipt", lambda: case.fact("received") == FIRST + 9000)
    case.end(signal.SIGKILL)
    streams = len(server.starts())
    case.begin()
    case.until("reports", lambda: len(server.starts()) > streams and len(server.reports) >= 5)
    same("told while the store is away", {0}, {flush for _, flush in server.reports})
    os.unlink(store)
    os.rename(store + ".away", store)
    case.durable(FIRST + 9000)
    case.until("the report", lambda: server.reports[-1][1] == FIRST + 9000)
    same("gone on with where the spool ends", FIRST + 9000, server.starts()[-1])
    case.end()


def removed_here_not_there(case, scratch, removals):
    """What one server has removed is asked of the next; nothing is skipped, no slot dropped."""
    first = Server(scratch, 5432, FIRST + 2 * MIB + 3000)
    case.begin("5432,5433")
    case.durable(first.end)
    end = first.end
    case.end()
    first.begin = first.slot = first.new_slot = FIRST + 5 * MIB
    first.end, first.removals = FIRST + 6 * MIB, removals
    second = Server(scratch, 5433, FIRST + 4 * MIB, slot=None)
    second.new_slot = FIRST + 3 * MIB
    case.begin("5432,5433")
    case.durable(second.end)
    same("gaps", 0, case.fact("gaps"))
    # Asked twice, what the spool has was given to the store, whose listing said where to go on.
    same("what the second is asked for", end if removals == 1 else end - end % MIB,
         second.starts()[0])
    same("slots dropped on the second", [], second.asked("DROP"))
    case.end()


def removed_everywhere(case, scratch):
    """Only when the store does not know better either it goes on behind the gap, with a new slot."""
    server = Server(scratch, 5432, FIRST + 2 * MIB + 3000)
    case.begin()
    case.durable(server.end)
    case.end()
    server.begin = server.new_slot = FIRST + 5 * MIB
    server.slot, server.end = FIRST + 2 * MIB, FIRST + 6 * MIB + 100
    asked = len(server.starts())
    case.begin()
    case.durable(server.end)
    same("gaps", 1, case.fact("gaps"))
    same("slots dropped", 1, len(server.asked("DROP")))
    same("where it went on", FIRST + 5 * MIB, server.starts()[-1])
    same("how often it was asked", 3, len(server.starts()) - asked)
    case.end()


def idle_slot(case, scratch):
    """A slot that version 18 gave up is made anew, in whatever language it says so."""
    server = Server(scratch, 5432, FIRST + 3000)
    case.begin()
    case.durable(server.end)
    case.end()
    server.invalidated, server.end = "idle_timeout", FIRST + 9000
    case.begin()
    case.durable(server.end)
    same("slots dropped", 1, len(server.asked("DROP")))
    same("gaps", 0, case.fact("gaps"))
    case.end()


def other_system(case, scratch):
    """A system whose WAL is behind: nothing that was durable of the one before is told to it."""
    server = Server(scratch, 5432, FIRST + 3 * MIB)
    case.begin()
    case.durable(server.end)
    server.down()
    server = Server(scratch, 5432, 2 * MIB + 500, begin=2 * MIB, slot=None,
                    system=7000000000000000002)
    server.new_slot = 2 * MIB
    case.until("the refusal", lambda: len(server.asked("IDENTIFY_SYSTEM")) >= 2)
    same("slots made on a server that is refused", [], server.asked("CREATE"))
    case.call("accept", str(server.system))
    case.until("streaming", lambda: case.fact("durable") == server.end)
    case.until("the report", lambda: server.reports and server.reports[-1][1] == server.end)
    beyond = [r for r in server.reports if r[1] > server.end]
    same("told beyond its WAL", [], beyond)
    case.end()


def promoted_beside(case, scratch, history, leaves):
    """A former primary that still streams is left for the one that was promoted from it."""
    former = Server(scratch, 5432, FIRST + 5000)
    case.begin("5432,5433", "primary", 200)
    case.durable(former.end)
    present = Server(scratch, 5433, FIRST + MIB + 700, slot=None)
    present.new_slot, present.timeline, present.history = FIRST, 2, history
    if leaves:
        case.until("the new timeline", lambda: case.fact("timeline") == 2)
        case.durable(present.end)
        same("streams of it", [FIRST], present.starts())
    else:
        case.until("some looks", lambda: len(present.asked("TIMELINE_HISTORY")) >= 3)
        same("streams of it", [], present.starts())
        same("slots made on it", [], present.asked("CREATE"))
        former.end = FIRST + 9000
        case.durable(former.end)
        same("streams of the former", 1, len(former.starts()))
    case.end()


def holes(case, scratch, kept, wanted):
    """Of several holes the first that the slot still has the WAL of is filled, and all behind it."""
    server = Server(scratch, 5432, FIRST + 6 * MIB + 100)
    case.begin()
    case.durable(server.end)
    case.end()
    before = [os.path.basename(x) for x in case.objects()]
    removed = [x for x in case.objects() if x.endswith(("000000012", "000000014"))]
    same("segments removed", 2, len(removed))
    for path in removed:
        os.unlink(path)
    shutil.rmtree(os.path.join(case.place, "spool"))
    server.slot = kept
    del server.queries[:]
    case.begin()
    case.until("the stream", server.starts)
    same("begun at", wanted, server.starts()[0])
    filled = [x for x in removed if int(x[-8:], 16) * MIB >= wanted]
    case.until("the holes' end", lambda: all(os.path.exists(x) for x in filled))
    case.durable(server.end)
    case.end()
    missing = set(before) - {os.path.basename(x) for x in case.objects()}
    same("still missing", {os.path.basename(x) for x in removed if x not in filled},
         {x for x in missing if "-" not in x})


CASES = [
    ("a spool without its store", spool_without_store, ()),
    ("removed here, once, and not there", removed_here_not_there, (1,)),
    ("removed here, twice, and not there", removed_here_not_there, (2,)),
    ("removed everywhere", removed_everywhere, ()),
    ("an idle slot", idle_slot, ()),
    ("another system", other_system, ()),
    ("promoted beside a former primary", promoted_beside,
     ("1\t%s\tno reason\n" % lsn_text(FIRST + 5000), True)),
    ("promoted from something else", promoted_beside,
     ("7\t%s\tno reason\n" % lsn_text(FIRST + 5000), False)),
    ("two holes", holes, (FIRST + MIB, FIRST + 2 * MIB)),
    ("two holes, one of them lost", holes, (FIRST + 3 * MIB, FIRST + 4 * MIB)),
]


def main():
    failed = 0
    for name, case_function, arguments in CASES:
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            case = Case(os.path.abspath(sys.argv[1]), scratch)
            try:
                case_function(case, scratch, *arguments)
                print(f"ok - {name}", flush=True)
            except (AssertionError, subprocess.SubprocessError) as e:
                failed += 1
                print(f"not ok - {name}: {e}", flush=True)
                with open(os.path.join(scratch, "out"), encoding="utf-8") as out:
                    print("".join(out.readlines()[-25:]))
            finally:
                if case.process is not None:
                    case.process.kill()
                    case.process.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
