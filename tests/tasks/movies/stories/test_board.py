"""The page of a story: all that a person wrote is shown as text, and nothing is asked of the network."""

import re
from html.parser import HTMLParser

import pytest

from storage.stories.story import Line, Named
from tasks.movies.stories import board, places
from tasks.movies.stories.plan import Takes
from tasks.movies.stories.planner import plan
from tests.tasks.movies.stories import small
from tests.tasks.movies.stories.small import SETTINGS, edited, story
from tests.tasks.movies.stories.test_work import make
from tests.tasks.small_story import webp

BAD = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "poster")]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    storage = small.storage(folder / "out")
    (folder / "anna.webp").write_bytes(webp(3))
    one = story(lines=2, scenes=1, title=BAD + "\x1b[2J")
    one = edited(one, 1, plots=(BAD, "She sits."), lines=(Line(text=BAD), Line(speaker="Anna", text="Who is it?")))
    one = one.model_copy(update={"places": (Named(name="kitchen", description=BAD, pictures=("k.webp",)),)})
    first = plan(one, SETTINGS, {"k.webp": "aa"})
    planned = plan(one, SETTINGS, {"k.webp": "aa"}, {first.shots[0].id: Takes(seeds=(7,), chosen=2)})
    make(storage, planned, files={"aa": str(folder / "anna.webp")})
    return storage, planned, storage.read_bytes(places.page_place(planned)).decode()


def test_what_a_person_wrote_is_text_and_nothing_else(page):
    _, planned, text = page
    read = Reader(text)
    assert "script" not in read.tags
    assert "\x1b" not in text
    assert not re.search("onerror=(?!alert\\(2\\)&gt;)", text)
    assert "&lt;script&gt;alert(1)" in text
    assert all(source.startswith(("data:image/webp", "#", "data:,")) or "/" not in source for source in read.sources)
    name = places.movie_place(planned).rsplit("/", 1)[1]
    assert len(name) > 4
    assert "/" not in name


def test_it_shows_the_movie_the_lines_the_decisions_and_the_takes(page):
    _, _, text = page
    for wanted in (
        "<video controls", "She sits.", "Narrator: ", "Anna: Who is it?", "Try 1: light", "take 1, seed 0",
        "take 2, seed 7, shown", "2 keyframes in 1 shot and 1 scene, 0:0",
    ):  # fmt: skip
        assert wanted in text


def test_it_is_made_anew_when_there_is_another_take(page):
    storage, planned, _ = page
    assert board.is_there(planned, storage)
    shot = planned.shots[0]
    more = plan(planned.story, SETTINGS, planned.pictures, {shot.id: Takes(seeds=(7, 8), chosen=2)})
    assert more.movie == planned.movie
    assert not board.is_there(more, storage)
