"""What a run consists of besides its cases: scratch directory, user, server, gateway, figures."""
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from cluster import Cluster
from measure import Failed, measure

LAB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lab")


def rotated(things, turn):
    turn %= max(1, len(things))
    return things[turn:] + things[:turn]


def warm(directory):
    """Its files into the page cache: borg drops what it read from there, hq-backup writes its packs past it."""
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    while file.read(1 << 20):
                        pass
            except FileNotFoundError:
                pass  # servers and daemons go on meanwhile


class Bench:
    def __init__(self, options):
        self.options, self.programs = options, os.path.abspath(options.programs)
        self.figures, self.notes, self.loads, self.facts = {}, {}, {}, {}
        self.tools, self.gateway = [], None
        self.began = time.monotonic()
        self.scratch = tempfile.mkdtemp(prefix="hq-compare.", dir=options.scratch)
        os.chmod(self.scratch, 0o711)
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        os.chown(self.scratch, self.user.pw_uid, self.user.pw_gid)
        self.become = ["env", f"HOME={self.scratch}", "LC_ALL=C.UTF-8"]
        if os.getuid() == 0:
            self.become = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--init-groups",
                           *self.become]
        self.copy_programs()
        self.cluster = Cluster(self.scratch, options.postgres, self.become)

    def copy_programs(self):
        """To where the other user can run them."""
        copy = os.path.join(self.scratch, "bin")
        os.mkdir(copy)
        for name in ("hq-backup", "hq-backupd", "hq-restore"):
            shutil.copy(os.path.join(self.programs, name), copy)
        self.programs = copy

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def own(self, path, mode):
        os.chown(path, self.user.pw_uid, self.user.pw_gid)
        os.chmod(path, mode)

    def make_directory(self, path):
        os.makedirs(path)
        self.own(path, 0o700)

    # ---- measurements -----------------------------------------------------------------------------
    def take(self, case, row, command, tool=None):
        """Measure @command; whether it could be. @command may be a function, whose failure counts as its own."""
        self.loads.setdefault(case, []).append(os.getloadavg()[0])
        log = os.path.join(self.scratch, "said")
        result = os.path.join(self.scratch, "figures.json")
        try:
            for directory in (self.cluster.data, *([tool.repository] if tool else [])):
                warm(directory)
            if tool:
                tool.ready()
            before = tool.stored() if tool else None
            words = command() if callable(command) else command
            found = measure((self.become, words), log, result, tool.daemon if tool else None)
            if tool and case.endswith(("full", "next", "unchanged", "size")) and before is not None:
                found["added"] = tool.stored() - before
            if hasattr(tool, "take_verdict") and "restore" not in words[0]:
                tool.take_verdict(log)
                self.facts.setdefault("ways", {}).setdefault(case, {})[row] = tool.verdict
        except Failed as failure:
            self.note(case, row, failure)
            return False
        finally:
            if tool:
                tool.idle()
        self.figures.setdefault(case, {}).setdefault(row, []).append(found)
        self.say(f"{case}, {row}: {found['wall']:.2f} s, {found['cpu']:.2f} s of CPU")
        return True

    def note(self, case, row, why):
        """Why there is no figure."""
        self.notes.setdefault(case, {})[row] = str(why)
        self.say(f"{case}, {row}: not measured: {why}")

    def fresh(self, case, tool):
        """An empty repository of a tool; whether it could be made."""
        try:
            tool.fresh()
        except Failed as failure:
            self.note(case, tool.name, failure)
            return False
        if tool not in self.tools:
            self.tools.append(tool)
        return True

    def restore_to(self, case, tool, command, directory):
        """Into @directory, which is removed afterwards; what was restored must be as large as the server's."""
        if self.take(case, tool.name, lambda: command(directory), tool):
            found = subprocess.run(["du", "-sb", "--apparent-size", directory], stdout=subprocess.PIPE, text=True)
            self.facts.setdefault("restored bytes", {}).setdefault(case, {})[tool.name] = int(found.stdout.split()[0])
        shutil.rmtree(directory, ignore_errors=True)

    # ---- the store --------------------------------------------------------------------------------
    def gateway_up(self):
        """A Ceph RADOS Gateway; its settings. Failed where it doesn't start."""
        directory = os.path.join(self.scratch, "rgw")
        self.gateway = directory
        started = subprocess.run([os.path.join(LAB, "rgw-start.sh"), directory], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if started.returncode != 0:
            raise Failed(f"the gateway doesn't start: {(started.stdout.strip().splitlines() or ['?'])[-1]}")
        with open(os.path.join(directory, "env")) as env:
            settings = dict(line.strip().split("=", 1) for line in env if "=" in line)
        os.chmod(directory, 0o755)
        os.chmod(settings["S3_CA"], 0o644)
        return settings

    # ---- the end ----------------------------------------------------------------------------------
    def save(self, path):
        with open(path, "w") as out:
            json.dump({"facts": self.facts, "figures": self.figures, "notes": self.notes, "loads": self.loads}, out,
                      indent=1)

    def close(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for tool in self.tools:
            if hasattr(tool, "stop"):
                tool.stop()
        if os.path.exists(os.path.join(self.cluster.data, "postmaster.pid")):
            self.cluster.control("stop", "-m", "immediate")
        if self.gateway:
            subprocess.run([os.path.join(LAB, "rgw-stop.sh"), self.gateway], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        shutil.rmtree(self.scratch, ignore_errors=True)
