"""Which frames of a film become keyframes: by the times of its frames, or of its packets before one is decoded."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from math import ceil, inf
from typing import TYPE_CHECKING, Generic, TypeVar

from storage.decoding.stills import LEAST, Stills, again
from storage.errors import MovieDreamerError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

T = TypeVar("T")

_ROUNDING = 1e-6  # seconds: 17.4 - 3.4 is less than 14, and no frame may follow
_MOST_WAITING = 20_000  # packets that are held back until their fate is known


class PlanError(MovieDreamerError):
    """The packets of a film don't tell the times of its frames: all of it must be decoded."""


class Nearest(Generic[T]):
    """Takes the frame nearest to each multiple of `every` seconds, the earlier one of two as near.

    A frame is taken once at most, and never for a time that is half a step or more away: gaps have no keyframes.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._step = 0
        self._before: tuple[float, T] | None = None

    def see(self, seconds: float, item: T) -> list[tuple[int, float, T]]:
        """(nominal second, seconds, item) of what is taken now that the next one is seen; in order of presentation."""
        taken: list[tuple[int, float, T]] = []
        before, self._before = self._before, (seconds, item)
        while (target := self._step * self._every) <= seconds + _ROUNDING:
            pick = before if before and target - before[0] <= seconds - target else (seconds, item)
            if abs(target - pick[0]) < self._every / 2:
                taken.append((int(target), *pick))
            self._step += 1
            if before is None or self._step * self._every - before[0] >= self._every / 2:  # leap over gaps
                self._step = max(self._step, ceil(seconds / self._every - 0.5))
        return taken


def nearest(frames: Iterable[tuple[float, T]], every: float) -> Iterator[tuple[int, float, T]]:
    """As `Nearest`, of (seconds, frame)."""
    taken: Nearest[T] = Nearest(every)
    for seconds, frame in frames:
        yield from taken.see(seconds, frame)


def planned(
    packets: Iterable["Packet[VideoStream]"], stills: Stills, every: float
) -> Iterator[tuple["Packet[VideoStream]", bool]]:
    """Each packet in order of decoding, and whether its frame will be a keyframe, or is the film's last.

    Packets wait until half a step more of the film is known, which a film's decoding times bound. `stills` knows each.

    Raises:
        PlanError: for packets without times, with times out of order, or of damaged files.
    """
    fates = _Fates(every, stills)
    waiting: deque[Packet[VideoStream]] = deque()
    for packet in packets:
        if not packet.size:  # the demuxer's last, which empties the decoder
            break
        fates.know(packet)
        waiting.append(packet)
        if len(waiting) > _MOST_WAITING:
            raise PlanError
        while waiting and fates.settled(waiting[0]):
            yield (first := waiting.popleft()), fates.pop(first)
    else:
        raise PlanError
    fates.end()
    for held in waiting:
        yield held, fates.pop(held)
    yield packet, False


class _Fates:
    """What is known of the packets' frames; times are in the stream's ticks, but for what `Nearest` sees."""

    def __init__(self, every: float, stills: Stills) -> None:
        self._stills = stills
        self._ticks, self._unit = stills.time_base.denominator, stills.time_base.numerator  # a second: ticks / unit
        self._half = every / 2 * self._ticks / self._unit
        self._nearest: Nearest[int] = Nearest(every)
        self._early: list[int] = []  # a heap of times that an earlier one may still join
        self._picked: set[int] = set()
        self._start = 0.0
        self._last: tuple[float, int] | None = None  # seconds and time of the last that is seen
        self._settled = -inf  # the time up to which nothing more is picked

    def know(self, packet: "Packet[VideoStream]") -> None:
        pts, dts, early = packet.pts, packet.dts, self._early
        if pts is None or packet.is_corrupt:
            raise PlanError
        if not packet.is_discard:  # an edit list hides it
            heapq.heappush(early, pts)
        while dts is not None and early and early[0] <= dts:
            self._see(heapq.heappop(early))

    def settled(self, packet: "Packet[VideoStream]") -> bool:
        assert packet.pts is not None  # it is known
        return packet.pts <= self._settled

    def pop(self, packet: "Packet[VideoStream]") -> bool:
        if wanted := packet.pts in self._picked and not packet.is_discard:
            self._picked.remove(packet.pts)
        return wanted

    def end(self) -> None:
        """No packet follows; the film's last frame is decoded too, for it tells how long the film is."""
        while self._early:
            self._see(heapq.heappop(self._early))
        if self._last:
            self._picked.add(self._last[1])

    def _see(self, pts: int) -> None:
        before = self._last
        if before is None:
            self._start = self._seconds(pts)
        elif pts <= before[1]:
            raise PlanError
        seconds = self._seconds(pts) - self._start
        self._last, self._settled = (seconds, pts), pts - self._half
        if before and seconds - before[0] > LEAST and self._stills.between(before[1], pts) == "held":
            self._picked.update((before[1], pts))  # the reader sees that nothing lies between them
            for time in again(before[0], seconds):
                self._pick(time, before[1])
        self._pick(seconds, pts)

    def _pick(self, seconds: float, pts: int) -> None:
        for _, _, pick in self._nearest.see(seconds, pts):
            self._picked.add(pick)

    def _seconds(self, pts: int) -> float:
        return pts * self._unit / self._ticks
