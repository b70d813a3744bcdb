"""The frames of a film in order of presentation, whatever state its file is in."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any

from storage.decoding.container import LONGEST, frame_rate, joined_on, path_of, seconds_of
from storage.decoding.encryption import is_encrypted
from storage.decoding.plan import PlanError, planned
from storage.decoding.presentation import BACK, Presentation
from storage.decoding.stills import LEAST, MOST, Stills, again
from storage.decoding.views import Views
from storage.errors import FilmError
from storage.films.films import FilmProbe, described

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Timed = tuple[float, "VideoFrame"]
"""Seconds after the film's first frame, and the frame."""

_HEADS = re.compile(  # of MPEG-1, 2 and 4: they tell the pictures' size
    rb"\x00\x00\x01(?:\xb3.{4}|[\x20-\x2f].+?(?=\x00\x00\x01))", re.DOTALL
)
_SKIPPABLE = frozenset({"h264", "mpeg1video", "mpeg2video"})  # where frames marked as no reference are none
_FORGETFUL, _HEAD = frozenset({"mpeg1video", "mpeg2video", "mpeg4"}), 256  # codecs; bytes of a packet
_MISSED = 2.0  # seconds by which a whole film may be shorter than its header says
_GAP_FRAMES = 10  # without a picture, and LEAST seconds, before it counts as damage


