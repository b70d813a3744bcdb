"""The sound of a movie: speech at given times, music that is quieter while somebody speaks, at one loudness (EBU R128).

Speech files are read one after the other and fed to ffmpeg, music is read by ffmpeg itself, and nothing is held whole.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.atomic import beside, workplace
from storage.errors import ConfigError, StorageError
from storage.guard import guarded
from storage.movies.encoder import encode

if TYPE_CHECKING:
    from ffmpeg.nodes import Stream

RATE = 48_000
"""Samples a second of all movies."""

Samples = NDArray[np.float32]

_CEILING = -2.0  # dB: AAC may add one to the peaks, and -1 dBTP is the most
_SPEECH = -20.0  # dB, of what is loud in speech
_MUSIC = -26.0  # LUFS below speech; loudness is settled in the end
_QUIETEST = -60.0  # LUFS: below that there is nothing to be made louder
_SHORTEST = 1.0  # seconds of a track of one's own
_FORMATS = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,voc,w64,wav,wv"
_MOMENT = RATE // 50  # samples over which speech is loud or not
_LOUDNESS = re.compile(rb"lavfi\.r128\.I=(-?[\d.]+)")
_TRACK = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


@dataclass(frozen=True)
class Cue:
    """A file of speech, and when it starts, in seconds of the movie."""

    start: float
    path: Path


def mix(
    path: Path, seconds: float, speech: Sequence[Cue] = (), music: Path | None = None, loudness: float = -16
) -> float:
    """Writes the sound (AAC in MP4, 48 kHz stereo), whole or not at all.

    Args:
        seconds: of the movie; what goes on behind them is cut.
        speech: in the order of time, none before the one before has ended.
        music: as `write_music` or `write_track` writes it; repeated until the end.
        loudness: integrated, in LUFS. Peaks stay below -1 dBTP, and silence stays silence.

    Returns:
        the decibels by which it was made louder.

    Raises:
        ValueError: for neither speech nor music, or speech that overlaps.
        StorageError: for a file that cannot be read or written.
    """
    if not speech and not music:
        raise ValueError("a sound of nothing: leave it out for a silent movie")
    with guarded("write", str(path)), workplace(path) as folder:
        measured = _measured(_mixed(seconds, bool(speech), music), folder, str(path), _speech(speech, seconds))
        gain = loudness - measured if measured > _QUIETEST else 0.0
        louder = _mixed(seconds, bool(speech), music).filter("volume", f"{gain:.2f}dB")
        limit = {"limit": round(10 ** (_CEILING / 20), 4), "attack": 5, "release": 50, "level": "disabled"}
        limited = louder.filter("aresample", 4 * RATE).filter("alimiter", **limit).filter("aresample", RATE)
        with beside(path) as part:
            job = limited.output(f"file:{part}", f="mp4", acodec="aac", audio_bitrate="160k")
            encode(job, str(path), _speech(speech, seconds))
    return gain


def loudness(path: Path) -> float:
    """Integrated loudness of a video's sound in LUFS (EBU R128), -inf of silence.

    Raises:
        StorageError: when it has no sound that can be read.
    """
    import ffmpeg

    with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
        measured = _measured(ffmpeg.input(f"file:{path.absolute()}").audio, Path(scratch), str(path))
    return measured if measured > _QUIETEST else -float("inf")


def write_music(path: Path, parts: Iterable[Samples], rate: int) -> None:
    """Writes a score, float32 [2, N] within -1..1 an array, as FLAC at the loudness that `mix` takes."""
    import ffmpeg

    source = ffmpeg.input("pipe:", format="f32le", ac=2, ar=rate)
    with workplace(path) as folder:
        plain = folder / "plain.flac"
        encode(_flac(source.audio, plain), str(path), (np.ascontiguousarray(part.T).tobytes() for part in parts))
        _levelled(plain, path, folder)


def write_track(source: Path, path: Path, seconds: float) -> None:
    """Writes a track of one's own as `write_music` does: its first sound track, cut where it is longer than `seconds`.

    One that is shorter fades in and out, so that it can be repeated.

    Raises:
        ConfigError: as `check_track`.
        StorageError: when it cannot be written.
    """
    import ffmpeg

    check_track(source)
    with workplace(path) as folder:
        plain, faded = folder / "plain.flac", folder / "faded.flac"
        heard = ffmpeg.input(f"file:{source.absolute()}", t=f"{seconds:.6f}", **_TRACK)["a:0"]
        encode(_flac(heard.filter("aresample", RATE, **{"async": 1, "first_pts": 0}), plain), str(source))
        length = _length(plain)
        if length < seconds:
            fade = min(1.0, length / 4)
            whole = ffmpeg.input(f"file:{plain}").audio.filter("afade", t="in", d=fade)
            encode(_flac(whole.filter("afade", t="out", st=length - fade, d=fade), faded), str(source))
            plain = faded
        _levelled(plain, path, folder)


def check_track(source: Path) -> None:
    """Checks that a user's own track has enough sound, before anything is rendered for it.

    Raises:
        ConfigError: which names the file and the cure.
    """
    import av

    if not source.is_file():
        raise ConfigError(_useless(source, "is no file"))
    if not source.stat().st_size:
        raise ConfigError(_useless(source, "is empty (0 bytes)"))
    try:
        with av.open(f"file:{source}", options=_TRACK, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise ConfigError(_useless(source, "has no sound track"))
            length = 0.0
            for frame in container.decode(audio=0):
                length += frame.samples / frame.sample_rate
                if length >= _SHORTEST:
                    return
            if not length:
                raise ConfigError(_useless(source, "has a header and no samples"))
            raise ConfigError(_useless(source, f"has {length:.2f} s of sound, {_SHORTEST:g} s is the least"))
    except (av.error.FFmpegError, OSError) as error:
        raise ConfigError(_useless(source, f"cannot be read as sound ({type(error).__name__})")) from error


def _useless(source: Path, what: str) -> str:
    return f"music {str(source)!r} {what}: name another sound file, or leave `music` empty for a composed score"


def _mixed(seconds: float, speaks: bool, music: Path | None) -> "Stream":
    """Speech from standard input and music from its file, as one stream of `seconds`."""
    import ffmpeg

    end = f"{seconds:.6f}"
    whole = ffmpeg.input("pipe:", format="f32le", ac=1, ar=RATE).audio
    if music:
        fade = min(2.0, seconds / 4)
        played = ffmpeg.input(f"file:{music.absolute()}", stream_loop=-1, t=end).audio
        played = played.filter("afade", t="in", d=min(0.5, fade)).filter("afade", t="out", st=seconds - fade, d=fade)
        whole = _making_way(played, whole) if speaks else played
    cut = whole.filter("aformat", sample_rates=RATE, channel_layouts="stereo").filter("apad", whole_dur=end)
    return cut.filter("atrim", end=end).filter("asetpts", "PTS-STARTPTS")


def _making_way(music: "Stream", voice: "Stream") -> "Stream":
    """Both, without end: the compressor loses what is left of one input when the other ends."""
    import ffmpeg

    heard = voice.filter("aformat", channel_layouts="stereo").filter("apad").filter_multi_output("asplit")
    duck = {"threshold": 0.02, "ratio": 5, "attack": 40, "release": 700, "knee": 4}
    quieter = ffmpeg.filter([music.filter("apad"), heard[1]], "sidechaincompress", **duck)
    return ffmpeg.filter([heard[0], quieter], "amix", inputs=2, normalize=0)


def _speech(cues: Sequence[Cue], seconds: float) -> Iterator[bytes]:
    """Mono samples of all speech with the silence between, to the movie's end; nothing when there is no speech."""
    if not cues:
        return
    at, end = 0, round(seconds * RATE)
    for cue in cues:
        begin = round(cue.start * RATE)
        if begin < at:
            raise ValueError(
                f"{str(cue.path)!r} starts at {cue.start:.3f} s, speech before it ends at {at / RATE:.3f} s"
            )
        yield from _silence(min(begin, end) - at)
        said = _at_level(_samples(cue.path))[: max(0, end - begin)]
        yield said.tobytes()
        at = min(begin, end) + len(said)
    yield from _silence(end - at)


