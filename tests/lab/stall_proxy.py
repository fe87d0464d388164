#!/usr/bin/python3
"""stall_proxy.py LISTEN TARGET BYTES [TIMES]: a TCP proxy on 127.0.0.1 whose connections go dead.

The first TIMES connections (default: all) forward BYTES bytes from the server and then nothing
more, in either direction, without closing. Later ones work.
"""
import socket
import sys
import threading

listen_port, target_port, limit = (int(a) for a in sys.argv[1:4])
times = int(sys.argv[4]) if len(sys.argv) > 4 else 1 << 30


def forward(source, sink, budget, stalled):
    try:
        while True:
            data = source.recv(65536)
            if stalled.is_set():
                return
            if budget is not None:
                if len(data) >= budget:
                    sink.sendall(data[:budget])
                    stalled.set()
                    return
                budget -= len(data)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
    except OSError:
        pass


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", listen_port))
server.listen(64)
kept = []  # a stalled connection must not be closed by the garbage collector
while True:
    client, _ = server.accept()
    upstream = socket.create_connection(("127.0.0.1", target_port))
    kept.append((client, upstream))
    stall = times > 0
    times -= 1
    stalled = threading.Event()
    for arguments in ((client, upstream, None, stalled),
                      (upstream, client, limit if stall else None, stalled)):
        threading.Thread(target=forward, args=arguments, daemon=True).start()
