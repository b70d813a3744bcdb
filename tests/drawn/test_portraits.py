"""Photographs of the demo's cast: they are who the story says, and a face is found in each."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn.people import HAIRS, named
from drawn.portraits import LIGHTHOUSE, main, person, portrait
from models.face import DlibConfig, build
from storage.stories import reading

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_portrait_shows_whom_it_was_asked_for() -> None:
    look = person(0, LIGHTHOUSE["ada"])
    assert (look.woman, look.years, named(look.hair, HAIRS), look.style) == (True, "elderly", "grey", "bun")
    kept = cv2.cvtColor(cv2.imread(str(EXAMPLES / "faces" / "ada.jpg")), cv2.COLOR_BGR2RGB)
    assert np.abs(portrait(look).astype(int) - kept).mean() < 4  # but for JPEG


def test_a_picture_that_is_there_already_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ada.jpg").write_text("mine")
    monkeypatch.setattr("sys.argv", ["portraits", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_each_character_of_the_example_has_a_photograph_with_one_face() -> None:
    story = reading.read(EXAMPLES / "lighthouse.yaml")
    embedder = build(DlibConfig())
    for one in story.cast:
        (name,) = one.pictures
        picture = cv2.cvtColor(cv2.imread(str(EXAMPLES / name)), cv2.COLOR_BGR2RGB)
        assert len(embedder.faces([picture])[0]) == 1, one.name
