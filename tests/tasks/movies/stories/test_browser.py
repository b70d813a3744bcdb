"""The page of a story in a real browser: the system's Chromium; skipped where there is none."""

from dataclasses import replace

import pytest

from storage.stories.story import Line
from tasks.movies.stories import places
from tasks.movies.stories.planner import plan
from tests.tasks.movies.stories import browser, small
from tests.tasks.movies.stories.small import SETTINGS, edited, story
from tests.tasks.movies.stories.test_work import make

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not browser.CHROMIUM, reason="there is no Chromium here")]

LONG = "Averyveryverylongword" * 12 + "</p><script>console.log('run')</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    storage = small.storage(tmp_path_factory.mktemp("browser"))
    settings = replace(SETTINGS, sound=SETTINGS.sound.model_copy(update={"music": True}))
    one = edited(
        story(lines=4, scenes=2, title=f"The door {LONG}"), 1, plots=(LONG, "She sits."), lines=(Line(text=LONG),)
    )
    planned = plan(one, settings, {})
    make(storage, planned)
    with storage.local(places.page_place(planned)) as path:
        yield path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_says_nothing_and_asks_for_nothing(page, tmp_path, width, dark):
    with browser.Browser(tmp_path) as shown:
        shown.open(page, width, dark)
        assert shown.run("document.documentElement.scrollWidth") <= width
        light = shown.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (light < 100) == dark
        assert shown.run("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
        assert shown.said == []
        assert shown.asked == []


def test_the_movie_plays_and_the_keyboard_reaches_it(page, tmp_path):
    with browser.Browser(tmp_path) as shown:
        shown.open(page, 1280, dark=False)
        reached = []
        for _ in range(8):
            shown.press("Tab")
            reached.append(shown.run("document.activeElement.tagName"))
        assert {"A", "VIDEO"} <= set(reached)
        played = shown.run("""(async () => {
            const video = document.querySelector("video");
            video.muted = true;
            await video.play();
            await new Promise(done => video.addEventListener("ended", done));
            return [video.currentTime, video.videoWidth, video.error === null];
        })()""")
        assert played[0] > 1
        assert played[1:] == [96, True]
        assert shown.said == []
