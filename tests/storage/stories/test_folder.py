"""The stories of a folder by name, and what in it is none."""

import pytest

from storage.errors import ConfigError
from storage.stories.reading import stories


def test_a_story_that_cannot_be_read_is_named_and_the_others_are_there(tmp_path):
    (tmp_path / "rain.yaml").write_text("title: Rain\nscenes: [{shots: [{plot: It rains.}]}]\n")
    (tmp_path / "sun").mkdir()
    (tmp_path / "sun" / "story.yaml").write_text("title: Sun\nscenes: []\n")
    found, faults = stories(tmp_path)
    assert [(name, story.title, path.name) for name, (story, path) in found.items()] == [("rain", "Rain", "rain.yaml")]
    assert list(faults) == ["sun"]
    assert "story.yaml" in faults["sun"]
    (tmp_path / "rain.yaml").unlink()
    with pytest.raises(ConfigError, match=r"holds no story file: .*story\.yaml"):
        stories(tmp_path)
