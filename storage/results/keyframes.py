"""The pictures of a result, one after the other: what metrics are computed from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from storage.decoding.pictures import Pixels
from storage.decoding.upright import upright
from storage.errors import ConfigError
from storage.results.results import VIDEOS, Result
from storage.results.videos import video
from storage.stories.photographs import photograph


def keyframes(result: Result, every: float = 1.0) -> Iterator[Pixels]:
    """RGB uint8 [height, width, 3] of each picture, or of a frame of each video every so many seconds from its start.

    All are upright.

    Raises:
        ConfigError: naming the file that can't be read.
    """
    if every <= 0:
        raise ConfigError(f"frames are taken every so many seconds, more than 0, not {every:g}")
    for file in result.files:
        if file.suffix.lower() in VIDEOS:
            yield from _frames(file, every)
        else:
            yield photograph(file)


def _frames(file: Path, every: float) -> Iterator[Pixels]:
    with video(file) as container:
        rate = float(container.streams.video[0].guessed_rate or 25)
        start, taken = None, 0
        for number, frame in enumerate(container.decode(video=0)):
            time = number / rate if frame.time is None else frame.time
            start = time if start is None else start
            if time - start >= taken * every:
                taken = int((time - start) / every) + 1
                yield upright(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), frame)
    if not taken:
        raise ConfigError(f"{str(file)!r} has no frames")
