"""What is painted on a face: eyes, nose, mouth, beard and glasses."""

from dataclasses import dataclass

import numpy as np

from drawn.hair import strands
from drawn.paint import Array, Canvas, Colour, blend, curve, ellipse, moved, over, scaled, stroke
from drawn.people import Look


@dataclass(frozen=True)
class Pose:
    """What a face does: yaw -1..1 (about 16 degrees), eyes' opening 0..1, gaze -1..1, mouth's opening, smile -1..1."""

    yaw: float = 0.0
    eyes: float = 1.0
    gaze: float = 0.0
    mouth: float = 0.0
    smile: float = 0.2


def mouth_y(look: Look) -> float:
    """Where the lips meet."""
    return look.nose + 0.235


def nose(canvas: Canvas, picture: Array, look: Look) -> None:
    """The nose's underside, nostrils and wings."""
    n, w = look.nose, look.nose_width
    canvas.tint(
        picture,
        curve([(-w, n), (0, n + 0.02), (w, n), (w * 0.6, n + 0.07), (-w * 0.6, n + 0.07)]),
        (0.62, 0.45, 0.4),
        0.6,
        0.025,
    )
    for s in (-1, 1):
        canvas.tint(
            picture, ellipse(s * w * 0.48, n + 0.012, w * 0.27, 0.026, s * -0.25), (0.32, 0.16, 0.14), 0.9, 0.008
        )
        canvas.tint(
            picture,
            stroke(
                curve([(s * w * 0.92, n - 0.09), (s * w * 1.08, n - 0.03), (s * w * 0.86, n + 0.02)], False),
                [0.005, 0.022, 0.008],
            ),
            (0.55, 0.38, 0.34),
            0.75,
            0.008,
        )


def beard(canvas: Canvas, picture: Array, look: Look, mask: Array, light: float) -> None:
    """Stubble, a full beard or a moustache on a lit face [H, W]."""
    match look.beard:
        case "stubble":
            _stubble(canvas, picture, look, mask)
        case "full":
            _full_beard(canvas, picture, look, light)
        case "moustache":
            _moustache(canvas, picture, look, light)


def _stubble(canvas: Canvas, picture: Array, look: Look, mask: Array) -> None:
    """A shadow on the lower face."""
    n, j = look.nose, look.jaw
    lower = curve(
        [
            (-look.width, 0.12),
            (-j * 0.92, n + 0.03),
            (-look.mouth - 0.06, n + 0.10),
            (0, n + 0.085),
            (look.mouth + 0.06, n + 0.10),
            (j * 0.92, n + 0.03),
            (look.width, 0.12),
            (look.width, 1.0),
            (0, 1.25),
            (-look.width, 1.0),
        ]
    )
    area = canvas.mask(lower, 0.06) * mask
    picture[..., :3] *= 1 - 0.30 * area[..., None] * (1 - np.array(blend(look.hair, (0.5, 0.45, 0.4), 0.5), np.float32))


def _full_beard(canvas: Canvas, picture: Array, look: Look, light: float) -> None:
    """A beard around the lips, which stay free."""
    n, m, j, w = look.nose, mouth_y(look), look.jaw, look.width
    shape = curve(
        [
            (-w - 0.02, -0.05),
            (-w + 0.1, 0.28),
            (-look.mouth - 0.10, n + 0.10),
            (-0.06, n + 0.07),
            (0.06, n + 0.07),
            (look.mouth + 0.10, n + 0.10),
            (w - 0.1, 0.28),
            (w + 0.02, -0.05),
            (w + 0.03, 0.5),
            (j + 0.06, 0.95),
            (0.3, 1.32),
            (0, 1.40),
            (-0.3, 1.32),
            (-j - 0.06, 0.95),
            (-w - 0.03, 0.5),
        ]
    )
    area = canvas.mask(shape, 0.02)
    over(picture, strands(canvas, look, area, light) * 0.97, area)
    canvas.fill(
        picture,
        curve(
            [
                (-look.mouth, m),
                (-0.1, m - 0.05),
                (0.1, m - 0.05),
                (look.mouth, m),
                (0.12, m + 0.1),
                (-0.12, m + 0.1),
            ]
        ),
        scaled(look.skin, 0.8),
        1.0,
        0.015,
    )


def _moustache(canvas: Canvas, picture: Array, look: Look, light: float) -> None:
    """A moustache and the shadow below it."""
    n, m = look.nose, mouth_y(look)
    shape = curve(
        [
            (0, n + 0.075),
            (0.14, n + 0.085),
            (look.mouth + 0.06, m - 0.03),
            (look.mouth + 0.09, m + 0.04),
            (0.14, m - 0.035),
            (0, m - 0.06),
            (-0.14, m - 0.035),
            (-look.mouth - 0.09, m + 0.04),
            (-look.mouth - 0.06, m - 0.03),
            (-0.14, n + 0.085),
        ]
    )
    area = canvas.mask(shape, 0.012)
    picture[..., :3] *= 1 - 0.3 * np.roll(canvas.blur(area, 0.03), round(0.03 * canvas.unit), 0)[..., None]
    over(picture, strands(canvas, look, area, light), area)


