#!/usr/bin/python3
"""push_ready.py DATA-DIRECTORY COUNT COMMAND: archive as PostgreSQL's archiver process does.

Runs COMMAND (with %p) by a shell for the COUNT oldest segments that archive_status says are ready,
in order, marks them done, and prints `wall-seconds cpu-seconds` of the commands and of everything
that they start. The marks are put back at the end, so that the same segments can be pushed again.
"""
import os
import subprocess
import sys
import time

import timed

data, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
status = os.path.join(data, "pg_wal", "archive_status")
ready = sorted(n for n in os.listdir(status) if n.endswith(".ready") and len(n) == 24 + 6)[:count]
if len(ready) < count:
    sys.exit(f"{len(ready)} segments are ready, not {count}")
hidden = [n for n in os.listdir(status) if n.endswith(".ready") and n not in ready]


def rename(name, before, after):
    stem = os.path.join(status, name.rsplit(".", 1)[0])
    os.rename(stem + before, stem + after)


# An asynchronous push takes all that is ready: more than COUNT is not to be counted.
for name in hidden:
    rename(name, ".ready", ".later")
os.chdir(data)
timed.adopt()
began = time.monotonic()
for name in ready:
    subprocess.run(command.replace("%p", "pg_wal/" + name[:24]), shell=True, check=True)
    rename(name, ".ready", ".done")
timed.wait_for_all()
print(f"{time.monotonic() - began:.3f} {timed.cpu_seconds():.3f}")
for name in ready:
    rename(name, ".done", ".ready")
for name in hidden:
    rename(name, ".later", ".ready")
