"""A curated film as a story: written by hand into a storage, told as a story, written and read again."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from storage.errors import ConfigError
from storage.root import Storage
from storage.stories.files import beside
from storage.stories.photographs import photograph
from storage.stories.reading import read
from tasks.movies.film_story import film_story
from tests.tasks.small_story import FILM, small_story, two_stories


def test_shots_have_the_plots_people_and_elements_of_their_keyframes(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    made = film_story(storage, small_story(storage), "small story")
    (person,) = made.story.cast
    assert (person.name, person.description, person.pictures) == (
        "Person 1",
        "A person in blue.",
        ("photographs/person-1.webp",),
    )
    assert [(one.name, one.description) for one in made.story.places] == [("A block", "A block.")]
    assert [scene.place for scene in made.story.scenes] == ["A block"]
    assert [placed.shot.plots for placed in made.story.shots()] == [(f"Shot {shot} goes on.",) * 3 for shot in range(4)]
    assert all(placed.shot.characters == ("Person 1",) for placed in made.story.shots())
    assert list(made.pictures) == ["photographs/person-1.webp"]


def test_a_film_is_found_by_id_title_or_file_name_and_else_told(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    snapshot = two_stories(storage)
    assert film_story(storage, snapshot, FILM) == film_story(storage, snapshot, "small story")
    with pytest.raises(ConfigError, match=r"no film of the snapshot .* is called .* did you mean 'another story'"):
        film_story(storage, snapshot, "another stories")
    with pytest.raises(ConfigError, match=r"2 films of the snapshot .* are called 'film\.mp4'"):
        film_story(storage, snapshot, "film.mp4")


def test_export_writes_a_folder_that_reads_back(tmp_path: Path) -> None:
    place, folder = tmp_path / "storage", tmp_path / "told"
    storage = Storage(str(place))
    expected = film_story(storage, small_story(storage), FILM).story
    arguments = ["export", FILM, "-o", str(folder), "--storage", str(place)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "1 scenes, 4 shots, 12 keyframes, with Person 1" in result.stdout
    assert read(folder / "story.yaml") == expected
    assert min(photograph(beside(folder, expected.cast[0].pictures[0])).shape[:2]) >= 128
    again = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert again.exit_code == 2
    assert "already exists" in again.stderr
