"""A real HTTP server with a chat completions endpoint that does what a test tells it, well or badly.

It lists its models too, where a test says what it lists.
"""

import base64
import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Asked:
    """A request: the key that it carries, how often the key came before, and what was sent."""

    key: str
    times: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def prompt(self) -> str:
        """The words of the last message."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else next(part["text"] for part in content if "text" in part)

    def colour(self) -> tuple[int, int, int]:
        """The mean colour of the picture, read from its data URI."""
        (uri,) = (part["image_url"]["url"] for part in self.body["messages"][0]["content"] if "image_url" in part)
        kind, _, data = uri.partition(",")
        assert kind == "data:image/jpeg;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        red, green, blue = pixels.reshape(-1, 3).mean(0).round().astype(int).tolist()
        return red, green, blue


@dataclass(frozen=True)
class Said:
    """What the server answers; `hang` never answers, `close` ends the connection."""

    text: str | None = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    finish: str = "stop"
    name: str = ""
    tokens: int = 10
    raw: str | None = None
    close: bool = False
    hang: bool = False


def models(*names: str) -> Said:
    """What lists these models."""
    return Said(raw=json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}))


class ChatServer:
    """`together`: that many requests are waited for, and then answered the last one first; `listed`: of its models."""

    def __init__(self, answer: Callable[[Asked], Said], together: int = 0, listed: Said = Said(status=404)) -> None:
        self.looked: list[dict[str, str]] = []  # headers of the requests for its models
        self._listed = listed
        self.asked: list[Asked] = []
        self.finished: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._answer, self._together = answer, together
        self._lock = threading.Condition()
        self._times: Counter[str] = Counter()
        self._ended = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "ChatServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            self._lock.notify_all()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/chat/completions"
                asked = server._arrived(self.headers["X-Request-Id"], body, dict(self.headers))
                said = server._answer(asked)
                server._wait_for_others(asked)
                try:
                    self._send(asked, said)
                finally:
                    server._left(asked.key)

            def do_GET(self) -> None:
                assert self.path == "/v1/models"
                server.looked.append(dict(self.headers))
                self._write(server._listed, server._listed.raw or "")

            def _send(self, asked: Asked, said: Said) -> None:
                if said.hang:
                    server._ended.wait(30)
                if said.hang or said.close:
                    self.close_connection = True
                    return
                name = said.name or f"chatcmpl-{asked.key}-{asked.times}"
                choice = {"index": 0, "finish_reason": said.finish, "message": {"content": said.text}}
                whole = {"id": name, "choices": [choice], "usage": {"total_tokens": said.tokens}}
                self._write(said, json.dumps(whole) if said.raw is None else said.raw)

            def _write(self, said: Said, text: str) -> None:
                data = text.encode()
                self.send_response(said.status)
                for header, value in said.headers.items():
                    self.send_header(header, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        return Handler

    def _arrived(self, key: str, body: dict[str, Any], headers: dict[str, str]) -> Asked:
        with self._lock:
            asked = Asked(key, self._times[key], body, headers)
            self._times[key] += 1
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._lock.notify_all()
        return asked

    def _wait_for_others(self, asked: Asked) -> None:
        """The first `together` requests leave in the opposite order to that in which they came."""
        with self._lock:
            place = self.asked.index(asked)
            if place < self._together:
                self._lock.wait_for(
                    lambda: (
                        self._ended.is_set()
                        or (len(self.asked) >= self._together and len(self.finished) >= self._together - 1 - place)
                    ),
                    timeout=30,
                )

    def _left(self, key: str) -> None:
        with self._lock:
            self.finished.append(key)
            self._at_once -= 1
            self._lock.notify_all()
