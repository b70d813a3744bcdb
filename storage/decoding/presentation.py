"""When frames are shown, in containers that don't tell it."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from math import ceil, inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

BACK = 1.5  # seconds that times step back where another film was joined on; less is a frame out of order
_DEEPEST = 17  # frames: a decoder holds at most 16 back


class Presentation:
    """Gives frames their times of presentation.

    Decoders hand frames out in order of presentation. In some containers (H.264 in AVI) frames have the times of their
    decoding: sorted, these are those of presentation. Where there is no time (bare streams, parts of MPEG program
    streams), a frame follows on the one before.

    Attributes:
        told: whether packets came in another order than that of their times, which then are those of presentation.
    """

    def __init__(self, stream: "VideoStream", rate: Fraction) -> None:
        tick = stream.time_base or Fraction(1)
        self.told = False
        self._stream = stream
        self._length = round(1 / rate / tick)  # ticks of a frame
        self._back = max(ceil(BACK / tick), _DEEPEST * self._length)
        self._newest: int | None = None

    def know(self, packet: "Packet[VideoStream]") -> None:
        """Packets come in order of decoding."""
        if packet.pts is not None:
            self.told |= self._newest is not None and -self._back < packet.pts - self._newest < 0
            self._newest = packet.pts

    def in_order(self, frames: Iterable["VideoFrame"]) -> Iterator["VideoFrame"]:
        """The frames of a decoder, each with a time."""
        waiting: deque[VideoFrame] = deque()
        times: list[int] = []  # theirs, a heap
        following, newest, sorting = 0, -inf, False
        for frame in frames:
            may_be_of_decoding = frame.pts is not None and self._stream.codec_context.has_b_frames and not self.told
            if frame.pts is None:
                frame.pts = following
            while waiting and (not may_be_of_decoding or frame.pts < newest - self._back or len(waiting) == _DEEPEST):
                yield _timed(waiting.popleft(), heappop(times))
            sorting |= may_be_of_decoding and frame.pts < newest
            newest, following = frame.pts, frame.pts + (frame.duration or self._length)
            if may_be_of_decoding:
                waiting.append(frame)
                heappush(times, frame.pts)
            else:
                yield frame
        following = 0
        for frame in waiting:
            pts = heappop(times)
            if sorting and not times:  # libav guesses the last one
                pts = max(pts, following)
            following = pts + self._length
            yield _timed(frame, pts)


def _timed(frame: "VideoFrame", pts: int) -> "VideoFrame":
    frame.pts = pts
    return frame
