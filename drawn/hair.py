"""Hair: the shapes of the styles, strands that run from the crown, and what hangs behind the head."""

import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import cast

import numpy as np

from drawn.paint import Array, Canvas, Points, curve, ellipse, over, relief
from drawn.people import Look

_DATA = files("drawn").joinpath("hair.json")


@cache
def _outlines() -> dict[str, dict[str, list[tuple[int, float, float]]]]:
    """Where -> style -> corners of the outline in head units: side (-1, 0, 1), distance from that side, height."""
    return cast("dict[str, dict[str, list[tuple[int, float, float]]]]", json.loads(_DATA.read_text()))


def _outline(look: Look, where: str) -> Array:
    return curve([(side * look.width + x, y) for side, x, y in _outlines()[where][look.style]])


def back_shape(look: Look) -> Points | None:
    """The outline of the hair behind the neck, in head units; None where there is none."""
    if look.style in _outlines()["back"]:
        return _outline(look, "back")
    if look.style == "afro":
        a = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        r = 1.12 + 0.025 * np.sin(a * 23) + 0.02 * np.sin(a * 37 + 1)
        return np.stack([r * np.cos(a), -0.42 + r * 0.95 * np.sin(a)], 1)
    if look.style == "bun":
        return ellipse(0, -1.2, 0.36, 0.30)
    return None


def front_shape(look: Look) -> list[Array]:
    """The outlines of the hair on the skull, over the forehead."""
    if look.style == "bald":
        return []
    shapes = [_outline(look, "front")]
    if look.style == "curls":
        for i, a in enumerate(np.linspace(-2.75, -0.4, 11)):
            shapes.append(ellipse(0.70 * np.cos(a), -0.38 + 0.78 * np.sin(a), 0.18 + 0.03 * (i % 3), 0.17))
    return shapes


def strands(canvas: Canvas, look: Look, mask: Array, light: float) -> Array:
    """Hair colour [H, W, 3] under a mask: strands from the crown, a band of gloss, light on the volume."""
    x, y = canvas.grid()
    rng = np.random.default_rng(11)
    parting = 0.12 if look.style in ("long", "short") else 0.0
    if look.style in ("afro", "curls", "crop"):
        grain = canvas.blur(rng.standard_normal(canvas.shape, dtype=np.float32), 0.022)
        grain = grain / (grain.std() + 1e-6) * (0.22 if look.style != "crop" else 0.08)
        gloss = np.zeros_like(x)
    else:
        angle = np.arctan2(y + 1.0, x - parting) + 0.12 * np.sin(3 * y)
        table = np.convolve(rng.standard_normal(700), np.ones(3) / 3, "same")
        wide = np.convolve(rng.standard_normal(700), np.hanning(25) / 5, "same")
        at = (angle + np.pi) / (2 * np.pi) * 699
        grain = (np.interp(at, np.arange(700), 0.12 * table + 0.10 * wide)).astype(np.float32)
        r = np.hypot((x - parting) * 0.9, y + 1.1)
        gloss = np.exp(-(((r - 0.42 - 0.05 * grain) / 0.13) ** 2)) * (0.5 + 1.5 * np.clip(grain, -0.2, 0.3))
    lit = relief(canvas.blur(mask, 0.13), 0.30 * canvas.unit, light)
    colour = np.array(look.hair, np.float32)
    rgb = colour * (0.45 + 0.75 * lit[..., None]) * (1 + grain[..., None])
    return cast(Array, np.clip(rgb + (0.18 + 0.25 * colour) * np.clip(gloss, 0, 1)[..., None] * 0.55, 0, 1))


def paint_back(canvas: Canvas, picture: Array, look: Look, light: float) -> None:
    """The hair behind neck and face, darker than in front."""
    shape = back_shape(look)
    if shape is not None:
        mask = canvas.mask(shape, 0.02 if look.style == "afro" else 0.008)
        over(picture, strands(canvas, look, mask, light) * 0.8, mask)


@lru_cache(maxsize=8)
def front(canvas: Canvas, look: Look, light: float) -> tuple[Array, Array]:
    """The hair over the skull [H, W, 4], and the light [H, W, 1] that its shadow leaves on the forehead."""
    masks = [canvas.mask(shape) for shape in front_shape(look)]
    if not masks:
        return canvas.blank(), np.ones((*canvas.shape, 1), np.float32)
    mask = canvas.blur(np.max(masks, axis=0), 0.02 if look.style in ("afro", "crop", "curls") else 0.006)
    drop = np.roll(canvas.blur(mask, 0.05), round(0.05 * canvas.unit), axis=0)
    hair = canvas.blank()
    over(hair, strands(canvas, look, mask, light), mask * (0.9 if look.style == "crop" else 1.0))
    return hair, 1 - 0.35 * drop[..., None]


def paint_front(canvas: Canvas, picture: Array, look: Look, light: float) -> None:
    """The hair over the skull, with the shadow that it throws on the forehead."""
    hair, left = front(canvas, look, light)
    picture[..., :3] *= left
    picture *= 1 - hair[..., 3:]
    picture += hair
