"""What a Prefect server shows of a run: progress, tables of rows, contact sheets, the movie.

Artifacts are for people; a run continues without them. The run's log names artifacts that could not be written.
"""

import base64
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from flows.display.shown import in_markdown, link
from flows.settings.explained import explained
from flows.settings.recipes import resolve
from storage.masked import masked
from storage.printable import LINE, json_text, printable
from storage.root import Storage
from tasks.movies.quality import of_training
from tasks.training.engine.fit import curve, sample_sheets

if TYPE_CHECKING:
    from uuid import UUID

_WIDTH, _HEIGHT, _MARGIN, _LINE = 320, 160, 8, 14  # pixels of a panel
_COLUMNS = 3

Curve = Sequence[tuple[int, float]]
"""Steps and values."""


class ProgressArtifact:
    """Progress of one stage; create it in the stage's flow or task, and update it from any thread."""

    every = 5.0  # seconds between two updates

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._context = copy_context()
        self._id: UUID | None = None
        self._last = 0.0

    def update(self, fraction: float, text: str) -> None:
        """Updates the progress, 0-1, at most once in `every` seconds."""
        if time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            self._write(fraction, text)

    def finish(self, text: str) -> None:
        if self._id is not None:
            self._write(1.0, text)

    def _write(self, fraction: float, text: str) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        percent, description = round(100 * fraction, 1), f"{self._stage}: {text}"
        with _named(f"the progress of {self._stage}"):
            if self._id is None:
                made = self._context.run(create_progress_artifact, percent, _key(self._stage), description)
                self._id = cast("UUID", made)  # outside an event loop it is no coroutine
            else:
                update_progress_artifact(self._id, percent, description)


@cache
def show_dashboard(url: str) -> None:
    """A link to Ray's dashboard, once a run."""
    from prefect.artifacts import create_link_artifact

    with _named("the link to Ray's dashboard"):
        create_link_artifact(url, key="ray-dashboard", description=f"[Ray's dashboard]({url})")


def show_rows(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table; each row maps columns to values."""
    from prefect.artifacts import create_table_artifact

    shown = [
        {name: printable(cell, LINE) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows
    ]
    with _named(f"the table {key}"):
        create_table_artifact(shown, key=_key(key), description=description)


def show_settings(flow: str, settings: BaseModel) -> None:
    """The settings of a run that differ from the defaults of the recipe `laptop`, as `moviedreamer show` has them."""
    rows = [
        {"setting": one.key, "value": masked(json_text(one.value, indent=None)), "what": one.help}
        for one in explained(settings, resolve("laptop"))
        if one.changed or one.key == "name"
    ]
    show_rows("settings", rows, f"Settings of {flow} that are not the defaults")


def show_sheet(key: str, title: str, rows: Mapping[str, Sequence[bytes]], width: int = 160) -> None:
    """A contact sheet: a labelled row of pictures for each entry, as one JPEG inside a page of Markdown.

    Args:
        rows: label -> encoded pictures, all of the same shape.
        width: of one picture on the sheet, in pixels.
    """
    from prefect.artifacts import create_markdown_artifact

    pictures = {label: images for label, images in rows.items() if images}
    if not pictures:
        return
    with _named(f"the contact sheet {key}"):
        picture = base64.b64encode(contact_sheet(list(pictures.values()), width)).decode()
        name, labels = in_markdown(title), in_markdown(" | ".join(pictures))
        markdown = f"# {name}\n\nFrom top to bottom: {labels}\n\n![{name}](data:image/jpeg;base64,{picture})\n"
        create_markdown_artifact(markdown, key=_key(key), description=title)


def show_training(key: str, place: Storage, model: str) -> None:
    """The curves of a training, its samples, first to last, and its quality page; `model` is its folder.

    Nothing of weights that were used as they are.
    """
    if not place.exists(f"{model}/curve.jsonl"):
        return
    rows, samples = curve(place, model), sample_sheets(place, model)
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "step"]
    with _named(f"the curves of {key}"):
        picture = chart({name: [(int(row["step"]), row[name]) for row in rows if name in row] for name in names})
        encoded = base64.b64encode(picture).decode()
        show_markdown(f"{key}-curves", f"![curves of {key}](data:image/png;base64,{encoded})\n", f"Curves of {key}")
        page = place.url(of_training(place, key, model, picture))
        show_markdown(f"{key}-quality", f"# {link('Quality report', page)}\n", f"The training of {key} as a page")
    if samples:
        show_sheet(
            f"{key}-samples", f"Samples of {key} in training", {str(n): [image] for n, image in samples.items()}, 640
        )


def show_markdown(key: str, markdown: str, description: str) -> None:
    """A page of Markdown."""
    from prefect.artifacts import create_markdown_artifact

    with _named(f"the page {key}"):
        create_markdown_artifact(markdown, key=_key(key), description=description)


def contact_sheet(rows: Sequence[Sequence[bytes]], width: int) -> bytes:
    """Encoded pictures in a grid, a row each, as one JPEG; a picture is `width` pixels wide."""
    from PIL import Image

    first = Image.open(BytesIO(rows[0][0]))
    height, gap = round(width * first.height / first.width), 4
    columns = max(map(len, rows))
    sheet = Image.new("RGB", (columns * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for y, row in enumerate(rows):
        for x, data in enumerate(row):
            small = Image.open(BytesIO(data)).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            sheet.paste(small, (x * (width + gap), y * (height + gap)))
    out = BytesIO()
    sheet.save(out, "JPEG", quality=80)
    return out.getvalue()


def chart(curves: Mapping[str, Curve]) -> bytes:
    """A PNG: each curve with its name, its last value and its range; many steps are averaged to one point per pixel."""
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, len(curves))
    size = columns * _WIDTH, math.ceil(len(curves) / columns) * _HEIGHT
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for place, (name, line) in enumerate(curves.items()):
        left, top = place % columns * _WIDTH + _MARGIN, place // columns * _HEIGHT + _MARGIN
        low, high = min(value for _, value in line), max(value for _, value in line)
        draw.text((left, top), f"{name}: {line[-1][1]:.4g}  ({low:.4g} to {high:.4g})", fill="black")
        draw.line(_points(line, left, top + _LINE), fill=(31, 98, 180), width=2)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _points(line: Curve, left: int, top: int) -> list[tuple[float, float]]:
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN - _LINE
    first, last = line[0][0], line[-1][0]
    bins: dict[int, list[float]] = {}
    for step, value in line:
        bins.setdefault(round((step - first) / max(1, last - first) * width), []).append(value)
    means = {x: sum(values) / len(values) for x, values in bins.items()}
    low, high = min(means.values()), max(means.values())
    return [(left + x, top + height * (1 - (y - low) / ((high - low) or 1))) for x, y in sorted(means.items())]


@contextmanager
def _named(what: str) -> Iterator[None]:
    from prefect.logging import get_logger

    try:
        yield
    except Exception as error:  # a server that is away or a picture that does not open must not end the run
        get_logger("moviedreamer").warning("could not show %s in Prefect: %s", what, error)


def _key(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
