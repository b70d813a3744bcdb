"""A user's script that cannot become a movie says why before any model is opened."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from models.face import DlibConfig
from models.sentence import MiniLmConfig
from models.vision import EfficientNetLite0Config
from storage.errors import ConfigError
from storage.root import Storage
from tasks import dataset
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.script_movie import ScriptConfig, Settings, _references, read, run
from tasks.progress import silent
from tasks.training.frozen import FrozenConfig
from tests.tasks import tiny_autoencoder
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


def test_a_script_and_its_pictures_may_have_names_that_are_not_utf8(tmp_path):
    place = tmp_path / os.fsdecode(b"caf\xe9")
    place.mkdir()
    picture, story, latin = (place / os.fsdecode(name) for name in (b"ren\xe9.webp", b"\xe9.json", b"latin.json"))
    for path in (picture, place / "ann.webp"):
        path.write_bytes(webp(7))
    people = [{"description": "a woman", "face": "ann.webp"}]
    text = json.dumps({"keyframes": [{"characters": people}]})
    story.write_text(text)
    config = ScriptConfig(path=str(story), references=(str(picture),))
    assert config.path.endswith("caf%E9/%E9.json")
    assert read(config).keyframes[0].characters[0].face == "ann.webp"
    latin.write_bytes(text.replace("a woman", "Ren\xe9e").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.json' is not UTF-8: save it as UTF-8"):
        read(ScriptConfig(path=str(latin)))


def test_a_reference_that_is_no_picture_is_quoted(tmp_path):
    path = tmp_path / "story.json"
    path.write_text('{"keyframes": [{}]}')
    for name in ("gone.png", "story.json"):
        with pytest.raises(ConfigError, match=rf"script\.references: .*{name}"):
            read(ScriptConfig(path=str(path), references=(str(tmp_path / name),)))


def test_all_bad_faces_are_named_before_anything_is_made(tmp_path):
    bad = ("an.webp", "zzz", ".", "x" * 5000, "x" * 5000 + "/1", "story.json")
    characters = [{"description": "A man.", "face": face} for face in (*bad, "ann.webp", "film/7")]
    (tmp_path / "ann.webp").write_bytes(webp(0))
    path = tmp_path / "story.json"
    path.write_text(json.dumps({"keyframes": [{"characters": characters}]}))
    with pytest.raises(ConfigError) as raised:
        read(ScriptConfig(path=str(path)))
    said = str(raised.value)
    assert [face for face in bad if f"face {face!r}" not in said] == ["x" * 5000 + "/1"]  # it may be a film's
    assert "5 faces can't be used" in said
    assert said.count("nearest") == 1
    assert "nearest is 'ann.webp'" in said
    assert "leave the faces out" in said
    assert "BytesIO" not in said


def test_a_face_of_no_film_may_have_a_long_name(tmp_path):
    with pytest.raises(ConfigError, match="1 faces can't be used"):
        _run(tmp_path, "x" * 5000 + "/1")


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


def test_a_reference_of_another_shape_counts_with_its_centre(tmp_path):
    tiny_autoencoder.save(tmp_path / "model")
    shown = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    parts = {"centre": shown[48:80, 64:128], "wide": shown[48:80], "tall": shown[:, 64:128]}
    for name, pixels in parts.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    script = ScriptConfig(references=tuple(str(tmp_path / f"{name}.png") for name in parts))
    frozen = FrozenConfig(vision=EfficientNetLite0Config(), codec=tiny_autoencoder.CODEC, width=64, height=32)
    centre, wide, tall = _references(script, frozen, Storage(str(tmp_path)), "model")
    torch.testing.assert_close(wide, centre, rtol=0, atol=1e-5)
    torch.testing.assert_close(tall, centre, rtol=0, atol=1e-5)


def _run(folder, face):
    path, storage = folder / "story.json", Storage(str(folder / "out"))
    (folder / "ann.webp").write_bytes(webp(0))
    path.write_text(json.dumps({"keyframes": [{"characters": [{"description": "A man.", "face": face}]}]}))
    run(ScriptConfig(path=str(path)), SETTINGS, storage, small_story(storage), "none", "none", "none", silent)
