#!/usr/bin/python3
"""Run a program at a terminal of its own and type answers, each when it is asked for: one that comes
early would be lost. Its output goes to standard output, its status is this one's.

    type.py ENDINGS ANSWERS PROGRAM [ARGUMENT...]

Both are separated by '|': what the program waits for an answer behind, and the answers.
"""
import os
import pty
import sys

endings = tuple(end.encode() for end in sys.argv[1].split("|"))
answers = sys.argv[2].split("|")
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
seen = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
    seen += data
    if answers and seen.endswith(endings):
        os.write(fd, answers.pop(0).encode() + b"\n")
        seen = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
