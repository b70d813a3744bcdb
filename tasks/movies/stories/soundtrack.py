"""The sound and texts of a story's movie: spoken lines, music, subtitles and chapters.

A line begins with its shot, or shortly after the end of the previous line. No line is cut or sped up to fit its shot:
`seconds_of_lines` estimates beforehand how long a shot must be for its lines. A line that still runs over into a later
shot, or beyond the movie's end, is reported.
"""

import hashlib
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from operator import attrgetter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from drawn.sound import RATE, score
from models import voice
from models.voice import HibariConfig, SilentVoice, Speech, Voice, VoiceConfig, Words, estimate, pieces
from storage.atomic import beside, workplace
from storage.fingerprint import fingerprint
from storage.guard import guarded
from storage.movies.about import MadeBy, MadeFrom
from storage.movies.assembly import Chapter
from storage.movies.mix import Cue, mix, write_music, write_track
from storage.movies.subtitles import Subtitles, Timed, iso639
from storage.printable import LINE, printable
from storage.stories.story import Line, Placed, Scene, Shot, Story
from tasks.movies.stories import score as scores

PAUSE = 0.25
"""Seconds between two lines."""

_BATCH = 16  # lines spoken at a time, to limit memory
_GLANCE = 90  # characters of a subtitle
_LATE = 0.5  # seconds that a line may run into the next shot without a note


class SoundConfig(BaseModel, frozen=True, extra="forbid"):
    """The sound of a movie."""

    voice: VoiceConfig = Field(HibariConfig(), description="voice of narrator and cast; kind=none: no speech")
    spoken: Literal["lines", "plots"] = Field(
        "lines", description="lines: dialogue and narration; plots: also the plots of shots without lines"
    )
    music: bool = Field(True, description="music: the story's own track, or composed; false: none")
    loudness: float = Field(-16, ge=-40, le=-10, description="integrated loudness in LUFS (EBU R128)")
    subtitles: tuple[Literal["lines", "plots"], ...] = Field(
        ("lines", "plots"), description="subtitle tracks; the first is the default"
    )

    @property
    def revision(self) -> str:
        """Version of the score and of the mix."""
        return f"score {scores.VERSION}, mix 1"


Shown = Sequence[tuple[Placed, float]]
"""The shots of a movie in order, with their lengths in seconds."""


@dataclass(frozen=True)
class _Said:
    """A line and its length; without a file it is not spoken. Its start is in seconds of the movie."""

    shot: int
    line: Line
    seconds: float
    path: Path | None
    start: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Soundtrack:
    """Everything in a movie besides its pictures.

    Attributes:
        path: of the sound; None for a silent movie.
        notes: one sentence for each omission or overrun.
    """

    path: Path | None
    subtitles: tuple[Subtitles, ...]
    chapters: tuple[Chapter, ...]
    made_by: tuple[MadeBy, ...]
    made_from: tuple[MadeFrom, ...]
    notes: tuple[str, ...]


def lines_of(shot: Shot, config: SoundConfig) -> tuple[Line, ...]:
    """The lines that are spoken in a shot."""
    if shot.lines or config.spoken == "lines":
        return shot.lines
    return tuple(Line(text=plot) for plot in dict.fromkeys(shot.plots) if plot.strip())


def speech_name(config: SoundConfig, line: Line) -> str:
    """Name of a spoken line's file, in the cache that `write` uses."""
    return f"{fingerprint('speech', config.voice, line.speaker, line.text)}.wav"


def seconds_of_lines(shot: Shot, config: SoundConfig) -> float:
    """Estimated seconds of a shot's lines, so that the shot can be made long enough; 0 without lines.

    The estimate depends only on the words, so equal words give equal shots and no speech is needed for planning.
    """
    each = [estimate(line.text[:LINE]) for line in lines_of(shot, config)]
    return sum(each) + PAUSE * sum(1 for seconds in each if seconds)


def write(
    config: SoundConfig, story: Story, shown: Shown, path: Path, cache: Path, music: Path | None = None
) -> Soundtrack:
    """Writes the sound to `path`, and returns the soundtrack with its texts and notes.

    Args:
        cache: folder of spoken lines, each named by a hash of its inputs; existing ones are reused.
        music: the story's own track; None for a composed score.

    Raises:
        ConfigError: the track has no sound.
        ModelError: the voice cannot be used.
        StorageError: a file cannot be read or written.
    """
    speaker = voice.build(config.voice)
    mute = _mute(story, speaker)
    silent = bool(mute) or isinstance(speaker, SilentVoice)
    lines = _timed(_spoken(config, shown, None if silent else speaker, cache), shown)
    cues = [Cue(one.start, one.path) for one in lines if one.path]
    made_by, made_from = [], []
    with workplace(path) as folder:
        played = folder / "music.flac" if config.music else None
        if played and music:
            write_track(music, played, _seconds(shown))
            made_from.append(MadeFrom(f"music {music.name}", _sha256(music)))
        elif played:
            write_music(played, score(scores.parts(story, _scenes(shown))), RATE)
            made_by.append(MadeBy("music", "the composer of drawn films", f"score {scores.VERSION}", "Apache-2.0"))
        if cues:
            made_by.append(MadeBy("voice", speaker.name, speaker.revision, speaker.licence))
        if cues or played:
            mix(folder / path.name, _seconds(shown), cues, played, config.loudness)
            (folder / path.name).replace(path)
    tracks = {
        "lines": Subtitles("Lines", story.language, _subtitles(lines, _seconds(shown))),
        "plots": Subtitles("Plots", story.language, _plots(shown)),
    }
    return Soundtrack(
        path if cues or played else None,
        tuple(tracks[name] for name in config.subtitles if tracks[name].lines),
        tuple(_chapters(shown)),
        tuple(made_by),
        tuple(made_from),
        tuple([mute] * bool(mute and lines) + _overruns(lines, shown)),
    )


