"""What places are painted with: skies, clouds, ridges, trees, houses, windows, water, planks, glows."""

from typing import cast

import numpy as np

from drawn.paint import Array, Canvas, Colour, blend, curve, ellipse, moved, noise, over, rectangle, scaled, stroke

Rng = np.random.Generator


def gradient(canvas: Canvas, stops: list[tuple[float, Colour]]) -> Array:
    """Colours [H, W, 3] that change with y; stops are (y, colour)."""
    y = canvas.grid()[1][:, 0]
    at = [s[0] for s in stops]
    column = np.stack([np.interp(y, at, [s[1][k] for s in stops]) for k in range(3)], 1).astype(np.float32)
    return np.repeat(column[:, None], canvas.shape[1], 1)


def sky(canvas: Canvas, rng: Rng, high: Colour, low: Colour, horizon: float, cloud: Colour | None = None) -> Array:
    """An opaque sky [H, W, 4] with a few drawn-out clouds."""
    picture = canvas.blank()
    picture[..., :3] = gradient(canvas, [(-0.2, high), (horizon * 0.6, blend(high, low, 0.55)), (horizon, low)])
    picture[..., 3] = 1
    if cloud is not None:
        y = canvas.grid()[1]
        puffs = np.clip((noise(rng, *canvas.shape, cells=9, octaves=5, stretch=2.2) - 0.50) * 4.0, 0, 1)
        over(
            picture,
            np.broadcast_to(np.array(cloud, np.float32), picture[..., :3].shape),
            puffs * np.clip((horizon - y) / horizon, 0, 1) * 0.75,
        )
    return picture


def glow(
    canvas: Canvas, picture: Array, x: float, y: float, radius: float, colour: Colour, strength: float = 0.8
) -> None:
    """Light around a lamp or the sun; adds to what is there and covered."""
    h, w = canvas.shape
    u, reach = canvas.unit, 1.6 * radius
    rows = slice(max(0, int((y - reach - canvas.top) * u)), max(0, min(h, int((y + reach - canvas.top) * u))))
    cols = slice(max(0, int((x - reach - canvas.left) * u)), max(0, min(w, int((x + reach - canvas.left) * u))))
    part = picture[rows, cols]
    gy = np.exp(-2.2 * (((np.arange(h, dtype=np.float32)[rows] + 0.5) / u + canvas.top - y) / radius) ** 2)
    gx = np.exp(-2.2 * (((np.arange(w, dtype=np.float32)[cols] + 0.5) / u + canvas.left - x) / radius) ** 2)
    light = strength * gy[:, None] * gx[None] * part[..., 3]
    part[..., :3] += light[..., None] * np.array(colour, np.float32) * (1 - part[..., :3] * 0.6)


def ridge(
    canvas: Canvas,
    picture: Array,
    rng: Rng,
    base: float,
    rise: float,
    cells: float,
    colour: Colour,
    foot: Colour,
    rough: float = 0.55,
) -> Array:
    """A line of hills or far trees down to the bottom, hazier at its foot; returns its profile y [W]."""
    h, w = canvas.shape
    x = np.linspace(0, 1, w)
    line = np.zeros(w)
    for k in range(6):
        n = max(2, int(cells * 2**k))
        line += np.interp(x * n, np.arange(n + 1), rng.random(n + 1)) * rough**k
    line = base - rise * (line - line.min()) / (np.ptp(line) + 1e-9)
    y = canvas.grid()[1]
    mask = np.clip((y - line[None]) * canvas.unit + 0.5, 0, 1).astype(np.float32)
    share = np.clip((y - (base - rise)) / (rise + 0.08), 0, 1)[..., None]
    rgb = np.array(colour, np.float32) * (1 - share) + np.array(foot, np.float32) * share
    rgb = rgb * (0.93 + 0.14 * noise(rng, h, w, 26, 4)[..., None])
    over(picture, rgb, mask)
    return cast(Array, line)


def pine(
    canvas: Canvas, picture: Array, x: float, foot: float, height: float, colour: Colour, snow: bool = False
) -> None:
    """A conifer."""
    canvas.fill(picture, stroke([(x, foot - height * 0.3), (x, foot)], height * 0.05), scaled(colour, 0.6))
    for k in range(6):
        top, low = foot - height * (1 - 0.14 * k), foot - height * (0.74 - 0.135 * k)
        half = height * (0.07 + 0.034 * k)
        tier = [
            (x, top),
            (x + half * 0.6, low - height * 0.04),
            (x + half, low),
            (x, low - height * 0.035),
            (x - half, low),
            (x - half * 0.6, low - height * 0.04),
        ]
        canvas.fill(picture, tier, scaled(colour, 1.12 - 0.05 * k))
        canvas.fill(
            picture,
            [(x, top), (x + half, low), (x + half * 0.3, low - height * 0.03)],
            scaled(colour, 0.75),
            0.6,
            height * 0.008,
        )
        if snow:
            canvas.fill(
                picture,
                [
                    (x, top),
                    (x - half * 0.9, low - height * 0.01),
                    (x - half * 0.45, low - height * 0.055),
                    (x + half * 0.2, low - height * 0.10),
                ],
                (0.90, 0.94, 1.0),
                0.9,
                height * 0.006,
            )


