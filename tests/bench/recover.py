#!/usr/bin/python3
"""recover.py POSTGRES DATA-DIRECTORY LOG: start the server there, wait for the end of its redo, end
it; print `wall-seconds cpu-seconds`. The wall time is from the log's line `starting ... recovery`
(before it the server syncs its data directory, after it comes the first restore_command) to `redo
done`, by the log's own stamps (log_line_prefix '%n '). CPU is the server's and that of everything
it started.
"""
import os
import re
import signal
import subprocess
import sys
import time

import timed

LIMIT_S = 600
postgres, data, log = sys.argv[1:4]


def stamp(what):
    with open(log) as lines:
        for line in lines:
            if re.search(what, line):
                return float(line.split()[0])
    return None


timed.adopt()
limit = time.time() + LIMIT_S
with open(log, "w") as to:
    server = subprocess.Popen([postgres, "-D", data], stdout=to, stderr=to)
ended = None
while ended is None and server.poll() is None and time.time() < limit:
    time.sleep(0.05)
    ended = stamp("redo done at")
if server.poll() is None:
    server.send_signal(signal.SIGQUIT)
if ended is None:
    sys.exit("redo did not end")
server.wait()
# What fetches ahead would wait a minute to be asked for more.
subprocess.run(["pkill", "-TERM", "-P", str(os.getpid())])
timed.wait_for_all()
print(f"{ended - stamp('LOG:  starting .* recovery'):.3f} {timed.cpu_seconds():.3f}")
