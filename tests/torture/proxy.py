"""A proxy in front of an S3 server that does to requests what stores and networks do.

The Host header passes through, so signatures stay valid. A mode concerns requests that begin in it;
a share of them passes even then, so that work goes on while it is disturbed.
"""
import http.client
import http.server
import random
import socket
import struct
import threading
import time

SHARE_HIT = 0.6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.upstream = http.client.HTTPConnection("127.0.0.1", self.server.target_port)
        self.server.live.add(self.connection)

    def finish(self):
        self.server.live.discard(self.connection)
        self.upstream.close()
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass

    def reset(self):
        """End the connection at once, as a crashed host does."""
        self.close_connection = True
        cut_off(self.connection)

    def serve(self):
        mode = self.server.mode
        hit = mode == "slow" or (mode != "pass" and self.server.rng.random() < SHARE_HIT)
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if hit and mode == "cut":
                self.rfile.read(length // 2)
                return self.reset()
            body = self.rfile.read(length)
            if hit and mode == "slowdown":
                return self.answer(503, [("Content-Type", "application/xml"), ("Retry-After", "1")],
                                   b"<Error><Code>SlowDown</Code></Error>")
            if hit and mode == "slow":
                time.sleep(self.server.rng.uniform(0.2, 0.8))
            status, headers, content = self.forward(body)
            if hit and mode == "lost":
                return self.reset()
            if hit and mode == "error":
                status, content = 500, b"<Error><Code>InternalError</Code></Error>"
                headers = [("Content-Type", "application/xml")]
            self.answer(status, headers, content)
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            self.upstream.close()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve

    def forward(self, body):
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self.upstream.putheader(name, value)
        self.upstream.endheaders(body)
        answer = self.upstream.getresponse()
        content = answer.read()
        headers = [(name, value) for name, value in answer.getheaders()
                   if name.lower() not in ("transfer-encoding", "connection", "content-length")]
        if self.command == "HEAD" and answer.getheader("Content-Length"):
            headers.append(("Content-Length", answer.getheader("Content-Length")))
        return answer.status, headers, content

    def answer(self, status, headers, content):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


class FaultProxy:
    """mode: pass, slow, slowdown (503), cut, lost (done, and no answer), error (done, and 500)."""

    def __init__(self, address, target_port, seed):
        self.address = address
        self.target_port = target_port
        self.rng = random.Random("proxy-%d" % seed)
        self.listener = None
        self.port = 0
        self.listen()

    def listen(self):
        self.listener = Listener((self.address, self.port), Handler)
        self.port = self.listener.server_address[1]
        self.listener.target_port = self.target_port
        self.listener.rng = self.rng
        self.listener.mode = "pass"
        self.listener.live = set()
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def set(self, mode):
        self.listener.mode = mode

    def refuse(self):
        """Nobody listens any more, and what was connected is reset."""
        self.listener.shutdown()
        self.listener.server_close()
        for connection in list(self.listener.live):
            cut_off(connection)

    def close(self):
        self.refuse()


def cut_off(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
