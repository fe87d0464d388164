"""Two PostgreSQL servers, a primary and its streaming standby, and what may happen to them."""
import os
import shutil
import signal
import subprocess
import time

import psycopg2

import network
from load import SCHEMA, lsn

BIN = os.environ.get("HQ_PG_BIN", "")
# Faults must meet segment switches, checkpoints and time-outs within seconds.
CONF = """
listen_addresses = '%(address)s'
port = %(port)d
unix_socket_directories = '%(sockets)s'
hot_standby = on
track_commit_timestamp = on
wal_keep_size = 1GB
max_wal_size = 64MB
min_wal_size = 4MB
max_wal_senders = 10
checkpoint_timeout = 30s
wal_sender_timeout = 4s
wal_receiver_timeout = 4s
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
shared_buffers = 32MB
log_min_messages = info
log_line_prefix = '%%m [%%p] '
log_timezone = 'UTC'
log_recovery_conflict_waits = off
"""
HBA = """
local all all trust
local replication all trust
host all all 10.99.0.0/16 trust
host replication all 10.99.0.0/16 trust
"""


class Trouble(Exception):
    """What the harness itself could not do."""


def as_postgres(command):
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] + command


def run(command, log=None, timeout=120, check=True):
    """Run as postgres. The output goes to LOG or, when it fails, into the exception."""
    done = subprocess.run(as_postgres(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    if log is not None:
        with open(log, "ab") as file:
            file.write(("# %s\n" % " ".join(command)).encode() + done.stdout)
    if check and done.returncode != 0:
        raise Trouble("%s: status %d: %s" % (" ".join(command), done.returncode,
                                             done.stdout.decode("utf-8", "replace")[-2000:]))
    return done


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, encoding="ascii", errors="replace") as file:
                    if int(file.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(entry))
            except OSError:
                continue
    return found


class Server:
    """One data directory. A restored cluster is one too, without an address."""

    def __init__(self, name, directory, sockets, port, logs, address=""):
        self.name = name
        self.directory = directory
        self.sockets = sockets
        self.port = port
        self.address = address
        self.log = os.path.join(logs, "postgres-%s.log" % name)
        self.tools_log = os.path.join(logs, "tools.log")

    def dsn(self, dbname="postgres"):
        return "host=%s port=%d user=postgres dbname=%s connect_timeout=5" % (
            self.sockets, self.port, dbname)

    def sql(self, text, parameters=None):
        connection = psycopg2.connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def tool(self, name, *arguments, **options):
        return run([os.path.join(BIN, name)] + list(arguments), self.tools_log, **options)

    def write_settings(self):
        """All settings anew: pg_rewind and a base backup bring those of the other server."""
        values = {"address": self.address, "port": self.port, "sockets": self.sockets}
        for name, text in (("postgresql.conf", CONF % values), ("pg_hba.conf", HBA)):
            path = os.path.join(self.directory, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            shutil.chown(path, "postgres", "postgres")

    def start(self, timeout=60):
        self.tool("pg_ctl", "-D", self.directory, "-l", self.log, "-w", "-s", "-t", str(timeout),
                  "start", timeout=timeout + 10)

    def postmaster(self):
        try:
            with open(os.path.join(self.directory, "postmaster.pid"), encoding="ascii") as file:
                pid = int(file.readline())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def kill(self):
        """As when the machine stops: the postmaster and all its children at once."""
        pid = self.postmaster()
        if pid is None:
            return
        family = [pid] + children_of(pid)
        for one in family:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 10
        while any(os.path.exists("/proc/%d" % one) for one in family):
            if time.monotonic() > deadline:
                raise Trouble("server %s can't be killed" % self.name)
            time.sleep(0.02)

    def shut_down(self, patience):
        """Whether it ended by itself; it waits for its receivers to have everything."""
        done = self.tool("pg_ctl", "-D", self.directory, "-m", "fast", "-w", "-s", "-t",
                         str(patience), "stop", check=False, timeout=patience + 20)
        if done.returncode != 0:
            self.kill()
        return done.returncode == 0

    def is_primary(self):
        try:
            return self.sql("SELECT NOT pg_is_in_recovery()")[0][0]
        except psycopg2.Error:
            return False

    def position(self):
        return lsn(self.sql("SELECT pg_current_wal_flush_lsn()")[0][0])

    def history(self):
        """[(timeline, where it ended)] of the ancestors of this server's timeline, and itself."""
        file = self.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")[0][0]
        timeline = int(file[:8], 16)
        return timeline, read_history(self.directory, timeline)


def read_history(directory, timeline):
    path = os.path.join(directory, "pg_wal", "%08X.history" % timeline)
    if timeline == 1:
        return []
    steps = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.split()
            if len(fields) >= 2 and fields[0].isdigit():
                steps.append((int(fields[0]), lsn(fields[1])))
    return steps


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Trouble("gave up after %g s waiting for %s" % (seconds, what))
        time.sleep(0.05)


class Pair:
    """Servers a and b. Only the round's own thread changes who is what."""

    def __init__(self, scratch, logs, port, template, standby):
        sockets = os.path.join(scratch, "run")
        os.mkdir(sockets)
        shutil.chown(sockets, "postgres", "postgres")
        self.a, self.b = (Server(name, os.path.join(scratch, name), sockets, port + n, logs,
                                 network.address(name)) for n, name in enumerate("ab"))
        self.primary, self.standby = self.a, self.b
        self.histories = {1: []}
        run(["cp", "-a", template, self.a.directory])
        self.a.write_settings()
        self.a.start()
        self.a.sql(SCHEMA)
        if standby:
            self.rebuild(self.b, self.a)
        else:
            self.standby = None

    def rebuild(self, server, source):
        server.kill()
        shutil.rmtree(server.directory, ignore_errors=True)
        server.tool("pg_basebackup", "-D", server.directory, "-h", source.sockets, "-p",
                    str(source.port), "-U", "postgres", "-X", "stream", "-c", "fast", "-R")
        self.follow(server, source)

    def rewind(self, server, source):
        """@return whether it worked; a server whose WAL is gone can't be rewound."""
        server.kill()
        # Until a checkpoint says so, pg_rewind takes the new primary to be on the old timeline.
        source.sql("CHECKPOINT")
        done = server.tool("pg_rewind", "-D", server.directory, "--source-server",
                           source.dsn(), "-R", check=False)
        if done.returncode != 0:
            return False
        self.follow(server, source)
        return True

    def follow(self, server, source):
        with open(os.path.join(server.directory, "postgresql.auto.conf"), "w",
                  encoding="ascii") as file:
            file.write("primary_conninfo = 'host=%s port=%d user=postgres application_name=%s'\n"
                       % (source.sockets, source.port, server.name))
        server.write_settings()
        server.start()

    def promote_standby(self):
        new = self.standby
        new.tool("pg_ctl", "-D", new.directory, "-w", "-s", "-t", "60", "promote")
        wait_until(new.is_primary, 30, "the promotion of %s" % new.name)
        self.primary, self.standby = new, None
        timeline, history = new.history()
        self.histories[timeline] = history
        return timeline

    def rejoin(self, old, how, keep_slot):
        if not keep_slot:
            for slot in os.listdir(os.path.join(old.directory, "pg_replslot")):
                shutil.rmtree(os.path.join(old.directory, "pg_replslot", slot))
        rewound = how == "rewind" and self.rewind(old, self.primary)
        if not rewound:
            self.rebuild(old, self.primary)
        self.standby = old
        return "rewound" if rewound else "rebuilt"

    def destroy_primary(self):
        self.primary.kill()
        shutil.rmtree(self.primary.directory)

    def close(self):
        self.a.kill()
        self.b.kill()


def make_template(directory):
    run([os.path.join(BIN, "initdb"), "-D", directory, "-k", "-A", "trust", "-N",
         "--wal-segsize=1", "-U", "postgres"])
