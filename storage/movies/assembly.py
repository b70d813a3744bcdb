"""Joins clips to a movie without encoding them again, with sound, subtitles, chapters and a poster.

Packets are copied from file to file in the order of their time, so a movie of two hours takes no more memory than one
of a minute. Beside the movie stand its poster (.jpg) and its origin (.about.json), whose names follow from the movie's.
"""

import hashlib
import heapq
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.atomic import workplace
from storage.errors import StorageError
from storage.guard import guarded
from storage.movies.about import About, comment, manifest
from storage.movies.encoder import encode, ffmpeg_program
from storage.movies.movie import WrittenMovie
from storage.movies.subtitles import Subtitles, Timed, iso639, srt
from storage.printable import LINE, NAME, printable

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_POSTER_QUALITY = 90
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov"}
_UNSEEN = {"skip_frame": "all"}

_Packets = Iterator["tuple[float, int, Packet[Any]]"]  # time in seconds, the stream's place, the packet


@dataclass(frozen=True)
class Chapter:
    """Where a chapter starts, in seconds of the movie; it ends where the next one starts."""

    start: float
    title: str


def poster_path(movie: Path) -> Path:
    """The path of a movie's poster."""
    return movie.with_suffix(".jpg")


def about_path(movie: Path) -> Path:
    """The path of a movie's provenance."""
    return movie.with_suffix(".about.json")


def assemble(
    path: Path,
    clips: Sequence[Path],
    about: About,
    sound: Path | None = None,
    subtitles: Sequence[Subtitles] = (),
    chapters: Sequence[Chapter] = (),
) -> WrittenMovie:
    """Writes the movie `path` (MP4) with its poster and its provenance; the movie is written last, whole or not at all.

    Args:
        clips: as storage.movies.clips.write_clip writes them: of one codec, size and frame rate.
        sound: as storage.movies.mix.mix writes it, as long as the clips together.
        subtitles: tracks that viewers may choose; one without lines is left out.
        chapters: in the order of time; those that start behind the end are left out.

    Raises:
        ValueError: for no clips, clips or a sound that do not fit, or a subtitle that ends before it starts.
        StorageError: for a file that cannot be read or written.
        ConfigError: when there is no ffmpeg that can write it.
    """
    if not clips:
        raise ValueError("a movie without clips")
    joined = _measured(clips)
    with guarded("write", str(path)), workplace(path) as folder:
        movie = folder / "movie.mp4"
        made = [(track, _worded(folder, number, track.lines)) for number, track in enumerate(subtitles)]
        words = [(track, file) for track, file in made if file]
        poster = _poster(clips[len(clips) // 3])
        _write(movie, joined, sound, words, _spans(chapters, joined.seconds), about, poster)
        poster_path(path).write_bytes(poster)
        with movie.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        about_path(path).write_text(manifest(about, digest), encoding="utf-8")
        movie.replace(path)
    return WrittenMovie(joined.seconds, joined.frames, "")


def _write(
    movie: Path,
    joined: "_Clips",
    sound: Path | None,
    words: Sequence[tuple[Subtitles, Path]],
    chapters: list[Any],
    about: About,
    poster: bytes,
) -> None:
    """All tracks, their packets in the order of time."""
    import av

    language = iso639(about.language)
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(movie), "w", format="mp4", options={"movflags": "+faststart"}))
        out.metadata.update(_tags(about))
        out.set_chapters(chapters)
        first = stack.enter_context(_opened(joined.paths[0], whole=True)).streams.video[0]
        shown = out.add_stream_from_template(first, opaque=True)  # which looks for no encoder of that name
        shown.time_base = joined.kind.time_base
        parts = [_pictures(joined, shown)]
        if sound:
            source = stack.enter_context(_opened(sound))
            heard = source.streams.audio[0]
            lasts = float((heard.duration or 0) * (heard.time_base or 0))
            if abs(lasts - joined.seconds) > 1 / joined.kind.fps + 1024 / heard.rate:  # a frame of either
                raise ValueError(f"{str(sound)!r} lasts {lasts:.3f} s, the clips together {joined.seconds:.3f} s")
            parts.append(_copied(source, heard, out, language))
        for track, file in words:
            source = stack.enter_context(_opened(file))
            parts.append(
                _copied(source, source.streams.subtitles[0], out, iso639(track.language), printable(track.name))
            )
        parts.append(_cover(poster, out))
        for _, _, packet in heapq.merge(*parts):
            out.mux(packet)


@dataclass(frozen=True)
class _Kind:
    """What all clips of a movie have in common."""

    codec: str
    width: int
    height: int
    fps: int
    time_base: Fraction
    settings: bytes


@dataclass(frozen=True)
class _Clips:
    """All clips, the frames of each, and the most ticks by which one is decoded before it is shown."""

    paths: Sequence[Path]
    lengths: Sequence[int]
    delay: int
    kind: _Kind

    @property
    def frames(self) -> int:
        return sum(self.lengths)

    @property
    def seconds(self) -> float:
        return self.frames / self.kind.fps


