"""Where one shot ends and the next begins, found while the frames go by."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from storage.decoding.packed import packed
from storage.decoding.reader import Timed
from storage.decoding.upright import View, view

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_WIDTH = 64  # pixels: so few that noise and small things in motion count for little
_SHORTEST_SHOT = 0.4  # seconds
_LEAST_CHANGE = 10.0  # mean absolute difference of two pictures, 0-255, for a cut between them
_SUSPICIOUS = 0.9 * _LEAST_CHANGE
_NEIGHBOURS = 2  # frames on either side that a cut stands out of
_STILL = 1.0  # mean absolute difference, 0-255, below which a picture repeats the one before it
_ALIKE = 2.5  # times the mean of the nearest changes: less is motion
_MIDDLE = _NEIGHBOURS + 1  # of the glances that are kept
_TOGETHER = 4  # frames of a group, which is shorter than a shot
_BLACK, _LIT = 4.0, 16.0  # means of a picture, 0-255, that has faded out, and in
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG


class _Glance(NamedTuple):
    seconds: float
    picture: np.ndarray  # uint8 [height, 3 * width], small, its colours apart
    change: float  # from the picture before: mean absolute difference, 0-255
    spread: float  # how many times the change of one frame that is about

    @property
    def pace(self) -> float:
        """Change from one frame to the next."""
        return self.change / self.spread


class _Group(NamedTuple):
    frames: list[Timed]
    last: np.ndarray  # the small picture of its last frame
    calm: bool  # which looks like the last of the group before


class CutFinder:
    """PySceneDetect's AdaptiveDetector for cuts, fades through black, and changes of the picture's size or shape.

    A cut stands out of the changes around it, so camera moves are none; dissolves are not found. Change is measured in
    red, green and blue: in the detector's own HSV, reds leap between hue 0 and 179 and look like cuts. Frames may be
    missing: motion changes a picture about as the square root of the frames from one to the next.

    Where frames are repeated (12 pictures a second in a file of 25), a cut also stands out of the nearest changes to
    another picture. One that is shown for longer than the shortest shot is a shot, not a frame.

    Of a few frames only the last is looked at where nothing changes enough to be a cut, before and after them either,
    and the detector is asked only where something does.

    Args:
        threshold: how many times a cut's change exceeds the mean change of its neighbours.
        fps: frames a second, approximately.
    """

    def __init__(self, threshold: float, fps: float) -> None:
        from av.video.reformatter import VideoReformatter

        self._threshold = threshold
        self._fps = fps
        self._scaler = VideoReformatter()  # a frame's own would last for one frame
        self._coming: list[Timed] = []
        self._group: _Group | None = None
        self._calm_before = False
        self._glances: deque[_Glance] = deque(maxlen=2 * _NEIGHBOURS + 2)
        self._fades = _FadeFinder()
        self._look: tuple[int, int, View, bool] | None = None
        self._found: list[float] = []
        self._changed: tuple[list[float], list[float]] = [], []  # seconds and pace of pictures that are no repetition
        self._sudden: list[float] = []  # seconds of what stands out of the frames around it

    def watch(self, frames: Iterable[Timed]) -> Iterator[Timed]:
        """Hands the frames through and glances at them, a few at a time."""
        for timed in frames:
            if self._looks_other(timed[1]):
                self._break(timed[0])
            if len(self._coming) == _TOGETHER or (self._coming and timed[0] - self._coming[0][0] >= _SHORTEST_SHOT / 2):
                self._gather()
            self._coming.append(timed)
            yield timed

    def cuts(self) -> list[float]:
        """Seconds of the first frame of each shot but the first; what lies too close behind another is no cut."""
        if self._coming:
            self._gather()
        self._settle(calm_after=True)
        cuts: list[float] = []
        for cut in sorted(self._found + [sudden for sudden in self._sudden if self._stands_out(sudden)]):
            if cut - (cuts[-1] if cuts else 0.0) >= _SHORTEST_SHOT:
                cuts.append(cut)
        return cuts

    def _looks_other(self, frame: "VideoFrame") -> bool:
        """Whether its picture has another size, shape, rotation or range of colours than the one before."""
        before, self._look = self._look, (frame.width, frame.height, view(frame), frame.color_range == _FULL_RANGE)
        return before is not None and self._look != before

    def _break(self, seconds: float) -> None:
        """Another film was joined on: its pictures are not compared with those before."""
        if self._coming:
            self._gather()
        self._settle(calm_after=True)
        self._glances.clear()
        self._found.append(seconds)

    def _gather(self) -> None:
        """The frames that came become a group; the one before it, whose neighbours are known now, is looked at."""
        last = self._small(self._coming[-1][1])
        calm = self._group is not None and _difference(self._group.last, last) < _SUSPICIOUS
        self._settle(calm)
        self._group, self._coming = _Group(self._coming, last, calm), []

    def _settle(self, calm_after: bool) -> None:
        if (group := self._group) is None:
            return
        *earlier, (seconds, _) = group.frames
        if not (self._calm_before and group.calm and calm_after):
            for second, frame in earlier:
                self._glance(second, self._small(frame))
        self._glance(seconds, group.last)
        self._group, self._calm_before = None, group.calm

    def _glance(self, seconds: float, picture: np.ndarray) -> None:
        import cv2

        if self._glances and self._glances[-1].picture.shape != picture.shape:
            self._glances.clear()  # pictures of two shapes cannot be compared
        before = self._glances[-1] if self._glances else _Glance(seconds, picture, 0.0, 1.0)
        frames = max(1.0, (seconds - before.seconds) * self._fps)
        self._glances.append(_Glance(seconds, picture, _difference(before.picture, picture), math.sqrt(frames)))
        if (pace := self._glances[-1].pace) >= _STILL:
            for column, value in zip(self._changed, (seconds, pace), strict=True):
                column.append(value)
        if self._suspicious() and self._is_cut():
            self._sudden.append(self._glances[_MIDDLE].seconds)
        self._found += self._fades.see(seconds, cv2.mean(picture)[0])

    def _small(self, frame: "VideoFrame") -> np.ndarray:
        width = min(_WIDTH, frame.width)
        height = max(2, round(frame.height * width / frame.width))
        small = self._scaler.reformat(frame, width, height, "rgb24", interpolation="FAST_BILINEAR", threads=1)
        return packed(small, 3)

    def _suspicious(self) -> bool:
        """Whether the frame in the middle, of which two neighbours on either side are known, may begin a shot."""
        if len(self._glances) < 2 * _NEIGHBOURS + 2:
            return False
        paces = [glance.pace for glance in self._around()]
        return self._glances[_MIDDLE].pace >= max(_SUSPICIOUS, 0.9 * self._threshold * sum(paces) / len(paces))

    def _around(self) -> list[_Glance]:
        """The neighbours of the frame in the middle; of the first glance the change is not known."""
        return [glance for place, glance in enumerate(self._glances) if place not in (0, _MIDDLE)]

    def _is_cut(self) -> bool:
        """Whether the detector sees a cut in the middle.

        It compares changes as if each were that of one frame, so its thresholds are raised or lowered by as much as the
        change in the middle spans more or less than those around it.
        """
        from scenedetect.common import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        here, around = self._glances[_MIDDLE], self._around()
        change = sum(glance.change for glance in around)
        pace = sum(glance.pace for glance in around)
        detector = AdaptiveDetector(
            adaptive_threshold=self._threshold * here.spread * (pace / change if change else 1.0),
            min_scene_len=0,  # CutFinder.cuts sees to it
            window_width=_NEIGHBOURS,
            min_content_val=_LEAST_CHANGE * here.spread,
            luma_only=True,
        )
        found: list[FrameTimecode] = []
        for place, glance in enumerate(self._glances):
            gray = np.repeat(glance.picture[:, :, None], 3, axis=2)  # the detector takes colour pictures
            found = detector.process_frame(FrameTimecode(place, 1.0), gray)  # only their order counts
        return bool(found)

    def _stands_out(self, seconds: float) -> bool:
        """Whether it does of the nearest changes before and after, if no picture between them is shown for long."""
        times, paces = self._changed
        here, around = bisect_left(times, seconds), 0.0
        for step in (-1, 1):
            at = here
            for _ in range(_NEIGHBOURS):
                if not 0 <= at + step < len(times) or abs(times[at + step] - times[at]) > _SHORTEST_SHOT:
                    break
                at += step
                around += paces[at]
        return paces[here] >= min(self._threshold, _ALIKE) * around / (2 * _NEIGHBOURS)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two pictures, 0-255; infinite where their shapes differ."""
    import cv2

    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size if one.shape == other.shape else math.inf


@dataclass
class _FadeFinder:
    """Between a lit picture and the next lit one lies black: the middle of the black is a cut."""

    lit: bool = False
    black: tuple[float, float] | None = None  # first and last second of it

    def see(self, seconds: float, brightness: float) -> list[float]:
        if self.lit and brightness <= _BLACK:
            self.black = (self.black[0] if self.black else seconds, seconds)
        elif brightness >= _LIT:
            black, self.lit, self.black = self.black, True, None
            return [(black[0] + black[1]) / 2] if black else []
        return []