def leaves(
    canvas: Canvas, picture: Array, rng: Rng, x: float, y: float, rx: float, ry: float, colour: Colour, count: int = 60
) -> None:
    """A crown of leaves: many small soft blots, lighter above and to the left."""
    for _ in range(count):
        a, r = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        px, py = x + rx * r * np.cos(a), y + ry * r * np.sin(a)
        lit = 0.75 + 0.35 * (-(py - y) / ry * 0.6 - (px - x) / rx * 0.3 + 0.3) + rng.uniform(-0.08, 0.08)
        size = rng.uniform(0.10, 0.22) * rx
        canvas.fill(
            picture, ellipse(px, py, size, size * 0.7, rng.uniform(-0.6, 0.6), 14), scaled(colour, max(0.3, lit)), 0.9
        )


def trunk(canvas: Canvas, picture: Array, rng: Rng, x: float, foot: float, width: float, colour: Colour) -> None:
    """A tall trunk out of the top of the picture, lit from the left, with bark."""
    lean = rng.uniform(-0.05, 0.05)
    line = curve([(x + lean * 2, canvas.top - 0.1), (x + lean, 0.3), (x, foot)], False)
    canvas.fill(picture, stroke(line, [width * 0.7, width * 0.8, width * 1.25]), colour)
    canvas.fill(
        picture,
        stroke(moved(line, width * 0.22, 0), [width * 0.3, width * 0.4, width * 0.6]),
        scaled(colour, 0.55),
        0.75,
        width * 0.14,
    )
    canvas.fill(
        picture, stroke(line - (width * 0.3, 0), [width * 0.08, width * 0.10]), scaled(colour, 1.7), 0.55, width * 0.06
    )
    for _ in range(14):
        bx, by = x + rng.uniform(-0.35, 0.35) * width + lean, rng.uniform(canvas.top, foot)
        canvas.fill(
            picture,
            stroke([(bx, by), (bx + rng.uniform(-0.1, 0.1) * width, by + width * 0.7)], [0.002, 0.006, 0.002]),
            scaled(colour, 0.45),
            0.6,
        )


def window(canvas: Canvas, picture: Array, x: float, y: float, w: float, h: float, lit: Colour, frame: Colour) -> None:
    """A window with a cross; (x, y) its upper left corner."""
    canvas.fill(picture, rectangle(x - w * 0.1, y - w * 0.1, x + w * 1.1, y + h + w * 0.12), frame)
    canvas.fill(picture, rectangle(x, y, x + w, y + h), lit)
    canvas.fill(
        picture, [(x, y + h * 0.5), (x + w, y + h * 0.35), (x + w, y + h), (x, y + h)], scaled(lit, 0.8), 0.7, w * 0.1
    )
    canvas.fill(picture, stroke([(x + w / 2, y), (x + w / 2, y + h)], w * 0.09), frame)
    canvas.fill(picture, stroke([(x, y + h * 0.42), (x + w, y + h * 0.42)], w * 0.09), frame)


def house(
    canvas: Canvas,
    picture: Array,
    rng: Rng,
    x: float,
    foot: float,
    w: float,
    h: float,
    wall: Colour,
    roof: Colour,
    lit: Colour,
    snow: bool = False,
    share_lit: float = 0.6,
) -> None:
    """A gabled house with rows of windows; (x, foot) its lower left corner."""
    y = foot - h
    canvas.fill(picture, rectangle(x, y, x + w, foot), wall)
    canvas.fill(picture, rectangle(x + w * 0.55, y, x + w, foot), scaled(wall, 0.72), 0.7, w * 0.12)
    peak = y - w * rng.uniform(0.35, 0.6)
    canvas.fill(picture, [(x - w * 0.07, y + 0.01), (x + w / 2, peak), (x + w * 1.07, y + 0.01)], roof)
    canvas.fill(picture, [(x + w / 2, peak), (x + w * 1.07, y + 0.01), (x + w * 0.5, y + 0.01)], scaled(roof, 0.7), 0.7)
    if snow:
        cap = [
            (x - w * 0.08, y),
            (x + w / 2, peak - 0.012),
            (x + w * 1.08, y),
            (x + w * 0.98, y - 0.004),
            (x + w / 2, peak + w * 0.14),
            (x + w * 0.02, y - 0.004),
        ]
        canvas.fill(picture, cap, (0.88, 0.92, 1.0), 1.0, 0.002)
    cols, rows = max(1, round(w / 0.10)), max(1, round(h / 0.15))
    for i in range(cols):
        for j in range(rows):
            on = rng.random() < share_lit
            ww = w / cols * 0.42
            window(
                canvas,
                picture,
                x + (i + 0.29) * w / cols,
                y + (j + 0.22) * h / rows,
                ww,
                h / rows * 0.52,
                lit if on else blend(scaled(wall, 0.45), (0.25, 0.33, 0.45), 0.4),
                scaled(wall, 0.55),
            )


