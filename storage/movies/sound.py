"""Sound carried over from a film: some spans of it, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.decoding.container import opened
from storage.decoding.reader import FilmReader
from storage.errors import FilmError

if TYPE_CHECKING:
    from ffmpeg.nodes import Stream

Span = tuple[float, float]
_RATE = 48_000


@dataclass(frozen=True)
class AudioTrack:
    """What to carry over: (start, end) in seconds after the film's first frame."""

    source: Path
    spans: Sequence[Span]


def sound(track: AudioTrack, seconds: float) -> "Stream":
    """The track as a stream of ffmpeg-python, cut or filled up with silence to `seconds`.

    Raises:
        FilmError: as storage.decoding.container.opened does, and no_sound for a film without a sound track.
        ValueError: for a span that ends before it starts, or no spans.
    """
    import ffmpeg

    with opened(track.source) as (container, stream):
        if not container.streams.audio:
            raise FilmError("no_sound", f"{str(track.source)!r} has no sound track")
        reader = FilmReader(container, stream)
        if not next(iter(reader), None):
            raise FilmError(
                "decode_failed", f"not one frame of {str(track.source)!r} decodes: its sound has no beginning"
            )
        first, begin = reader.start, (container.start_time or 0) / 1_000_000  # sound may begin first, or later
    name = f"file:{track.source.absolute()}"
    parts = []
    for start, end in merged(track.spans):
        place, length = f"{start + first - begin:.6f}", f"{end - start:.6f}"
        source = ffmpeg.input(name, ss=place, t=length, copyts=None, protocol_whitelist="file")
        heard = source.audio.filter("asetpts", f"PTS-{start + first:.6f}/TB")
        parts.append(_of_length(heard.filter("aresample", _RATE, **{"async": 1, "first_pts": 0}), end - start))
    return _of_length(ffmpeg.concat(*parts, v=0, a=1) if len(parts) > 1 else parts[0], seconds)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans; adjacent ones are merged.

    Raises:
        ValueError: as `sound` does.
    """
    result: list[Span] = []
    for start, end in spans:
        if not 0 <= start < end:
            raise ValueError(f"sound from {start} to {end} s: a span starts at 0 or later and ends after it starts")
        if result and abs(result[-1][1] - start) < 1e-6:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    if not result:
        raise ValueError("sound without spans: pass no AudioTrack for a silent movie")
    return result


def _of_length(stream: "Stream", seconds: float) -> "Stream":
    length = f"{seconds:.6f}"
    return stream.filter("apad", whole_dur=length).filter("atrim", end=length).filter("asetpts", "PTS-STARTPTS")
