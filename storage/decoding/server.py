"""Forks a child for each film that storage.decoding.child orders: `python -m storage.decoding.server <socket>`.

The server has decoded a film of its own, so that all that decoding needs is imported and prepared; it has no threads.
An order is one byte with three files (a socket for the answer, standard error, and an unnamed file for the pictures),
then a line of JSON: path, folder, config. The child answers with one line of JSON and, if all went well, the
keyframes' numbers as an Arrow stream; then the server tells its exit code. Both end when their caller does. Where the
system offers it, the child can open no other file than the film, and has no network (storage.decoding.confined).
"""

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
import sys
import threading
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn

import pyarrow as pa

from storage.decoding import confined
from storage.decoding.container import SMALLEST_SIDE
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.errors import FilmError

_GIB = 1 << 30
_GRACE = 5  # seconds of CPU time from the signal to the end


def serve(place: int) -> None:
    """Forks a child for each film that is ordered, tells how it ended, and ends it when the caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, which is gone then
    confined.leave_network()
    _prepare()
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


def _prepare() -> None:
    """Decodes a small film: what libraries import and set up when they are first used, each child would pay for."""
    import av
    import scenedetect.detectors  # noqa: F401 - of films with cuts

    with contextlib.suppress(OSError), TemporaryDirectory(prefix="moviedreamer-") as folder:
        path = Path(folder) / "film.avi"
        with av.open(str(path), "w") as film:
            stream = film.add_stream("mpeg4", rate=1)
            stream.width = stream.height = SMALLEST_SIDE
            for number in range(3):
                frame = av.VideoFrame(SMALLEST_SIDE, SMALLEST_SIDE, "yuv420p")
                frame.pts = number
                film.mux(stream.encode(frame))
            film.mux(stream.encode())
        decode_film(path, KeyframesConfig()).close()


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


def _end_with_caller(caller: socket.socket) -> None:
    caller.recv(1)
    os._exit(1)


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


if __name__ == "__main__":
    serve(int(sys.argv[1]))
