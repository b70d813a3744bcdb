"""A video of a result, opened; what is wrong with it in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from storage.decoding.container import OPTIONS, missing_end
from storage.errors import ConfigError

if TYPE_CHECKING:
    from av.container import InputContainer


@contextmanager
def video(path: Path) -> Iterator["InputContainer"]:
    """A container with a picture; nothing but the file is read, whatever it refers to.

    Raises:
        ConfigError: naming the video; also for what is found while it is read in the block.
    """
    import av

    try:
        with av.open(f"file:{path}", options=dict(OPTIONS), metadata_errors="replace") as container:
            if lost := missing_end(path):
                raise ConfigError(f"{str(path)!r} is cut off: {lost}")
            if not container.streams.video:
                raise ConfigError(f"{str(path)!r} has no picture")
            yield container
    except av.error.FFmpegError as error:
        raise ConfigError(f"{str(path)!r} can't be read as a video: {error.strerror}") from error
