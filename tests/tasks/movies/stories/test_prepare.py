"""Story files, their pictures and their takes, before anything is rendered."""

import unicodedata

import fsspec
import pytest

from storage import checkpoints
from storage.errors import ConfigError
from tasks.movies.stories import places, prepare, takes
from tasks.movies.stories.plan import Models, StoriesConfig
from tasks.movies.stories.prepare import Order
from tasks.training.frozen import FrozenConfig
from tests.tasks.movies.stories.small import SETTINGS
from tests.tasks.small_story import FILM, small_story, webp

STORY = """
title: The door
cast:
  - {name: Anna, pictures: [anna.webp]}
scenes:
  - shots: [{characters: [Anna], plots: [Anna enters.]}, Rain falls.]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "anna.webp").write_bytes(webp(3))
    path = tmp_path / "door.yaml"
    path.write_text(STORY)
    return path


def test_a_story_is_planned_with_the_hashes_of_its_pictures(file, storage):
    one = prepare.prepare(str(file), SETTINGS, storage)
    (key,) = one.files
    assert one.plan.pictures == {"anna.webp": key}
    assert one.files[key] == str(file.with_name("anna.webp"))
    uri = prepare.prepare(file.as_uri(), SETTINGS, storage)
    assert uri.plan.movie == one.plan.movie
    file.with_name("anna.webp").write_bytes(webp(4))
    assert prepare.prepare(str(file), SETTINGS, storage).plan.movie != one.plan.movie


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda text: text.replace("anna.webp", "an.webp"), r"door\.yaml.*an\.webp.*did you mean 'anna\.webp'"),
        (lambda text: text.replace("anna.webp", "../anna.webp"), "leaves the story's folder"),
        (lambda text: "shots", r"door\.yaml"),
        (lambda text: text + "continues: Gone\n", r"continues 'Gone'.*has no films"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_rendered(file, storage, change, wanted):
    file.write_text(change(STORY))
    with pytest.raises(ConfigError, match=f"(?s){wanted}"):
        prepare.prepare(str(file), SETTINGS, storage)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "anna.webp?endpoint_override=evil.example",
            "'anna.webp.endpoint_override=evil.example' ends like the options",
        ),
        ("../anna.webp", "leaves the story's folder"),
        ("s3://other/anna.webp", "is an address"),
        ("anna.webp?", r"there is no file 'memory://tales/anna\.webp\?'"),
    ],
)
def test_a_picture_of_a_story_elsewhere_reaches_neither_another_place_nor_another_server(storage, name, wanted):
    fsspec.filesystem("memory").pipe_file("/tales/door.yaml", STORY.replace("anna.webp", f"'{name}'").encode())
    with pytest.raises(ConfigError, match=wanted):
        prepare.prepare("memory://tales/door.yaml", SETTINGS, storage)


def test_a_new_take_is_chosen_and_kept_only_when_that_is_asked_for(file, storage):
    plain = prepare.prepare(str(file), SETTINGS, storage)
    redone = prepare.prepare(str(file), SETTINGS, storage, Order(redo=frozenset({2}), seed=7))
    assert redone.plan.movie != plain.plan.movie
    assert prepare.prepare(str(file), SETTINGS, storage).plan.movie == plain.plan.movie
    takes.save(storage, "The door", redone.takes)
    assert prepare.prepare(str(file), SETTINGS, storage).plan.movie == redone.plan.movie
    assert takes.listed(redone.plan) == [(1, 1, 0, True), (2, 1, 0, False), (2, 2, 7, True)]
    picked = prepare.prepare(str(file), SETTINGS, storage, Order(take={2: 1}))
    assert picked.plan.movie == plain.plan.movie
    with pytest.raises(ConfigError, match="'The door' has no shot 3: its shots are 1 to 2"):
        prepare.prepare(str(file), SETTINGS, storage, Order(only=frozenset({3})))


@pytest.mark.parametrize(
    ("title", "same"),
    [
        ("Zoé's door", True),
        (unicodedata.normalize("NFD", "Zoé's door"), True),
        ("ZOÉ'S DOOR", False),
        ("Zoe's door", False),
    ],
)
def test_titles_that_differ_in_case_share_pictures_but_neither_takes_nor_movies(tmp_path, storage, title, same):
    for name, called in (("a.yaml", "Zoé's door"), ("b.yaml", title)):
        (tmp_path / name).write_text(f"title: {called}\nscenes:\n  - shots: [Rain falls., {name} begins.]\n")
    first, second = (prepare.prepare(str(tmp_path / name), SETTINGS, storage).plan for name in ("a.yaml", "b.yaml"))
    assert first.shots[0].keyframes[0].keyframe == second.shots[0].keyframes[0].keyframe
    assert places.movie_place(first).casefold() != places.movie_place(second).casefold()
    redone = prepare.prepare(str(tmp_path / "a.yaml"), SETTINGS, storage, Order(redo=frozenset({1, 2}), seed=7))
    takes.save(storage, redone.plan.story.title, redone.takes, places.movie_place(redone.plan))
    after = prepare.prepare(str(tmp_path / "b.yaml"), SETTINGS, storage).plan
    assert takes.listed(after) == [(1, 1, 0, not same), *([(1, 2, 7, True)] if same else []), (2, 1, 0, True)]


def test_a_film_is_continued_by_its_title_and_only_with_its_tokens(file, storage):
    small_story(storage, source=unicodedata.normalize("NFD", "Zoé.mp4"))
    for name in ("small story", FILM, "Zoé.mp4"):
        file.write_text(STORY + f"continues: {name!r}\n")
        with pytest.raises(ConfigError, match="'small story' has no tokens of 'models/autoencoder'"):
            prepare.prepare(str(file), SETTINGS, storage)
        with pytest.raises(ConfigError, match=r"no film of .* is called 'another'"):
            prepare.prepare(str(file), SETTINGS, storage, Order(continues="another"))
    file.write_text(STORY + "continues: small stori\n")
    said = r"continues a film, but no film of .* is called 'small stori': did you mean 'small story'"
    with pytest.raises(ConfigError, match=said):
        prepare.prepare(str(file), SETTINGS, storage)


def test_the_newest_models_are_taken_and_missing_ones_are_named(storage):
    with pytest.raises(ConfigError, match=r"no trained autoencoder model in .*moviedreamer run studio"):
        prepare.models(StoriesConfig(), storage, FrozenConfig(), "")
    for name in ("autoencoder", "decoder", "autoregressive"):
        for number, key in enumerate(("b", "a")):
            checkpoints.save_final(storage, name, key, 1, {"config.json": b"x" * number + b"y"})
    assert prepare.models(StoriesConfig(), storage, FrozenConfig(), "") == Models(
        "checkpoints/autoencoder/a/final", "checkpoints/decoder/a/final", "checkpoints/autoregressive/a/final"
    )
    given = prepare.models(StoriesConfig(decoder="checkpoints/decoder/b/final"), storage, FrozenConfig(), "")
    assert given.decoder == "checkpoints/decoder/b/final"
    with pytest.raises(ConfigError, match=r"no model at stories\.decoder='nowhere'"):
        prepare.models(StoriesConfig(decoder="nowhere"), storage, FrozenConfig(), "")


def test_weights_that_trainings_start_from_render_where_nothing_is_trained(storage, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/config.json").write_text("{}")
    frozen, weights = FrozenConfig(init=str(tmp_path / "weights")), str(tmp_path / "weights")
    models = prepare.models(StoriesConfig(), storage, frozen, weights)
    assert checkpoints.newest(storage, "decoder") is None, "planning writes nothing"
    prepare.keep(models, frozen, weights, storage)
    assert models.decoder == checkpoints.newest(storage, "decoder")
    checkpoints.save_final(storage, "decoder", "z", 1, {"config.json": b"{}"})
    assert prepare.models(StoriesConfig(), storage, frozen, weights).decoder == "checkpoints/decoder/z/final"
