"""The sound of a story: lines at their shots, music by scene, subtitles, chapters, and what does not fit is told."""

import wave
from itertools import pairwise

import av
import numpy as np
import pytest

from drawn.sound import PLAIN
from models.voice import HibariConfig, SilentConfig, Speech, estimate
from storage.errors import ConfigError
from storage.movies.subtitles import srt
from storage.stories.story import Line, Named, Scene, Shot, Story
from tasks.movies.stories import soundtrack
from tasks.movies.stories.score import FEELINGS, parts
from tasks.movies.stories.soundtrack import SoundConfig, seconds_of_lines, write

QUIET = SoundConfig(music=False)
HELLO, WHO = Line(text="Once there was a letter."), Line(speaker="Ann", text="Who wrote this?")


class Beeps:
    """A voice that takes a tenth of a second a letter, and remembers what it said."""

    name, revision, licence, languages = "beeps", "1", "CC0", frozenset({"en"})

    def __init__(self):
        self.said = []

    def speak(self, words):
        self.said += [(one.speaker, one.text) for one in words]
        lengths = [0 if "mute" in one.text else len(one.text) * 1600 for one in words]
        return [Speech(np.full(length, 0.3, np.float32) * (-1) ** np.arange(length), 16_000) for length in lengths]


@pytest.fixture
def beeps(monkeypatch):
    made = Beeps()
    monkeypatch.setattr(soundtrack.voice, "build", lambda _: made)
    return made


def told(*shots, mood="", place="", **options):
    """A story of one scene."""
    return Story(title="T", scenes=(Scene(title="One", mood=mood, place=place, shots=shots),), **options)


def shown(story, *seconds):
    return list(zip(story.shots(), seconds, strict=True))


def lines(made):
    return next(track.lines for track in made.subtitles if track.name == "Lines")


def test_lines_begin_with_their_shots_and_wait_for_each_other(tmp_path, beeps):
    story = told(Shot(plots=("a",), lines=(HELLO, WHO)), Shot(plots=("b",)), Shot(lines=(WHO,)))
    made = write(QUIET, story, shown(story, 5, 1, 3), tmp_path / "sound.m4a", tmp_path)
    assert [(round(start, 2), round(end, 2), text) for start, end, text in lines(made)] == [
        (0, 2.4, "Once there was a letter."),
        (2.65, 4.15, "Ann: Who wrote this?"),
        (6, 7.5, "Ann: Who wrote this?"),
    ]
    assert made.notes == ()
    with av.open(str(tmp_path / "sound.m4a")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(sound) == pytest.approx(9 * 48_000, abs=1024)
    loud = np.abs(sound[: 9 * 48_000]).reshape(90, -1).max(1) > 0.02
    assert [place for place in range(1, 90) if loud[place] != loud[place - 1]] == pytest.approx(
        [24, 26, 42, 60, 75], abs=1
    )


def test_a_line_is_spoken_once_and_kept(tmp_path, beeps):
    story = told(Shot(lines=(HELLO, WHO, WHO)))
    for _ in range(2):
        write(QUIET, story, shown(story, 9), tmp_path / "sound.m4a", tmp_path / "lines")
    assert beeps.said == [("", HELLO.text), ("Ann", WHO.text)]
    files = list((tmp_path / "lines").iterdir())
    assert {path.suffix for path in files} == {".wav"}
    with wave.open(str(files[0])) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16_000, 2, 1)


def test_lines_that_outlast_their_shot_run_over_and_are_told(tmp_path, beeps):
    story = told(Shot(lines=(HELLO,)), Shot(lines=(WHO,)))
    made = write(QUIET, story, shown(story, 1, 1.5), tmp_path / "sound.m4a", tmp_path)
    assert made.notes == (
        "shot 1: 'Once there was a letter.' ends 1.4 s after its shot: make the shot longer or the line shorter",
        "shot 2: 'Who wrote this?' ends 1.7 s after the movie, and is cut: make its last shot longer",
    )
    assert len(lines(made)) == 1  # the other one is never heard


