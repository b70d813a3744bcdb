"""The places that people built: each painter returns far, mid, ground and near pictures [H, W, 4]."""

import numpy as np

from drawn.moods import HORIZON, Mood
from drawn.paint import Array, Canvas, Colour, blend, curve, ellipse, rectangle, scaled, stroke
from drawn.scenery import Rng, floor, glow, gradient, house, pine, ridge, sky, window
from drawn.shapes import draw

Four = tuple[Array, Array, Array, Array]


def street(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """A town street with lamps."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON, mood.cloud)
    if mood.word == "at night":
        canvas.fill(far, ellipse(0.35, 0.06, 0.05, 0.05), (0.95, 0.95, 0.86), 1.0, 0.003)
        glow(canvas, far, 0.35, 0.06, 0.35, (0.7, 0.8, 1.0), 0.4)
    lamp = (1.0, 0.76, 0.38)
    _skyline(canvas, far, rng, mood, lamp)
    mid = canvas.blank()
    walls = [(0.42, 0.27, 0.25), (0.28, 0.33, 0.42), (0.46, 0.38, 0.27), (0.30, 0.25, 0.34), (0.24, 0.34, 0.31)]
    dim = 0.62 if mood.word == "at night" else 0.95
    for x, w in (
        (canvas.left - 0.05, 0.55),
        (canvas.left + 0.5, 0.42),
        (-0.62, 0.34),
        (0.34, 0.36),
        (canvas.right - 0.86, 0.42),
        (canvas.right - 0.44, 0.5),
    ):
        house(
            canvas,
            mid,
            rng,
            float(x),
            0.72,
            w,
            rng.uniform(0.42, 0.72),
            scaled(walls[int(rng.integers(5))], dim),
            (0.16, 0.10, 0.12),
            lamp,
            share_lit=0.55,
        )
    for x in (-1.05, -0.2, 0.85):
        draw(canvas, mid, "street lamp", {}, (x, 0.0))
        glow(canvas, mid, x, 0.3, 0.3, lamp, 0.55)
    ground = floor(canvas, rng, 0.72, blend(scaled((0.36, 0.36, 0.42), dim), mood.low, 0.2), "stones")
    for x in (-1.05, -0.2, 0.85, 0.4):
        canvas.fill(
            ground,
            [(x - 0.03, 0.74), (x + 0.03, 0.74), (x * 1.25 + 0.09, 1.2), (x * 1.25 - 0.09, 1.2)],
            lamp,
            0.33,
            0.03,
            ground[..., 3],
        )
    near = canvas.blank()
    return far, mid, ground, near


def _skyline(canvas: Canvas, far: Array, rng: Rng, mood: Mood, lamp: Colour) -> None:
    """Houses along the horizon."""
    x = canvas.left
    while x < canvas.right:
        w = rng.uniform(0.16, 0.3)
        house(
            canvas,
            far,
            rng,
            x,
            0.68,
            w,
            rng.uniform(0.25, 0.45),
            scaled(blend(mood.low, mood.high, 0.6), 0.7),
            scaled(mood.high, 0.7),
            scaled(lamp, 0.8),
            share_lit=0.35,
        )
        x += w * 0.96
    canvas.fill(far, rectangle(canvas.left, 0.66, canvas.right, 0.76), scaled(mood.high, 0.6))


def room(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """A furnished room."""
    wall: Colour = [(0.55, 0.36, 0.28), (0.34, 0.42, 0.38), (0.50, 0.42, 0.30), (0.38, 0.30, 0.40)][
        int(rng.integers(4))
    ]
    far = canvas.blank()
    far[..., :3] = gradient(canvas, [(-0.2, scaled(wall, 0.55)), (0.4, wall), (0.8, scaled(wall, 0.8))])
    far[..., 3] = 1
    x, y = canvas.grid()
    far[..., :3] *= (1 + 0.04 * np.sin(x * 60) + 0.03 * np.sin(y * 40 + np.sin(x * 30) * 2))[..., None]
    side = 1 if rng.random() < 0.5 else -1
    wx = side * 0.42 - 0.24
    _curtained_window(canvas, far, mood, wx)
    _bookshelf(canvas, far, rng, -side * 0.62)
    mid = canvas.blank()
    lx = side * 1.18
    draw(canvas, mid, "floor lamp", {}, (lx, 0.0))
    draw(canvas, mid, "armchair", {}, (-side * 1.2, 0.0))
    ground = floor(canvas, rng, 0.74, (0.50, 0.31, 0.19), "boards")
    canvas.fill(ground, stroke([(canvas.left, 0.735), (canvas.right, 0.735)], 0.03), scaled(wall, 0.45))
    canvas.fill(ground, ellipse(0, 0.98, 0.75, 0.13, 0, 80), (0.50, 0.14, 0.15), 0.92, 0.003)
    canvas.fill(ground, ellipse(0, 0.98, 0.62, 0.10, 0, 80), (0.68, 0.48, 0.25), 0.6, 0.003)
    canvas.fill(ground, ellipse(0, 0.98, 0.55, 0.085, 0, 80), (0.42, 0.11, 0.14), 0.9, 0.003)
    canvas.tint(ground, [(wx, 0.78), (wx + 0.48, 0.78), (wx + 0.2, 1.2), (wx - 0.6, 1.2)], (1.35, 1.2, 1.0), 0.7, 0.03)
    for layer in (far, mid, ground):
        glow(canvas, layer, lx, 0.25, 0.8, (1.0, 0.72, 0.38), 0.40)
        glow(canvas, layer, wx + 0.24, 0.3, 0.6, mood.low, 0.25)
        np.clip(layer, 0, 1, out=layer)
    near = canvas.blank()
    _plant(canvas, near, -side * 1.5)
    return far, mid, ground, near


def _curtained_window(canvas: Canvas, far: Array, mood: Mood, wx: float) -> None:
    """A window between curtains, with hills behind it."""
    window(canvas, far, wx, 0.05, 0.48, 0.50, blend(mood.low, mood.sun, 0.25), (0.30, 0.20, 0.14))
    draw(canvas, far, "hills", {"hills": blend(mood.high, mood.low, 0.3)}, (wx, 0.0))
    for x in (wx - 0.07, wx + 0.55):
        draw(canvas, far, "curtain", {}, (x, 0.0))


def _bookshelf(canvas: Canvas, far: Array, rng: Rng, sx: float) -> None:
    """Five shelves of books."""
    canvas.fill(far, rectangle(sx - 0.40, -0.05, sx + 0.40, 0.74), (0.24, 0.15, 0.09))
    for shelf in range(5):
        y0 = -0.02 + shelf * 0.15
        canvas.fill(far, rectangle(sx - 0.37, y0, sx + 0.37, y0 + 0.13), (0.11, 0.07, 0.05))
        bx = sx - 0.36
        while bx < sx + 0.33:
            bw, bh = rng.uniform(0.018, 0.042), rng.uniform(0.085, 0.12)
            book = blend((0.62, 0.22, 0.16), (0.16, 0.36, 0.42), rng.random())
            book = blend(book, (0.85, 0.72, 0.42), rng.random() * 0.6)
            canvas.fill(far, rectangle(bx, y0 + 0.13 - bh, bx + bw, y0 + 0.13), scaled(book, 0.85))
            canvas.fill(
                far, stroke([(bx + bw * 0.2, y0 + 0.135 - bh), (bx + bw * 0.2, y0 + 0.13)], bw * 0.2), (1, 1, 1), 0.18
            )
            bx += bw * 1.06 if rng.random() < 0.9 else bw * 2.2


def _plant(canvas: Canvas, near: Array, px: float) -> None:
    """Leaves that reach up from below the picture."""
    for k in range(9):
        a = -2.5 + k * 0.24
        leaf = curve(
            [
                (px, 1.15),
                (px + 0.25 * np.cos(a) - 0.05, 1.0 + 0.3 * np.sin(a)),
                (px + 0.45 * np.cos(a), 1.05 + 0.5 * np.sin(a)),
                (px + 0.25 * np.cos(a) + 0.05, 1.02 + 0.3 * np.sin(a)),
            ]
        )
        canvas.fill(near, leaf, (0.08, 0.15, 0.09), 0.97, 0.01)


def village(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """Houses under snow."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON, mood.cloud)
    if mood.word == "at night":
        _stars(canvas, far, rng)
    white = blend((0.86, 0.91, 1.0), mood.high, 0.35)
    ridge(canvas, far, rng, 0.60, 0.22, 3, scaled(white, 0.75), white, 0.4)
    for _ in range(40):
        pine(
            canvas,
            far,
            rng.uniform(canvas.left, canvas.right),
            rng.uniform(0.50, 0.64),
            rng.uniform(0.08, 0.15),
            blend((0.10, 0.2, 0.24), mood.high, 0.45),
            True,
        )
    mid = canvas.blank()
    x = canvas.left + 0.05
    while x < canvas.right:
        w = rng.uniform(0.26, 0.40)
        wall = [(0.55, 0.25, 0.20), (0.62, 0.48, 0.30), (0.30, 0.36, 0.42), (0.46, 0.33, 0.25)][int(rng.integers(4))]
        house(
            canvas,
            mid,
            rng,
            x,
            0.71,
            w,
            rng.uniform(0.16, 0.28),
            scaled(blend(wall, mood.high, 0.25), 0.85),
            (0.2, 0.14, 0.14),
            (1.0, 0.80, 0.42),
            True,
        )
        x += w + rng.uniform(0.03, 0.30)
    for _ in range(7):
        pine(
            canvas, mid, rng.uniform(canvas.left, canvas.right), 0.73, rng.uniform(0.24, 0.36), (0.09, 0.19, 0.19), True
        )
    for x in np.linspace(canvas.left, canvas.right, 7):
        glow(canvas, mid, float(x), 0.62, 0.3, (1.0, 0.7, 0.35), 0.18)
    ground = floor(canvas, rng, 0.70, scaled(white, 1.05), "snow")
    near = canvas.blank()
    for s in (canvas.left + 0.1, canvas.right - 0.1):
        _bough(canvas, near, s, scaled(white, 0.95))
    return far, mid, ground, near


def _stars(canvas: Canvas, far: Array, rng: Rng) -> None:
    """A hundred and twenty stars."""
    for _ in range(120):
        canvas.fill(
            far,
            ellipse(rng.uniform(canvas.left, canvas.right), rng.uniform(-0.2, 0.35), 0.0025, 0.0025, 0, 6),
            (0.9, 0.93, 1.0),
            rng.uniform(0.3, 1),
        )


def _bough(canvas: Canvas, near: Array, s: float, snow: Colour) -> None:
    """A branch of a pine, with snow on it."""
    d = 1 if s < 0 else -1
    bough = curve([(s - d * 0.3, -0.16), (s + d * 0.25, -0.06), (s + d * 0.62, 0.06)], False)
    for px, py in bough[::2]:
        for way in (-0.5, -0.1, 0.3):
            tip = (px + d * 0.10 * np.cos(way + 1.2), py + 0.11 * np.sin(way + 1.2))
            canvas.fill(near, stroke([(px, py), tip], [0.02, 0.002]), (0.06, 0.12, 0.13), 1.0, 0.004)
    canvas.fill(near, stroke(bough - (0, 0.015), [0.05, 0.035, 0.006]), snow, 1.0, 0.006)
