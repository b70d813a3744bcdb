"""Storages in Google's Cloud Storage, on a small imitation of it: the two interfaces that the three libraries speak.

Arrow reads by the JSON interface; object_store and Delta read and write by the XML one, with generations of objects as
conditions. What Google's own servers do may differ.
"""

import json
import multiprocessing
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from storage.root import Storage
from tests.storage.bucket import is_a_storage

BUCKET = "bucket"
WHEN = datetime.now(UTC).replace(microsecond=0)


class Google(ThreadingHTTPServer):
    """One bucket: name -> (bytes, generation)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lock = threading.Lock()
        self.generation = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def write(self, name: str, data: bytes, match: str | None) -> int:
        """Its generation, or 0 when it doesn't have the one to match; 0 is that of no object."""
        with self.lock:
            if match is not None and int(match) != self.objects.get(name, (b"", 0))[1]:
                return 0
            self.generation += 1
            self.objects[name] = data, self.generation
            return self.generation


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Google

    def log_message(self, *message: object) -> None:
        pass

    def respond(self) -> None:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = url.path.removeprefix("/download").removeprefix("/storage/v1/b")
        as_json, name = path != url.path, unquote(path.removeprefix(f"/{BUCKET}").lstrip("/"))
        if as_json:
            name = name.removeprefix("o").removeprefix("/")
        if not name:
            self.list(asked, as_json)
        elif self.command == "POST" or "uploadId" in asked:
            self.upload(name, body, asked)
        elif self.command == "PUT":
            self.put(name, body)
        elif name not in self.server.objects:
            self.send(404)
        elif self.command == "DELETE":
            del self.server.objects[name]
            self.send(204)
        elif as_json and asked.get("alt") != "media":
            self.send(200, json.dumps(self.about(name)).encode(), {"Content-Type": "application/json"})
        else:
            self.get(name)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = respond

    def put(self, name: str, data: bytes) -> None:
        generation = self.server.write(name, data, self.headers.get("x-goog-if-generation-match"))
        self.send(200 if generation else 412, b"", {"ETag": f'"{generation}"', "x-goog-generation": f"{generation}"})

    def upload(self, name: str, body: bytes, asked: dict[str, str]) -> None:
        """In parts: begun, sent, put together."""
        parts = self.server.uploads.setdefault(name, {})
        if "uploads" in asked:
            parts.clear()
            begun = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            self.send(200, begun.encode())
        elif self.command == "PUT":
            parts[int(asked["partNumber"])] = body
            self.send(200, b"", {"ETag": f'"{asked["partNumber"]}"'})
        else:
            self.server.write(name, b"".join(parts[number] for number in sorted(parts)), None)
            ended = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
            self.send(200, ended.encode(), {"x-goog-generation": "1"})

    def get(self, name: str) -> None:
        data, generation = self.server.objects[name]
        headers = {"ETag": f'"{generation}"', "x-goog-generation": f"{generation}"}
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not first:
            self.send(200, data, headers)
            return
        end = min(int(last or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
        self.send(206, data[int(first) : end + 1], headers)

    def list(self, asked: dict[str, str], as_json: bool) -> None:
        prefix, delimiter, after = asked.get("prefix", ""), asked.get("delimiter", ""), asked.get("start-after", "")
        names, folders = [], set()
        for name in sorted(one for one in self.server.objects if one.startswith(prefix) and one > after):
            inside, found, _ = name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
            if found:
                folders.add(f"{prefix}{inside}{delimiter}")
            else:
                names.append(name)
        if as_json:
            listed = {"items": [self.about(name) for name in names], "prefixes": sorted(folders)}
            self.send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
            return
        contents = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>{WHEN.isoformat()}</LastModified>"
            f"<Size>{len(self.server.objects[name][0])}</Size><ETag>1</ETag></Contents>"
            for name in names
        )
        shared = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        self.send(200, f"<ListBucketResult>{contents}{shared}</ListBucketResult>".encode())

    def about(self, name: str) -> dict[str, str]:
        data, generation = self.server.objects[name]
        place = {"kind": "storage#object", "bucket": BUCKET, "name": name, "size": f"{len(data)}"}
        return place | {"generation": f"{generation}", "updated": WHEN.isoformat(), "timeCreated": WHEN.isoformat()}

    def send(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in {"Last-Modified": format_datetime(WHEN, usegmt=True), **(headers or {})}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Storage]:
    server = Google()
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever)  # Arrow's reads keep the GIL
    process.start()
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {"type": "service_account", "private_key": key.decode(), "private_key_id": "1", "client_id": "1"}
    account |= {"client_email": "a@b.iam.gserviceaccount.com", "token_uri": f"{server.url}/token"}
    (tmp_path / "key.json").write_text(json.dumps(account | {"gcs_base_url": server.url, "disable_oauth": True}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "key.json"))
    monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield Storage(f"gs://{BUCKET}/a b+é")
    process.kill()
    process.join()
    server.server_close()


def test_a_bucket_is_a_storage(storage: Storage, tmp_path: Path) -> None:
    is_a_storage(storage, tmp_path)