def test_how_long_a_shot_has_to_be_is_known_beforehand(tmp_path):
    story = told(Shot(plots=("a",), lines=(HELLO, WHO)), Shot(plots=("b", "b", "c")))
    needed = [seconds_of_lines(placed.shot, QUIET) for placed in story.shots()]
    assert needed[1] == 0
    assert seconds_of_lines(story.scenes[0].shots[1], SoundConfig(spoken="plots")) > 0
    made = write(QUIET, story, shown(story, needed[0], 1), tmp_path / "sound.m4a", tmp_path)
    assert made.notes == ()
    assert 0.7 * needed[0] < lines(made)[-1][1] < needed[0] + 0.5


def test_plots_are_narrated_where_a_shot_has_no_lines(tmp_path, beeps):
    story = told(Shot(plots=("Ann walks.", "Ann walks.", " "), lines=(WHO,)), Shot(plots=("Ben sits.", "Ben sits.")))
    made = write(SoundConfig(music=False, spoken="plots"), story, shown(story, 3, 2), tmp_path / "sound.m4a", tmp_path)
    assert beeps.said == [("Ann", "Who wrote this?"), ("", "Ben sits.")]
    plots = next(track.lines for track in made.subtitles if track.name == "Plots")
    assert plots == [(0, 2, "Ann walks."), (2, 3, " "), (3, 5, "Ben sits.")]


def test_without_a_voice_lines_stand_in_the_subtitles_and_without_music_the_movie_is_silent(tmp_path):
    story = told(Shot(lines=(HELLO, WHO)))
    config = SoundConfig(voice=SilentConfig(), music=False, subtitles=("lines",))
    made = write(config, story, shown(story, 6), tmp_path / "sound.m4a", tmp_path)
    assert (made.path, len(lines(made)), made.notes, made.made_by) == (None, 2, (), ())
    assert not (tmp_path / "sound.m4a").exists()
    assert all(start < end <= after for (start, end, _), (after, _, _) in pairwise(lines(made)))


def test_a_language_that_the_voice_does_not_speak_is_told(tmp_path, beeps):
    for language in ("fr", "fra"):
        story = told(Shot(lines=(Line(text="Qui est là ?"),)), language=language)
        made = write(QUIET, story, shown(story, 3), tmp_path / "sound.m4a", tmp_path)
        assert made.notes[0].startswith(
            f"the voice 'beeps' speaks en, not '{language}': the lines appear only in the subtitles"
        )
        assert [text for _, _, text in lines(made)] == ["Qui est là ?"]
    story = told(Shot(lines=(HELLO,)), language="eng")
    assert write(QUIET, story, shown(story, 3), tmp_path / "sound.m4a", tmp_path).notes == ()
    assert beeps.said == [("", HELLO.text)]


def test_long_lines_are_subtitles_that_can_be_read_and_the_longest_are_cut(tmp_path, beeps, monkeypatch):
    monkeypatch.setattr(soundtrack, "LINE", 200)
    story = told(
        Shot(lines=(Line(speaker="Ann", text="One word, and another. " * 20), Line(text="mute"), Line(text="…")))
    )
    made = write(QUIET, story, shown(story, 30), tmp_path / "sound.m4a", tmp_path)
    assert (
        made.notes[0]
        == "shot 1: 'One word, and another. One word, and an…' has 460 characters: only 200 of them are spoken"
    )
    assert max(len(text) for _, _, text in lines(made)) < 100
    assert [text.startswith("Ann: ") for _, _, text in lines(made)].count(True) == 1
    assert all(end <= start + 1e-6 for (_, end, _), (start, _, _) in pairwise(lines(made)))
    assert lines(made)[-1][1] == pytest.approx(20, abs=0.1)


def test_chapters_are_scenes(tmp_path):
    one, two = Shot(plots=("a",)), Shot(plots=("b",))
    scenes = Scene(title="Home", shots=(one, two)), Scene(place="the pier", shots=(one,)), Scene(shots=(two,))
    story = Story(title="T", scenes=scenes)
    config = SoundConfig(voice=SilentConfig(), music=False)
    made = write(config, story, shown(story, 1, 2, 3, 4), tmp_path / "sound.m4a", tmp_path)
    assert [(one.start, one.title) for one in made.chapters] == [(0, "Home"), (3, "the pier"), (6, "Scene 3")]


