"""A proxy for an S3 server that can be told to return errors, delay answers or drop connections."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOPS = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


class Proxy(ThreadingHTTPServer):
    """Hands requests on to `server`, a port of this machine, in one of these moods.

    "": as they are. "500", "503": that is the answer to all. "silent": connections are closed. "unheard": every third
    request is dropped before it arrives. "unanswered": every third commit of a table succeeds, and its answer is lost.
    """

    daemon_threads = True
    mood = ""

    def __init__(self, port: int, server: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.server_of_s3 = server
        self._lock = threading.Lock()
        self._counted = 0
        self.struck = 0

    def handle_error(self, *request: object) -> None:
        """A client that hangs up, as they do while it is silent, is none."""

    def turn(self) -> bool:
        """Whether it is the turn of every third."""
        with self._lock:
            self._counted += 1
            if self._counted % 3:
                return False
            self.struck += 1
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _hand_on(self) -> None:
        body, mood = self._body(), self.server.mood
        commits = self.command == "PUT" and "_delta_log/" in self.path
        if mood.isdigit():
            self.server.turn()
            self._answer(int(mood), [], b"<Error><Code>InternalError</Code></Error>")
        elif mood == "silent" or (mood == "unheard" and self.server.turn()):
            self._hang_up()
        else:
            backend = http.client.HTTPConnection("127.0.0.1", self.server.server_of_s3, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
            backend.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = backend.getresponse()
            data = answer.read()
            backend.close()
            if mood == "unanswered" and commits and answer.status == 200 and self.server.turn():
                self._hang_up()
            else:
                self._answer(answer.status, answer.getheaders(), data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _hand_on

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        sizes = [value for name, value in headers if name.lower() == "content-length"]  # of HEAD: what GET would send
        for name, value in headers:
            if name.lower() not in _HOPS:
                self.send_header(name, value)
        self.send_header("Content-Length", sizes[0] if sizes else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *arguments: object) -> None: ...


@contextmanager
def proxied(port: int, server: int) -> Iterator[Proxy]:
    """A proxy at `port` that runs as long as the block."""
    proxy = Proxy(port, server)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