def _silence(samples: int) -> Iterator[bytes]:
    for start in range(0, samples, RATE):
        yield bytes(4 * min(RATE, samples - start))


def _samples(path: Path) -> Samples:
    """A file of speech as mono samples at RATE."""
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    try:
        with av.open(f"file:{path}", options=_TRACK) as container:
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
            frames += resampler.resample(None)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise StorageError(
            f"{str(path)!r} cannot be read ({type(error).__name__}): delete it and run again, which makes it anew"
        ) from error
    return np.concatenate([frame.to_ndarray()[0] for frame in frames] or [np.zeros(0, np.float32)])


def _at_level(samples: Samples) -> Samples:
    """Speech at the common loudness; pauses do not count, and peaks are not cut."""
    whole = len(samples) // _MOMENT * _MOMENT
    power = (samples[:whole].reshape(-1, _MOMENT) ** 2).mean(1) if whole else np.zeros(0, np.float32)
    spoken = power[power > 0.01 * power.max(initial=0)]
    if not spoken.size or not power.max():
        return samples
    gain = 10 ** (_SPEECH / 20) / float(np.sqrt(spoken.mean()))
    return (samples * min(gain, 0.9 / float(np.abs(samples).max()))).astype(np.float32)


def _flac(stream: "Stream", path: Path) -> "Stream":
    shaped = stream.filter("aresample", RATE).filter("aformat", sample_fmts="s16", channel_layouts="stereo")
    return shaped.output(f"file:{path}", f="flac", acodec="flac")


def _levelled(source: Path, path: Path, folder: Path) -> None:
    """The same music at the loudness that `mix` takes, whole or not at all."""
    import ffmpeg

    measured = _measured(ffmpeg.input(f"file:{source}").audio, folder, str(path))
    gain = _MUSIC - measured if measured > _QUIETEST else 0.0
    with guarded("write", str(path)), beside(path) as part:
        encode(_flac(ffmpeg.input(f"file:{source}").audio.filter("volume", f"{gain:.2f}dB"), part), str(path))


def _measured(stream: "Stream", folder: Path, url: str, fed: Iterable[bytes] = ()) -> float:
    """Integrated loudness in LUFS; -70 is silence."""
    log = folder / "loudness.txt"
    heard = stream.filter("ebur128", metadata=1).filter("ametadata", mode="print", key="lavfi.r128.I", file=str(log))
    encode(heard.output("pipe:", f="null"), url, fed)
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 1000))
        told = _LOUDNESS.findall(file.read())
    return float(told[-1]) if told else -70.0


def _length(path: Path) -> float:
    """Seconds of a file that was just written."""
    import av

    with av.open(f"file:{path}") as container:
        return (container.duration or 0) / 1_000_000
