"""Decodes a film in a process of its own: a film that hangs, crashes or eats memory takes nobody with it.

The child is `python -m storage.child`. It reads its orders from its arguments, answers on its standard output with one
line of JSON and, if all went well, the keyframes as an Arrow stream; and it ends when its parent does.
"""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa

from storage.decode import DecodedFilm, KeyframesConfig, decode_film
from storage.errors import FilmError
from storage.films import FilmProbe

_GIB = 1 << 30


def decode_in_child(path: Path | str, config: KeyframesConfig) -> DecodedFilm:
    """As storage.decode.decode_film, in a child process within `config.time_limit` and `config.memory_limit`.

    Raises:
        FilmError: as decode_film does, and crashed, out_of_memory or timed_out.
    """
    name = repr(str(path))
    command = [sys.executable, "-m", __name__, str(path), config.model_dump_json()]
    alive, parent = os.pipe()  # the child sees its end close when this process ends, however it ends
    try:
        child = subprocess.Popen(command, stdin=alive, stdout=-1, stderr=-1, env=_environment())
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
    head, _, rows = answer.partition(b"\n")
    if child.returncode or not head:
        raise FilmError("crashed", f"decoding {name} ended with {_ending(child.returncode)}: {_last_line(errors)}")
    film = json.loads(head)
    if "reason" in film:
        raise FilmError(film["reason"], film["detail"])
    return DecodedFilm(
        film_id=film["film_id"],
        probe=FilmProbe.model_validate(film["probe"]),
        rows=pa.ipc.open_stream(rows).read_all(),
        cuts=tuple(film["cuts"]),
        frames=film["frames"],
        damage=film["damage"],
    )


def _environment() -> dict[str, str]:
    home = str(Path(__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)}


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"


def _answer(path: str, config: KeyframesConfig) -> bytes:
    try:
        film = decode_film(path, config)
    except FilmError as error:
        return json.dumps({"reason": error.reason, "detail": error.detail}).encode() + b"\n"
    except MemoryError:
        detail = f"decoding {path!r} takes more than {config.memory_limit:g} GiB"
        return json.dumps({"reason": "out_of_memory", "detail": detail}).encode() + b"\n"
    head = {
        "film_id": film.film_id,
        "probe": film.probe.model_dump(mode="json"),
        "cuts": film.cuts,
        "frames": film.frames,
        "damage": film.damage,
    }
    rows = io.BytesIO()
    with pa.ipc.new_stream(rows, film.rows.schema) as stream:
        stream.write_table(film.rows)
    return json.dumps(head).encode() + b"\n" + rows.getvalue()


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _main(path: str, config: str) -> None:
    import resource

    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = KeyframesConfig.model_validate_json(config)
    limit = int(settings.memory_limit * _GIB)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(answers, "wb") as file:
        file.write(_answer(path, settings))


if __name__ == "__main__":
    _main(*sys.argv[1:])
