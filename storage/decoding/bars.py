"""Black bars beside, above and below the picture, found over a whole film and not in one frame.

Shapes: F lit frames.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from storage.decoding.container import opened
from storage.decoding.packed import packed
from storage.errors import FilmError

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.frame import VideoFrame

_BLACK = 10.0  # mean of a row or column, 0-255, that belongs to a bar: noise and ringing included
_LIT = 24.0  # mean of a frame, 0-255, that can tell a bar from darkness
_FEWEST = 4  # frames that must tell
_SAMPLES = 64  # pixels of each row and column that are looked at
_EXCEPTIONS = 0.1  # share of the frames that may show more, for subtitles in the bars
_BARE, _STEADY = 0.1, 0.5  # share of them that must show a bar's depth, where it is subtitled and on the other side
_SMALLEST = 0.015  # of the side: a bar
_EDGE = 0.002  # of the side: what a bar's blurred edge takes of the picture
_LEAST_LEFT = 0.3  # of a side: a picture
_GLANCES = 24  # frames of a film from which its bars are guessed, one every ten seconds at most


@dataclass(frozen=True)
class Bars:
    """Shares of a frame's width and height, as it is stored."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    def like(self, other: "Bars") -> bool:
        """Whether one may stand for the other: no farther apart than a bar's blurred edge."""
        mine, others = (np.array([each.left, each.top, each.right, each.bottom]) for each in (self, other))
        return bool(np.abs(mine - others).max() <= 3 * _EDGE)


class BarFinder:
    """Keeps four numbers of each frame that it sees."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._scalers = (VideoReformatter(), VideoReformatter())
        self._depths: list[tuple[float, float, float, float]] = []

    def see(self, frame: "VideoFrame") -> None:
        """Looks at a frame; dark ones tell nothing."""
        wide, high = frame.width, frame.height
        columns = self._gray(0, frame, wide, min(_SAMPLES, high)).mean(axis=0)
        rows = self._gray(1, frame, min(_SAMPLES, wide), high).mean(axis=1)
        if columns.mean() >= _LIT:
            self._depths.append((_depth(columns), _depth(rows), _depth(columns[::-1]), _depth(rows[::-1])))

    def bars(self) -> Bars:
        """What nine in ten lit frames leave black, on both sides alike; nothing where too few frames are lit.

        One side may be subtitled most of the time: it is as deep as the other where one frame in ten shows it bare.
        """
        if len(self._depths) < _FEWEST:
            return Bars()
        left_F, top_F, right_F, bottom_F = np.array(self._depths).T
        left, right = _pair(left_F, right_F)
        top, bottom = _pair(top_F, bottom_F)
        return Bars(left, top, right, bottom)

    def _gray(self, scaler: int, frame: "VideoFrame", width: int, height: int) -> np.ndarray:
        small = self._scalers[scaler].reformat(frame, width, height, "gray8", interpolation="POINT", threads=1)
        return packed(small, 1)


def guess(path: "Path") -> Bars:
    """The bars that a few frames from all over the film show, to begin with; none where they can't be reached.

    Frames of another size than the header's don't count.
    """
    import av

    finder = BarFinder()
    try:
        with opened(path) as (container, stream):
            context, seen, size = stream.codec_context, set(), (stream.width, stream.height)
            context.thread_count = 1
            seconds = (container.duration or 0) / av.time_base
            count = min(_GLANCES, round(seconds / 10))
            for index in range(count if count >= _FEWEST else 0):
                container.seek(round((index + 0.5) / count * seconds * av.time_base) + (container.start_time or 0))
                packet = next(container.demux(stream))
                if packet.pts not in seen and packet.size:
                    seen.add(packet.pts)
                    for frame in [*context.decode(packet), *context.decode(None)][:1]:
                        if (frame.width, frame.height) == size:
                            finder.see(frame)
                    context.flush_buffers()
    except (av.error.FFmpegError, FilmError, OverflowError):
        return Bars()
    return finder.bars()


def _depth(means: np.ndarray) -> float:
    lit = np.flatnonzero(means > _BLACK)
    return float(lit[0] / len(means)) if len(lit) else 1.0


def _pair(one_F: np.ndarray, other_F: np.ndarray) -> tuple[float, float]:
    one, other = (float(np.quantile(side_F, _EXCEPTIONS, method="lower")) for side_F in (one_F, other_F))
    less, deep = sorted((one, other))
    if less < _SMALLEST:
        return 0.0, 0.0
    most = 1.25 * less + 2 * _EDGE  # the rest is darkness on one side
    if deep > most:
        bare, steady = sorted((np.abs(side_F - deep) <= 3 * _EDGE).mean() for side_F in (one_F, other_F))
        if bare >= _BARE and steady >= _STEADY:  # the rest is a bar, and subtitles
            one = other = most = deep
    one, other = min(one, most) + _EDGE, min(other, most) + _EDGE
    return (one, other) if 1 - one - other >= _LEAST_LEFT else (0.0, 0.0)