@dataclass
class FilmReader:
    """Iterating yields the frames of a film; the attributes then tell how it went.

    With a step, only the frames that other frames or keyframes need are decoded, in codecs that tell them: one that no
    other refers to is skipped unless it is the nearest to a multiple of `step` seconds, or the last. Without, each that
    decodes; where times start again, as in joined files, the film goes on behind what was read. A frame that is held
    for long (storage.decoding.stills) comes again every half second until the next, and once just before it, or until
    the end, for up to a minute.

    What it tells after reading doesn't need the container any more: a closed one's memory is freed, and a stream of it
    answers with whatever lies there now.

    Attributes:
        probe: of the first frame; None when no frame decodes.
        frames: how many decoded.
        bad: packets and frames that were damaged and left out.
        gaps: seconds without a frame inside the film, but for held frames, and what the last one is held for
            beyond a minute.
        stopped: why reading ended before the file did, "" otherwise.
        joined: another film in the file that was left out, in words, "" if there is none.
        start: seconds of the first frame, as the file counts them.

    Raises:
        FilmError: encrypted; decode_failed for colours that cannot be converted.
        PlanError: with a step, when the film can't be read in this way: read all of it.
    """

    container: "InputContainer"
    stream: "VideoStream"
    step: float | None = None
    probe: FilmProbe | None = None
    frames: int = 0
    bad: int = 0
    gaps: float = 0.0
    stopped: str = ""
    joined: str = ""
    start: float = 0.0
    _seconds: float = field(default=-1.0, init=False)  # of the last frame
    _ticks: int = field(default=0, init=False)  # that it is shown
    _tick: float = field(default=1.0, init=False)  # seconds
    _repeated: int | None = field(default=None, init=False)  # ticks at which the last repeat of a frame ends
    _due: list[int] = field(default_factory=list, init=False)  # a heap: times of frames that must come
    _late: float | None = field(default=None, init=False)  # seconds by which it comes later than the header says
    _places: deque[int] = field(default_factory=lambda: deque([0], 2), init=False)  # of the last two packets
    _others: "dict[int, Packet[Any]]" = field(default_factory=dict, init=False)  # the last one of each other stream
    _spans: dict[int, list[int]] = field(default_factory=dict, init=False)  # first and last place of each picture
    _last: "VideoFrame | None" = field(default=None, init=False)
    _head: bytes = field(default=b"", init=False)  # of the pictures that are decoded

    def __post_init__(self) -> None:
        context = self.stream.codec_context
        if context.name not in _SKIPPABLE or not context.has_b_frames:  # hardly anything to skip
            self.step = None
        counted = self.container.format.name == "avi" or context.name == "theora"
        self._path = path_of(self.container)
        self._stills = Stills(self.stream.time_base or Fraction(1), counted)
        self._presentation = Presentation(self.stream, frame_rate(self.container, self.stream))
        self._views = Views(self.stream, str(self._path))

    def __iter__(self) -> Iterator[Timed]:
        self.stream.codec_context.thread_count = 1  # damaged films decode alike each time; films run side by side
        self._tick = float(self.stream.time_base or 1)
        strayed: VideoFrame | None = None  # the last frame stood far back: one alone is damage, two are a new beginning
        for frame in self._presentation.in_order(self._decoded()) if self.step is None else self._needed(self.step):
            if frame.is_corrupt or (time := frame.time) is None:
                self._fail()
                continue
            if not self.frames:
                self.start = time
            if time - self.start > LONGEST:
                self._fail()
                continue
            if self._joins(frame, time - self.start):
                self.start, self._repeated = time - self.end, None
            back = time - self.start < self._seconds - BACK
            if back and strayed and strayed.time is not None:
                begins = self.end
                self.start, self._repeated = strayed.time - begins, None
                self._see(strayed, begins)
                yield begins, strayed
            strayed = frame if back else None
            if (seconds := time - self.start) > self._seconds:
                if seconds - self._seconds > LEAST:
                    yield from self._held(frame, seconds)
                self._see(frame, seconds)
                yield seconds, frame
            elif self.step is not None:
                raise PlanError
        if self._due:
            raise PlanError
        self.joined = joined_on(self._path, min(self._places)) or self._apart()
        if self._last is not None and (lasts := self.end - self._seconds) > LEAST:
            yield from ((time, self._last) for time in again(self._seconds, self._seconds + min(lasts, MOST)))
            self.gaps += max(0.0, lasts - MOST)

    def damage(self) -> str:
        """What did not decode, in words, "" when all did."""
        told = self.probe.seconds - (self._late or 0.0) if self.probe and self.probe.seconds else None
        faults = [fault for fault in (self.stopped, self.joined) if fault]
        if self.bad:
            faults.append(f"{self.bad} damaged packet{'s' * (self.bad > 1)}")
        if self.gaps:
            faults.append(f"{self.gaps:.1f} s without a picture")
        if told is not None and self.last_end < told - max(_MISSED, 0.02 * told):
            faults.append(f"{self.end:.1f} s of the {told:.1f} s that its header declares")
        return ", ".join(faults)

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends."""
        if self.probe is None:
            return 0.0
        repeated = -inf if self._repeated is None else self._repeated * self._tick - self.start
        return max(self._seconds + (self._ticks * self._tick or 1 / self.probe.fps), repeated)

    @property
    def last_end(self) -> float:
        """Seconds at which the last stream ends: sound behind the picture shows that the file is whole."""
        others = [seconds_of(packet.pts, packet) for packet in self._others.values()]
        return max([self.end, *(end - self.start for end in others)])

    def _joins(self, frame: "VideoFrame", seconds: float) -> bool:
        """Whether a frame of another size comes no later than the last one: a film was joined on a little too early."""
        last = self._last
        resized = last is not None and (frame.width, frame.height) != (last.width, last.height)
        return resized and self._seconds - BACK <= seconds <= self._seconds

    def _held(self, frame: "VideoFrame", seconds: float) -> Iterator[Timed]:
        """The last frame again while it is held, until this one; what is missing between them is counted."""
        if self._last is None or self.probe is None:
            return
        gap, before, after = seconds - self._seconds, self._last.pts, frame.pts
        between = "" if before is None or after is None else self._stills.between(before, after)
        if between == "held":
            times = [*again(self._seconds, seconds)]
            just_before = seconds - 1 / self.probe.fps  # what changes then changes from one frame to the next
            yield from ((time, self._last) for time in [*times, *[just_before] * (just_before > times[-1])])
        elif gap > _GAP_FRAMES / self.probe.fps:
            self.gaps += gap if between or self.step is None else 0  # what the plan skips is there

    def _see(self, frame: "VideoFrame", seconds: float) -> None:
        self.probe = self.probe or described(self.container, self.stream, frame)
        self.frames += 1
        self._seconds, self._ticks, self._last = seconds, frame.duration, frame

    def _apart(self) -> str:
        """What is said of a film that is joined on with a stream of its own, in MPEG-TS and PS; "" if there is none."""
        begin, end = self._spans.get(self.stream.index, (0, inf))
        apart = any(first < last < begin or end < first < last for first, last in self._spans.values())
        if apart and self.container.format.name in ("mpegts", "mpeg"):
            return "another film is joined on as a stream of its own and left out: split the file there"
        return ""

    def _decoded(self) -> Iterator["VideoFrame"]:
        for packet in self._packets():
            yield from self._frames_of(packet)

    def _needed(self, step: float) -> Iterator["VideoFrame"]:
        context = self.stream.codec_context
        skipping = False
        for packet, wanted in planned(self._packets(), self._stills, step):
            wanted = wanted or not (self._presentation.told or packet.is_discard)
            if wanted and packet.pts is not None:
                heappush(self._due, packet.pts)
            if skipping == wanted:
                skipping = not wanted
                context.skip_frame = "NONREF" if skipping else "DEFAULT"
            if self._presentation.early:
                raise PlanError
            for frame in self._frames_of(packet):
                self._arrived(frame)
                yield frame

    def _arrived(self, frame: "VideoFrame") -> None:
        if frame.pts is None or (self._due and self._due[0] < frame.pts):
            raise PlanError
        if self._due and self._due[0] == frame.pts:
            heappop(self._due)

    def _frames_of(self, packet: "Packet[VideoStream]") -> list["VideoFrame"]:
        import av

        context = self.stream.codec_context
        try:
            frames = self._held_back(packet)
            frames += context.decode(self._presentation.unhidden(packet))
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            self._fail()
            return []
        self._views.know(packet)
        for frame in frames:
            self._views.note(frame)
        return frames

    def _held_back(self, packet: "Packet[VideoStream]") -> list["VideoFrame"]:
        """The frame that the decoder of MPEG-1, 2 and 4 would forget, for the next ones have another size."""
        context = self.stream.codec_context
        if context.name not in _FORGETFUL or not packet.is_keyframe:
            return []
        found = _HEADS.search(bytes(packet)[:_HEAD])
        before, self._head = self._head, found[0] if found else self._head
        if before in (b"", self._head):
            return []
        frames = context.decode(None)
        context.flush_buffers()
        for frame in frames:
            frame.time_base = packet.time_base
        return frames

    def _fail(self) -> None:
        if self.step is not None:
            raise PlanError
        self.bad += 1

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        import av

        try:
            every: Iterator[Packet[Any]] = self.container.demux()
            for packet in every:
                if packet.pos is not None:
                    self._places.append(packet.pos)
                    if packet.stream.type == "video":
                        self._spans.setdefault(packet.stream_index, [packet.pos, packet.pos])[1] = packet.pos
                if packet.stream is not self.stream:  # the last packet of each has the index 0
                    if packet.pts is not None:
                        self._others[packet.stream_index] = packet
                    continue
                if is_encrypted(packet):
                    raise FilmError("encrypted", f"{str(self._path)!r} is encrypted (CENC)")
                if self._late is None and packet.pts is not None:
                    told = seconds_of(self.stream.start_time, self.stream)
                    self._late = max(0.0, packet.pts * self._tick - told)
                self._stills.know(packet)
                if packet.pts is not None and not packet.size:  # the frame before it, again
                    self._repeated = packet.pts + (packet.duration or 0)
                    continue
                self._presentation.know(packet)
                yield packet
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            self.stopped = f"reading stopped early ({error.strerror})"
            if self.step is not None:
                raise PlanError from error
