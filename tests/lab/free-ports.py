#!/usr/bin/python3
"""free-ports.py N: N TCP ports on 127.0.0.1 that nobody uses now, in one line.

Below the kernel's ephemeral range, so that no outgoing connection takes one before the
server that is about to start.
"""
import random
import socket
import sys

with open("/proc/sys/net/ipv4/ip_local_port_range") as range_file:
    below = min(int(range_file.read().split()[0]), 32768)
held = []
while len(held) < int(sys.argv[1]):
    candidate = socket.socket()
    try:
        candidate.bind(("127.0.0.1", random.randrange(10000, below)))
        held.append(candidate)
    except OSError:
        candidate.close()
print(*(one.getsockname()[1] for one in held))
