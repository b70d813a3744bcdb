"""The ffmpeg program: which one is used, and how it is run.

It is the one of the imageio-ffmpeg package, whatever else is on the PATH, unless MOVIEDREAMER_FFMPEG names another.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import ConfigError, StorageError
from storage.guard import storage_error

if TYPE_CHECKING:
    from ffmpeg.nodes import OutputStream

OLDEST = (4, 4)
"""The version that writing movies needs."""

_CURE = "unset MOVIEDREAMER_FFMPEG to use the bundled one, or set it to an ffmpeg of {}.{} or newer with libx264"
_ANSWER_LIMIT = 60  # seconds in which a program says what it is; machines are busy


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg program and its version.

    Attributes:
        version: in its own words, such as "5.1.9-0+deb12u1" or "N-109468-gd39b34123d".
        x264: whether it was built with libx264.
    """

    path: str
    version: str
    x264: bool

    def since(self, *wanted: int) -> bool:
        """Whether it is of a version, such as (6, 0), or newer; a build between two versions counts as new."""
        numbers = re.match(r"n?(\d{1,3})\.(\d+)", self.version)
        return numbers is None or tuple(map(int, numbers.groups())) >= wanted


def ffmpeg_binary() -> str:
    """The path of the ffmpeg in use.

    Raises:
        ConfigError: when there is none, or it is named by a relative path.
    """
    if named := os.environ.get("MOVIEDREAMER_FFMPEG"):
        if os.sep in named and not Path(named).is_absolute():  # workers have other working directories
            raise ConfigError(
                f"MOVIEDREAMER_FFMPEG={named!r} is a relative path: write the whole one, or a name on the PATH"
            )
        if found := shutil.which(named):
            return str(Path(found).absolute())  # PATH may have relative folders
        raise ConfigError(f"MOVIEDREAMER_FFMPEG={named!r} is not a program: {_CURE.format(*OLDEST)}")
    if bundled := next(iter(_bundled()), None):
        return str(bundled)
    raise ConfigError(
        "the package imageio-ffmpeg brings no ffmpeg here: run `make setup`, or set MOVIEDREAMER_FFMPEG to one"
    )


def _bundled() -> list[Path]:
    """The package's own function would also accept one from a variable or from the PATH."""
    try:
        folder = resources.files("imageio_ffmpeg") / "binaries"
    except ImportError:
        return []
    return sorted(Path(str(folder)).glob("ffmpeg-*"))


def ffmpeg_program() -> Ffmpeg:
    """The ffmpeg in use; its version is read once per process.

    Raises:
        ConfigError: when there is none, or it does not run or answer.
    """
    return _asked(ffmpeg_binary())


def require_encoder() -> Ffmpeg:
    """The ffmpeg in use, checked to be able to write movies.

    Raises:
        ConfigError: as `ffmpeg_program`, and when it is too old or lacks libx264.
    """
    program = ffmpeg_program()
    if not program.since(*OLDEST):
        lack = "is too old"
    elif not program.x264:
        lack = "has no libx264"
    else:
        return program
    raise ConfigError(f"ffmpeg {program.version} ({program.path}) {lack} to write movies: {_CURE.format(*OLDEST)}")


@cache
def _asked(path: str) -> Ffmpeg:
    try:
        answer = subprocess.run(
            [path, "-version"],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_LIMIT,
        ).stdout
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{path!r} does not say its version within {_ANSWER_LIMIT:g} s: {_CURE.format(*OLDEST)}"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"{path!r} does not run as ffmpeg ({error}): {_CURE.format(*OLDEST)}") from error
    told = re.match(r"ffmpeg version (\S+)", answer)
    if not told:
        raise ConfigError(f"{path!r} is not ffmpeg: it answers {answer[:60]!r}: {_CURE.format(*OLDEST)}")
    return Ffmpeg(path, told[1], "--enable-libx264" in answer)


def encode(job: "OutputStream", url: str, pictures: Iterable[bytes] = ()) -> int:
    """Runs a job of ffmpeg-python to its end, feeding it `pictures` on its standard input.

    Args:
        url: what is being written, for the message.

    Returns:
        How many pictures it took.

    Raises:
        StorageError: when ffmpeg fails, a full disk among the reasons.
        ConfigError: as `require_encoder`.
    """
    binary = require_encoder().path
    command = job.global_args("-hide_banner", "-loglevel", "error").overwrite_output().compile(cmd=binary)
    count = 0
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages)
        assert process.stdin is not None
        try:
            for picture in pictures:
                process.stdin.write(picture)
                count += 1
            process.stdin.close()
            process.wait()
        except BrokenPipeError:  # it ended early, and says why
            process.wait()
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            return count
        messages.seek(0)
        text = messages.read().decode(errors="replace").strip()
    raise storage_error(StorageError(f"ffmpeg ended with {process.returncode}: {text[-400:]}"), "write", url)
