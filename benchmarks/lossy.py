"""An HTTP proxy that loses answers: what it passes on has happened, and the client is not told so."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Loses = Callable[[str, str, int], bool]
"""(method, path, status of the answer) -> whether the answer is lost."""

_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def lossy(server: str, loses: Loses) -> Iterator[str]:
    """The "host:port" of a proxy before the server at "host:port", while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle_one_request(self) -> None:
            try:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self._pass_on()
            except ConnectionError:
                self.close_connection = True

        def _pass_on(self) -> None:
            upstream = http.client.HTTPConnection(server)
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            body = (
                b"".join(self._chunks()) if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            )
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body, encode_chunked=chunked)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if loses(self.command, self.path, answer.status):
                self.close_connection = True
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_A_CONNECTION:
                    self.send_header(name, value)
            told = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(told or 0))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # the trailer, such as a checksum
                pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{proxy.server_port}"
        proxy.shutdown()


def every(times: int, method: str, holds: str) -> Loses:
    """Loses each `times`-th answer to a successful request of that method whose path holds these characters."""
    seen = 0
    counting = threading.Lock()

    def loses(asked: str, path: str, status: int) -> bool:
        nonlocal seen
        if asked != method or holds not in path or status >= 300:
            return False
        with counting:
            seen += 1
            return seen % times == 0

    return loses
