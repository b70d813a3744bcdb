"""A user's script that cannot become a movie says why before any model is opened."""

import json

import pytest

from models.face import DlibConfig
from models.sentence import MiniLmConfig
from storage.errors import ConfigError
from storage.root import Storage
from tasks import dataset
from tasks.frozen import FrozenConfig
from tasks.movie import MovieConfig
from tasks.progress import silent
from tasks.render import RenderConfig
from tasks.script_movie import ScriptConfig, Settings, read, run
from tests.tasks.small_story import FILM, small_story, webp

SETTINGS = Settings(MiniLmConfig(), DlibConfig(), FrozenConfig(), RenderConfig(), MovieConfig())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(None, "No such file"), ("They dance.", "this is not"), ('{"keyframes": []}', r"keyframes: .*at least 1")],
)
def test_what_is_no_script_is_quoted_with_its_path(tmp_path, text, wanted):
    path = tmp_path / "story.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"script\.path='{path}'.*{wanted}"):
        read(ScriptConfig(path=str(path)))


def test_a_reference_that_is_no_picture_is_quoted(tmp_path):
    path = tmp_path / "story.json"
    path.write_text('{"keyframes": [{}]}')
    for name in ("gone.png", "story.json"):
        with pytest.raises(ConfigError, match=rf"script\.references: .*{name}"):
            read(ScriptConfig(path=str(path), references=(str(tmp_path / name),)))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [(f"{FILM}/99", f"'{FILM}/99' is neither .* nearest is '{FILM}/"), ("an.webp", "'an.webp' .* 'ann.webp'")],
)
def test_an_unknown_face_is_quoted_with_the_nearest_known_one(tmp_path, name, wanted):
    with pytest.raises(ConfigError, match=wanted):
        _run(tmp_path, name)


def test_a_picture_without_a_face_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no face is found in '.*ann\.webp'"):
        _run(tmp_path, "ann.webp")


def test_characters_of_a_film_have_a_face_each(tmp_path):
    storage = Storage(str(tmp_path / "out"))
    faces = dataset.characters(storage, small_story(storage))
    assert faces
    assert all(name.startswith(f"{FILM}/") and len(face) == 128 for name, face in faces.items())


def _run(folder, face):
    path, storage = folder / "story.json", Storage(str(folder / "out"))
    (folder / "ann.webp").write_bytes(webp(0))
    path.write_text(json.dumps({"keyframes": [{"characters": [{"description": "A man.", "face": face}]}]}))
    run(ScriptConfig(path=str(path)), SETTINGS, storage, small_story(storage), "none", "none", "none", silent)
