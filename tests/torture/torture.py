#!/usr/bin/python3
"""The driver: rounds of load, faults and restores. Started by run.sh, in its namespaces."""
import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import psycopg2

import engine
import load
import network
import proxy
import schedule
import servers
from check import Check, newest, time_us
from faults import Faults
from servers import Trouble, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB = os.path.join(TOP, "tests", "lab")
SETTLE_SECONDS = 60
EXAMPLES = 12  # of what is wrong in one restore


class Lab:
    """What all rounds share: scratch, logs, a new cluster to copy, and an S3 server when needed."""

    def __init__(self, keep):
        self.scratch = tempfile.mkdtemp(prefix="hq-torture.")
        self.logs = os.path.join(self.scratch, "logs")
        self.keep = keep
        self.s3 = None
        os.chmod(self.scratch, 0o711)
        # Everything but the logs is in memory and vanishes with the namespace.
        self.work = os.path.join(self.scratch, "work")
        for directory in (self.logs, self.work):
            os.mkdir(directory)
        mount_tmpfs(self.work, "4g")
        # The tree may be where only its owner may look.
        engine.copy_programs(os.path.join(self.work, "bin"))
        self.template = os.path.join(self.work, "template")
        servers.make_template(self.template)

    def start_s3(self):
        """The variables that tests/lab/rgw-start.sh leaves."""
        if self.s3 is None:
            directory = os.path.join(self.work, "rgw")
            with open(os.path.join(self.logs, "rgw.log"), "wb") as log:
                subprocess.run([os.path.join(LAB, "rgw-start.sh"), directory], check=True,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            with open(os.path.join(directory, "env"), encoding="ascii") as file:
                self.s3 = dict(line.strip().split("=", 1) for line in file)
        return self.s3

    def close(self, failed):
        if self.s3 is not None:
            subprocess.run([os.path.join(LAB, "rgw-stop.sh"), os.path.join(self.work, "rgw")],
                           check=False)
        subprocess.run(["umount", "-l", self.work], check=False)
        if failed or self.keep:
            os.rmdir(self.work)
        else:
            shutil.rmtree(self.scratch)


def mount_tmpfs(directory, size):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=755" % size, "tmpfs", directory],
                   check=True)
    shutil.chown(directory, "postgres", "postgres")


