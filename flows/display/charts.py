"""Draws curves as a picture, one panel per curve, without a plotting library."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO

_WIDTH, _HEIGHT, _MARGIN, _LINE = 320, 160, 8, 14  # pixels of a panel
_COLUMNS = 3

Curve = Sequence[tuple[int, float]]
"""Steps and values."""


def chart(curves: Mapping[str, Curve]) -> bytes:
    """A PNG: each curve with its name, its last value and its range; many steps are averaged to one point per pixel."""
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, len(curves))
    size = columns * _WIDTH, math.ceil(len(curves) / columns) * _HEIGHT
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for place, (name, curve) in enumerate(curves.items()):
        left, top = place % columns * _WIDTH + _MARGIN, place // columns * _HEIGHT + _MARGIN
        low, high = min(value for _, value in curve), max(value for _, value in curve)
        draw.text((left, top), f"{name}: {curve[-1][1]:.4g}  ({low:.4g} to {high:.4g})", fill="black")
        draw.line(_points(curve, left, top + _LINE), fill=(31, 98, 180), width=2)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _points(curve: Curve, left: int, top: int) -> list[tuple[float, float]]:
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN - _LINE
    first, last = curve[0][0], curve[-1][0]
    bins: dict[int, list[float]] = {}
    for step, value in curve:
        bins.setdefault(round((step - first) / max(1, last - first) * width), []).append(value)
    means = {x: sum(values) / len(values) for x, values in bins.items()}
    low, high = min(means.values()), max(means.values())
    return [(left + x, top + height * (1 - (y - low) / ((high - low) or 1))) for x, y in sorted(means.items())]
