"""A head: skin lit as a height field, eyes, brows, nose, mouth, beard, glasses; turned a little by its own depth."""

from dataclasses import replace
from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from drawn.features import Pose, beard, eye, glasses, mouth, mouth_y, nose
from drawn.hair import back_shape, paint_back, paint_front
from drawn.paint import (
    Array,
    Canvas,
    Sprite,
    curve,
    ellipse,
    over,
    relief,
    shaded,
)
from drawn.people import Look
from drawn.shapes import draw

BOX = (-0.69, -0.75, 0.69, 1.10)  # what a face detector calls the face, in head units


def canvas_for(unit: float) -> Canvas:
    """The frame of every head picture; `unit` pixels are half a head's height."""
    return Canvas(unit, -1.3, -1.7, 1.3, 2.05)


def half_width(look: Look, y: Array) -> Array:
    """Half the face's width at height y."""
    w = look.width
    at = [-1.05, -0.95, -0.7, -0.35, 0.0, 0.3, look.nose + 0.2, 0.84, 0.97, 1.02]
    wide = [
        0.0,
        0.42,
        0.86 * w,
        0.97 * w,
        w,
        0.97 * w,
        look.jaw * 1.04,
        look.jaw * 0.55 + look.chin * 0.55,
        look.chin,
        0.0,
    ]
    return np.interp(y, at, wide).astype(np.float32)


def outline(look: Look) -> Array:
    """The face's outline [N, 2]."""
    ys = np.array([-0.96, -0.72, -0.4, 0.0, 0.3, 0.58, 0.82, 0.97])
    ws = half_width(look, ys)
    right = list(zip(ws, ys, strict=True))
    return curve([(0, -1.06), *right, (0, 1.03), *[(-a, b) for a, b in reversed(right)]])


def depth(canvas: Canvas, look: Look) -> tuple[Array, Array]:
    """Height fields [H, W] in head units: the plain skull, and the face with its features."""
    x, y = canvas.grid()
    w = np.maximum(half_width(look, y), 0.05)
    skull = (
        np.sqrt(np.clip(1 - (x / (w * 1.04)) ** 2, 0, 1)) * np.sqrt(np.clip(1 - ((y - 0.0) / 1.12) ** 2, 0, 1)) * 0.72
    )
    skull = canvas.blur(skull, 0.05)

    def bump(cx: float, cy: float, rx: float, ry: float) -> Array:
        return np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)

    ax = np.abs(x)
    z = skull.copy()
    n, g = look.nose, look.eye_gap
    ridge = np.clip((y + 0.12) / (n + 0.06), 0, 1) * (y < n + 0.2)
    wing = 0.055 + 0.5 * look.nose_width * np.clip(y / n, 0, 1) ** 2 * 0.6
    z += 0.17 * ridge * np.exp(-((x / wing) ** 2)) * np.clip((n + 0.04 - y) / 0.10, 0, 1)
    z += 0.075 * bump(0, n - 0.06, look.nose_width * 0.62, 0.075)
    wings = ((ax - look.nose_width * 0.82) / (look.nose_width * 0.36)) ** 2
    z += 0.05 * np.exp(-wings - ((y - n + 0.035) / 0.055) ** 2)
    eyes = np.exp(-(((ax - g) / 0.20) ** 2) - ((y + 0.02) / 0.115) ** 2)
    z += -0.085 * eyes + 0.045 * np.exp(-(((ax - g) / 0.145) ** 2) - (y / 0.075) ** 2)
    z += 0.035 * np.exp(-(((ax - g) / 0.26) ** 2) - ((y + 0.21) / 0.06) ** 2)
    z += 0.05 * np.exp(-(((ax - 0.42) / 0.17) ** 2) - ((y - 0.27) / 0.14) ** 2)
    m = mouth_y(look)
    z += 0.030 * bump(0, m - 0.05, look.mouth * 0.8, 0.045) + 0.042 * look.lips * bump(
        0, m + 0.06, look.mouth * 0.7, 0.05
    )
    z += -0.030 * bump(0, m + 0.155, look.mouth * 0.8, 0.04) + 0.05 * bump(0, 0.90, 0.16, 0.10)
    z += -0.018 * bump(0, (n + m) / 2, 0.035, 0.06)
    fold = np.exp(-(((ax - look.nose_width - 0.05 - 0.45 * np.clip(y - n, 0, 1)) / 0.03) ** 2)) * np.exp(
        -(((y - m + 0.1) / 0.13) ** 2)
    )
    z += -(0.008 + 0.022 * look.age) * fold
    if look.age > 0.3:
        for k in range(3):
            z += -0.006 * look.age * np.exp(-(((y + 0.42 + 0.10 * k + 0.06 * x * x) / 0.014) ** 2) - (x / 0.38) ** 2)
        z += -0.010 * look.age * np.exp(-(((ax - g) / 0.14) ** 2) - ((y - 0.14) / 0.02) ** 2)
    return skull, canvas.blur(z, 0.012)