class Round:
    """One seed, from a new cluster to the last restore. The site that faults and checks act on."""

    def __init__(self, lab, plan):
        self.lab = lab
        self.plan = plan
        self.seed = plan.seed
        self.name = "seed %d" % plan.seed
        self.scratch = os.path.join(lab.work, "seed-%d" % plan.seed)
        self.logs = os.path.join(lab.logs, "seed-%d" % plan.seed)
        os.mkdir(self.scratch)
        os.mkdir(self.logs)
        os.chmod(self.scratch, 0o711)
        for directory in (self.scratch, self.logs):
            shutil.chown(directory, "postgres", "postgres")
        self.events = open(os.path.join(self.logs, "events.log"), "w", encoding="utf-8")
        self.began = time.monotonic()
        self.pair = self.engine = self.net = self.proxy = self.load = self.ledger = None
        self.results = []  # (whether it is well, what)
        self.faults_done = 0
        self.slots_dropped = 0
        self.faults = Faults(self)
        self.checks = []
        self.to_check = queue.Queue()

    # ---- saying what happens --------------------------------------------------------------------
    def note(self, text):
        self.events.write("%s %7.2f s  %s\n" % (time.strftime("%H:%M:%S"),
                                               time.monotonic() - self.began, text))
        self.events.flush()

    def result(self, well, what, details=()):
        self.results.append((well, what))
        print("%s - %s: %s" % ("ok" if well else "not ok", self.name, what), flush=True)
        self.note(("ok: " if well else "NOT OK: ") + what)
        details = [] if well else list(details)
        for line in details[:EXAMPLES]:
            print("    " + line, flush=True)
            self.note("    " + line)
        if len(details) > EXAMPLES:
            print("    and %d more" % (len(details) - EXAMPLES), flush=True)

    # ---- setting up -----------------------------------------------------------------------------
    def set_up(self):
        self.net = network.Network()
        mount_tmpfs(self.disk("spool"), "24m")
        self.pair = servers.Pair(self.scratch, self.logs, 6001, self.lab.template,
                                 standby=self.plan.mode == "mixed")
        self.engine = engine.Engine(os.path.join(self.lab.work, "bin"), self.scratch, self.logs,
                                    self.pair, self.make_store(), self.net, self.plan)
        self.ledger = load.Ledger(os.path.join(self.logs, "commits.jsonl"))
        workers = 4 if self.plan.mode == "mixed" else 12
        self.load = load.Load(self.seed, lambda: self.pair.primary, self.ledger, workers, 0.02)
        self.engine.start()
        wait_until(self.first_backup, SETTLE_SECONDS, "the first backup")
        if self.plan.mode == "disk-loss":
            self.pair.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '\"hq-backup\"'")
            self.pair.primary.sql("SELECT pg_reload_conf()")
            wait_until(self.synchronous, 20, "the daemon as a synchronous standby")

    def first_backup(self):
        return bool(self.engine.points()["ranges"])

    def synchronous(self):
        return self.pair.primary.sql("SELECT count(*) FROM pg_stat_replication "
                                     "WHERE sync_state = 'sync'")[0][0] == 1

    def disk(self, name):
        """A file system of its own: "spool" or "store"."""
        return os.path.join(self.scratch, name + "-disk")

    def make_store(self):
        if self.plan.store == "directory":
            mount_tmpfs(self.disk("store"), "600m")
            return engine.directory_store(os.path.join(self.disk("store"), "repository"))
        environment = self.lab.start_s3()
        keys = []
        for name in ("ACCESS", "SECRET"):
            path = os.path.join(self.scratch, name.lower() + "-key")
            with open(path, "w", encoding="ascii") as file:
                file.write(environment["S3_%s_KEY" % name] + "\n")
            os.chmod(path, 0o600)
            shutil.chown(path, "postgres", "postgres")
            keys.append(path)
        self.proxy = proxy.FaultProxy(network.address("store"), int(environment["S3_PORT"]),
                                      self.seed)
        return engine.s3_store(environment, "seed-%d" % self.seed, self.proxy.port, keys)

    # ---- the round ------------------------------------------------------------------------------
    def run(self):
        self.note("%s mode, store: %s, flush interval %d ms" % (self.plan.mode, self.plan.store,
                                                               self.plan.flush_ms))
        try:
            self.set_up()
            checker = threading.Thread(target=self.check_queue, daemon=True)
            checker.start()
            self.load.start()
            self.follow_schedule()
            self.end_load()
            for event in self.plan.events:
                if event.name == "final check":
                    self.to_check.put(event.values)
            self.to_check.put(None)
            checker.join()
            self.look_at_programs()
        except (Trouble, psycopg2.Error, OSError, subprocess.SubprocessError) as trouble:
            self.note(traceback.format_exc())
            self.result(False, "the round ends", [str(trouble)])
        finally:
            self.close()

    def follow_schedule(self):
        begin = time.monotonic()
        for event in self.plan.events:
            if event.name == "final check":
                continue
            time.sleep(max(0.0, begin + event.at - time.monotonic()))
            self.note(str(event))
            if event.name == "check":
                self.to_check.put(event.values)
            elif event.name == "backup":
                threading.Thread(target=self.engine.backup, daemon=True).start()
            elif event.name.startswith("end "):
                self.faults.end(event.name[4:])
            else:
                self.faults.begin(event)
                self.faults_done += 1
        time.sleep(max(0.0, begin + self.plan.seconds - time.monotonic()))

    def end_load(self):
        """Stop the clients; without a fault the store must have everything soon after."""
        if self.plan.mode == "disk-loss":
            self.lose_disk()
            return
        if not self.load.finish(SETTLE_SECONDS):
            self.result(False, "the clients end")
        self.note("the load has ended")
        wait_until(self.pair.primary.is_primary, SETTLE_SECONDS, "the primary")
        position = self.pair.primary.position()
        self.arrives("all WAL is in the store within %d s" % SETTLE_SECONDS, position)
        self.look_for_holes()

    def lose_disk(self):
        """The primary's disk is gone under load, and the daemon with it.

        What the level of durability promises must be enough: the store alone; or the spool, which
        the store lags behind because it is down, and a daemon that can't reach any server.
        """
        outage = "store-refuse" if self.plan.store == "s3" else "store-readonly"
        if self.plan.durable == "spool":
            self.faults.begin(schedule.Event(self.plan.seconds, outage))
            self.note(outage)
            time.sleep(1.5)
        self.pair.destroy_primary()
        self.engine.kill()
        self.note("the primary's disk is destroyed")
        self.load.finish(10)
        if self.plan.durable == "store":
            shutil.rmtree(self.engine.spool)
            shutil.rmtree(self.engine.state)
        else:
            self.engine.start()
            time.sleep(1.0)
            self.faults.end(outage)
        acknowledged = [t for t in self.ledger.snapshot().values()
                        if t.outcome == load.ACKNOWLEDGED]
        seconds = 0 if self.plan.durable == "store" else SETTLE_SECONDS
        self.arrives("every acknowledged commit is in the store (synchronous, durable: %s)" %
                     self.plan.durable, max((t.low for t in acknowledged), default=0) + 1, seconds)

    def reached(self):
        ranges = self.engine.points()["ranges"]
        return load.lsn(newest(ranges)["to_lsn"]) if ranges else 0

    def arrives(self, what, position, seconds=SETTLE_SECONDS):
        began = time.monotonic()
        while True:
            reached = self.reached()
            if reached >= position:
                self.result(True, "%s (%.1f s)" % (what, time.monotonic() - began))
                return
            if time.monotonic() - began > seconds:
                self.result(False, what, ["the store has it up to %s, %s is wanted" %
                                          (load.lsn_text(reached), load.lsn_text(position))])
                return
            time.sleep(0.2)

    def holes(self):
        """Lines about what is not recoverable since the first backup."""
        points = self.engine.points()
        first = min(time_us(backup["finished"]) for backup in points["list"])
        if time_us(newest(points["ranges"])["from"]) <= first:
            return []
        return ["%(from)s to %(to)s, timeline %(timeline)d" % r for r in points["ranges"]]

    def look_for_holes(self):
        """WAL drains in parallel: what is stored may have a hole until all of it is."""
        if self.slots_dropped:
            ranges = len(self.engine.points()["ranges"])
            self.result(ranges == 1 + self.slots_dropped,
                        "a dropped slot is a hole that shows, and a new backup follows",
                        ["%d ranges, %d expected" % (ranges, 1 + self.slots_dropped)])
            return
        began = time.monotonic()
        found = self.holes()
        while found and time.monotonic() - began < SETTLE_SECONDS:
            time.sleep(0.5)
            found = self.holes()
        self.result(not found, "recoverable without a hole from the first backup on (%.1f s)" %
                    (time.monotonic() - began), found)

    def check_queue(self):
        while True:
            values = self.to_check.get()
            if values is None:
                return
            check = Check(self, values, len(self.checks) + 1)
            self.checks.append(check)
            well = check.run()
            self.result(well, "%s: %d transactions there" % (check.what, check.transactions),
                        check.wrong)
            if well or not isinstance(check.server, servers.Server):
                shutil.rmtree(os.path.join(self.scratch, check.name), ignore_errors=True)
            else:
                self.engine.keep(check.name)

    def look_at_programs(self):
        if self.plan.mode == "mixed":
            status = self.engine.stop()
            self.result(status == 0, "the daemon ends cleanly", ["status %s" % status])
        complaints = self.engine.complaints()
        self.result(not complaints, "no program crashed", complaints)
        for when, status in self.engine.exits:
            self.note("the daemon ended by itself at %s with status %d" %
                      (time.strftime("%H:%M:%S", time.localtime(when)), status))

    def close(self):
        self.to_check.put(None)
        if self.load is not None:
            self.load.stop.set()
        if self.engine is not None:
            self.engine.kill()
        if any(not well for well, _ in self.results) and self.engine is not None:
            for name in ("store-disk", "spool-disk", "state"):
                self.engine.keep(name)
            for server in (self.pair.a, self.pair.b):
                self.engine.keep(server.name + "/pg_wal")
        if self.pair is not None:
            self.pair.close()
        if self.proxy is not None:
            self.proxy.close()
        if self.net is not None:
            self.net.close()
        if self.ledger is not None:
            self.ledger.close()
        for name in ("spool", "store"):
            subprocess.run(["umount", "-l", self.disk(name)], check=False,
                           stderr=subprocess.DEVNULL)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.events.close()


def arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh", description="Load, faults from a seed, and restores that must be exact.")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first round")
    parser.add_argument("--rounds", type=int, default=3, metavar="N",
                        help="rounds, each with the next seed")
    parser.add_argument("--seconds", type=float, default=12, metavar="N",
                        help="of load in each round")
    parser.add_argument("--only", metavar="FAULT,…", help="only these of: %s" %
                        " ".join(schedule.ALL))
    parser.add_argument("--also", metavar="FAULT,…", default="",
                        help="besides: drop-slot, which no run has that must lose nothing")
    parser.add_argument("--mode", choices=["mixed", "disk-loss"],
                        help="default: disk-loss for every third seed")
    parser.add_argument("--store", choices=["directory", "s3"],
                        help="default: s3 for even seeds")
    parser.add_argument("--durable", choices=["store", "spool"],
                        help="what a commit waits for in a disk-loss round")
    parser.add_argument("--list", action="store_true", help="show what would happen when, and end")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run too")
    return parser.parse_args()


def plans(options):
    only = options.only.split(",") if options.only is not None else None
    also = [name for name in options.also.split(",") if name]
    unknown = [name for name in (only or []) + also if name and name not in schedule.ALL]
    if unknown:
        sys.exit("run.sh: no such fault: %s" % " ".join(unknown))
    return [schedule.make(seed, options.seconds, only, also, options.mode, options.store,
                          options.durable)
            for seed in range(options.seed, options.seed + options.rounds)]


