"""One measured command: wall time, CPU seconds and peak memory of it and of all it starts.

As a program it is `measure.py RESULT COMMAND...`, run as the user who is to run the command. Processes that
detach themselves become its children and are waited for, so that their time counts.
"""
import json
import os
import resource
import subprocess
import sys
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from timed import adopt, cpu_seconds, wait_for_all  # noqa: E402


class Failed(Exception):
    """A case that could not be measured; the text says why and goes into the table."""


def last_line(path):
    """What a program said last, for a table's cell."""
    with open(path, errors="replace") as log:
        lines = [line.strip() for line in log if line.strip()]
    told = [line for line in lines if not line.startswith("hint:")]
    return (told or ["it said nothing"])[-1][:200]


def process_seconds(pid):
    """CPU seconds of a running process so far, with the children it waited for."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def process_peak(pid):
    """Peak resident memory of a running process in KiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def measure(command, log, result, beside=None):
    """Run @command (its first words become the user) and return its figures; Failed otherwise.

    @beside is the number of a process that works for the command: its CPU seconds meanwhile are added.
    """
    os.sync()
    before = process_seconds(beside) if beside else 0
    become = command[0]
    words = become + [sys.executable, os.path.abspath(__file__), result] + command[1]
    with open(log, "wb") as output:
        status = subprocess.call(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    if status != 0:
        raise Failed(f"{os.path.basename(command[1][0])} ended with {status}: {last_line(log)}")
    with open(result) as figures:
        found = json.load(figures)
    os.unlink(result)
    if beside:
        found["daemon"] = process_seconds(beside) - before
        found["cpu"] += found["daemon"]
        found["rss"] = max(found["rss"], process_peak(beside))
    return found


def main():
    result, command = sys.argv[1], sys.argv[2:]
    adopt()
    began = time.monotonic()
    status = subprocess.call(command)
    wall = time.monotonic() - began
    wait_for_all()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open(result, "w") as out:
        json.dump({"wall": wall, "cpu": cpu_seconds(), "rss": peak}, out)
    sys.exit(status)


if __name__ == "__main__":
    main()
