"""Renders the storyboard: plain data in, one self-contained HTML page out.

Keyframes are read one at a time while the page is written, so only one of them is in memory.

No scripts, no external requests: pictures are WebP data URIs, styles are inline, light and dark follow the reader.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from models.metrics.figure import Figure
from tasks.shown import Picture, number, template, webp

HalfKind = Literal["learnt", "dreamt"]


@dataclass(frozen=True)
class Portrait:
    """A face, as a square picture."""

    name: str
    image: str
    note: str = ""


@dataclass(frozen=True)
class Keyframe:
    """One keyframe in all its versions, with its script as (heading, sentences) in the order of Fig. 16.

    `begins` is the heading above it, where a new shot (or film) begins; `by` says who wrote caption and script.
    """

    row_id: str
    clock: str
    shot: int
    pictures: tuple[Picture, ...]
    script: tuple[tuple[str, tuple[str, ...]], ...]
    by: str
    faces: tuple[Portrait, ...] = ()
    begins: str = ""


@dataclass(frozen=True)
class Half:
    """The keyframes that the models were trained on, or the held-out ones: their number, and each of them, once."""

    kind: HalfKind
    title: str
    chip: str
    note: str
    count: int
    frames: Iterable[Keyframe]


@dataclass(frozen=True)
class Tile:
    """A figure, formatted for people."""

    label: str
    value: str
    n: int
    what: str


@dataclass(frozen=True)
class MadeWith:
    """A backend that was used."""

    stage: str
    backend: str
    revision: str
    licence: str


@dataclass(frozen=True)
class Page:
    """Everything on the page, from top to bottom; `movie` and `poster` are addresses, "" for none."""

    title: str
    lead: str
    halves: tuple[Half, ...]
    movie: str = ""
    poster: str = ""
    links: tuple[tuple[str, str], ...] = ()
    tiles: tuple[Tile, ...] = ()
    figures: tuple[Tile, ...] = ()
    pictures: tuple[Picture, ...] = ()
    cast: tuple[Portrait, ...] = ()
    cast_note: str = "Faces found in the film and grouped by their embeddings; nobody named them."
    notes: tuple[str, ...] = ()
    made_with: tuple[MadeWith, ...] = ()
    footer: str = ""
    eyebrow: str = "Storyboard"


def render(page: Page) -> Iterator[str]:
    """The page as HTML, piece by piece; every text in it is escaped."""
    return template("tasks.movies", "storyboard.html").generate(page=page)


def portrait(name: str, image: bytes, box: tuple[float, float, float, float], size: int, note: str = "") -> Portrait:
    """The face in `box` (x0, y0, x1, y1 in 0-1 of the image) with a little around it, `size` pixels square."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        x0, y0, x1, y1 = (edge * side for edge, side in zip(box, opened.size * 2, strict=True))
        half = max(x1 - x0, y1 - y0) * 0.65
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        crop = opened.convert("RGB").crop((round(x - half), round(y - half), round(x + half), round(y + half)))
        return Portrait(name, webp(crop.resize((size, size))), note)


def tile(name: str, figure: Figure) -> Tile:
    """A figure under a name made of words: `rebuilt_top1` reads "rebuilt top1"."""
    what = figure.what[:1].upper() + figure.what[1:]
    if figure.interval:
        what += f"; 95 % interval {number(figure.interval[0])} to {number(figure.interval[1])}"
    return Tile(name.replace("_", " "), number(figure.value), figure.n, what)
