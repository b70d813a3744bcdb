"""Do captions belong to the rows that they stand in?

    python benchmarks/caption_mismatches.py [--rows 240] [--runs 5]

A server on this machine describes pictures that carry a number. It answers in a random order, fails in one of five
requests (HTTP 500, 429, a closed connection), and now and then gives an answer again that it gave to another request.
A third of the rows show the same picture as another row. Beside our captioner runs, interleaved, what is often written
instead: a thread pool, retries, and the answers put beside the rows in the order in which they arrive; and, better, in
the order in which they were asked for, which still takes an answer to another request for its own.
A mismatch is a row whose caption has another number than its picture.
"""

import argparse
import base64
import io
import json
import random
import re
import statistics
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from models.captioner import FrameFacts, OpenAiConfig
from models.captioner.openai import OpenAiCaptioner, data_uri
from models.face import Image
from models.server import ServerConfig

BITS, WIDTH, HEIGHT = 12, 12, 32  # bands of a picture, black or white; pixels of each
CHUNK = 16  # rows that a captioner gets at a time, as in tasks.rows


def main() -> None:
    """Prints one line a run and the mismatches of all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    ours, naive, ordered = [], [], []
    for run in range(args.runs):
        numbers = with_duplicates(args.rows, run)
        with Server(run) as url:
            ours.append(mismatches(numbers, by_key(url, numbers)))
        with Server(run) as url:
            naive.append(mismatches(numbers, by_threads(url, numbers, as_they_arrive=True)))
        with Server(run) as url:
            ordered.append(mismatches(numbers, by_threads(url, numbers, as_they_arrive=False)))
        print(
            f"run {run}: {args.rows} rows, mismatches {ours[-1]}; answers in the order of arrival {naive[-1]}, "
            f"in the order of the questions {ordered[-1]}"
        )
    baseline = statistics.median(naive)
    result = {"name": "caption_mismatches", "value": sum(ours), "unit": "rows", "baseline": baseline}
    result["ratio"] = sum(ours) / baseline if baseline else None
    print(json.dumps(result | {"n": args.rows * args.runs}))


def with_duplicates(count: int, seed: int) -> list[int]:
    """The number that each row's picture carries; a third of the rows repeat another's."""
    drawn = random.Random(seed)
    numbers = drawn.sample(range(1 << BITS), count - count // 3)
    numbers += drawn.choices(numbers, k=count // 3)
    drawn.shuffle(numbers)
    return numbers


def picture(number: int) -> Image:
    """A band for each bit."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8), WIDTH)
    return np.repeat(np.tile(row, (HEIGHT, 1))[..., None], 3, axis=2)


def number_of(uri: str) -> int:
    """What `picture` drew, read from the JPEG that arrived."""
    from PIL import Image as Pillow

    pixels = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"))
    bands = pixels.reshape(HEIGHT, BITS, WIDTH).mean((0, 2))
    return sum(1 << bit for bit, level in enumerate(bands) if level > 127)


def mismatches(numbers: list[int], captions: list[str]) -> int:
    """Rows whose caption is missing or speaks of another picture."""
    assert len(captions) == len(numbers)
    return sum(f"number {number}." not in caption for number, caption in zip(numbers, captions, strict=True))


def by_key(url: str, numbers: list[int]) -> list[str]:
    """Our captioner, as a stage uses it."""
    server = ServerConfig(base_url=url, model="numbers", concurrency=CHUNK, backoff_s=0.01, attempts=12)
    model = OpenAiCaptioner(OpenAiConfig(server=server))
    said: dict[str, str] = {}
    for start in range(0, len(numbers), CHUNK):
        some = range(start, min(start + CHUNK, len(numbers)))
        for (caption,) in model.caption([FrameFacts(f"film-{row:06d}", picture(numbers[row])) for row in some]):
            said[caption.row_id] = caption.text
    return [said[f"film-{row:06d}"] for row in range(len(numbers))]


def by_threads(url: str, numbers: list[int], as_they_arrive: bool) -> list[str]:
    """A thread pool with retries, whose answers are put beside the rows as they arrive or as they were asked for."""

    def ask(number: int) -> str:
        content = [{"type": "image_url", "image_url": {"url": data_uri(picture(number))}}]
        body = json.dumps({"model": "numbers", "messages": [{"role": "user", "content": content}]}).encode()
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", body)) as answer:
                    return str(json.load(answer)["choices"][0]["message"]["content"])
            except OSError:
                time.sleep(0.01)

    with ThreadPoolExecutor(CHUNK) as pool:
        asked = [pool.submit(ask, number) for number in numbers]
        return [done.result() for done in (as_completed(asked) if as_they_arrive else asked)]


class Server:
    """Describes pictures, late and not always well; the same seed draws the same delays and failures."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._last: dict[str, Any] | None = None
        self._count = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    delay, luck = server._random.uniform(0, 0.03), server._random.random()
                time.sleep(delay)
                if luck < 0.05:
                    self.close_connection = True
                    return
                status = 500 if luck < 0.13 else 429 if luck < 0.2 else 200
                data = json.dumps(server._said(body, repeat=luck > 0.97) if status == 200 else {}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """The figures alone are printed."""

        return Handler

    def _said(self, body: dict[str, Any], repeat: bool) -> dict[str, Any]:
        (uri,) = re.findall(r"data:image/jpeg;base64,[^\"]+", json.dumps(body["messages"][0]))
        with self._lock:
            if repeat and self._last is not None:
                return self._last
            self._count += 1
            text = f"Answer {self._count}: a picture with the number {number_of(uri)}."
            choice = {"message": {"content": text}, "finish_reason": "stop"}
            self._last = {"id": f"chatcmpl-{self._count}", "choices": [choice], "usage": {"total_tokens": 20}}
            return self._last


if __name__ == "__main__":
    main()
