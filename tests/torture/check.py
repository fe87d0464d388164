"""A restore, and the proof that it is what the clients were told.

With one clock for clients and servers, for a target time T:
  must be there      what was acknowledged before T, as the client read its clock. PostgreSQL stops
                     at the first commit record later than T; such a record has its time from after
                     the acknowledgement, and so comes behind the acknowledged one.
  must not be there  what has a commit time, the server's own, later than T.
What was under way at T may be either. For a target LSN the same with positions, read before COMMIT
was sent and after it was answered. An aborted transaction is never there, any other with all of its
rows or none. What was acknowledged on a timeline behind the point where the next one left it is
lost to every client of the cluster by PostgreSQL's own rules, not by the backup's.
"""
import calendar
import os
import re
import time
from dataclasses import dataclass

import psycopg2

import load
from load import ABORTED, ACKNOWLEDGED, lsn, lsn_text
from servers import Server, Trouble, wait_until

RECOVERY_SECONDS = 90
EVERYTHING = 1 << 64  # behind every LSN


@dataclass
class Target:
    """What a restore is asked for, and by what its outcome is judged."""
    text: str
    options: list
    time_us: int = None  # commits later than this must not be there
    strict: bool = False  # the commit of exactly that time neither
    low: int = None  # what ended by here must be there
    high: int = None  # what began behind here must not


def time_us(text):
    """'2026-11-21T03:04:05.123456Z', whose fraction is left out when it is zero."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    parsed = time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) * 1000000 + int((fraction or "0").ljust(6, "0"))


def time_text(us):
    return "%s.%06d+00" % (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(us // 1000000)),
                           us % 1000000)


class OnTimeline:
    """Whether a transaction is of a timeline's past: yes, no, or not to be known."""

    def __init__(self, timeline, history):
        self.ends = dict(history)
        self.timeline = timeline

    def surely(self, t):
        if t.timeline == self.timeline:
            return True
        return t.timeline in self.ends and t.high != 0 and t.high <= self.ends[t.timeline]

    def never(self, t):
        if t.timeline == self.timeline:
            return False
        return t.timeline not in self.ends or t.low >= self.ends[t.timeline]


def newest(ranges):
    """Ranges come in the order of their backups; a former primary may have made the last one."""
    return max(ranges, key=lambda span: (span["timeline"], lsn(span["to_lsn"])))


def choose_target(values, span, ledger):
    """A Target in SPAN, a range of `hq-restore points`."""
    kind, fraction = values["target"], values.get("fraction", 0.0)
    begin, end = time_us(span["from"]), time_us(span["to"])
    if end <= begin:  # nothing was committed since the backup
        kind = "latest"
    point = begin + int((end - begin) * fraction)
    exclusive = values.get("exclusive", False)
    flag = ["--exclusive"] if exclusive else []
    if kind == "end-of-range":
        return Target("the end of the range", ["--target-time", time_text(end)], time_us=end)
    if kind == "end-lsn":
        return Target("LSN %s, the end of the range" % span["to_lsn"],
                      ["--target-lsn", span["to_lsn"], *flag],
                      low=lsn(span["to_lsn"]), high=lsn(span["to_lsn"]))
    if kind == "time" or kind == "latest":
        if kind == "latest":
            low = EVERYTHING if values.get("everything") else lsn(span["to_lsn"])
            return Target("latest", ["--latest"], low=low)
        return Target("%s (%d%%)" % (time_text(point), fraction * 100),
                      ["--target-time", time_text(point)], time_us=point)
    known = sorted((t for t in ledger.values()
                    if t.high and begin < t.committed_us < end
                    and lsn(span["from_lsn"]) <= t.low and t.high <= lsn(span["to_lsn"])
                    and t.timeline == span["timeline"]), key=lambda t: t.committed_us)
    if not known:
        return Target(time_text(point), ["--target-time", time_text(point)], time_us=point)
    t = known[int(len(known) * fraction)]
    words = ", exclusive" if exclusive else ""
    if kind == "commit-time":
        return Target("the commit at %s%s" % (time_text(t.committed_us), words),
                      ["--target-time", time_text(t.committed_us), *flag],
                      time_us=t.committed_us, strict=exclusive)
    if kind == "lsn":
        return Target("LSN %s%s" % (lsn_text(t.high), words),
                      ["--target-lsn", lsn_text(t.high), *flag], low=t.high, high=t.high)
    return Target("transaction %d%s" % (t.xid, words),
                  ["--target-xid", str(t.xid), *flag],
                  low=t.low if exclusive else t.high, high=t.low if exclusive else t.high)


