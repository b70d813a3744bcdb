"""Decodes a film in a process of its own: a film that hangs, crashes or eats memory takes nobody with it.

That process is forked from a server (storage.decoding.server), which lives as long as the process that started it.
(multiprocessing's forkserver would import that process's main module again for each film.)
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa

from storage.decoding.decode import DecodedFilm, KeyframesConfig
from storage.errors import FilmError, StorageError
from storage.films.films import FilmProbe
from storage.masked import without_secrets

_GRACE = 5  # seconds in which a server leaves
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
"""Environment of a child: films are decoded side by side."""

_NO_PROGRAMS = {"PATH": os.devnull}  # scenedetect runs the ffmpeg that it finds there, whatever that is
_NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # of Arrow's memory: what is forked has none


def decode_in_child(path: Path | str, config: KeyframesConfig) -> DecodedFilm:
    """As storage.decoding.decode.decode_film, in a child process within the limits of `config`.

    Close the film (`with`): its pictures are in an unnamed temporary file, which is deleted then, or when this process
    ends.

    Raises:
        FilmError: as decode_film does, and crashed, out_of_memory or timed_out.
        StorageError: when the temporary file does not fit the disk.
    """
    spool = TemporaryFile()  # noqa: SIM115 - the film that is returned closes it
    try:
        return _film(path, config, spool)
    except BaseException:
        spool.close()
        raise


def _film(path: Path | str, config: KeyframesConfig, spool: IO[bytes]) -> DecodedFilm:
    name = repr(str(path))
    with TemporaryFile() as errors:
        with _server() as server:
            try:
                answer, code = server.decode(str(path), config, spool, errors)
            except TimeoutError:
                raise FilmError("timed_out", f"decoding {name} takes more than {config.time_limit:g} s") from None
            except (ConnectionError, EOFError) as error:
                raise FilmError("crashed", f"decoding {name} ended with its server: {server.complaint()}") from error
        errors.seek(0)
        said = errors.read()
    if code == -signal.SIGXCPU:
        raise FilmError("timed_out", f"decoding {name} takes more than {config.cpu_limit:g} s of CPU time")
    head, _, numbers = answer.partition(b"\n")
    if code or not head:
        raise FilmError("crashed", f"decoding {name} ended with {_ending(code)}: {_last_line(said)}")
    film = json.loads(head)
    if "full" in film:
        raise StorageError(f"no room for the keyframes of {name} among the temporary files: {film['full']}; set TMPDIR")
    if "reason" in film:
        raise FilmError(film["reason"], film["detail"])
    return DecodedFilm(
        film_id=film["film_id"],
        probe=FilmProbe.model_validate(film["probe"]),
        numbers=pa.ipc.open_stream(numbers).read_all(),
        cuts=tuple(film["cuts"]),
        frames=film["frames"],
        damage=film["damage"],
        spool=spool,
    )


class _Server:
    """A process that forks a child for one film after the other, as its caller sees it."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "storage.decoding.server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.stop)

    def decode(self, path: str, config: KeyframesConfig, spool: IO[bytes], errors: IO[bytes]) -> tuple[bytes, int]:
        """The child's answer and exit code. What it writes to standard error goes to `errors`.

        Raises:
            TimeoutError: after config.time_limit seconds.
            ConnectionError, EOFError: when the server has ended.
        """
        order: dict[str, object] = {"path": path, "folder": _folder(), "config": config.model_dump(mode="json")}
        deadline = time.monotonic() + config.time_limit
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self._orders, [b"!"], [theirs.fileno(), errors.fileno(), spool.fileno()])
            self._orders.sendall(json.dumps(order).encode() + b"\n")
            answer = b"".join(_received(ours, deadline))
            code = b"".join(_received(self._orders, deadline, until=b"\n"))
        return answer, int(code)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends it, and the child at work."""
        atexit.unregister(self.stop)
        self._orders.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def complaint(self) -> str:
        """Its last words, where it has ended."""
        try:
            _, errors = self._process.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            return "no message"
        return f"{_ending(self._process.returncode)}: {_last_line(errors)}"


_idle: list[tuple[int, _Server]] = []  # with the process that started them: a forked one leaves its parent's alone
_taking = threading.Lock()


@contextmanager
def _server() -> Iterator[_Server]:
    """One that decodes nothing else now; it serves again where the block ends without an error."""
    with _taking:
        process, server = _idle.pop() if _idle else (os.getpid(), _Server())
    if process != os.getpid():
        server = _Server()
    elif not server.alive:
        server.stop()
        server = _Server()
    try:
        yield server
    except BaseException:
        server.stop()
        raise
    _idle.append((os.getpid(), server))


def end_servers() -> None:
    """Ends those that are idle; the next film starts one again."""
    while _idle:
        _idle.pop()[1].stop()


def _received(source: socket.socket, deadline: float, until: bytes = b"") -> Iterator[bytes]:
    """What comes, to its end or to `until`."""
    while True:
        source.settimeout(max(1e-3, deadline - time.monotonic()))
        part = source.recv(1 << 16)
        if until and not part:
            raise EOFError
        yield part
        if not part or (until and part.endswith(until)):
            return


def _environment() -> dict[str, str]:
    home = str(Path(__file__).parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    bare = without_secrets(os.environ)  # a film that takes the child over could hand them out as pictures
    return {**bare, **ONE_THREAD, **_NO_THREAD, **_NO_PROGRAMS, "PYTHONPATH": os.pathsep.join(paths)}


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed: paths in it lead nowhere, others do
        return "/"


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"
