"""The open places: each painter returns far, mid, ground and near pictures [H, W, 4]."""

import numpy as np

from drawn.moods import HORIZON, Mood
from drawn.paint import Array, Canvas, blend, curve, ellipse, moved, noise, scaled, stroke
from drawn.scenery import Rng, blades, floor, glow, house, leaves, pine, ridge, sky, trunk, water
from drawn.shapes import draw

Four = tuple[Array, Array, Array, Array]


def harbour(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """A quay before the sea."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON - 0.06, mood.cloud)
    sun = rng.uniform(-0.5, 0.5)
    canvas.fill(far, ellipse(sun, 0.40, 0.055, 0.055), mood.sun, 1.0, 0.003)
    glow(canvas, far, sun, 0.40, 0.5, mood.sun, 0.55)
    haze = blend(mood.low, mood.high, 0.45)
    ridge(canvas, far, rng, 0.54, 0.10, 3, haze, blend(haze, mood.low, 0.5))
    water(
        canvas,
        far,
        rng,
        HORIZON - 0.06,
        scaled(blend(mood.high, (0.05, 0.25, 0.30), 0.4), 0.8),
        blend(mood.low, mood.high, 0.4),
        mood.sun,
        sun,
    )
    mid = canvas.blank()
    lx = -0.62 if sun > 0 else 0.62
    draw(canvas, mid, "lighthouse", {"grade": mood.grade}, (lx, 0.0))
    for x in map(float, rng.permutation([-1.15, -0.25, 0.25, 1.15, 1.45])[:4]):
        _boat(canvas, mid, rng, mood, x)
    ground = floor(canvas, rng, 0.70, blend((0.50, 0.36, 0.25), mood.low, 0.15), "planks")
    canvas.fill(ground, stroke([(canvas.left, 0.705), (canvas.right, 0.705)], 0.018), (0.24, 0.16, 0.11))
    near = canvas.blank()
    for x in (-1.35, -0.8, 1.0, 1.5):
        draw(canvas, near, "bollard", {}, (x, 0.0))
    return far, mid, ground, near


def _boat(canvas: Canvas, mid: Array, rng: Rng, mood: Mood, x: float) -> None:
    """A sailing boat at its mooring."""
    s = rng.uniform(0.8, 1.25)
    hull = blend((0.5, 0.2, 0.15), (0.15, 0.3, 0.4), rng.random())
    y = 0.655
    canvas.fill(mid, stroke([(x, y - 0.04), (x, y - 0.36 * s)], 0.010), (0.30, 0.22, 0.16))
    canvas.fill(
        mid,
        [(x + 0.012, y - 0.34 * s), (x + 0.15 * s, y - 0.07), (x + 0.012, y - 0.07)],
        scaled(mood.grade, 0.88),
        0.95,
    )
    canvas.fill(
        mid,
        curve(
            [
                (x - 0.19 * s, y - 0.05),
                (x, y - 0.035),
                (x + 0.20 * s, y - 0.055),
                (x + 0.14 * s, y + 0.025),
                (x - 0.12 * s, y + 0.025),
            ]
        ),
        hull,
    )
    canvas.fill(mid, stroke([(x - 0.18 * s, y - 0.045), (x + 0.19 * s, y - 0.047)], 0.012), scaled(mood.grade, 0.85))
    canvas.fill(mid, ellipse(x, y + 0.04, 0.17 * s, 0.012), (0.05, 0.08, 0.12), 0.4, 0.01)


def forest(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """Tall trunks and a path."""
    green = (0.30, 0.46, 0.20)
    far = sky(canvas, rng, blend(mood.high, (0.55, 0.75, 0.45), 0.55), blend(mood.low, (0.92, 0.95, 0.68), 0.6), 0.7)
    for layer in range(3):
        tone = blend((0.66, 0.76, 0.52), scaled(green, 0.7), 0.25 + 0.3 * layer)
        for _ in range(14):
            x = rng.uniform(canvas.left, canvas.right)
            canvas.fill(
                far,
                stroke([(x, -0.3), (x + rng.uniform(-0.04, 0.04), 0.72)], rng.uniform(0.02, 0.045) * (1 + layer * 0.4)),
                tone,
                0.8,
                0.004,
            )
        for _ in range(9):
            leaves(
                canvas,
                far,
                rng,
                rng.uniform(canvas.left, canvas.right),
                rng.uniform(-0.15, 0.2),
                0.28,
                0.13,
                scaled(tone, 1.15),
                26,
            )
        ridge(canvas, far, rng, 0.64 + 0.03 * layer, 0.07, 20, scaled(tone, 0.95), tone)
    glow(canvas, far, rng.uniform(-0.6, 0.6), 0.15, 0.75, (1.0, 0.95, 0.6), 0.55)
    mid = canvas.blank()
    for at in np.linspace(canvas.left, canvas.right, 9) + rng.uniform(-0.12, 0.12, 9):
        trunk(canvas, mid, rng, float(at), 0.70 + rng.uniform(-0.03, 0.03), rng.uniform(0.07, 0.13), (0.27, 0.19, 0.13))
    for _ in range(16):
        leaves(canvas, mid, rng, rng.uniform(canvas.left, canvas.right), rng.uniform(-0.2, 0.06), 0.30, 0.13, green, 45)
    for _ in range(12):
        leaves(canvas, mid, rng, rng.uniform(canvas.left, canvas.right), 0.69, 0.17, 0.06, scaled(green, 0.8), 30)
    gx, gy = canvas.grid()
    ground = floor(canvas, rng, 0.69, (0.36, 0.42, 0.20), "grass", (0.70, 0.76, 0.45))
    path = (
        np.exp(-(((gx - 0.15 * np.sin(gy * 5)) / (0.12 + 0.7 * np.clip(gy - 0.69, 0, 1))) ** 2))[..., None]
        * ground[..., 3:]
        * 0.75
    )
    ground[..., :3] = ground[..., :3] * (1 - path) + path * np.array([0.55, 0.44, 0.29], np.float32)
    near = canvas.blank()
    for cx, cy in (
        (canvas.left + 0.25, -0.05),
        (canvas.right - 0.25, -0.02),
        (canvas.left + 0.3, 1.15),
        (canvas.right - 0.4, 1.17),
    ):
        leaves(canvas, near, rng, cx, cy, 0.42, 0.17, scaled(green, 0.42), 60)
    return far, mid, ground, canvas.blur(near, 0.012)


def mountain(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """A meadow below peaks."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON, mood.cloud)
    y = canvas.grid()[1]
    line = ridge(
        canvas, far, rng, 0.60, 0.52, 7, blend((0.45, 0.48, 0.60), mood.low, 0.25), blend(mood.low, mood.high, 0.3), 0.5
    )
    lit = np.clip(
        np.gradient(canvas.blur(np.repeat(line[None], 4, 0).astype(np.float32), 0.01)[0]) * canvas.unit * 0.02, -1, 1
    )
    streaks = noise(np.random.default_rng(4), 1, canvas.shape[1], 60, 4)[0]
    depth = (y - line[None]) / 0.16 + 0.6 * streaks[None]
    snow = (np.clip(1.1 - depth, 0, 1) * (y > line[None]))[..., None].astype(np.float32)
    tone = np.where(lit > 0, 0.84, 1.0)[None, :, None] * np.array(blend((0.96, 0.97, 1.0), mood.low, 0.2), np.float32)
    far[..., :3] = far[..., :3] * (1 - snow) + snow * tone.astype(np.float32)
    for k in range(3):
        tone2 = blend((0.20, 0.36, 0.30), mood.low, 0.55 - 0.18 * k)
        ridge(canvas, far, rng, 0.60 + 0.03 * k, 0.13 - 0.02 * k, 5 + 8 * k, tone2, blend(tone2, mood.low, 0.4))
    mid = canvas.blank()
    for _ in range(26):
        px = rng.uniform(canvas.left, canvas.right)
        pine(
            canvas,
            mid,
            px,
            0.70 + rng.uniform(-0.02, 0.02),
            rng.uniform(0.18, 0.38),
            scaled(blend((0.10, 0.26, 0.19), mood.low, 0.1), rng.uniform(0.8, 1.1)),
        )
    hx = rng.uniform(-0.8, 0.5)
    house(canvas, mid, rng, hx, 0.72, 0.30, 0.14, (0.42, 0.27, 0.17), (0.26, 0.15, 0.11), (1.0, 0.82, 0.45))
    ground = floor(
        canvas, rng, 0.70, blend((0.40, 0.58, 0.24), mood.low, 0.12), "grass", blend((0.62, 0.72, 0.42), mood.low, 0.3)
    )
    for _ in range(160):
        fy = rng.uniform(0.74, 1.15)
        size = 0.004 + 0.010 * (fy - 0.7)
        flower = [(0.95, 0.85, 0.3), (0.95, 0.95, 0.95), (0.85, 0.35, 0.45), (0.55, 0.45, 0.85)][int(rng.integers(4))]
        canvas.fill(ground, ellipse(rng.uniform(canvas.left, canvas.right), fy, size, size * 0.8, 0, 8), flower)
    near = canvas.blank()
    blades(canvas, near, rng, 1.22, 0.16, (0.22, 0.36, 0.14), 170)
    return far, mid, ground, canvas.blur(near, 0.004)


def beach(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """Sand before the open sea."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON - 0.10, mood.cloud)
    sun = rng.uniform(-0.6, 0.6)
    glow(canvas, far, sun, 0.22, 0.5, mood.sun, 0.5)
    canvas.fill(far, ellipse(sun, 0.22, 0.05, 0.05), mood.sun, 1.0, 0.003)
    deep = scaled(blend(mood.high, (0.02, 0.42, 0.50), 0.55), 0.85)
    water(canvas, far, rng, HORIZON - 0.10, deep, blend(mood.low, mood.high, 0.5), mood.sun, sun)
    island = rng.uniform(-1.0, 1.0)
    canvas.fill(
        far,
        curve([(island - 0.4, 0.502), (island - 0.1, 0.44), (island + 0.15, 0.46), (island + 0.42, 0.502)]),
        blend((0.22, 0.34, 0.26), mood.low, 0.45),
    )
    mid = canvas.blank()
    for y, width in ((0.655, 0.010), (0.675, 0.014)):
        line = np.linspace(canvas.left, canvas.right, 40)
        foam = np.stack([line, y + 0.008 * np.sin(line * 9 + y * 90)], 1)
        canvas.fill(mid, stroke(foam, width), scaled(mood.grade, 0.95), 0.85, 0.003)
    green = scaled(blend((0.20, 0.42, 0.16), mood.low, 0.1), float(np.mean(mood.grade)))
    for at in (-1.05, -0.45, 0.55, 1.15):
        px = at + rng.uniform(-0.12, 0.12)
        top = (px + rng.uniform(-0.12, 0.12), rng.uniform(0.10, 0.28))
        stem = curve([(px, 0.74), (px + 0.35 * (top[0] - px), 0.5), top], False)
        canvas.fill(mid, stroke(stem, [0.045, 0.032, 0.026]), scaled((0.46, 0.33, 0.22), 0.9))
        canvas.fill(mid, stroke(stem - (0.008, 0), 0.010), (0.66, 0.52, 0.36), 0.6)
        for a in np.linspace(-0.3, 3.44, 8) + rng.uniform(-0.12, 0.12, 8):
            tip = (top[0] + 0.25 * float(np.cos(a)), top[1] + 0.13 - 0.17 * float(np.sin(a)))
            bend = (top[0] + 0.15 * float(np.cos(a)), top[1] - 0.02 - 0.13 * float(np.sin(a)))
            frond = stroke(curve([top, bend, tip], False), [0.02, 0.05, 0.03, 0.002])
            canvas.fill(mid, frond, scaled(green, rng.uniform(0.75, 1.25)))
    ground = floor(canvas, rng, 0.69, scaled(blend((0.90, 0.78, 0.56), mood.low, 0.15), 0.98), "sand")
    near = canvas.blank()
    for x in map(float, rng.permutation([-1.2, -0.72, 0.0, 0.72, 1.2])[:3]):
        cloth = [(0.85, 0.22, 0.20), (0.95, 0.75, 0.25), (0.20, 0.48, 0.72)][int(rng.integers(3))]
        cloth = blend(scaled(cloth, float(np.mean(mood.grade))), mood.low, 0.1)
        canvas.fill(mid, stroke([(x, 0.50), (x + 0.02, 0.77)], 0.010), (0.80, 0.74, 0.66))
        for k in range(6):
            a, b = np.pi * (1 + k / 6), np.pi * (1 + (k + 1) / 6)
            edge = [(x + 0.17 * float(np.cos(t)), 0.56 + 0.12 * float(np.sin(t))) for t in (a, (a + b) / 2, b)]
            canvas.fill(mid, [(x, 0.56), *edge], cloth if k % 2 else scaled(mood.grade, 0.93))
        canvas.fill(ground, ellipse(x + 0.05, 0.785, 0.17, 0.018), (0.35, 0.27, 0.22), 0.45, 0.01, ground[..., 3])
    return far, mid, ground, near


def desert(canvas: Canvas, rng: Rng, mood: Mood) -> Four:
    """Dunes with rocks and cacti."""
    far = sky(canvas, rng, mood.high, mood.low, HORIZON, mood.cloud)
    sun = rng.uniform(-0.6, 0.6)
    glow(canvas, far, sun, 0.18, 0.6, mood.sun, 0.6)
    canvas.fill(far, ellipse(sun, 0.18, 0.06, 0.06), mood.sun, 1.0, 0.003)
    shade = float(np.mean(mood.grade))
    red = scaled(blend((0.62, 0.29, 0.18), mood.low, 0.2), shade)
    for x in map(float, rng.permutation([-1.2, -0.6, 0.1, 0.7, 1.3])[:3]):
        w, top = rng.uniform(0.16, 0.28), rng.uniform(0.22, 0.36)
        mesa = [(x - w - 0.08, 0.64), (x - w, top + 0.05), (x - 0.9 * w, top), (x + 0.8 * w, top), (x + w, top + 0.06)]
        canvas.fill(far, [*mesa, (x + w + 0.10, 0.64)], red)
        canvas.fill(far, [(x + 0.3 * w, top), (x + 0.8 * w, top), mesa[-1], (x + w + 0.1, 0.64)], scaled(red, 0.7))
        for k in range(4):
            y = top + 0.06 + 0.07 * k
            canvas.fill(far, stroke([(x - w - 0.02 * k, y), (x + w, y + 0.01)], 0.010), scaled(red, 1.25), 0.5, 0.003)
    sand = scaled(blend((0.88, 0.62, 0.36), mood.low, 0.15), shade)
    for k in range(3):
        tone = scaled(sand, 0.82 + 0.09 * k)
        ridge(canvas, far, rng, 0.62 + 0.03 * k, 0.10, 3 + k, tone, blend(tone, mood.low, 0.3))
    mid = canvas.blank()
    green = scaled((0.24, 0.42, 0.24), shade)
    for x in (-1.2, -0.75, 0.4, 0.95):
        px, h = x + rng.uniform(-0.2, 0.2), rng.uniform(0.22, 0.40)
        arms = [[(px, 0.75), (px, 0.74 - h)]]
        for s in (-1, 1):
            y = 0.74 - h * rng.uniform(0.35, 0.6)
            arms.append([(px, y), (px + s * 0.075, y - 0.01), (px + s * 0.08, y - 0.35 * h)])
        for k, arm in enumerate(arms):
            line = curve(arm, False) if k else np.array(arm)
            canvas.fill(mid, stroke(line, 0.058 if not k else 0.036), green)
            canvas.fill(mid, ellipse(*arm[-1], *((0.029, 0.03) if not k else (0.018, 0.02))), green)
            canvas.fill(mid, stroke(moved(line, -0.008, 0), 0.008), scaled(green, 1.5), 0.7)
            canvas.fill(mid, stroke(moved(line, 0.014, 0), 0.010), scaled(green, 0.6), 0.7)
    ground = floor(canvas, rng, 0.70, sand, "sand")
    for _ in range(14):
        x, y = rng.uniform(canvas.left, canvas.right), rng.uniform(0.76, 1.15)
        size = 0.012 + 0.05 * (y - 0.7)
        canvas.fill(
            ground, ellipse(x + size * 0.4, y + size * 0.35, size * 1.3, size * 0.3), (0.3, 0.2, 0.15), 0.4, 0.006
        )
        canvas.fill(ground, ellipse(x, y, size, size * 0.65, 0, 9), scaled(red, 0.85))
        canvas.fill(
            ground, ellipse(x - size * 0.2, y - size * 0.2, size * 0.6, size * 0.3), scaled(red, 1.3), 0.6, 0.004
        )
    return far, mid, ground, canvas.blank()
