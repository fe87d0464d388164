"""The peers, each with its own repository. A tool says what command does a thing; cases.py measures it.

A tool has a name, `fresh()` for an empty repository, and methods that return a command: full, next, restore, delta.
What it can't do raises Failed, whose text goes into the table.
"""
import os
import shutil
import subprocess

from measure import Failed

PASSWORD = "a-pass-phrase-for-the-benchmark"


def tree_bytes(path):
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            total += os.lstat(os.path.join(directory, name)).st_size
    return total


class Tool:
    daemon = None  # number of a process that works for it
    verdict = ""   # what it said of the way it took

    def __init__(self, name, bench):
        self.name, self.bench, self.count = name, bench, 0
        self.home = os.path.join(bench.scratch, name.replace(" ", "-"))
        self.repository = os.path.join(self.home, "repository")

    def prepare(self, *words):
        """A step that is not measured."""
        try:
            self.bench.cluster.run(*words)
        except FileNotFoundError as error:
            raise Failed(f"{error.filename} is not installed") from error
        except subprocess.CalledProcessError as error:
            raise Failed(f"{os.path.basename(words[0])}: {error.stdout.strip().splitlines()[-1]}") from error

    def fresh(self):
        self.discard()
        self.count += 1
        self.bench.make_directory(self.home)
        self.bench.make_directory(self.repository)

    def discard(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def stored(self):
        """Bytes in its repository; None where that can't be asked."""
        return tree_bytes(self.repository)

    def ready(self):
        """Just before it is measured."""

    def idle(self):
        """Just after it was measured."""

    def caught_up(self):
        """Wait until it has what it follows by itself."""

    def next(self):
        return self.full()

    def delta(self, directory):
        raise Failed(f"{self.name} has no delta restore")


class PgBackRest(Tool):
    """pgBackRest: whole files, zstd level 1, aes-256-cbc, two processes. It doesn't wait for WAL."""

    def __init__(self, name, bench, store=None):
        super().__init__(name, bench)
        self.store = store

    def words(self, *more):
        return ["pgbackrest", f"--config={self.home}/pgbackrest.conf", "--stanza=main", *more]

    def fresh(self):
        super().fresh()
        for directory in ("spool", "lock", "log"):
            self.bench.make_directory(os.path.join(self.home, directory))
        path = os.path.join(self.home, "pgbackrest.conf")
        with open(path, "w") as conf:
            conf.write("[global]\n" + self.repository_settings() + f"""repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={PASSWORD}
repo1-retention-full=99
compress-type=zst
compress-level=1
process-max=2
start-fast=y
archive-check=n
spool-path={self.home}/spool
lock-path={self.home}/lock
log-path={self.home}/log
log-level-console=error
log-level-file=off
[main]
pg1-path={self.bench.cluster.data}
pg1-port={self.bench.cluster.port}
pg1-socket-path={self.bench.scratch}
pg1-user=postgres
""")
        self.bench.own(path, 0o600)
        self.prepare(*self.words("--no-online", "stanza-create"))

    def repository_settings(self):
        if not self.store:
            return f"repo1-path={self.repository}\n"
        return f"""repo1-type=s3
repo1-path=/peer-{self.count}
repo1-s3-bucket={self.store["S3_BUCKET"]}
repo1-s3-endpoint=localhost
repo1-storage-port={self.store["S3_TLS_ENDPOINT"].rsplit(":", 1)[1]}
repo1-storage-ca-file={self.store["S3_CA"]}
repo1-s3-region={self.store["S3_REGION"]}
repo1-s3-uri-style=path
repo1-s3-key={self.store["S3_ACCESS_KEY"]}
repo1-s3-key-secret={self.store["S3_SECRET_KEY"]}
"""

    def stored(self):
        return None if self.store else tree_bytes(os.path.join(self.repository, "backup"))

    def full(self):
        return self.words("--type=full", "backup")

    def next(self):
        return self.words("--type=incr", "backup")

    def restore(self, directory):
        return self.words(f"--pg1-path={directory}", "--type=immediate", "restore")

    def delta(self, directory):
        return self.words(f"--pg1-path={directory}", "--type=immediate", "--delta", "restore")


class Restic(Tool):
    """restic: chunks of its own choice, its only fast compression, encrypted; no session with the server."""

    def words(self, *more):
        return ["env", "GOMAXPROCS=2", f"RESTIC_CACHE_DIR={self.home}/cache", f"RESTIC_PASSWORD={PASSWORD}",
                "restic", "--quiet", "-r", self.repository, *more]

    def fresh(self):
        super().fresh()
        self.prepare(*self.words("init", "--repository-version", "2"))

    def full(self):
        return self.words("backup", "--exclude", f"{self.bench.cluster.data}/pg_wal/*", "--exclude", "postmaster.*",
                          self.bench.cluster.data)

    def restore(self, directory):
        return self.words("restore", "latest", "--target", directory)


class Borg(Tool):
    """borg: chunks of its own choice, zstd level 1, encrypted, one thread; no session with the server."""

    def words(self, *more):
        return ["env", f"BORG_BASE_DIR={self.home}", f"BORG_PASSPHRASE={PASSWORD}", "borg", *more]

    def fresh(self):
        super().fresh()
        self.archives = 0
        self.prepare(*self.words("init", "--encryption=repokey-blake2", self.repository))

    def full(self):
        self.archives += 1
        return self.words("create", "--compression", "zstd,1", "--exclude", f"sh:{self.bench.cluster.data}/pg_wal/*",
                          "--exclude", f"{self.bench.cluster.data}/postmaster.*", f"{self.repository}::a{self.archives}",
                          self.bench.cluster.data)

    def restore(self, directory):
        return ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", directory,
                *self.words("extract", f"{self.repository}::a{self.archives}")]
