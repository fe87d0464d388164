#!/usr/bin/python3
"""commit_delay.py: delays of one pass of wal_delay.sh, as lines for report.py.

Each commit has a time of acknowledgement (pgbench's log) and an end in WAL (pg_waldump), joined by
its transaction id (pgbench_history). Each destination has events `time lsn`: from then on all below
is durable there. A commit's delay is the time to the first event that covers it; what was durable
before the client heard of it counts as 0.

The daemon's events are what it logs. They are checked against listings of the store and against
what the daemon told the server; a claim that neither can support is an error.
"""
import argparse
import bisect
import datetime
import glob
import math
import os
import re
import sys

PAGE, SEGMENT = 8192, 16 * 1024 * 1024
WARM_UP_S = 2.0


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def record_end(start, length):
    """The byte after a record; headers of the pages that it crosses lie inside it."""
    at, left = start, length
    while True:
        if at % PAGE == 0:
            at += 40 if at % SEGMENT == 0 else 24
        room = PAGE - at % PAGE
        if left <= room:
            return at + left
        at += room
        left -= room


def commits(directory):
    """[(acknowledged, end)] of all transactions of pgbench."""
    ends = {}
    with open(os.path.join(directory, "waldump")) as lines:
        for line in lines:
            match = re.search(r"rec/tot\): *\d+/ *(\d+), tx: *(\d+), lsn: ([0-9A-F/]+),.*desc: COMMIT", line)
            if match:
                ends[match[2]] = record_end(lsn(match[3]), int(match[1]))
    transactions, times = {}, {}
    with open(os.path.join(directory, "history")) as lines:
        for line in lines:
            client, xid = line.strip().split("|")
            transactions.setdefault(client, []).append(xid)
    for path in glob.glob(os.path.join(directory, "log.*")):
        with open(path) as lines:
            for fields in map(str.split, lines):
                times.setdefault(fields[0], []).append(int(fields[4]) + int(fields[5]) / 1e6)
    for client, xids in transactions.items():
        if len(xids) != len(times.get(client, ())):
            sys.exit(f"client {client}: {len(xids)} rows, {len(times.get(client, ()))} log lines")
    return sorted((time, ends[xid]) for client, xids in transactions.items()
                  for time, xid in zip(times[client], xids))


def daemon_events(directory):
    with open(os.path.join(directory, "daemon.log")) as lines:
        for line in lines:
            if "WAL part stored" in line or "WAL segment stored" in line:
                time = re.search(r"\btime=\"?([0-9T:.Z-]+)", line)[1].replace("Z", "+00:00")
                yield (datetime.datetime.fromisoformat(time).timestamp(),
                       lsn(re.search(r"\bend=([0-9A-F]+/[0-9A-F]+)", line)[1]))


def flush_events(directory):
    """{application: [(time, lsn)]}"""
    events = {}
    with open(os.path.join(directory, "flushed")) as lines:
        for line in lines:
            match = re.match(r"NOTICE: +([0-9.]+) (\S+) ([0-9A-F]+/[0-9A-F]+)", line)
            if match:
                events.setdefault(match[2], []).append((float(match[1]), lsn(match[3])))
    return events


def archive_events(directory):
    with open(os.path.join(directory, "archived")) as lines:
        for line in lines:
            match = re.search(r"^([0-9.]+) .*/[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]+\.zst$", line)
            if match:
                yield float(match[1]), (int(match[2], 16) << 32) + (int(match[3], 16) + 1) * SEGMENT


def advancing(events):
    """Only events that go further than all before."""
    times, reached = [], []
    for time, end in sorted(events):
        if not reached or end > reached[-1]:
            times.append(time)
            reached.append(end)
    return times, reached


def check_listings(directory, events):
    """Each claim must be seen by one of the two listings begun after it (one may miss a part that is
    just being replaced by its segment)."""
    with open(os.path.join(directory, "listed")) as lines:
        listings = [(float(line.split()[0]), int(line.split()[1])) for line in lines]
    if len(listings) < 3:
        sys.exit("the store was listed too seldom")
    for (began, first), (_, second) in zip(listings, listings[1:]):
        claimed = max((end for time, end in events if time <= began), default=0)
        if max(first, second) < claimed:
            sys.exit(f"logged as stored: {claimed:X}, listed at {began}: {max(first, second):X}")


def check_told(events, told):
    times, reached = advancing(events)
    for time, end in told:
        i = bisect.bisect_right(times, time + 0.05)
        # What the repository held before this log began is told first.
        if i > 0 and end > reached[i - 1] and end > reached[0]:
            sys.exit(f"told the server {end:X} at {time}, stored by then: {reached[i - 1]:X}")


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def write(row, all_commits, events):
    times, reached = advancing(events)
    delays, left = [], 0
    for acknowledged, end in all_commits:
        i = bisect.bisect_left(reached, end)
        if i == len(reached):
            left += 1
        else:
            delays.append(max(0.0, (times[i] - acknowledged) * 1000))
    if delays:
        delays.sort()
        for column, value in (("median ms", percentile(delays, 0.5)), ("p99 ms", percentile(delays, 0.99)),
                              ("max ms", delays[-1])):
            print(f"{row}\t{column}\t{value:.3f}")
    print(f"{row}\tonly on the server at the end %\t{100 * left / len(all_commits):.3f}")


parser = argparse.ArgumentParser()
parser.add_argument("--directory", required=True)
parser.add_argument("--store", required=True)
parser.add_argument("--interval", required=True)
options = parser.parse_args()
found = commits(options.directory)
if not found:
    sys.exit("no commits")
found = [commit for commit in found if commit[0] >= found[0][0] + WARM_UP_S]
ours, told = list(daemon_events(options.directory)), flush_events(options.directory)
check_listings(options.directory, ours)
check_told(ours, told.get("hq-backup", ()))
write(f"hq-backupd, {options.store}, {options.interval}", found, ours)
write("- pg_receivewal --synchronous, directory", found, told.get("pg_receivewal", ()))
write(f"- pgBackRest async, {options.store}", found, archive_events(options.directory))
