"""Clients, and the ledger of what they were told.

Every transaction writes rows whose content follows from (seed, worker, number) alone, so a restored
row can be compared without having been kept. A number is used once: a transaction that failed is
never repeated, because nobody would know which of the two it is that came back.
"""
import hashlib
import json
import random
import threading
import time
from dataclasses import asdict, dataclass

import psycopg2

ACCOUNTS = 200
SCHEMA = """
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0);
INSERT INTO accounts (id) SELECT generate_series(0, %d);
CREATE TABLE journal (worker int, number int, n int, account int, delta int, pad text,
                      PRIMARY KEY (worker, number, n));
""" % (ACCOUNTS - 1)

# Outcomes. A commit whose answer never came may have happened or not; all of it, or nothing.
ABORTED, UNKNOWN, ACKNOWLEDGED = "aborted", "unknown", "acknowledged"


@dataclass
class Transaction:
    worker: int
    number: int
    outcome: str = UNKNOWN
    server: str = ""
    timeline: int = 0
    xid: int = 0
    low: int = 0  # the commit record begins here or later
    high: int = 0  # and ends here or before; 0: not known
    sent: float = 0.0
    answered: float = 0.0
    committed_us: int = 0  # the time in the commit record, microseconds since 1970; 0: not known


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(value):
    return "%X/%08X" % (value >> 32, value & 0xFFFFFFFF)


def rows_of(seed, worker, number):
    """[(n, account, delta, pad)]: mostly small, now and then a segment's fill."""
    rng = random.Random("%d.%d.%d" % (seed, worker, number))
    rows = []
    for n in range(rng.choice([1, 1, 2, 3, 6])):
        size = rng.choice([10, 40, 100, 1000] if rng.random() < 0.97 else [150000])
        pad = hashlib.shake_128(b"%d.%d.%d.%d" % (seed, worker, number, n)).hexdigest(size)
        rows.append((n, rng.randrange(ACCOUNTS), rng.randrange(-1000, 1000), pad))
    return rows


class Ledger:
    """Everything the clients know, in memory and as lines of JSON in a file."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.all = {}
        self.file = open(path, "w", encoding="ascii")

    def begin(self, transaction):
        with self.lock:
            self.all[(transaction.worker, transaction.number)] = transaction

    def end(self, transaction):
        with self.lock:
            self.file.write(json.dumps(asdict(transaction)) + "\n")

    def snapshot(self):
        with self.lock:
            self.file.flush()
            return dict(self.all)

    def count(self, outcome):
        with self.lock:
            return sum(t.outcome == outcome for t in self.all.values())

    def close(self):
        with self.lock:
            self.file.close()


class Worker(threading.Thread):
    """One connection at a time to whichever server is the primary."""

    def __init__(self, load, worker):
        super().__init__(name="worker-%d" % worker, daemon=True)
        self.load = load
        self.worker = worker
        self.number = 0
        self.connection = None
        self.server = None

    def run(self):
        rng = random.Random("pace-%d-%d" % (self.load.seed, self.worker))
        while not self.load.stop.is_set():
            try:
                self.connect()
                self.transact()
            except psycopg2.Error:
                self.disconnect()
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 2 * self.load.pause))
        self.disconnect()

    def connect(self):
        server = self.load.primary()
        # A client of the former primary stays there until it is told off: a split brain lasts.
        if self.connection is not None and (self.server is server or self.load.sticky):
            return
        self.disconnect()
        self.connection = psycopg2.connect(server.dsn())
        self.connection.autocommit = True
        self.server = server

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def transact(self):
        self.number += 1
        t = Transaction(self.worker, self.number, ABORTED, self.server.name)
        self.load.ledger.begin(t)
        try:
            self.write(t)
        finally:
            self.load.ledger.end(t)

    def write(self, t):
        rows = rows_of(self.load.seed, t.worker, t.number)
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.executemany("INSERT INTO journal VALUES (%s, %s, %s, %s, %s, %s)",
                               [(t.worker, t.number, *row) for row in rows])
            for _, account, delta, _ in sorted(rows, key=lambda row: row[1]):
                cursor.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s",
                               (delta, account))
            cursor.execute("SELECT pg_current_xact_id()::text, pg_current_wal_insert_lsn(), "
                           "pg_walfile_name(pg_current_wal_insert_lsn())")
            xid, low, file = cursor.fetchone()
            t.xid, t.low, t.timeline = int(xid), lsn(low), int(file[:8], 16)
            t.sent = time.time()
            t.outcome = UNKNOWN
            cursor.execute("COMMIT")
            # A waiting commit that is told off says COMMIT, and warns that it did not wait.
            if cursor.statusmessage != "COMMIT" or self.connection.notices:
                raise psycopg2.OperationalError("no clear answer to COMMIT")
            t.answered = time.time()
            t.outcome = ACKNOWLEDGED
            cursor.execute("SELECT (extract(epoch FROM pg_xact_commit_timestamp(%s::xid)) * 1000000)"
                           "::bigint, pg_current_wal_insert_lsn()", (str(t.xid % 2 ** 32),))
            t.committed_us, high = cursor.fetchone()
            t.high = lsn(high)


class Load:
    def __init__(self, seed, primary, ledger, workers, pause):
        self.seed = seed
        self.primary = primary
        self.ledger = ledger
        self.pause = pause
        self.sticky = False
        self.stop = threading.Event()
        self.workers = [Worker(self, n) for n in range(workers)]

    def start(self):
        for worker in self.workers:
            worker.start()

    def finish(self, timeout):
        """Whether all clients ended: a commit that waits for ever keeps its own waiting."""
        self.stop.set()
        deadline = time.monotonic() + timeout
        for worker in self.workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self.workers)
