#!/usr/bin/python3
"""timed.py COMMAND...: run it; print `wall-seconds cpu-seconds`, of what it leaves behind too.

Processes that detach themselves (asynchronous archiving, prefetch) become children of this one and
are waited for, so that their user and system time counts.
"""
import ctypes
import os
import resource
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def wait_for_all():
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    adopt()
    began = time.monotonic()
    status = subprocess.call(sys.argv[1:], stdout=sys.stderr)
    wait_for_all()
    print(f"{time.monotonic() - began:.3f} {cpu_seconds():.3f}")
    sys.exit(status)
