"""Decodes a film in a process of its own: a film that hangs, crashes or eats memory takes nobody with it.

The child is `python -m storage.child`. It reads its orders from its arguments, writes the pictures to a file without a
name that its parent opened, and answers on its standard output with one line of JSON and, if all went well, the
keyframes' numbers as an Arrow stream; and it ends when its parent does.
"""

import errno
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa

from storage.decode import DecodedFilm, KeyframesConfig, decode_film
from storage.errors import FilmError, StorageError
from storage.films import FilmProbe

_GIB = 1 << 30
_GRACE = 5  # seconds of CPU time from the signal to the end
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")
"""Environment of a child: films are decoded side by side."""


def decode_in_child(path: Path | str, config: KeyframesConfig) -> DecodedFilm:
    """As storage.decode.decode_film, in a child process within the limits of `config`.

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
    name, place = repr(str(path)), spool.fileno()
    command = [sys.executable, "-m", __name__, str(path), config.model_dump_json(), str(place)]
    alive, parent = os.pipe()  # the child sees its end close when this process ends, however it ends
    try:
        child = subprocess.Popen(command, stdin=alive, stdout=-1, stderr=-1, env=_environment(), pass_fds=[place])
        os.close(alive)
        try:
            answer, errors = child.communicate(timeout=config.time_limit)
        except subprocess.TimeoutExpired:
            raise FilmError("timed_out", f"decoding {name} takes more than {config.time_limit:g} s") from None
        finally:
            child.kill()
            child.wait()
    finally:
        os.close(parent)
    if child.returncode == -signal.SIGXCPU:
        raise FilmError("timed_out", f"decoding {name} takes more than {config.cpu_limit:g} s of CPU time")
    head, _, numbers = answer.partition(b"\n")
    if child.returncode or not head:
        raise FilmError("crashed", f"decoding {name} ended with {_ending(child.returncode)}: {_last_line(errors)}")
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


def _environment() -> dict[str, str]:
    home = str(Path(__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)}


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


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _main(path: str, config: str, place: str) -> None:
    import resource

    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = KeyframesConfig.model_validate_json(config)
    memory, cpu = int(settings.memory_limit * _GIB), math.ceil(settings.cpu_limit)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + _GRACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(answers, "wb") as file, os.fdopen(int(place), "w+b") as spool:
        file.write(_answer(path, settings, spool))


if __name__ == "__main__":
    _main(*sys.argv[1:])