def water(
    canvas: Canvas, picture: Array, rng: Rng, horizon: float, near: Colour, far: Colour, shine: Colour, sun: float
) -> None:
    """A sea below the horizon with ripples and the sun's path at x = sun."""
    x, y = canvas.grid()
    deep = np.clip((y - horizon) / (1.2 - horizon), 0, 1)
    rgb = np.array(far, np.float32) * (1 - deep[..., None]) + np.array(near, np.float32) * deep[..., None]
    ripple = noise(rng, *canvas.shape, cells=90, octaves=3, stretch=6.0)
    rgb = rgb * (0.80 + 0.4 * ripple[..., None])
    path = np.exp(-(((x - sun) / (0.07 + 0.5 * deep)) ** 2)) * np.clip((ripple - 0.5) * 7, 0, 1)
    rgb = rgb + path[..., None] * np.array(shine, np.float32) * 0.8
    over(picture, rgb, np.clip((y - horizon) * canvas.unit, 0, 1))


def floor(canvas: Canvas, rng: Rng, top: float, colour: Colour, kind: str, haze: Colour | None = None) -> Array:
    """The ground people stand on, from y = top down: planks | stones | grass | snow | boards | sand."""
    picture = canvas.blank()
    x, y = canvas.grid()
    d = np.clip((y - top) / (1.2 - top), 0.0, 1)
    near = 0.18 + 0.82 * d
    px = x / near
    row = np.log(near) * 9
    tone: Array = 0.86 + 0.28 * noise(rng, *canvas.shape, cells=24, octaves=5, stretch=2.5)
    if kind in ("planks", "boards"):
        seam = np.abs(((px * 2.2) % 1.0) - 0.5) if kind == "boards" else np.abs((row % 1.0) - 0.5)
        tone = tone * (1 - 0.45 * np.clip((seam - 0.46) / 0.04, 0, 1))
        board = np.floor(px * 2.2 if kind == "boards" else row).astype(int) % 400
        tone = tone * (0.9 + 0.2 * np.random.default_rng(2).random(400)[board])
    if kind == "stones":
        r = np.floor(row * 1.6)
        cx = (px * 3.2 + 0.5 * (r % 2)) % 1.0
        cy = (row * 1.6) % 1.0
        joint = np.maximum(np.abs(cx - 0.5), np.abs(cy - 0.5))
        tone = (
            tone
            * (1 - 0.4 * np.clip((joint - 0.42) / 0.08, 0, 1))
            * (0.88 + 0.24 * np.sin(r * 7.3 + np.floor(px * 3.2 + 0.5 * (r % 2)) * 3.1) ** 2)
        )
    if kind == "sand":
        tone = tone * (1 + 0.05 * np.sin(row * 5 + 3 * np.sin(px * 1.3)))
    if kind == "grass":
        tone = tone * (0.75 + 0.5 * noise(rng, *canvas.shape, cells=220, octaves=2, stretch=0.4))
    lit = tone * (1.02 - 0.28 * d)
    rgb: Array = np.array(colour, np.float32) * lit[..., None].astype(np.float32)
    if haze is not None:
        rgb = rgb + (np.array(haze, np.float32) - rgb) * (np.clip(1 - d * 4, 0, 1) ** 1.5 * 0.6)[..., None]
    edge = top + (
        0.012 * (noise(rng, 1, canvas.shape[1], 30, 4)[0] - 0.5) if kind in ("grass", "snow", "sand") else 0.0
    )
    over(
        picture, np.clip(rgb, 0, 1).astype(np.float32), np.clip((y - edge) * canvas.unit + 0.5, 0, 1).astype(np.float32)
    )
    return picture


def blades(canvas: Canvas, picture: Array, rng: Rng, foot: float, height: float, colour: Colour, count: int) -> None:
    """Tufts of grass along the lower edge."""
    for _ in range(count):
        x = rng.uniform(canvas.left, canvas.right)
        h, bend = height * rng.uniform(0.5, 1.2), rng.uniform(-0.08, 0.08)
        line = curve([(x, foot), (x + bend * 0.3, foot - h * 0.6), (x + bend, foot - h)], False, 4)
        canvas.fill(picture, stroke(line, [0.016, 0.010, 0.001]), scaled(colour, rng.uniform(0.6, 1.15)))
