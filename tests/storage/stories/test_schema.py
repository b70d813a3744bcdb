"""The JSON Schema for editors, and the examples that go with it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from storage.stories import reading
from storage.stories.schema import schema, text
from tests.storage.stories.test_reading import FULL

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def wrong(given: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(given)]


def test_the_file_in_docs_is_current():
    assert (ROOT / "docs" / "story.schema.json").read_text() == text(), "python -m storage.stories.schema > docs/..."


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_read_and_fit_the_schema(path):
    story = reading.read(path)
    assert len(story.cast) >= 3
    assert wrong(yaml.safe_load(path.read_text())) == []


def test_the_example_of_the_page_is_read():
    page = (ROOT / "docs" / "stories.md").read_text()
    first = page.split("```yaml\n")[1].split("```")[0]
    assert reading.parse(first.encode(), "story.yaml").title
    assert wrong(yaml.safe_load(first)) == []
    markdown = page.split("```markdown\n")[1].split("```")[0]
    assert reading.parse(markdown.encode(), "story.md").scenes


def test_every_short_form_that_is_read_fits_the_schema():
    assert wrong(yaml.safe_load(FULL)) == []
    assert wrong(yaml.safe_load("title: 1984\ncast: [No, Null: {photograph: a.jpg}]\nscenes: [{shots: [12:30]}]")) == []


@pytest.mark.parametrize(
    "given",
    [
        {"title": "x"},
        {"title": "x", "scenes": []},
        {"title": "x", "scenes": [{"shots": []}]},
        {"title": "x", "hue": "red", "scenes": [{"shots": ["a"]}]},
        {"title": "x", "scenes": [{"shots": [{"plot": "a", "hue": "red"}]}]},
        {"title": "x", "scenes": [{"shots": [{"plot": "a", "seconds": 0}]}]},
        {"title": "x", "scenes": [{"shots": [{"plot": "a", "cut": "maybe"}]}]},
    ],
)
def test_what_reading_refuses_by_itself_the_schema_refuses_too(given):
    assert wrong(given)
    with pytest.raises(ValueError, match="line"):
        reading.parse(json.dumps(given).encode(), "story.json")
