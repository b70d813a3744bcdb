"""Writes a movie: H.264 in yuv420p and BT.709, faststart, with sound carried from a film and soft subtitles."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.encoder import encode
from storage.errors import FilmError, StorageError
from storage.guard import guarded
from storage.sound import AudioTrack, merged, sound

_NO_SPACE = "\u200b"  # of no width
_MARKUP = re.compile(r"--(?=>)|[<{\\](?=\S)")  # "-->", "<b>", "{\an8}" and "\n" mean something to players
_CRF = 18  # no loss to be seen
_SOUND = {"c:a": "aac", "b:a": "160k", "ac": 2}
_COLOURS = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}


@dataclass(frozen=True)
class WrittenMovie:
    """Length in seconds, number of frames, and why it has no sound ("" when it has, or was to have none)."""

    seconds: float
    frames: int
    silent: str


def write_movie(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: int = 24,
    audio: AudioTrack | None = None,
    subtitles: Sequence[tuple[float, float, str]] = (),
    comment: str = "",
) -> WrittenMovie:
    """Writes `path`, whole or not at all. A film whose sound cannot be read makes a silent movie that says why.

    Args:
        frames: uint8 RGB [height, width, 3], `fps` a second.
        size: (width, height) of all frames, even numbers.
        audio: cut, or filled up with silence, to the length of the frames.
        subtitles: (start, end, text), in seconds of the movie.
        comment: kept in the file's tags.

    Raises:
        ValueError: for frames, spans or subtitles that do not fit.
        StorageError: when the file cannot be written.
        ConfigError: when there is no ffmpeg.
    """
    import ffmpeg

    text = srt(subtitles)
    audio = audio and AudioTrack(audio.source, merged(audio.spans))
    with guarded("write", str(path)), _workplace(path) as folder:
        pictures, plots, movie = folder / "pictures.mp4", folder / "plots.srt", folder / "movie.mp4"
        count = _write_pictures(pictures, frames, size, fps)
        shown = [ffmpeg.input(str(pictures)).video]
        options = {"c:v": "copy", "movflags": "+faststart"}
        if comment:
            options["metadata"] = f"comment={comment}"
        words = []
        if text:
            plots.write_text(text, encoding="utf-8")
            words = [ffmpeg.input(str(plots))["s"]]
            options |= {"c:s": "mov_text", "metadata:s:s:0": "language=eng"}
        silent = ""
        if audio:
            try:
                heard = [sound(audio, count / fps)]
                job = ffmpeg.output(*shown, *heard, *words, str(movie), **options, **_SOUND)
                encode(job, str(path))
            except FilmError as error:
                silent = error.detail
            except StorageError as error:
                silent = f"the sound of {str(audio.source)!r} cannot be read: {error}"
        if silent or not audio:
            encode(ffmpeg.output(*shown, *words, str(movie), **options), str(path))
        movie.replace(path)
    return WrittenMovie(count / fps, count, silent)


def srt(subtitles: Sequence[tuple[float, float, str]]) -> str:
    """SubRip text; subtitles without words are left out, and what looks like a tag or a time is shown as written.

    Raises:
        ValueError: for a subtitle that ends before it starts.
    """
    blocks: list[str] = []
    for start, end, text in subtitles:
        if not 0 <= start < end:
            raise ValueError(f"subtitle {text!r} from {start} to {end} s: it has to end after it starts")
        if lines := "\n".join(line.strip() for line in text.splitlines() if line.strip()):
            words = _MARKUP.sub(rf"\g<0>{_NO_SPACE}", lines)
            blocks.append(f"{len(blocks) + 1}\n{_clock(start)} --> {_clock(end)}\n{words}\n")
    return "\n".join(blocks)


def _write_pictures(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: int) -> int:
    import ffmpeg

    width, height = size
    if width % 2 or height % 2:
        raise ValueError(f"a movie of {width}x{height} pixels: H.264 in yuv420p takes even numbers")
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps)
    pictures = source.filter("scale", out_color_matrix="bt709", out_range="tv").filter("format", "yuv420p")
    job = pictures.output(str(path), vcodec="libx264", preset="veryfast", crf=_CRF, g=2 * fps, **_COLOURS)
    count = encode(job, str(path), _checked(frames, (height, width, 3)))
    if not count:
        raise ValueError("a movie without frames")
    return count


def _checked(frames: Iterable[np.ndarray], shape: tuple[int, int, int]) -> Iterator[bytes]:
    for number, frame in enumerate(frames):
        if frame.shape != shape or frame.dtype != np.uint8:
            raise ValueError(
                f"frame {number} is {frame.dtype} {list(frame.shape)}, the movie's are uint8 {list(shape)}"
            )
        yield frame.tobytes()


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder beside the movie, emptied of what a killed run left there; gone when the block ends."""
    folder = path.with_name(f".{path.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clock(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d},{whole % 1000:03d}"
