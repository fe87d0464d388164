"""hq-backup as a contestant: its repository, slot and daemon."""
import os
import re
import signal
import subprocess
import time

from measure import Failed, last_line
from peers import Tool

VERDICTS = {
    "unchanged pages are taken from the last backup": "takes over unchanged pages",
    "every page is read and stored": "reads every page",
    "what WAL changed is not known": "without the WAL summary",
}


class Ours(Tool):
    """@mode is files or stream; @summaries False: what the daemon knows of changed blocks is taken away.

    With @daemon the WAL is streamed by hq-backupd, as it would be; its CPU seconds during a command are added to the
    command's. Without, `hq-backup backup` streams by itself.
    """

    def __init__(self, name, bench, mode="files", summaries=True, daemon=True, store=None):
        super().__init__(name, bench)
        self.mode, self.summaries, self.with_daemon, self.store = mode, summaries, daemon, store
        self.slot = "hq_" + re.sub("[^a-z0-9]+", "_", name.lower())
        self.process = None
        self.config = os.path.join(self.home, "hq-backup.yaml")

    @property
    def daemon(self):
        return self.process.pid if self.process else None

    def program(self, name):
        return os.path.join(self.bench.programs, name)

    def url(self):
        if not self.store:
            return self.repository
        return (f"s3://{self.store['S3_BUCKET']}/ours-{self.count}?endpoint={self.store['S3_TLS_ENDPOINT']}"
                f"&ca={self.store['S3_CA']}")

    def fresh(self):
        super().fresh()
        os.rmdir(self.repository)
        if self.store:
            for name, key in (("access", "S3_ACCESS_KEY"), ("secret", "S3_SECRET_KEY")):
                self.write(name, self.store[key] + "\n")
        credentials = [f"HQ_S3_ACCESS_KEY_FILE={self.home}/access", f"HQ_S3_SECRET_KEY_FILE={self.home}/secret"]
        self.prepare("env", *(credentials if self.store else []), self.program("hq-backup"), "init", "--repository",
                     self.url(), "--region", "TR", "--writer", "bench", "--sidecar-key", f"{self.home}/sidecar.key",
                     "--restore-key", f"{self.home}/restore.key", "--no-passphrase")
        self.write("hq-backup.yaml", self.settings())
        if self.with_daemon:
            self.start()

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w") as out:
            out.write(text)
        self.bench.own(path, 0o600)

    def settings(self):
        store = "" if not self.store else f"""
  endpoint: {self.store['S3_TLS_ENDPOINT']}
  ca_file: {self.store['S3_CA']}
  access_key_file: {self.home}/access
  secret_key_file: {self.home}/secret"""
        files = f"\n  data_directory: {self.bench.cluster.data}" if self.mode == "files" else ""
        return f"""region: TR
state_directory: {self.home}/state
key_file: {self.home}/sidecar.key
repository:
  url: {self.url().split('?')[0]}{store}
cluster:
  name: main
  connection: "host={self.bench.scratch} port={self.bench.cluster.port} user=postgres"
  slot: {self.slot}{files}
backup:
  schedule: ""
  mode: {self.mode}
  compression_level: 1
  workers: 2
"""

    def start(self):
        log = os.path.join(self.home, "daemon.log")
        with open(log, "wb") as output:
            self.process = subprocess.Popen(self.bench.become + [self.program("hq-backupd"), "--config", self.config],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        for _ in range(300):
            with open(log, errors="replace") as said:
                if "streaming WAL" in said.read():
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise Failed(f"hq-backupd doesn't stream: {last_line(log)}")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()
            self.process = None

    def discard(self):
        self.stop()
        self.bench.cluster.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                               f"WHERE slot_name = '{self.slot}'")
        super().discard()

    def ready(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.caught_up()
        if not self.summaries:
            for directory, _, files in os.walk(os.path.join(self.home, "state", "summaries")):
                for name in files:
                    os.unlink(os.path.join(directory, name))

    def idle(self):
        """Stopped while others are measured, as it would take CPU from them."""
        if self.process:
            self.process.send_signal(signal.SIGSTOP)

    def caught_up(self):
        if not self.process:
            return
        wanted = self.bench.cluster.sql("SELECT pg_current_wal_flush_lsn()")
        state = (f"SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid "
                 f"WHERE s.slot_name = '{self.slot}' AND r.flush_lsn >= '{wanted}'")
        for _ in range(1200):
            if self.bench.cluster.sql(state) == "1":
                return
            time.sleep(0.1)
        raise Failed(f"WAL up to {wanted} is not in the repository after 2 minutes")

    def full(self):
        return [self.program("hq-backup"), "backup", "--config", self.config]

    def take_verdict(self, log):
        """What the log of a backup says of its way, in a few words."""
        with open(log, errors="replace") as lines:
            text = lines.read()
        mode = re.search(r'mode of the backup"? mode="?(\w+)', text)
        words = [f"mode {mode.group(1)}"] if mode else []
        words += [what for said, what in VERDICTS.items() if said in text]
        self.verdict = ", ".join(words)

    def restoring(self, *more):
        credentials = [] if not self.store else ["--access-key-file", f"{self.home}/access",
                                                 "--secret-key-file", f"{self.home}/secret"]
        return [self.program("hq-restore"), "pg", "--quiet", "--repository", self.url(), "--key",
                f"{self.home}/restore.key", "--cluster", "main", "--immediate", *credentials, *more]

    def restore(self, directory):
        return self.restoring("--to", directory)

    def delta(self, directory):
        return self.restoring("--delta", "--to", directory)

    def stored(self):
        return None if self.store else super().stored()
