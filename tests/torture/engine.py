"""hq-backup as a site uses it: the repository, the daemon under a supervisor, restores."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import network
from servers import Server, Trouble, as_postgres

CLUSTER = "main"
SLOT = "hq_torture"
# What a sanitizer writes, and the shell's words for its exit.
CRASHES = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "DEADLYSIGNAL")


def copy_programs(directory):
    os.mkdir(directory)
    for name in ("hq-backup", "hq-backupd", "hq-restore"):
        shutil.copy(os.path.join(os.environ["HQ_BUILD"], name), directory)


class Store:
    """Where the repository is: for the daemon through faults, for restores directly."""

    def __init__(self, url, direct_url, settings, environment, restore_options):
        self.url = url
        self.direct_url = direct_url
        self.settings = settings
        self.environment = environment
        self.restore_options = restore_options


class Engine:
    def __init__(self, programs, scratch, logs, pair, store, net, plan):
        self.programs = programs
        self.scratch = scratch
        self.logs = logs
        self.store = store
        self.net = net
        self.plan = plan
        self.config = os.path.join(scratch, "hq-backup.yaml")
        self.spool = os.path.join(scratch, "spool-disk", "spool")
        self.state = os.path.join(scratch, "state")
        self.environment = dict(os.environ, HOME=scratch, **store.environment)
        self.log = os.path.join(logs, "daemon.log")
        self.process = None
        self.wanted = False
        self.exits = []  # (time, status) of ends nobody asked for
        self.lock = threading.RLock()
        self.restored = 0
        self.slow_backups = 0
        self.init()
        self.write_config(pair)

    def command(self, program, *arguments, timeout=120):
        done = subprocess.run(as_postgres([os.path.join(self.programs, program)] + list(arguments)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.environment, timeout=timeout,
                              check=False)
        with open(os.path.join(self.logs, "commands.log"), "ab") as file:
            file.write(("# %.3f %s %s: %d\n" % (time.time(), program, " ".join(arguments),
                                               done.returncode)).encode())
            file.write(done.stderr)
        return done

    def must(self, program, *arguments):
        done = self.command(program, *arguments)
        if done.returncode != 0:
            raise Trouble("%s %s: status %d: %s" % (
                program, arguments[0], done.returncode,
                (done.stderr or done.stdout).decode("utf-8", "replace")[-2000:]))
        return done.stdout

    def init(self):
        self.must("hq-backup", "init", "--repository", self.store.direct_url, "--region", "TR",
                  "--writer", "torture", "--sidecar-key", self.path("sidecar.key"),
                  "--restore-key", self.path("restore.key"), "--no-passphrase")

    def path(self, name):
        return os.path.join(self.scratch, name)

    def write_config(self, pair):
        servers = [pair.a] + ([pair.b] if pair.standby else [])
        lines = ["region: TR", "state_directory: " + self.state,
                 "key_file: " + self.path("sidecar.key"),
                 "repository:", "  url: " + self.store.url, *self.store.settings,
                 "  timeout: 2s",
                 "cluster:", "  name: " + CLUSTER, "  slot: " + SLOT,
                 # As for a site that wants to notice a dead network within seconds.
                 '  connection: "host=%s port=%s user=postgres target_session_attrs=primary '
                 'connect_timeout=2 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 '
                 'tcp_user_timeout=5000"' % (",".join(s.address for s in servers),
                                             ",".join(str(s.port) for s in servers)),
                 "wal:", "  flush_interval: %dms" % self.plan.flush_ms]
        if self.plan.mode == "disk-loss":
            lines.append("  durable: " + self.plan.durable)
        lines += ["spool:", "  path: " + self.spool, "backup:", '  schedule: "0 1 * * *"', ""]
        with open(self.config, "w", encoding="ascii") as file:
            file.write("\n".join(lines))

    # ---- the daemon, which is started again as systemd would ---------------------------------
    def start(self):
        with self.lock:
            self.wanted = True
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    self.net.inside + as_postgres([os.path.join(self.programs, "hq-backupd"), "--config",
                                                   self.config]),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
            threading.Thread(target=self.supervise, args=(self.process,), daemon=True).start()

    def supervise(self, process):
        status = process.wait()
        with self.lock:
            if process is not self.process or not self.wanted:
                return
            self.exits.append((time.time(), status))
        time.sleep(1.0)
        with self.lock:
            if process is self.process and self.wanted:
                self.start()

    def signal(self, number):
        with self.lock:
            if self.process is not None and self.process.poll() is None:
                os.kill(self.process.pid, number)

    def kill(self):
        with self.lock:
            self.wanted = False
            self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self):
        """The status of an orderly end; None if it had to be killed."""
        with self.lock:
            self.wanted = False
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def complaints(self):
        """What no fault excuses: a sanitizer's words, or death by a signal nobody sent."""
        found = ["the daemon ended by signal %d" % -status for _, status in self.exits
                 if status < 0]
        for name in ("daemon.log", "commands.log"):
            path = os.path.join(self.logs, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    found += [line.strip() for line in file if any(w in line for w in CRASHES)]
        return found

    # ---- what can be recovered, and recovering it --------------------------------------------
    def ask(self, command, *arguments):
        return ("hq-restore", command, "--repository", self.store.direct_url, "--key",
                self.path("restore.key"), *arguments)

    def points(self):
        answer = json.loads(self.must(*self.ask("points", "--json")))
        for cluster in answer["clusters"]:
            if cluster["cluster"] == CLUSTER:
                return cluster
        return {"ranges": [], "list": []}

    def restore(self, name, arguments, logs):
        """A Server that recovers by itself, or the words of the refusal."""
        directory = self.path(name)
        done = self.command(*self.ask("pg", "--cluster", CLUSTER, "--to", directory,
                                      *self.store.restore_options, *arguments))
        if done.returncode != 0:
            return (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        server = Server(name, directory, os.path.join(self.scratch, "run"), 0, logs)
        self.restored += 1
        server.port = 7000 + self.restored
        with open(os.path.join(directory, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
            file.write("\nport = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n"
                       "synchronous_standby_names = ''\n" % (server.port, server.sockets))
        return server

    def backup(self):
        """Faults may make it fail, and then it is one that is not there."""
        try:
            self.command("hq-backup", "backup", "--config", self.config)
        except subprocess.TimeoutExpired:
            self.slow_backups += 1

    def keep(self, name):
        """Copy what may explain a loss to the logs."""
        source = self.path(name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(self.logs, "kept-" + name), symlinks=True,
                            ignore_dangling_symlinks=True, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.s.PGSQL*", "*.sock"))


def directory_store(path):
    return Store(path, path, [], {}, [])


def s3_store(environment, prefix, proxy_port, keys):
    """ENVIRONMENT is what rgw-start.sh left."""
    bucket = "s3://%s/%s" % (environment["S3_BUCKET"], prefix)
    settings = ["  endpoint: http://%s:%d" % (network.address("store"), proxy_port),
                "  access_key_file: " + keys[0], "  secret_key_file: " + keys[1],
                "  retry: 20s"]
    return Store(bucket, bucket + "?endpoint=" + environment["S3_ENDPOINT"], settings,
                 {"HQ_S3_ACCESS_KEY_FILE": keys[0], "HQ_S3_SECRET_KEY_FILE": keys[1]},
                 ["--access-key-file", keys[0], "--secret-key-file", keys[1]])