@lru_cache(maxsize=8)
def skin(look: Look, unit: float, light: float) -> tuple[Array, Array]:
    """What poses share: picture [H, W, 4] without eyes, mouth and hair; skull depth [H, W]."""
    canvas = canvas_for(unit)
    x, y = canvas.grid()
    picture = canvas.blank()
    w = float(half_width(look, np.array(0.05)))
    for side in (-1, 1):
        draw(canvas, picture, "ear", vars(look), (side * w, 0.0), side, light)
    skull, z = depth(canvas, look)
    mask = canvas.mask(outline(look))
    lit = relief(z, 0.78 * unit, light)
    lit = 0.72 * lit + 0.28 * np.clip(skull / 0.72, 0, 1)
    albedo = np.broadcast_to(np.array(look.skin, np.float32), (*canvas.shape, 3)).copy()
    ax = np.abs(x)
    blush = 0.75 * np.exp(-(((ax - 0.43) / 0.2) ** 2) - ((y - 0.30) / 0.15) ** 2)
    blush += 0.5 * np.exp(-((x / 0.12) ** 2) - ((y - look.nose + 0.05) / 0.1) ** 2)
    blush += 0.25 * np.exp(-(((y - 0.95) / 0.1) ** 2))
    albedo *= 1 - np.clip(blush, 0, 1)[..., None] * np.array([0.0, 0.17, 0.16], np.float32)
    socket = np.exp(-(((ax - look.eye_gap) / 0.21) ** 2) - ((y + 0.04) / 0.11) ** 2)
    albedo *= 1 - socket[..., None] * np.array([0.13, 0.2, 0.2], np.float32)
    grain = canvas.blur(np.random.default_rng(5).standard_normal(canvas.shape).astype(np.float32), 0.01)
    albedo *= 1 + 0.012 * (grain / grain.std())[..., None]
    rgb = shaded(albedo, lit, 0.16)
    gloss = relief(canvas.blur(z, 0.02), 1.3 * unit, light * 0.6) ** 14
    rgb = np.clip(rgb + (0.10 * gloss * (0.4 + 0.6 * mask))[..., None] * np.array([1.0, 0.95, 0.88], np.float32), 0, 1)
    over(picture, rgb, mask)
    nose(canvas, picture, look)
    if look.freckles:
        rng = np.random.default_rng(3)
        for px, py in zip(rng.normal(0, 0.30, 70), rng.normal(0.22, 0.10, 70), strict=True):
            canvas.tint(picture, ellipse(px, py, 0.012, 0.010, steps=8), (0.78, 0.62, 0.5), 0.7, 0.004)
    beard(canvas, picture, look, mask, light)
    return picture, skull


@lru_cache(maxsize=24)
def straight(look: Look, pose: Pose, unit: float, light: float) -> tuple[Array, Array]:
    """The head seen from the front [H, W, 4], and its skull's depth [H, W]."""
    canvas = canvas_for(unit)
    base, skull = skin(look, unit, light)
    picture = base.copy()
    for side in (-1, 1):
        eye(canvas, picture, look, side, pose)
    rows = slice(0, round((mouth_y(look) - 0.025 - canvas.top) * unit))
    kept = picture[rows].copy() if look.beard == "moustache" else None
    mouth(canvas, picture, look, pose)
    if kept is not None:
        picture[rows] = kept
    paint_front(canvas, picture, look, light)
    if look.glasses != "none":
        glasses(canvas, picture, look)
    return picture, skull


def head(look: Look, pose: Pose, unit: float, light: float = -0.5) -> Sprite:
    """A head with its front hair; the same look and pose give the same pixels."""
    canvas = canvas_for(unit)
    picture, skull = straight(look, replace(pose, yaw=0.0), unit, light)
    return Sprite.of(canvas, turned(canvas, picture, skull, pose.yaw))


def back(look: Look, unit: float, light: float = -0.5) -> Sprite | None:
    """The hair that hangs behind the neck, or None."""
    if back_shape(look) is None:
        return None
    canvas = canvas_for(unit)
    picture = canvas.blank()
    paint_back(canvas, picture, look, light)
    return Sprite.of(canvas, picture)


def turned(canvas: Canvas, picture: Array, skull: Array, yaw: float) -> Array:
    """The picture as seen when the head turns by yaw (1 = about 16 degrees)."""
    if yaw == 0.0:
        return picture
    angle = 0.28 * yaw
    h, w = canvas.shape
    px, py = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    smooth = canvas.blur(skull, 0.04)
    middle = np.float32(-canvas.left * canvas.unit - 0.5)
    at = px
    for _ in range(4):
        z = cv2.remap(smooth, at, py, cv2.INTER_LINEAR)
        at = ((px - middle - (z - 0.25) * canvas.unit * np.sin(angle)) / np.cos(angle) + middle).astype(np.float32)
    return cast(Array, cv2.remap(picture, at, py, cv2.INTER_LINEAR))
