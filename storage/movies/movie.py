"""Writes a movie: H.264 in yuv420p and BT.709, faststart, with sound carried from a film and soft subtitles.

Its comment names the ffmpeg that wrote it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.atomic import workplace
from storage.errors import FilmError, StorageError
from storage.guard import guarded
from storage.movies.clips import Codec, write_clip
from storage.movies.encoder import encode, ffmpeg_program
from storage.movies.sound import AudioTrack, merged, sound
from storage.movies.subtitles import Timed, srt

_SOUND = {"c:a": "aac", "b:a": "160k", "ac": 2}


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
    subtitles: Sequence[Timed] = (),
    comment: str = "",
    codec: Codec = "h264",
    mark: str = "",
) -> WrittenMovie:
    """Writes `path`, whole or not at all. A film whose sound cannot be read makes a silent movie that says why.

    Args:
        frames: uint8 RGB [height, width, 3], `fps` a second.
        size: (width, height) of all frames, even numbers.
        audio: cut, or filled up with silence, to the length of the frames.
        subtitles: (start, end, text), in seconds of the movie.
        comment: kept in the file's tags, before the name of the ffmpeg that wrote it.
        codec, mark: as storage.movies.clips.write_clip takes them.

    Raises:
        ValueError: for frames, spans or subtitles that do not fit.
        StorageError: when the file cannot be written.
        ConfigError: when there is no ffmpeg that can write it.
    """
    import ffmpeg

    text = srt(subtitles)
    audio = audio and AudioTrack(audio.source, merged(audio.spans))
    with guarded("write", str(path)), workplace(path) as folder:
        pictures, plots, movie = folder / "pictures.mp4", folder / "plots.srt", folder / "movie.mp4"
        count = write_clip(pictures, frames, size, fps, codec, mark)
        shown = [ffmpeg.input(str(pictures)).video]
        said = "; ".join(filter(None, (comment, f"ffmpeg {ffmpeg_program().version}")))
        options = {"c:v": "copy", "movflags": "+faststart", "metadata:g": f"comment={said}"}
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
