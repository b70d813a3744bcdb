"""Held frames: a film of variable frame rate has no new frame while nothing moves, and none is missing."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

LEAST = 1.5  # seconds without a frame: less is a slow film's pace
MOST = 60.0  # seconds: no frame is held for longer, times leapt; of a last one so much is believed
_AGAIN = 0.5  # seconds
_REMEMBERED = 20_000  # packets


class Stills:
    """Tells a held frame from frames that are lost, by the durations of the packets.

    Where these leave no hole in the times of decoding, each frame lasts until the next. So it is throughout MP4 and
    MOV, which can't say that something was lost; in Matroska if its blocks have durations; never in MPEG-TS.

    Args:
        counted: whether frames that repeat others are left out: AVI counts them, and Theora has empty packets for them,
            which Matroska drops. None is lost between two.
    """

    def __init__(self, time_base: Fraction, counted: bool = False) -> None:
        self.time_base = time_base
        self._counted = counted
        self._least, self._most = floor(LEAST / time_base), floor(MOST / time_base)
        self._times: deque[int] = deque(maxlen=_REMEMBERED)
        self._holes: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._end: int | None = None  # of what is decoded

    def know(self, packet: "Packet[VideoStream]") -> None:
        """Packets come in order of decoding."""
        if packet.pts is not None and packet.size and not packet.is_discard:
            self._times.append(packet.pts)
        if (dts := packet.dts) is not None:
            if self._end is not None and dts - self._end > self._least and not self._counted:
                self._holes.append((self._end, dts))
            self._end = dts + (packet.duration or 0)

    def between(self, before: int, after: int) -> Literal["held", "hole", ""]:
        """Whether the frame at one time is held until another, which is known, or frames are missing between them."""
        if after - before > self._most or any(start < after and end > before for start, end in self._holes):
            return "hole"
        others = any(before < time < after for time in self._times)
        return "held" if after - before > self._least and not others else ""


def again(before: float, after: float) -> Iterator[float]:
    """The seconds between two at which a held frame is seen again: each half."""
    return (step * _AGAIN for step in range(floor(before / _AGAIN) + 1, ceil(after / _AGAIN)))
