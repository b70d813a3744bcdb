"""The ffmpeg program: where it is, and how it is run and fed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING

from storage.errors import ConfigError, StorageError
from storage.guard import storage_error

if TYPE_CHECKING:
    from ffmpeg.nodes import OutputStream


def ffmpeg_binary() -> str:
    """The ffmpeg on the PATH, else the one of the imageio-ffmpeg package.

    Raises:
        ConfigError: when there is neither.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise ConfigError("no ffmpeg on the PATH: install ffmpeg, or run `make setup`, which brings one") from error


def encode(job: "OutputStream", url: str, pictures: Iterable[bytes] = ()) -> int:
    """Runs a job of ffmpeg-python to its end, feeding it `pictures` on its standard input.

    Args:
        url: what is being written, for the message.

    Returns:
        How many pictures it took.

    Raises:
        StorageError: when ffmpeg fails, a full disk among the reasons.
        ConfigError: when there is no ffmpeg.
    """
    binary = ffmpeg_binary()
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