def eye(canvas: Canvas, picture: Array, look: Look, side: int, pose: Pose) -> None:
    """One eye with its lids, lashes and brow; side -1 is left in the picture."""
    cx, a = side * look.eye_gap, look.eye_size
    t = np.linspace(-1, 1, 25)
    up = look.eye_open * (0.12 + 0.88 * pose.eyes) * (1 - 0.12 * max(0.0, pose.smile))
    low = look.eye_open * 0.62
    slant = -look.eye_tilt * t * side
    xs = cx + a * t
    peak = np.clip(1 - np.abs(t + 0.12 * side) ** 2.3, 0, 1)
    upper = np.stack([xs, slant - up * peak * 1.15 + (1 - pose.eyes) * low * (1 - t * t) * 0.85], 1)
    lower = np.stack([xs, slant + low * (1 - t * t)], 1)
    shape = np.concatenate([upper, lower[::-1]])
    inside = canvas.mask(shape)
    crease = upper - (0, 0.040)
    canvas.tint(picture, np.concatenate([upper - (0, 0.05), upper[::-1]]), (0.80, 0.64, 0.60), 0.55, 0.015)
    canvas.tint(picture, stroke(crease, [0.004, 0.016, 0.006]), (0.42, 0.26, 0.22), 0.7, 0.005)
    canvas.fill(picture, shape, (0.93, 0.91, 0.89))
    canvas.tint(
        picture,
        np.concatenate([upper - (0, 0.02), (moved(upper, 0, 0.045))[::-1]]),
        (0.52, 0.48, 0.52),
        0.75,
        0.016,
        inside,
    )
    canvas.tint(picture, ellipse(cx - side * a * 0.93, 0.012, 0.028, 0.022), (0.85, 0.55, 0.52), 0.8, 0.006, inside)
    ix, iy, r = cx + pose.gaze * a * 0.32, -up * 0.22, min(a * 0.50, 0.086)
    _iris(canvas, picture, look.iris, (ix, iy, r), inside)
    canvas.tint(picture, np.concatenate([upper, (moved(upper, 0, 0.03))[::-1]]), (0.35, 0.32, 0.35), 0.6, 0.010, inside)
    canvas.fill(picture, ellipse(ix - 0.024, iy - 0.028, 0.019, 0.021), (1, 1, 1), 0.97, 0.002, inside)
    canvas.fill(picture, ellipse(ix + 0.026, iy + 0.030, 0.009, 0.009), (1, 1, 1), 0.5, 0.002, inside)
    lash: Colour = (0.07, 0.05, 0.05) if look.hair[0] < 0.6 else (0.25, 0.19, 0.16)
    thick = 0.016 + 0.018 * look.lashes
    outer = [0.4, 0.8, 1.0, 1.25] if side > 0 else [1.25, 1.0, 0.8, 0.4]
    canvas.fill(picture, stroke(upper - (0, 0.006), [thick * k for k in outer]), lash, 0.95, 0.003)
    if look.lashes > 0.6:
        tip = upper[-1] if side > 0 else upper[0]
        wing = np.array([tip, moved(tip, side * 0.03, -0.016), moved(tip, side * 0.065, -0.045)])
        canvas.fill(picture, stroke(curve(wing, False), [0.024, 0.002]), lash, 0.9, 0.003)
    canvas.tint(picture, stroke(lower, [0.006, 0.013, 0.006]), (0.5, 0.32, 0.3), 0.8, 0.004)
    canvas.tint(
        picture, stroke(moved(lower, 0, 0.055), [0.006, 0.024, 0.006]), (0.8, 0.66, 0.62), 0.4 + 0.5 * look.age, 0.014
    )
    _brow(canvas, picture, look, side, pose)


def _iris(canvas: Canvas, picture: Array, colour: Colour, place: tuple[float, float, float], inside: Array) -> None:
    """An iris with its pupil; `place`: the middle and the radius."""
    ix, iy, r = place
    canvas.fill(picture, ellipse(ix, iy, r, r), scaled(colour, 0.42), 1.0, 0.004, inside)
    canvas.fill(picture, ellipse(ix, iy + 0.004, r * 0.84, r * 0.84), colour, 1.0, 0.008, inside)
    canvas.fill(
        picture,
        ellipse(ix, iy + r * 0.42, r * 0.55, r * 0.36),
        scaled(blend(colour, (1, 0.9, 0.7), 0.25), 1.25),
        0.75,
        0.016,
        inside,
    )
    canvas.fill(picture, ellipse(ix, iy, r * 0.44, r * 0.44), (0.02, 0.02, 0.03), 1.0, 0.004, inside)


