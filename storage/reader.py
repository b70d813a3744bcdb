"""The frames of a film in order of presentation, whatever state its file is in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from storage.films import FilmProbe, described

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Timed = tuple[float, "VideoFrame"]
"""Seconds after the film's first frame, and the frame."""

_MISSED = 2.0  # seconds by which a whole film may be shorter than its header says
_GAP = 1.5  # seconds, and frames, without a picture before it counts as damage
_GAP_FRAMES = 10


@dataclass
class FilmReader:
    """Iterating yields each frame that decodes; the attributes then tell how it went.

    Attributes:
        probe: of the first frame; None when no frame decodes.
        frames: how many decoded.
        end: seconds at which the last frame ends.
        bad: packets and frames that were damaged and left out.
        gaps: seconds without a frame inside the film.
        stopped: why reading ended before the file did, "" otherwise.
    """

    container: "InputContainer"
    stream: "VideoStream"
    probe: FilmProbe | None = None
    frames: int = 0
    end: float = 0.0
    bad: int = 0
    gaps: float = 0.0
    stopped: str = ""
    _seconds: float = field(default=-1.0, init=False)  # of the last frame

    def __iter__(self) -> Iterator[Timed]:
        import av

        self.stream.codec_context.thread_count = 1  # damaged films decode alike each time; films run side by side
        start: float | None = None
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                self.bad += 1
                continue
            for frame in frames:
                if frame.time is None or frame.is_corrupt:
                    self.bad += 1
                    continue
                start = frame.time if start is None else start
                if frame.time - start > self._seconds:
                    yield self._seen(frame, frame.time - start)

    def damage(self) -> str:
        """What did not decode, in words, "" when all did."""
        told = self.probe.seconds if self.probe else None
        faults = [self.stopped] * bool(self.stopped)
        if self.bad:
            faults.append(f"{self.bad} damaged packet{'s' * (self.bad > 1)}")
        if self.gaps:
            faults.append(f"{self.gaps:.1f} s without a picture")
        if told is not None and self.end < told - max(_MISSED, 0.02 * told):
            faults.append(f"{self.end:.1f} s of the {told:.1f} s that its header declares")
        return ", ".join(faults)

    def _seen(self, frame: "VideoFrame", seconds: float) -> Timed:
        self.probe = self.probe or described(self.container, self.stream, frame)
        if self.frames and (gap := seconds - self._seconds) > max(_GAP, _GAP_FRAMES / self.probe.fps):
            self.gaps += gap
        shown = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 1 / self.probe.fps
        self.frames += 1
        self._seconds = seconds
        self.end = seconds + shown
        return seconds, frame

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        import av

        try:
            yield from self.container.demux(self.stream)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            self.stopped = f"reading stopped early ({error.strerror})"


def nearest(frames: Iterable[Timed], every: float) -> Iterator[tuple[int, float, "VideoFrame"]]:
    """(nominal second, seconds, frame) of the frame nearest to each multiple of `every` seconds.

    A frame is taken once at most, and never for a time that is half a step or more away: gaps have no keyframes.
    """
    step = 0
    before: Timed | None = None
    for now in frames:
        while (target := step * every) <= now[0]:
            pick = before if before and target - before[0] <= now[0] - target else now
            if abs(target - pick[0]) < every / 2:
                yield int(target), *pick
            step += 1
            if before is None or step * every - before[0] >= every / 2:  # skip what no frame is near to
                step = max(step, ceil(now[0] / every - 0.5))
        before = now
