"""The pages of a story and of the demo in a real browser: the system's Chromium; skipped where there is none."""

from dataclasses import replace

import pytest

from models.metrics.figure import Figure
from storage.stories.story import Line
from tasks.movies import page as pages
from tasks.movies.stories import places
from tasks.movies.stories.planner import plan
from tests.tasks.movies import test_page
from tests.tasks.movies.stories import browser, small
from tests.tasks.movies.stories.small import SETTINGS, edited, story
from tests.tasks.movies.stories.test_work import make

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not browser.CHROMIUM, reason="there is no Chromium here")]

LONG = "Averyveryverylongword" * 12 + "</p><script>console.log('run')</script>"

FAINT = """[...document.querySelectorAll("body *")].filter(one => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const clear = colour => numbers(colour)[3] === 0;
    const light = colour => numbers(colour).slice(0, 3).map(value => value / 255)
        .map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
        .reduce((sum, value, place) => sum + value * [.2126, .7152, .0722][place], 0);
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) return false;
    let behind = one;
    while (clear(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const both = [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor].map(light);
    return (Math.max(...both) + .05) / (Math.min(...both) + .05) < 4.5;
}).map(one => `${one.tagName}.${one.className}: ${one.textContent}`)"""
"""Texts whose contrast is below 4.5, the least of WCAG 2 for small text."""


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


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A page with all that the demo's has: figures, faces, both halves, four versions of a keyframe, models."""
    whole = test_page.story(LONG)
    (frame,) = whole.halves[0].frames
    versions = tuple(
        replace(frame.pictures[0], label=name, made=True) for name in ("original", "rebuilt", "dreamt", LONG)
    )
    figure = pages.tile("rebuilt_top1", Figure(value=None, n=4, what=LONG))
    halves = (
        replace(whole.halves[0], frames=[frame]),
        pages.Half("dreamt", "Held-out half", "held out", LONG, 1, [replace(frame, pictures=versions, begins=LONG)]),
    )
    whole = replace(
        whole, halves=halves, tiles=(figure,) * 4, figures=(figure,), cast=frame.faces * 9, notes=(LONG,), footer=LONG,
        links=(("metrics.json", LONG),), made_with=(pages.MadeWith("captions", "template", "ab" * 32, LONG),),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("demo") / "storyboard.html"
    path.write_text(test_page.rendered(whole), encoding="utf-8")
    return path


@pytest.mark.parametrize("which", ["page", "demo"])
def test_a_page_fits_can_be_read_says_nothing_and_asks_for_nothing(request, tmp_path, which):
    with browser.Browser(tmp_path) as shown:
        for width, dark in ((390, False), (390, True), (1280, False), (1280, True)):
            shown.open(request.getfixturevalue(which), width, dark)
            shown.run("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert shown.run("document.documentElement.scrollWidth") <= width
            light = shown.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
            assert (light < 100) == dark
            assert shown.run(FAINT) == []
            assert shown.run("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
        assert shown.said == []
        assert shown.asked == []


def test_the_movie_is_reached_and_played_by_the_keyboard_alone(page, tmp_path):
    with browser.Browser(tmp_path) as shown:
        shown.open(page, 390, dark=False)
        reached = []
        while "VIDEO" not in reached:
            shown.press("Tab")
            reached.append(shown.run("document.activeElement.tagName"))
            assert len(reached) < 8
        assert reached[0] == "A"
        shown.run("""document.activeElement.muted = true;
            globalThis.ended = new Promise(done => document.activeElement.addEventListener("ended", done)); 0""")
        shown.press("Space")
        assert not shown.run("document.activeElement.paused")
        played = shown.run("""(async () => {
            await ended;
            const video = document.querySelector("video");
            return [video.currentTime, video.videoWidth, video.error === null];
        })()""")
        assert played[0] > 1
        assert played[1:] == [96, True]
        assert shown.said == []


def test_links_and_what_is_folded_are_opened_by_the_keyboard(demo, tmp_path):
    with browser.Browser(tmp_path) as shown:
        shown.open(demo, 1280, dark=False)
        for selector, key, done in (
            ("nav a[href='#dreamt']", "Enter", "location.hash === '#dreamt'"),
            ("footer summary", "Space", "document.querySelector('footer details').open"),
            ("footer summary", "Enter", "!document.querySelector('footer details').open"),
        ):
            shown.run(f'document.querySelector("{selector}").focus()')
            shown.press(key)
            assert shown.run(done), (selector, key)
        assert shown.said == []