def again(options, seed):
    words = ["tests/torture/run.sh", "--seed", str(seed), "--rounds", "1",
             "--seconds", "%g" % options.seconds]
    for name in ("only", "also", "mode", "store", "durable"):
        if getattr(options, name):
            words += ["--" + name, getattr(options, name)]
    return " ".join(words)


def summary(one, options):
    ledger = one.ledger
    counts = [ledger.count(outcome) if ledger else 0
              for outcome in (load.ACKNOWLEDGED, load.UNKNOWN)]
    print("# %s: %d faults, %d commits acknowledged, %d of unknown outcome, %d restores, %.0f s" %
          (one.name, one.faults_done, counts[0], counts[1], len(one.checks),
           time.monotonic() - one.began), flush=True)
    if any(not well for well, _ in one.results):
        print("# again: %s\n# logs: %s; what happened:" % (again(options, one.seed), one.logs))
        with open(os.path.join(one.logs, "events.log"), encoding="utf-8") as file:
            print("".join("    " + line for line in file), end="", flush=True)
    return counts[0]


def main():
    options = arguments()
    all_plans = plans(options)
    if options.list:
        for plan in all_plans:
            print("seed %d: %s mode, store: %s" % (plan.seed, plan.mode, plan.store))
            print("\n".join(str(event) for event in plan.events))
        return 0
    lab = Lab(options.keep)
    bad = faults = commits = restores = 0
    try:
        for plan in all_plans:
            one = Round(lab, plan)
            one.run()
            commits += summary(one, options)
            faults += one.faults_done
            restores += len(one.checks)
            bad += sum(not well for well, _ in one.results)
    finally:
        lab.close(bad > 0)
    print("# %d seeds, %d faults, %d commits acknowledged, %d restores, %d not ok" %
          (len(all_plans), faults, commits, restores, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