def test_music_is_composed_for_scenes_and_follows_the_seed(tmp_path):
    story = told(Shot(plots=("a",)), Shot(plots=("b",)), mood="Tense, dark", place="the pier")
    config = SoundConfig(voice=SilentConfig())
    made = write(config, story, shown(story, 2, 1.5), tmp_path / "sound.m4a", tmp_path)
    assert [one.part for one in made.made_by] == ["music"]
    first = (tmp_path / "sound.m4a").read_bytes()
    write(config, story, shown(story, 2, 1.5), tmp_path / "sound.m4a", tmp_path)
    assert (tmp_path / "sound.m4a").read_bytes() == first
    write(config, story.model_copy(update={"seed": 8}), shown(story, 2, 1.5), tmp_path / "sound.m4a", tmp_path)
    assert (tmp_path / "sound.m4a").read_bytes() != first
    assert [path.name for path in tmp_path.iterdir()] == ["sound.m4a"]


def test_moods_and_places_decide_what_is_composed():
    quay = Named(name="Old quay", description="a small harbour in the rain")
    scenes = [
        (Scene(mood=mood, place=place, shots=(Shot(),)), 50.0)
        for mood, place in [("sad but hopeful", "Old quay"), ("hopeful", "a forest"), ("bläh", "Xanadu")]
    ]
    story = Story(title="T", places=(quay,), scenes=[scene for scene, _ in scenes])
    composed = parts(story, scenes)
    assert [part.seconds for part in composed] == [25.0] * 6
    assert [composed[n].kind for n in (0, 2)] == ["harbour", "forest"]
    assert [composed[n].air for n in (0, 2, 4)] == [True, True, False]
    sad, hopeful = (feeling for words, feeling in FEELINGS.items() if "sad" in words or "hope" in words)
    assert [composed[n].feeling for n in (0, 2, 4)] == [sad, hopeful, PLAIN]
    assert len({part.seed for part in composed}) == 6


def test_a_track_of_ones_own_is_taken_and_one_without_sound_is_refused(tmp_path):
    track = tmp_path / "mine.wav"
    with wave.open(str(track), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(11_025)
        file.writeframes(bytes(np.random.default_rng(0).integers(0, 255, 22_050, np.uint8)))
    story = told(Shot(plots=("a",)))
    made = write(SoundConfig(voice=SilentConfig()), story, shown(story, 4), tmp_path / "sound.m4a", tmp_path, track)
    assert [(one.title, len(one.sha256)) for one in made.made_from] == [("music mine.wav", 64)]
    track.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"mine\.wav' is empty"):
        write(SoundConfig(voice=SilentConfig()), story, shown(story, 4), tmp_path / "sound.m4a", tmp_path, track)


@pytest.mark.parametrize(
    "text", ["<b>Hi</b>", "[0:a]volume=0;", "'; rm -rf /", "a\nb\r\n--> 00", "\x1b[2J\u202e", "x" * 60_000]
)
def test_nothing_in_a_line_does_anything(tmp_path, beeps, text):
    story = told(Shot(plots=(text,), lines=(Line(text=text, speaker=text[:50]),)), mood=text, place=text)
    made = write(QUIET, story, shown(story, 3), tmp_path / "sound.m4a", tmp_path / "lines")
    assert [path.name for path in tmp_path.iterdir() if path.name != "lines"] == ["sound.m4a"]
    for track in made.subtitles:
        assert srt(track.lines).isprintable() or "\n" in srt(track.lines)


def test_the_embedded_voice_is_heard(tmp_path):
    story = told(Shot(lines=(HELLO, WHO)))
    needed = seconds_of_lines(story.scenes[0].shots[0], QUIET)
    made = write(
        SoundConfig(voice=HibariConfig(), music=False), story, shown(story, needed), tmp_path / "sound.m4a", tmp_path
    )
    assert made.made_by[0].name == "hibari"
    assert "Apache-2.0" in made.made_by[0].licence
    assert estimate(HELLO.text) == pytest.approx(lines(made)[0][1], rel=0.35)
