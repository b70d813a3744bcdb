"""Decodes a film in a process of its own: a film that hangs, crashes or eats memory takes nobody with it.

That process is forked from a server, `python -m storage.decoding.child`, which has imported all that decoding needs,
has no threads, and lives as long as the process that started it. (multiprocessing's forkserver would import that
process's main module again for each film.) The child writes the pictures to a file without a name that the caller
opened, and answers over a socket with one line of JSON and, if all went well, the keyframes' numbers as an Arrow
stream. It ends when the caller does. Where the system offers it, it can open no other file than the film, and has no
network (storage.decoding.confined).
"""

import atexit
import contextlib
import errno
import gc
import io
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NoReturn

import pyarrow as pa

from storage.decoding import confined
from storage.decoding.decode import DecodedFilm, KeyframesConfig, decode_film
from storage.errors import FilmError, StorageError
from storage.films.films import FilmProbe

_GIB = 1 << 30
_GRACE = 5  # seconds of CPU time from the signal to the end, and of time in which a server leaves
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
"""Environment of a child: films are decoded side by side."""

_NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # of Arrow's memory: what is forked has none
_USED = ("av", "av.filter", "av.video.reformatter", "cv2", "PIL.WebPImagePlugin", "scenedetect.detectors")
"""Modules that decoding imports where it needs them."""


def decode_in_child(path: Path | str, config: KeyframesConfig) -> DecodedFilm:
    """As storage.decoding.decode.decode_film, in a child process within the limits of `config`.

    Close the film that is returned (`with`): its pictures lie in a temporary file without a name, which goes with it,
    or with this process.

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
                [sys.executable, "-m", __name__, str(theirs.fileno())],
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
            self._orders.sendall(_line(order))
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
    home = str(Path(__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ONE_THREAD, **_NO_THREAD, "PYTHONPATH": os.pathsep.join(paths)}


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


def _answer(path: str, config: KeyframesConfig, spool: IO[bytes]) -> bytes:
    try:
        film = decode_film(path, config, spool)
    except FilmError as error:
        return _line({"reason": error.reason, "detail": error.detail})
    except MemoryError:
        detail = f"decoding {path!r} takes more than {config.memory_limit:g} GiB"
        return _line({"reason": "out_of_memory", "detail": detail})
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _line({"full": error.strerror})
    head = {
        "film_id": film.film_id,
        "probe": film.probe.model_dump(mode="json"),
        "cuts": film.cuts,
        "frames": film.frames,
        "damage": film.damage,
    }
    numbers = io.BytesIO()
    with pa.ipc.new_stream(numbers, film.numbers.schema) as stream:
        stream.write_table(film.numbers)
    return _line(head) + numbers.getvalue()


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _end_with_caller(caller: socket.socket) -> None:
    caller.recv(1)
    os._exit(1)


def _decode(order: bytes, caller: socket.socket, errors: int, spool: int) -> NoReturn:
    """A child, from the fork to its end."""
    import resource

    code = 1
    try:
        os.dup2(errors, 2)
        os.dup2(2, 1)  # what libraries print is no answer
        wanted = json.loads(order)
        os.chdir(wanted["folder"])
        confined.read_only([Path(wanted["path"])])  # before there are threads
        threading.Thread(target=_end_with_caller, args=(caller,), daemon=True).start()
        config = KeyframesConfig.model_validate(wanted["config"])
        memory, cpu = int(config.memory_limit * _GIB), math.ceil(config.cpu_limit)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + _GRACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with os.fdopen(spool, "w+b") as file:
            caller.sendall(_answer(wanted["path"], config, file))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve(place: int) -> None:
    """Forks a child for each film that is ordered, tells how it ended, and ends it when the caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, which is gone then
    confined.leave_network()
    for name in _USED:
        __import__(name)
    gc.freeze()
    with socket.socket(fileno=place) as orders, orders.makefile("rb") as lines:
        while True:
            beginning, places, _, _ = socket.recv_fds(orders, 1, 3)
            if not beginning:
                return
            order = lines.readline()
            running, ended = os.pipe()
            child = os.fork()
            if not child:
                orders.detach()
                os.close(place)
                os.close(running)
                _decode(order, socket.socket(fileno=places[0]), *places[1:])
            for file in (*places, ended):
                os.close(file)
            if place in select.select([place, running], [], [])[0]:
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            os.close(running)
            with contextlib.suppress(BrokenPipeError):
                orders.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
