"""Formats what pages show: inline pictures, numbers, times, lists of names."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from models.metrics.figure import Figure
from storage.printable import LINE, printable

if TYPE_CHECKING:
    from jinja2 import Template

_LISTED = 8  # names that a sentence holds


@dataclass(frozen=True)
class Picture:
    """One picture of a keyframe; `made` if a model made it."""

    label: str
    image: str
    width: int
    height: int
    made: bool = False


def picture(label: str, image: bytes, width: int, height: int = 0, made: bool = False) -> Picture:
    """`image` (any format that Pillow reads), scaled to `width` and `height`; a height of 0 keeps the aspect ratio."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        height = height or round(width * opened.height / opened.width)
        pixels = opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        return Picture(label, webp(pixels), width, height, made)


def number(value: float | None) -> str:
    """Two decimals, fewer from 10 on, or "none"."""
    if value is None:
        return "none"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def clock(seconds: float) -> str:
    """12 -> 0:12, 3672 -> 1:01:12."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def webp(image: "object") -> str:
    """A Pillow image as a data URI."""
    from markupsafe import Markup

    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=70, method=4)  # type: ignore[attr-defined]
    return Markup("data:image/webp;base64,") + base64.b64encode(buffer.getvalue()).decode("ascii")


def template(package: str, name: str, **filters: Callable[..., str]) -> "Template":
    """A page's template; every text is escaped for HTML, made printable (storage.printable) and truncated."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    environment.filters |= filters
    return environment.from_string(resources.files(package).joinpath(name).read_text(encoding="utf-8"))


def _printable(value: object) -> object:
    return printable(value, LINE) if type(value) is str else value  # Markup is made here: pictures, histograms


def counted(number: int, thing: str) -> str:
    """ "1 shot", "2 shots"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def absences(figures: Mapping[str, Figure]) -> dict[str, list[str]]:
    """Reason -> the names of the figures that have no value for this reason."""
    reasons: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.value is None:
            reasons.setdefault(figure.reason or "", []).append(name)
    return reasons


def listed(names: Sequence[str], last: str = " and ") -> str:
    """ "A, B and C"; for many names the first few and the number of the others."""
    if len(names) > _LISTED:
        return f"{', '.join(names[:_LISTED])} and {len(names) - _LISTED} more"
    return ", ".join(names[:-1]) + last + names[-1] if len(names) > 1 else "".join(names)