def _mute(story: Story, speaker: Voice) -> str:
    """Why nothing is spoken; "" if something is."""
    spoken = {iso639(code) for code in speaker.languages}
    if not spoken or iso639(story.language) in spoken:
        return ""
    return (
        f"the voice {speaker.name!r} speaks {', '.join(sorted(speaker.languages))}, not {story.language!r}: the lines "
        "appear only in the subtitles; set sound.voice.kind to one that does"
    )


def _spoken(config: SoundConfig, shown: Shown, speaker: Voice | None, cache: Path) -> list[_Said]:
    """All lines in order, spoken unless they are cached; without a speaker they only have a length."""
    said = [(placed.number, line) for placed, _ in shown for line in lines_of(placed.shot, config)]
    said = [(number, line) for number, line in said if estimate(line.text[:LINE])]
    if speaker is None:
        return [_Said(number, line, estimate(line.text[:LINE]), None) for number, line in said]
    files = {line: cache / speech_name(config, line) for _, line in said}
    missing = [line for line, file in files.items() if not file.exists()]
    for begin in range(0, len(missing), _BATCH):
        some = missing[begin : begin + _BATCH]
        speeches = speaker.speak([Words(line.text[:LINE], line.speaker) for line in some])
        for line, speech in zip(some, speeches, strict=True):
            _keep(files[line], speech)
    lengths = {line: _length(file) for line, file in files.items()}
    return [_Said(number, line, lengths[line], files[line]) for number, line in said if lengths[line]]


def _keep(path: Path, speech: Speech) -> None:
    """Writes a 16-bit WAV file."""
    with guarded("write", str(path)), beside(path) as part, wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        file.writeframes((speech.samples * 32767).astype("<i2").tobytes())


def _length(path: Path) -> float:
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


def _timed(said: Sequence[_Said], shown: Shown) -> list[_Said]:
    """Places each line at the start of its shot, or after the previous line."""
    starts, free, found = _starts(shown), 0.0, []
    for one in said:
        start = max(starts[one.shot], free)
        found.append(replace(one, start=start))
        free = start + one.seconds + PAUSE
    return found


def _overruns(said: Sequence[_Said], shown: Shown) -> list[str]:
    """Notes on lines that do not fit: truncated ones, and those that end after their shot."""
    starts, notes = _starts(shown), list[str]()
    ends = {placed.number: starts[placed.number] + length for placed, length in shown}
    whole = _seconds(shown)
    for one in said:
        name, late = f"shot {one.shot}: {printable(one.line.text, 40)!r}", one.end - ends[one.shot]
        if len(one.line.text) > LINE:
            notes.append(f"{name} has {len(one.line.text)} characters: only {LINE} of them are spoken")
        if one.end > whole + 0.05:
            notes.append(f"{name} ends {one.end - whole:.1f} s after the movie, and is cut: make its last shot longer")
        elif late > _LATE:
            notes.append(f"{name} ends {late:.1f} s after its shot: make the shot longer or the line shorter")
    return notes


def _subtitles(said: Sequence[_Said], seconds: float) -> list[Timed]:
    """Lines in short pieces, shown while they are spoken."""
    found: list[Timed] = []
    for one in said:
        parts = pieces(one.line.text[:LINE], _GLANCE)
        letters, start = sum(len(part) for part in parts), one.start
        for number, part in enumerate(parts):
            end = start + one.seconds * len(part) / letters
            who = f"{one.line.speaker}: " if one.line.speaker and not number else ""
            if start < seconds:
                found.append((start, min(end, seconds), who + part))
            start = end
    return found


def _plots(shown: Shown) -> list[Timed]:
    """Each plot line while its keyframe is shown; equal consecutive lines of a shot are merged."""
    starts, found = _starts(shown), list[Timed]()
    for placed, length in shown:
        plots, start = placed.shot.plots, starts[placed.number]
        for text, same in groupby(range(len(plots)), key=plots.__getitem__):
            places = [*same]
            first, end = (start + length * place / len(plots) for place in (places[0], places[-1] + 1))
            found.append((first, end, text))
    return found


def _chapters(shown: Shown) -> list[Chapter]:
    starts, found = _starts(shown), list[Chapter]()
    for number, (scene, shots) in enumerate(groupby((placed for placed, _ in shown), key=attrgetter("scene")), start=1):
        start = starts[next(shots).number]
        found.append(Chapter(start, scene.title or scene.place or f"Scene {number}"))
    return found


def _scenes(shown: Shown) -> list[tuple[Scene, float]]:
    groups = groupby(shown, key=lambda one: one[0].scene)
    return [(scene, sum(length for _, length in shots)) for scene, shots in groups]


def _starts(shown: Shown) -> dict[int, float]:
    """Number of a shot -> when it starts, in seconds of the movie."""
    ends = accumulate((length for _, length in shown), initial=0.0)
    return {placed.number: start for (placed, _), start in zip(shown, ends, strict=False)}


def _seconds(shown: Shown) -> float:
    return sum(length for _, length in shown)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
