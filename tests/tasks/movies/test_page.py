import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from models.metrics.figure import Figure
from tasks import shown
from tasks.movies import page
from tests.storage.test_printable import EVIL

VOID = {"meta", "link", "img", "br"}


def webp(colour=(200, 30, 30), size=(896, 512)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "WEBP")
    return file.getvalue()


def pixels(data_uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data_uri.split(",", 1)[1]))))


def story(text: str = "A man in red.", frames: int = 1) -> page.Page:
    keyframes = tuple(
        page.Keyframe(
            row_id=f"abc-{i:06d}",
            clock=shown.clock(i),
            shot=0,
            pictures=(shown.picture("original", webp(), 320),),
            script=(("Characters", (text,)), ("Scene Elements", ()), ("Plots", ("He waits.",))),
            by="script by template",
            faces=(page.portrait("Character 1", webp(), (0.4, 0.2, 0.5, 0.5), 64),),
        )
        for i in range(frames)
    )
    learnt = page.Half("learnt", "Training half", "learnt from", "note", frames, iter(keyframes))
    figure = page.tile("rebuilt_top1", Figure(value=0.75, n=4, what="what it is"))
    return page.Page(title=text, lead="lead", halves=(learnt, page.Half("dreamt", "Held out", "held out", "", 0, ())),
                     tiles=(figure,), figures=(figure,))  # fmt: skip


def rendered(whole: page.Page) -> str:
    return "".join(page.render(whole))


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing_outside():
    html = rendered(story(frames=3))
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert all(uri.startswith(("data:", "#")) for uri in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert "url(" not in html
    assert "@import" not in html


def test_a_keyframe_is_asked_for_when_those_before_it_are_written():
    whole = story(frames=3)
    asked: list[str] = []

    def frames():
        for frame in whole.halves[0].frames:
            asked.append(frame.row_id)
            yield frame

    learnt = replace(whole.halves[0], frames=frames())
    written = 0
    for piece in page.render(replace(whole, halves=(learnt,))):
        written += piece.count("<article")
        assert written <= len(asked) <= written + 1
    assert len(asked) == written == 3


def test_texts_are_escaped():
    html = rendered(story("<img src=x onerror=alert(1)> & co"))
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; co" in html


def test_texts_are_shown_escaped_and_cut_but_pictures_are_whole():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    face = page.Portrait(EVIL, shown.webp(Image.fromarray(noise)))
    html = rendered(replace(story(EVIL), cast=(face,)))
    assert all(letter.isprintable() or letter == "\n" for letter in html)
    assert "A" * 2001 not in re.sub('"data:[^"]*"', "", html)
    assert len(face.image) > 2000
    assert face.image in html


def test_headings_without_sentences_and_halves_without_keyframes_are_left_out():
    html = rendered(story())
    assert "Scene Elements" not in html
    assert "Held out" not in html
    assert "He waits." in html


def test_figures_show_value_n_and_meaning():
    html = rendered(story())
    assert "rebuilt top1" in html
    assert "0.75" in html
    assert "n = 4" in html
    assert "What it is" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (0.854, "0.85"), (24.31, "24.3"), (-0.2, "−0.20"), (48, "48"), (1234.5, "1234")],
)
def test_numbers_are_short(value, text):
    assert shown.number(value) == text


def test_clock():
    assert [shown.clock(second) for second in (5, 75, 3672)] == ["0:05", "1:15", "1:01:12"]


def test_pictures_keep_their_shape():
    small = shown.picture("original", webp(), 320)
    assert (small.width, small.height) == (320, 183)
    assert pixels(small.image).shape == (183, 320, 3)


def test_a_portrait_is_cut_around_the_face():
    image = Image.new("RGB", (200, 100), (0, 0, 255))
    image.paste((255, 0, 0), (150, 30, 190, 70))
    file = io.BytesIO()
    image.save(file, "PNG")
    cut = pixels(page.portrait("Character 1", file.getvalue(), (0.75, 0.3, 0.95, 0.7), 64).image)
    assert cut.shape == (64, 64, 3)
    assert cut[32, 32, 0] > 200
    assert cut[1, 1, 2] > 200
