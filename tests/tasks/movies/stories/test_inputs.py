"""A story's own pictures and music, before anything is made of them."""

import re
import wave
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from storage.stories.story import Named
from tasks.movies.stories import places
from tasks.movies.stories import run as runs
from tasks.movies.stories.planner import plan
from tasks.movies.stories.prepare import Planned
from tasks.movies.stories.soundtrack import SoundConfig
from tests.tasks.movies.stories.small import SETTINGS, story

ADA = Path(__file__).parents[4] / "examples" / "faces" / "ada.jpg"


@pytest.fixture
def given(tmp_path):
    """Writes a story's files, and plans one that names them."""
    (tmp_path / "ada.jpg").write_bytes(ADA.read_bytes())
    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")
    Image.new("RGB", (20, 64)).save(tmp_path / "tiny.png")
    (tmp_path / "words.jpg").write_text("no picture")
    (tmp_path / "bomb.bmp").write_bytes(_bomb(tmp_path / "wall.bmp"))
    with wave.open(str(tmp_path / "short.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\1\0" * 800)

    def planned(faces=(), kitchen=(), settings=SETTINGS, **changes):
        cast = (Named(name="Anna", pictures=faces), Named(name="Ben"))
        one = story(cast=cast, places=(Named(name="kitchen", pictures=kitchen),), **changes)
        names = (*faces, *kitchen, *filter(None, [one.music]))
        files = {f"hash of {name}": str(tmp_path / name) for name in names}
        return Planned("door.yaml", plan(one, settings, {name: f"hash of {name}" for name in names}), files)

    return planned


def _bomb(path):
    """A picture that says it has 30,000 times as many pixels."""
    Image.new("RGB", (2, 2)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = (20_000).to_bytes(4, "little") * 2
    return bytes(data)


def faults(storage, *stories, settings=SETTINGS):
    good, failed = runs.usable(stories, settings, storage)
    assert len(good) + len(failed) == len(stories)
    return [one.error for one in failed]


def test_photographs_with_a_face_and_pictures_of_places_can_be_used(storage, given):
    assert faults(storage, given(), given(("ada.jpg",), ("wall.png",)), given(("wall.png", "ada.jpg"))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"faces": ("wall.png",)}, r"no face is found in '.*wall\.png': give 'Anna' a picture that shows one larger"),
        ({"faces": ("ada.jpg", "tiny.png")}, r"tiny\.png' has only 20 x 64 pixels"),
        ({"faces": ("words.jpg",)}, r"words\.jpg' is not a picture"),
        ({"faces": ("bomb.bmp",)}, r"bomb\.bmp' has (20000 x 20000|more) pixels"),
        ({"kitchen": ("bomb.bmp", "words.jpg")}, r"(?s)bomb\.bmp' has .*\n.*words\.jpg' is not a picture"),
        ({"faces": ("gone.jpg",)}, r"gone\.jpg"),
    ],
)
def test_what_can_not_be_used_is_named(storage, given, changes, said):
    (told,) = faults(storage, given(**changes), given())
    assert re.search(said, told)


def test_music_that_is_too_short_is_named_where_the_movie_has_music(storage, given):
    heard = replace(SETTINGS, sound=SoundConfig())
    (told,) = faults(storage, given(music="short.wav", settings=heard), settings=heard)
    assert "short.wav' has 0.10 s of sound, 1 s is the least" in told
    assert faults(storage, given(music="short.wav")) == []  # SETTINGS make movies without music


def test_what_was_made_of_pictures_before_is_not_looked_at_again(storage, given):
    one = given(("words.jpg",))
    storage.write_bytes(places.place(("scripts", one.plan.key)), b"made")
    assert faults(storage, one) == []