def _brow(canvas: Canvas, picture: Array, look: Look, side: int, pose: Pose) -> None:
    """The brow above an eye."""
    cx = side * look.eye_gap
    by = -0.185 - look.brow_lift - 0.25 * look.eye_open - 0.02 * max(0.0, pose.smile)
    arch = curve(
        [
            (cx - side * 0.185, by + 0.035),
            (cx - side * 0.06, by - 0.012),
            (cx + side * 0.09, by - 0.03),
            (cx + side * 0.215, by + 0.03),
        ],
        False,
    )
    brow = blend(look.hair, (0.16, 0.11, 0.09), 0.35 if look.age < 0.9 else 0.1)
    canvas.fill(picture, stroke(arch, [look.brow * 0.95, look.brow * 1.15, look.brow * 0.9, 0.008]), brow, 0.88, 0.010)


def mouth(canvas: Canvas, picture: Array, look: Look, pose: Pose) -> None:
    """Lips, closed or open with teeth."""
    m, w = mouth_y(look), look.mouth * (1 + 0.12 * pose.smile - 0.14 * pose.mouth)
    lift, gap = -0.035 * pose.smile, 0.105 * pose.mouth
    full = 0.052 * look.lips
    t = np.linspace(-1, 1, 31)
    corner = lift * t * t
    bow = np.clip(1 - t * t, 0, 1) ** 0.7 - 0.22 * np.exp(-((t / 0.13) ** 2))
    top = np.stack([t * w, m + corner - gap * 0.25 * (1 - t * t) - full * bow], 1)
    seam_top = np.stack([t * w, m + corner - gap * 0.25 * (1 - t * t) + 0.008 * np.cos(t * 6)], 1)
    seam_low = np.stack([t * w, m + corner + gap * (1 - t * t) + 0.008 * np.cos(t * 6)], 1)
    low = np.stack([t * w * 0.93, m + corner + gap * (1 - t * t) + full * 1.5 * np.clip(1 - t * t, 0, 1) ** 0.8], 1)
    if gap > 0.01:
        hole = np.concatenate([seam_top, seam_low[::-1]])
        inside = canvas.mask(hole)
        canvas.fill(picture, hole, (0.20, 0.06, 0.06))
        teeth = np.concatenate([seam_top, (moved(seam_top, 0, gap * 0.55))[::-1]])
        canvas.fill(picture, teeth, (0.90, 0.87, 0.83), 0.95, 0.006, inside * (np.abs(canvas.grid()[0]) < w * 0.78))
        canvas.fill(picture, ellipse(0, m + gap * 0.95, w * 0.5, gap * 0.4), (0.62, 0.26, 0.26), 0.9, 0.01, inside)
    dark = scaled(look.lip, 0.86)
    canvas.tint(picture, np.concatenate([top, seam_top[::-1]]), dark, 0.95, 0.006)
    canvas.tint(picture, np.concatenate([seam_low, low[::-1]]), look.lip, 0.95, 0.008)
    canvas.fill(picture, ellipse(0.02, m + gap + full * 0.75, w * 0.34, full * 0.22), (1.0, 0.92, 0.9), 0.16, 0.016)
    canvas.tint(picture, stroke(seam_top, [0.006, 0.018, 0.022, 0.018, 0.006]), (0.30, 0.14, 0.13), 0.9, 0.004)
    for s in (-1, 1):
        canvas.tint(picture, ellipse(s * w * 1.02, m + lift, 0.022, 0.016), (0.5, 0.34, 0.3), 0.7, 0.010)
    canvas.tint(picture, ellipse(0, m + gap + full * 1.5 + 0.035, w * 0.55, 0.022), (0.68, 0.54, 0.5), 0.6, 0.022)


def glasses(canvas: Canvas, picture: Array, look: Look) -> None:
    """Round golden or square dark glasses."""
    round_ones = look.glasses == "round"
    frame: Colour = (0.55, 0.38, 0.16) if round_ones else (0.09, 0.08, 0.09)
    g, ry, rx = look.eye_gap + 0.015, 0.175 if round_ones else 0.15, 0.19 if round_ones else 0.21
    for s in (-1, 1):
        a = np.linspace(0, 2 * np.pi, 61)
        power = 1.0 if round_ones else 0.55
        px = s * g + rx * np.sign(np.cos(a)) * np.abs(np.cos(a)) ** power
        py = 0.03 + ry * np.sign(np.sin(a)) * np.abs(np.sin(a)) ** power
        ring = stroke(np.stack([px, py], 1), 0.022 if round_ones else 0.034)
        canvas.tint(picture, moved(ring, 0.0, 0.03), (0.6, 0.5, 0.48), 0.5, 0.012)
        canvas.fill(picture, ring, frame, 1.0, 0.002)
        canvas.fill(picture, stroke([(s * (g + rx), -0.01), (s * look.width * 1.0, -0.03)], 0.026), frame)
        glare = np.array([(s * g - 0.09, -0.09), (s * g - 0.03, -0.09), (s * g - 0.10, 0.10), (s * g - 0.14, 0.08)])
        canvas.fill(picture, glare, (1, 1, 1), 0.10, 0.012)
    bridge = curve([(-g + rx, 0.0), (0, -0.045), (g - rx, 0.0)], False)
    canvas.fill(picture, stroke(bridge, 0.026), frame)
