"""A proxy for an S3 server that can be told to return errors, lose answers or drop connections."""

import http.client
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy(ThreadingHTTPServer):
    """Hands requests on to the server at "host:port", in one of these moods.

    "": as they are. "500", "503": that is the answer to all. "silent": connections are closed. "unheard": each
    `every`-th request is dropped before it arrives. "unanswered": each `every`-th PUT to a path that holds `of`
    succeeds, and its answer is lost. It is in that mood for `lasts` requests, or for ever.
    """

    daemon_threads = True

    def __init__(
        self,
        server: str,
        port: int = 0,
        mood: str = "",
        every: int = 3,
        of: str = "_delta_log/",
        lasts: float = math.inf,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.backend, self.mood, self.every, self.of, self.lasts = server, mood, every, of, lasts
        self.address = f"127.0.0.1:{self.server_port}"
        self._lock = threading.Lock()
        self._counted = self._received = 0

    def handle_error(self, *request: object) -> None:
        """A client that hangs up, as they do while it is silent, is none."""

    def feel(self) -> str:
        """The mood for one more request."""
        with self._lock:
            self._received += 1
            return self.mood if self._received <= self.lasts else ""

    def turn(self) -> bool:
        """Whether it is the turn of each `every`-th."""
        with self._lock:
            self._counted += 1
            return self._counted % self.every == 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Proxy

    def _hand_on(self) -> None:
        proxy, mood, body = self.server, self.server.feel(), self._body()
        if mood.isdigit():
            self._answer(int(mood), [], b"<Error><Code>InternalError</Code></Error>")
        elif mood == "silent" or (mood == "unheard" and proxy.turn()):
            self.close_connection = True
        else:
            connection = http.client.HTTPConnection(proxy.backend, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            written = self.command == "PUT" and proxy.of in self.path and answer.status < 300
            if mood == "unanswered" and written and proxy.turn():
                self.close_connection = True
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
        while self.rfile.readline().strip():  # the trailer, such as a checksum
            pass

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response_only(status)
        sizes = [value for name, value in headers if name.lower() == "content-length"]  # of HEAD: what GET would send
        for name, value in headers:
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", sizes[0] if sizes else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()


@contextmanager
def proxied(server: str, port: int = 0, **how: Any) -> Iterator[Proxy]:
    """A proxy, at `port` or one that is free, that runs as long as the block; `how` is as for Proxy."""
    proxy = Proxy(server, port, **how)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
