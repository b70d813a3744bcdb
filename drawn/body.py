"""A body below the head: neck, clothes, arms in a few gestures, legs in a walk; in head units, the eyes at (0, 0)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from drawn.paint import Array, Canvas, Points, Sprite, curve, ellipse, moved, noise, scaled, stroke
from drawn.people import Look

FEET = 9.7  # y of the soles under the eyes for a person with tall = 1, in head units
GESTURES = ("rest", "wave", "heart", "hip")
WHITE = (0.88, 0.87, 0.84)
STEPS = 8  # drawings of a walk's cycle


def _arm(side: int, gesture: str, swing: float, width: float) -> tuple[Array, tuple[float, float]]:
    shoulder = (side * (width - 0.16), 1.88)
    elbow, hand = {
        "rest": ((side * (width + 0.10), 3.15), (side * (width + 0.02 - 0.12 * swing), 4.35 - 0.12 * abs(swing))),
        "wave": ((side * (width + 0.42), 2.75), (side * (width + 0.52), 1.35)),
        "heart": ((side * (width + 0.16), 3.05), (side * 0.28, 2.72)),
        "hip": ((side * (width + 0.48), 3.10), (side * (width - 0.22), 3.95)),
    }[gesture]
    return curve([shoulder, elbow, hand], False, 14), hand


@lru_cache(maxsize=96)
def body(look: Look, gesture: str, step: int, unit: float, whole: bool, light: float = -0.5) -> Sprite:
    """The body; `gesture` of the right arm, `step` of the walk (-1 stands), `whole` with legs or to the hips."""
    canvas = Canvas(unit, -2.4, 0.4, 2.4, FEET * look.tall + 0.35 if whole else 5.4)
    picture = canvas.blank()
    width = 1.10 * look.build
    phase = 2 * np.pi * step / STEPS
    swing = float(np.sin(phase)) if step >= 0 else 0.0
    cloth = 0.86 + 0.28 * noise(np.random.default_rng(8), *canvas.shape, cells=7, octaves=5)
    if look.clothes in ("jumper", "stripes"):
        y = canvas.grid()[1]
        cloth = cloth * (1 + 0.035 * np.sin(y * 60)).astype(np.float32)
    sleeve = scaled(WHITE if look.clothes == "waistcoat" else look.top, 0.93)
    raised = gesture in ("wave", "heart", "hip")
    if whole:
        _legs(canvas, picture, look, swing, phase if step >= 0 else 0.0, light)
    arms = [(-1, "rest", -swing), (1, gesture, swing)]
    for side, what, sw in arms if not raised else arms[:1]:
        _draw_arm(canvas, picture, look, side, what, sw, width, sleeve, cloth, light)
    hips = 4.75
    hem = {"coat": 6.6, "dress": 7.3}.get(look.clothes, hips)
    flare = {"coat": 0.98, "dress": 1.25}.get(look.clothes, 0.80)
    torso = curve(
        [
            (-0.42, 1.38),
            (-width * 0.82, 1.58),
            (-width, 1.95),
            (-width * 0.86, 3.0),
            (-0.70 * look.build, 3.7),
            (-flare * look.build + 0.05 * swing, hem - 0.1),
            (0, hem + 0.06),
            (flare * look.build + 0.05 * swing, hem - 0.1),
            (0.70 * look.build, 3.7),
            (width * 0.86, 3.0),
            (width, 1.95),
            (width * 0.82, 1.58),
            (0.42, 1.38),
        ]
    )
    canvas.puff(picture, torso, look.top, 0.26, light, cloth)
    if look.clothes == "stripes":
        bands = picture.copy()
        canvas.puff(bands, torso, look.accent, 0.26, light, cloth)
        y = canvas.grid()[1]
        share = (canvas.mask(torso) * np.clip(4 * np.sin(y * 2 * np.pi / 0.62) - 1.2, 0, 1))[..., None]
        picture += share * (bands - picture)
    canvas.tint(
        picture, curve([(-0.6, 1.3), (0.6, 1.3), (0.5, 1.85), (0, 2.0), (-0.5, 1.85)]), (0.6, 0.55, 0.6), 0.6, 0.15
    )
    for fold in (
        [(-0.5, 2.6), (-0.3, 3.2), (-0.45, 3.9)],
        [(0.55, 2.4), (0.42, 3.0), (0.6, 3.8)],
        [(0.1, 3.3), (0.2, 4.2), (0.1, 5.2)],
    ):
        canvas.tint(picture, stroke(curve(fold, False), [0.02, 0.16, 0.02]), (0.7, 0.68, 0.74), 0.5, 0.06)
    _neck(canvas, picture, look, light)
    _collar(canvas, picture, look, hem, light)
    if raised:
        side, what, sw = arms[1]
        _draw_arm(canvas, picture, look, side, what, sw, width, sleeve, cloth, light)
    return Sprite.of(canvas, picture)


def _draw_arm(
    canvas: Canvas,
    picture: Array,
    look: Look,
    side: int,
    what: str,
    swing: float,
    width: float,
    sleeve: tuple[float, float, float],
    cloth: Array,
    light: float,
) -> None:
    line, hand = _arm(side, what, swing, width)
    points: Points = ellipse(hand[0], hand[1] + 0.05, 0.20, 0.24)
    if what == "wave":
        points = curve(
            [
                (hand[0] - 0.18, hand[1] + 0.15),
                (hand[0] - 0.24, hand[1] - 0.12),
                (hand[0] - 0.14, hand[1] - 0.42),
                (hand[0] + 0.1, hand[1] - 0.46),
                (hand[0] + 0.2, hand[1] - 0.15),
                (hand[0] + 0.14, hand[1] + 0.15),
            ]
        )
    canvas.puff(picture, points, look.skin, 0.08, light)
    canvas.tint(picture, stroke(moved(line, 0.05, 0.07), [0.5, 0.56, 0.48, 0.4]), (0.5, 0.48, 0.55), 0.5, 0.10)
    if look.clothes == "t-shirt":
        canvas.puff(picture, stroke(line, [0.50, 0.46, 0.40, 0.34]), look.skin, 0.11, light)
        line = line[: len(line) // 2 - 1]
    canvas.puff(picture, stroke(line, [0.56, 0.52, 0.46, 0.40]), sleeve, 0.13, light, cloth)


def _legs(canvas: Canvas, picture: Array, look: Look, swing: float, phase: float, light: float) -> None:
    feet = FEET * look.tall
    for side in (-1, 1):
        lift = max(0.0, float(np.sin(phase + (0.0 if side > 0 else np.pi)))) * 0.30
        x = side * 0.40 + 0.30 * swing * side
        line = curve(
            [(side * 0.38, 4.5), (side * 0.40 + 0.2 * swing * side, 7.0 - 0.3 * lift), (x, feet - 0.25 - lift)], False
        )
        bare = look.clothes == "dress"
        canvas.puff(picture, stroke(line, [0.86, 0.66, 0.46]), look.skin if bare else look.bottom, 0.16, light)
        shoe = curve(
            [
                (x - 0.22, feet - 0.42 - lift),
                (x + 0.22, feet - 0.42 - lift),
                (x + side * 0.1 + 0.30, feet - 0.02 - lift),
                (x + side * 0.1 - 0.30, feet - 0.02 - lift),
            ]
        )
        canvas.puff(picture, shoe, (0.17, 0.12, 0.10), 0.07, light)


def _neck(canvas: Canvas, picture: Array, look: Look, light: float) -> None:
    w = 0.30 * look.build + 0.04
    low = {"dress": 1.98, "shirt": 1.98, "t-shirt": 1.78}.get(look.clothes, 1.62)
    shape = curve(
        [
            (-w, 0.5),
            (-w, 1.2),
            (-w - 0.16, 1.46),
            (-0.18, low - 0.10),
            (0, low),
            (0.18, low - 0.10),
            (w + 0.16, 1.46),
            (w, 1.2),
            (w, 0.5),
        ]
    )
    canvas.puff(picture, shape, look.skin, 0.10, light)
    canvas.tint(
        picture, curve([(-w, 0.5), (w, 0.5), (w + 0.02, 1.05), (0.1, 1.33), (-w, 1.05)]), (0.50, 0.38, 0.40), 0.75, 0.10
    )
    for s in (-1, 1):
        canvas.tint(picture, stroke([(s * 0.05, 1.56), (s * (w + 0.1), 1.48)], 0.05), (0.8, 0.7, 0.68), 0.6, 0.03)


def _collar(canvas: Canvas, picture: Array, look: Look, hem: float, light: float) -> None:
    dark = scaled(look.top, 0.72)
    if look.clothes in ("jumper", "stripes"):
        canvas.puff(
            picture,
            stroke(curve([(-0.48, 1.30), (-0.30, 1.58), (0, 1.66), (0.30, 1.58), (0.48, 1.30)], False), 0.24),
            scaled(look.top, 1.05),
            0.06,
            light,
        )
    if look.clothes == "t-shirt":
        rim = curve([(-0.52, 1.42), (-0.22, 1.74), (0, 1.80), (0.22, 1.74), (0.52, 1.42)], False)
        canvas.puff(picture, stroke(rim, 0.10), scaled(look.top, 0.85), 0.04, light)
    if look.clothes == "waistcoat":
        canvas.puff(picture, [(-0.46, 1.40), (0.46, 1.40), (0.05, 3.0), (-0.05, 3.0)], WHITE, 0.06, light)
    if look.clothes in ("shirt", "waistcoat"):
        for s in (-1, 1):
            flap = [(s * 0.34, 1.22), (s * 0.62, 1.42), (s * 0.40, 1.95), (s * 0.02, 1.98)]
            canvas.puff(picture, flap, scaled(look.top, 1.12) if look.clothes == "shirt" else WHITE, 0.05, light)
        canvas.tint(picture, stroke([(0.0, 1.98), (0.02, hem)], 0.05), (0.6, 0.6, 0.65), 0.8, 0.015)
        for y in np.arange(2.3, hem, 0.55):
            canvas.fill(picture, ellipse(0.06, y, 0.045, 0.045), scaled(look.accent, 1.1))
    if look.clothes == "coat":
        canvas.tint(picture, stroke([(0.0, 1.9), (0.03, hem)], 0.06), (0.45, 0.45, 0.5), 0.85, 0.02)
        for s in (-1, 1):
            lapel = [(s * 0.40, 1.35), (s * 0.72, 1.55), (s * 0.62, 2.25), (s * 0.04, 2.75)]
            canvas.puff(picture, lapel, scaled(look.top, 0.86), 0.06, light)
            for y in (3.1, 3.75, 4.4):
                canvas.fill(picture, ellipse(s * 0.22, y, 0.07, 0.07), dark)
                canvas.fill(picture, ellipse(s * 0.22 - 0.02, y - 0.02, 0.03, 0.03), scaled(look.top, 1.3), 0.7)
        scarf = curve(
            [
                (-0.56, 1.18),
                (-0.2, 1.42),
                (0.2, 1.42),
                (0.56, 1.18),
                (0.60, 1.55),
                (0.2, 1.85),
                (-0.2, 1.85),
                (-0.60, 1.55),
            ]
        )
        canvas.puff(
            picture, [(-0.32, 1.6), (0.06, 1.6), (0.0, 2.9), (-0.36, 2.85)], scaled(look.accent, 0.92), 0.08, light
        )
        canvas.puff(picture, scarf, look.accent, 0.10, light)
    if look.clothes == "dress":
        canvas.tint(
            picture,
            stroke(curve([(-0.55, 1.48), (-0.2, 1.93), (0, 2.03), (0.2, 1.93), (0.55, 1.48)], False), 0.10),
            scaled(look.accent, 1.1),
            0.9,
            0.01,
        )
        canvas.tint(picture, stroke([(-0.85, 3.62), (0, 3.70), (0.85, 3.62)], 0.20), look.accent, 0.9, 0.01)
