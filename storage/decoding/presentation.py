"""Presentation times for frames whose container has none."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from math import ceil, inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

BACK = 1.5  # seconds that times step back where another film was joined on; less is a frame out of order
_DELAYED = frozenset({"mpeg1video", "mpeg2video"})
_DEEPEST = 17  # frames: a decoder holds at most 16 back


class Presentation:
    """Gives frames their times of presentation.

    Decoders hand frames out in order of presentation. In some containers (H.264 in AVI) frames have the times of their
    decoding: sorted, these are those of presentation, as many frames early as the decoder holds back; this shows which
    frames are held. Where there is no time (bare streams, parts of MPEG program streams), a frame follows on the one
    before.

    Attributes:
        told: whether packets came in another order than that of their times, which then are those of presentation.
        early: ticks by which the first frame's time is too early: in MPEG-1 and 2 a frame is decoded one before it is
            shown, which libav forgets for the first one in ASF and AVI.
    """

    def __init__(self, stream: "VideoStream", rate: Fraction) -> None:
        tick = stream.time_base or Fraction(1)
        self.told = False
        self.early = 0
        self._stream = stream
        self._length = round(1 / rate / tick)  # ticks of a frame
        self._back = max(ceil(BACK / tick), _DEEPEST * self._length)
        self._newest: int | None = None
        self._recent: deque[int] = deque(maxlen=_DEEPEST)  # times of packets
        self._lead = 0  # packets by which their times are ahead of those of decoding
        self._undelayed: int | None = None  # time of the first packet, if the second comes and it is shown when decoded

    def know(self, packet: "Packet[VideoStream]") -> None:
        """Packets come in order of decoding."""
        if packet.pts is not None:
            self.told |= self._newest is not None and -self._back < packet.pts - self._newest < 0
            self._newest = packet.pts
            if packet.dts is not None:
                self._lead = sum(pts >= packet.dts for pts in self._recent)
                if self._undelayed is not None and packet.pts > packet.dts:
                    self.early = packet.dts - self._undelayed
            first = not self._recent and packet.pts == packet.dts
            self._undelayed = packet.dts if first and self._stream.codec_context.name in _DELAYED else None
            self._recent.append(packet.pts)

    def unhidden(self, packet: "Packet[VideoStream]") -> "Packet[Any]":
        """The packet for the decoder, which leaves out what an edit list hides.

        The edit list of an MP4 that was copied from a bare stream is meant for times of presentation; by those of
        decoding, the only ones there, it hides the first frames, at most as many as the decoder holds back.
        """
        hidden = packet.is_discard and packet.pts == packet.dts and not self.told
        depth = self._stream.codec_context.reorder_depth if hidden else 0
        if packet.pts is None or not -depth * self._length <= packet.pts < 0:
            return packet
        plain = type(packet)(bytes(packet))
        plain.pts, plain.dts, plain.time_base = packet.pts, packet.dts, packet.time_base
        return plain

    def in_order(self, frames: Iterable["VideoFrame"]) -> Iterator["VideoFrame"]:
        """The frames of a decoder, each with a time."""
        waiting = _Waiting(self._length)
        following, newest = 0, -inf
        moved: int | None = None  # ticks, for the first frames to have room that have no times, as Matroska's before 0
        for frame in self._with_first(frames):
            may_be_of_decoding = frame.pts is not None and self._stream.codec_context.has_b_frames and not self.told
            if frame.pts is None:
                frame.pts = following
            else:
                moved = moved if moved is not None else following - frame.pts if newest > -inf else 0
                frame.pts += moved
            joined = frame.pts < min(newest - self._back, waiting.end)
            while waiting and (not may_be_of_decoding or joined or len(waiting) >= _DEEPEST + self._early):
                yield waiting.first(self._early)
            waiting.sorting |= may_be_of_decoding and frame.pts < newest
            newest, following = frame.pts, frame.pts + (frame.duration or self._length)
            if may_be_of_decoding:
                waiting.add(frame)
            else:
                yield frame
        while waiting:
            yield waiting.first(self._early, ending=True)

    def _with_first(self, frames: Iterable["VideoFrame"]) -> Iterator["VideoFrame"]:
        """Frames, the first at its time, for which the second leaves room if it is early."""
        coming = iter(frames)
        one, two = next(coming, None), next(coming, None)
        if one and two and one.pts is not None and two.pts is not None and two.pts - one.pts > 1.5 * self._length:
            one.pts += self.early
        yield from (frame for frame in (one, two) if frame)
        yield from coming

    @property
    def _early(self) -> int:
        """By how many frames times come early that are of decoding."""
        return max(0, self._stream.codec_context.reorder_depth - self._lead)


class _Waiting:
    """Frames in order of presentation, and their times.

    Attributes:
        sorting: whether the times are those of decoding.
        end: of the frame that was handed out last; infinite before the first.
    """

    def __init__(self, length: int) -> None:
        self.sorting = False
        self._length = self._step = length  # ticks of a frame, and from one to the next
        self._before: int | None = None  # time of the one that was handed out last
        self._frames: deque[VideoFrame] = deque()
        self._times: list[int] = []  # a heap
        self.end: float = inf

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: "VideoFrame") -> None:
        assert frame.pts is not None
        self._frames.append(frame)
        heappush(self._times, frame.pts)

    def first(self, early: int, ending: bool = False) -> "VideoFrame":
        """The first frame, with its time.

        Args:
            early: by how many frames times of decoding come early.
            ending: whether no more frames come; libav guesses the time of the last packet.
        """
        if self.sorting and self.end == inf:
            for _ in range(min(early, len(self._times) - 1)):
                heappop(self._times)
        told = heappop(self._times) if self._times else None
        if told is None or (ending and self.sorting and not self._times and told < self.end < inf):
            told = int(self.end)
        elif self._before is not None and told > self._before:
            self._step = min(self._length, told - self._before)  # an average may count held frames
        frame = self._frames.popleft()
        frame.pts, self._before, self.end = told, told, told + self._step
        return frame