@contextmanager
def _opened(path: Path, whole: bool = False) -> "Iterator[InputContainer]":
    """A file of ours. Unless it is to be read whole, no picture is decoded, which opens it thirty times as fast."""
    import av

    try:
        container = av.open(f"file:{path}", options=_OPTIONS, stream_options=None if whole else [_UNSEEN])
    except (av.error.FFmpegError, OSError) as error:
        raise StorageError(
            f"{str(path)!r} cannot be read ({type(error).__name__}): delete it and run again, which makes it anew"
        ) from error
    with container:
        yield container


def _measured(paths: Sequence[Path]) -> _Clips:
    kinds, lengths, delays = [], [], []
    for path in paths:
        with _opened(path) as container:
            stream = container.streams.video[0]
            kinds.append(_kind(stream))
            lengths.append(stream.frames)
            delays.append(-(next(container.demux(stream)).dts or 0))
        if kinds[-1] != kinds[0]:
            raise ValueError(
                f"{str(path)!r} is {_told(kinds[-1])}, {str(paths[0])!r} {_told(kinds[0])}: "
                "clips join when they were encoded in the same way"
            )
    return _Clips(paths, lengths, max(delays), kinds[0])


def _kind(stream: "VideoStream") -> _Kind:
    codec = stream.codec_context
    rate, base = stream.average_rate, stream.time_base
    assert rate is not None
    assert base is not None
    return _Kind(codec.name, codec.width, codec.height, round(rate), base, codec.extradata or b"")


def _told(kind: _Kind) -> str:
    return f"{kind.codec} of {kind.width}x{kind.height} pixels at {kind.fps} frames a second"


def _pictures(joined: _Clips, target: "VideoStream") -> _Packets:
    """The clips' packets, one clip behind the other: times are counted in frames, so that no error adds up."""
    base = joined.kind.time_base
    ticks = Fraction(1, joined.kind.fps) / base
    assert ticks.denominator == 1
    begin, decoded = 0, -joined.delay
    for path, length in zip(joined.paths, joined.lengths, strict=True):
        with _opened(path) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.dts is None or packet.pts is None:  # the end
                    continue
                packet.pts += begin
                packet.dts, decoded = decoded, decoded + ticks.numerator
                yield float(packet.dts * base), target.index, _of(target, packet)
        begin += length * ticks.numerator


def _copied(
    source: "InputContainer", stream: "Stream", out: "OutputContainer", language: str, name: str = ""
) -> _Packets:
    """A track as it is; the track of `out` is there at once, its packets come as they are asked for."""
    target = out.add_stream_from_template(stream, opaque=True)
    target.time_base = stream.time_base
    target.metadata.update({"language": language} | ({"title": name, "handler_name": name} if name else {}))
    base, timed = float(stream.time_base or 0), ((packet.dts, packet) for packet in source.demux(stream))
    return ((dts * base, target.index, _of(target, packet)) for dts, packet in timed if dts is not None)


def _of(target: "Stream", packet: "Packet[Any]") -> "Packet[Any]":
    packet.stream = target
    return packet


def _cover(jpeg: bytes, out: "OutputContainer") -> _Packets:
    """The poster as the picture that players and shelves show for the file."""
    import av
    from av.stream import Disposition

    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as read:
        target = out.add_stream_from_template(read.streams.video[0], opaque=True)
        target.disposition = Disposition.attached_pic
        (packet,) = [packet for packet in read.demux() if packet.size]
    return iter([(0.0, target.index, _of(target, packet))])


def _poster(clip: Path) -> bytes:
    """The first frame of a clip as JPEG."""
    from PIL import Image

    with _opened(clip, whole=True) as container:
        picture_HWC = next(container.decode(video=0)).to_ndarray(format="rgb24")
    file = io.BytesIO()
    Image.fromarray(picture_HWC).save(file, "JPEG", quality=_POSTER_QUALITY)
    return file.getvalue()


def _worded(folder: Path, number: int, lines: Sequence[Timed]) -> Path | None:
    """The lines as an MP4's timed text; None without lines."""
    import ffmpeg

    text = srt(lines)
    if not text:
        return None
    written, timed = folder / f"words-{number}.srt", folder / f"words-{number}.mp4"
    written.write_text(text, encoding="utf-8")
    encode(ffmpeg.input(f"file:{written}").output(f"file:{timed}", **{"c:s": "mov_text"}), str(timed))
    return timed


def _tags(about: About) -> dict[str, str]:
    said = f"{comment(about)}; ffmpeg {ffmpeg_program().version}"
    return {"title": printable(about.title, NAME), "comment": printable(said, LINE)}


def _spans(chapters: Sequence[Chapter], seconds: float) -> list[Any]:
    """Chapters as libav takes them, in milliseconds."""
    inside = [one for one in chapters if one.start < seconds]
    ends = [*(one.start for one in inside[1:]), seconds][: len(inside)]
    return [
        {
            "id": number,
            "start": round(one.start * 1000),
            "end": round(end * 1000),
            "time_base": Fraction(1, 1000),
            "metadata": {"title": printable(one.title, NAME)},
        }
        for number, (one, end) in enumerate(zip(inside, ends, strict=True))
    ]
