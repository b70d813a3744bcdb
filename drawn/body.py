"""A body below the head: neck, clothes, arms in a few gestures, legs in a walk; in head units, the eyes at (0, 0)."""

from functools import lru_cache

import numpy as np

from drawn.paint import Array, Canvas, Sprite, curve, moved, noise, scaled, stroke
from drawn.people import Look
from drawn.shapes import draw

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
    draw(canvas, picture, "shadows", {})
    _neck(canvas, picture, look, light)
    draw(canvas, picture, look.clothes, vars(look) | {"white": WHITE}, light=light)
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
    draw(canvas, picture, "waving hand" if what == "wave" else "hand", vars(look), hand, light=light)
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
