"""Hair: the shapes of the styles, strands that run from the crown, and what hangs behind the head."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import numpy as np

from drawn.paint import Array, Canvas, Points, curve, ellipse, over, relief
from drawn.people import Look


def back_shape(look: Look) -> Points | None:
    """The outline of the hair behind the neck, in head units; None where there is none."""
    w = look.width
    if look.style in ("long", "fringe"):
        return curve(
            [
                (0, -1.22),
                (0.62, -1.08),
                (w + 0.20, -0.5),
                (w + 0.22, 0.3),
                (w + 0.30, 1.0),
                (w + 0.22, 1.75),
                (0.45, 1.95),
                (0, 1.7),
                (-0.45, 1.95),
                (-w - 0.22, 1.75),
                (-w - 0.30, 1.0),
                (-w - 0.22, 0.3),
                (-w - 0.20, -0.5),
                (-0.62, -1.08),
            ]
        )
    if look.style == "bob":
        return curve(
            [
                (0, -1.2),
                (0.6, -1.08),
                (w + 0.16, -0.5),
                (w + 0.2, 0.3),
                (w + 0.16, 0.86),
                (0.5, 0.95),
                (-0.5, 0.95),
                (-w - 0.16, 0.86),
                (-w - 0.2, 0.3),
                (-w - 0.16, -0.5),
                (-0.6, -1.08),
            ]
        )
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
    w = look.width
    o = w + 0.06
    cap = {
        "long": [
            (-o - 0.08, 0.95),
            (-o - 0.1, 0.1),
            (-o - 0.02, -0.55),
            (-0.5, -1.08),
            (0.05, -1.2),
            (0.55, -1.07),
            (o + 0.02, -0.55),
            (o + 0.1, 0.1),
            (o + 0.08, 0.95),
            (w - 0.02, 0.5),
            (w - 0.06, -0.1),
            (0.56, -0.45),
            (0.30, -0.66),
            (0.12, -0.78),
            (-0.2, -0.62),
            (-0.52, -0.42),
            (-w + 0.06, -0.1),
            (-w + 0.02, 0.5),
        ],
        "bob": [
            (-o - 0.07, 0.8),
            (-o - 0.09, 0.1),
            (-o - 0.02, -0.55),
            (-0.5, -1.08),
            (0, -1.18),
            (0.5, -1.08),
            (o + 0.02, -0.55),
            (o + 0.09, 0.1),
            (o + 0.07, 0.8),
            (w - 0.07, 0.72),
            (w - 0.06, 0.1),
            (0.6, -0.30),
            (0.3, -0.33),
            (0, -0.345),
            (-0.3, -0.33),
            (-0.6, -0.30),
            (-w + 0.06, 0.1),
            (-w + 0.07, 0.72),
        ],
        "fringe": [
            (-o - 0.08, 0.95),
            (-o - 0.1, 0.1),
            (-o - 0.02, -0.55),
            (-0.5, -1.08),
            (0.05, -1.2),
            (0.55, -1.07),
            (o + 0.02, -0.55),
            (o + 0.1, 0.1),
            (o + 0.08, 0.95),
            (w - 0.02, 0.5),
            (w - 0.05, 0.05),
            (0.58, -0.34),
            (0.28, -0.40),
            (0, -0.43),
            (-0.28, -0.40),
            (-0.58, -0.34),
            (-w + 0.05, 0.05),
            (-w + 0.02, 0.5),
        ],
        "bun": [
            (-w - 0.02, 0.05),
            (-o - 0.02, -0.45),
            (-0.5, -1.03),
            (0, -1.13),
            (0.5, -1.03),
            (o + 0.02, -0.45),
            (w + 0.02, 0.05),
            (w - 0.07, -0.25),
            (0.48, -0.55),
            (0.2, -0.72),
            (0, -0.76),
            (-0.2, -0.72),
            (-0.48, -0.55),
            (-w + 0.07, -0.25),
        ],
        "short": [
            (-w - 0.02, 0.2),
            (-o - 0.03, -0.4),
            (-0.56, -1.03),
            (-0.1, -1.18),
            (0.4, -1.12),
            (o, -0.75),
            (o + 0.03, -0.35),
            (w + 0.02, 0.2),
            (w - 0.06, -0.1),
            (w - 0.12, -0.5),
            (0.4, -0.66),
            (0.1, -0.74),
            (-0.25, -0.74),
            (-w + 0.14, -0.55),
            (-w + 0.06, -0.1),
        ],
        "crop": [
            (-w, 0.02),
            (-w - 0.02, -0.45),
            (-0.5, -0.98),
            (0, -1.08),
            (0.5, -0.98),
            (w + 0.02, -0.45),
            (w, 0.02),
            (w - 0.05, -0.3),
            (w - 0.14, -0.55),
            (0.3, -0.66),
            (0, -0.68),
            (-0.3, -0.66),
            (-w + 0.14, -0.55),
            (-w + 0.05, -0.3),
        ],
        "afro": [
            (-w - 0.05, 0.05),
            (-w - 0.1, -0.5),
            (-0.5, -1.05),
            (0, -1.2),
            (0.5, -1.05),
            (w + 0.1, -0.5),
            (w + 0.05, 0.05),
            (w - 0.04, -0.25),
            (w - 0.14, -0.52),
            (0.3, -0.66),
            (0, -0.69),
            (-0.3, -0.66),
            (-w + 0.14, -0.52),
            (-w + 0.04, -0.25),
        ],
        "slick": [
            (-w - 0.02, 0.12),
            (-o - 0.01, -0.4),
            (-0.5, -1.06),
            (0, -1.16),
            (0.5, -1.06),
            (o + 0.01, -0.4),
            (w + 0.02, 0.12),
            (w - 0.05, -0.2),
            (w - 0.1, -0.52),
            (0.42, -0.80),
            (0.1, -0.74),
            (-0.2, -0.76),
            (-0.44, -0.80),
            (-w + 0.1, -0.52),
            (-w + 0.05, -0.2),
        ],
        "curls": [
            (-w - 0.03, 0.1),
            (-o - 0.1, -0.4),
            (-0.62, -1.05),
            (-0.2, -1.3),
            (0.3, -1.27),
            (0.68, -1.0),
            (o + 0.1, -0.4),
            (w + 0.03, 0.1),
            (w - 0.05, -0.25),
            (0.5, -0.50),
            (0.32, -0.60),
            (0.16, -0.50),
            (0, -0.62),
            (-0.2, -0.50),
            (-0.36, -0.62),
            (-0.52, -0.48),
            (-w + 0.05, -0.25),
        ],
    }[look.style]
    shapes = [curve(cap)]
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
