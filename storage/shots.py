"""Where one shot ends and the next begins, found while the frames go by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.reader import Timed

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_WIDTH = 64  # pixels that are looked at, so few that noise and small things in motion count for little
_SHORTEST_SHOT = 0.4  # seconds
_LEAST_CHANGE = 10.0  # mean absolute difference of two pictures, 0-255, for a cut between them
_BLACK, _LIT = 4.0, 16.0  # means of a picture, 0-255, that has faded out, and in
_CLOCK = 90_000  # ticks a second


class CutFinder:
    """PySceneDetect's AdaptiveDetector for cuts, and fades through black.

    A cut stands out of the changes around it, so camera moves are none; dissolves are not found. Change is measured in
    red, green and blue: in the detector's own HSV, reds leap between hue 0 and 179 and look like cuts. Frames may be
    missing: motion changes a picture about as the square root of the frames from one to the next.

    Args:
        threshold: how many times a cut's change exceeds the mean change of its neighbours.
        fps: frames a second, approximately.
    """

    def __init__(self, threshold: float, fps: float) -> None:
        self._detector = _detector(threshold, fps)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._fades = _FadeFinder()
        self._found: list[float] = []

    def watch(self, frames: Iterable[Timed]) -> Iterator[Timed]:
        """Hands the frames through and looks at each."""
        from scenedetect.common import FrameTimecode, Timecode

        for seconds, frame in frames:
            clock = FrameTimecode(Timecode(pts=round(seconds * _CLOCK), time_base=Fraction(1, _CLOCK)), self._fps)
            planes = _planes(frame)
            gray = np.repeat(planes[:, :, None], 3, axis=2)  # the detector takes colour pictures
            self._found += [cut.seconds for cut in self._detector.process_frame(clock, gray)]
            self._found += self._fades.see(seconds, float(planes.mean()))
            yield seconds, frame

    def cuts(self) -> list[float]:
        """Seconds of the first frame of each shot but the first; what lies too close behind another is no cut."""
        cuts: list[float] = []
        for cut in sorted(self._found):
            if cut - (cuts[-1] if cuts else 0.0) >= _SHORTEST_SHOT:
                cuts.append(cut)
        return cuts


def _detector(threshold: float, fps: float) -> Any:
    from scenedetect.common import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    class PerFrame(AdaptiveDetector):  # type: ignore[misc]
        """Its scores are those of neighbouring frames, however many lie between two that it sees."""

        before: FrameTimecode | None = None

        def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: np.ndarray) -> float:
            frames = (timecode.seconds - self.before.seconds) * fps if self.before else 1.0
            self.before = timecode
            return float(super()._calculate_frame_score(timecode, frame_img) / max(1.0, frames) ** 0.5)

    return PerFrame(
        adaptive_threshold=threshold, min_scene_len=_SHORTEST_SHOT, min_content_val=_LEAST_CHANGE, luma_only=True
    )


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


def _planes(frame: "VideoFrame") -> np.ndarray:
    """uint8 [height, 3 * width]: a small copy of the frame, its colours apart."""
    import cv2

    width = min(2 * _WIDTH, frame.width)  # FFmpeg's fastest way takes single pixels; pairs of them are averaged
    height = max(4, round(frame.height * width / frame.width))
    large = frame.to_ndarray(width=width, height=height, format="rgb24", interpolation="FAST_BILINEAR", threads=1)
    small: np.ndarray = cv2.resize(large, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return small.reshape(height // 2, -1)
