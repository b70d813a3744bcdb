"""Pictures that stand: a film of changing rate has no new frame while nothing moves, and none of them is missing."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from heapq import heappop, heappush
from math import ceil, floor
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_LEAST = 1.5  # seconds without a frame: less is a slow film's pace
_MOST = 60.0  # seconds: no film's picture stands for longer, its times leapt
_AGAIN = 0.5  # seconds


class Stills:
    """Tells a picture that stands from pictures that are lost, by the durations of the packets.

    Where these leave no hole in the times of decoding, each frame lasts until the next. So it is throughout MP4 and
    MOV, which can't say that something was lost; in Matroska if its blocks have durations; never in MPEG-TS.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._tick = float(time_base)
        self._early: list[int] = []  # a heap of times that are not reached
        self._holes: deque[tuple[int, int]] = deque()
        self._end: int | None = None  # of what is decoded
        self._reached: int | None = None

    def know(self, packet: "Packet[VideoStream]") -> None:
        """Packets come in order of decoding, each before its frame is reached."""
        if packet.pts is not None and not packet.is_discard:
            heappush(self._early, packet.pts)
        if packet.dts is not None:
            if self._end is not None and (packet.dts - self._end) * self._tick > _LEAST:
                self._holes.append((self._end, packet.dts))
            self._end = packet.dts + (packet.duration or 0)

    def reach(self, pts: int) -> Literal["still", "hole", ""]:
        """Whether the frame that was reached before stands until this one, or pictures are missing between them."""
        before, self._reached = self._reached, pts
        if before is None:
            before = pts
        others = False
        while self._early and self._early[0] <= pts:
            others |= before < heappop(self._early) < pts
        while self._holes and self._holes[0][1] <= before:
            self._holes.popleft()
        gap = (pts - before) * self._tick
        if gap > _MOST or (self._holes and self._holes[0][0] < pts):
            return "hole"
        return "still" if gap > _LEAST and not others else ""


def again(before: float, after: float) -> Iterator[float]:
    """The seconds between two at which a picture that stands is seen again: each half."""
    return (step * _AGAIN for step in range(floor(before / _AGAIN) + 1, ceil(after / _AGAIN)))