class Found:
    """What a restored server holds."""

    def __init__(self, server):
        self.rows = {}
        self.committed = {}
        for row in server.sql(
                "SELECT worker, number, n, account, delta, pad, "
                "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint "
                "FROM journal ORDER BY worker, number, n"):
            self.rows.setdefault(row[:2], []).append(row[2:6])
            self.committed[row[:2]] = row[6]
        self.unbalanced = server.sql(
            "SELECT count(*) FROM accounts LEFT JOIN (SELECT account, sum(delta) AS sum "
            "FROM journal GROUP BY account) AS j ON account = id WHERE balance <> coalesce(sum, 0)"
        )[0][0]


def must_be_there(t, target, lineage):
    """A position that is not known (high 0) is no excuse where everything must be there."""
    if t.outcome != ACKNOWLEDGED or not lineage.surely(t):
        return False
    if target.time_us is not None:
        return t.answered * 1000000 <= target.time_us
    return target.low == EVERYTHING or (t.high != 0 and t.high <= target.low)


def must_not_be_there(t, committed_us, target, lineage):
    """@return why, or None"""
    if t is None:
        return "nobody wrote it"
    if t.outcome == ABORTED:
        return "it was never committed"
    if lineage.never(t):
        return "it is of timeline %d, behind its end" % t.timeline
    if target.time_us is not None and committed_us is not None:
        if committed_us > target.time_us or (target.strict and committed_us == target.time_us):
            return "it was committed at %s" % time_text(committed_us)
    if target.high is not None and t.low > target.high:
        return "it began at %s" % lsn_text(t.low)
    return None


def compare(found, ledger, target, lineage, seed):
    """@return (transactions found, lines about what is wrong)"""
    wrong = []
    for key, t in ledger.items():
        if key not in found.rows and must_be_there(t, target, lineage):
            wrong.append("missing: %s, timeline %d, %s to %s, acknowledged at %s" % (
                key, t.timeline, lsn_text(t.low), lsn_text(t.high),
                time_text(int(t.answered * 1000000))))
    for key, rows in found.rows.items():
        why = must_not_be_there(ledger.get(key), found.committed[key], target, lineage)
        if why:
            wrong.append("too much: %s: %s" % (key, why))
        elif rows != load.rows_of(seed, *key):
            wrong.append("different: %s has %d rows" % (key, len(rows)))
    if found.unbalanced:
        wrong.append("%d accounts are not the sum of their journal" % found.unbalanced)
    return len(found.rows), wrong


def target_timeline(server):
    with open(os.path.join(server.directory, "postgresql.auto.conf"), encoding="utf-8") as file:
        return int(re.findall(r"^recovery_target_timeline = '(\d+)'", file.read(), re.M)[-1])


class Check:
    """One restore of a round. `site` as for Faults, with seed, ledger and logs."""

    def __init__(self, site, values, number):
        self.site = site
        self.values = values
        self.name = "restored-%d" % number
        self.what = ""
        self.transactions = 0
        self.wrong = []
        self.server = None

    def run(self):
        """Whether all is as it must be."""
        try:
            self.restore_and_compare()
        except (Trouble, psycopg2.Error, OSError, ValueError) as trouble:
            self.wrong.append("the restore could not be checked: %s" % trouble)
        finally:
            if isinstance(self.server, Server):
                self.server.kill()
        return not self.wrong

    def pick_span(self, ranges):
        if not ranges:
            return None
        if self.values["target"] == "latest":
            return newest(ranges)
        return ranges[int(self.values["fraction"] * 1000) % len(ranges)]

    def restore_and_compare(self):
        ranges = self.site.engine.points()["ranges"]
        span = self.pick_span(ranges)
        if span is None:
            self.what = "nothing is recoverable yet"
            return
        target = choose_target(self.values, span, self.site.ledger.snapshot())
        if span is not newest(ranges):
            target.options += ["--target-timeline", str(span["timeline"])]
        self.what = "restore to %s, timeline %d" % (target.text, span["timeline"])
        self.site.note("%s: %s of %s to %s" % (self.name, self.what, span["from"], span["to"]))
        self.server = self.site.engine.restore(self.name, target.options, self.site.logs)
        if not isinstance(self.server, Server):
            self.wrong.append("hq-restore refused: %s" % self.server)
            return
        timeline = target_timeline(self.server)
        if span is newest(ranges) and timeline < span["timeline"]:
            self.wrong.append("timeline %d was chosen, and %d is the newest" %
                              (timeline, span["timeline"]))
        self.server.start(timeout=RECOVERY_SECONDS)
        wait_until(self.server.is_primary, RECOVERY_SECONDS, "the end of recovery")
        lineage = OnTimeline(timeline, self.site.pair.histories[timeline])
        self.transactions, wrong = compare(Found(self.server), self.site.ledger.snapshot(), target,
                                           lineage, self.site.seed)
        self.wrong += wrong
