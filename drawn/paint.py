"""The painter's tools: curves, soft polygons, noise, light on puffed shapes, and sprites with their smaller copies.

Pictures are float32 [H, W, 4], red green blue coverage in 0..1, the colours multiplied by the coverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]] | Array


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from a to b."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour times a factor, within 0..1."""
    return (min(1.0, colour[0] * factor), min(1.0, colour[1] * factor), min(1.0, colour[2] * factor))


def curve(points: Points, closed: bool = True, steps: int = 10) -> Array:
    """A smooth (Catmull-Rom) curve through `points` [N, 2]; returns float64 [M, 2]."""
    p = np.asarray(points, np.float64)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    p = np.concatenate([ends[0], p, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
    out = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    out = out.reshape(-1, 2)
    return cast(Array, out if closed else np.concatenate([out, p[-2:-1]]))


def moved(points: Array, dx: float, dy: float) -> Array:
    """The points [..., 2], shifted."""
    return cast(Array, points + np.array([dx, dy]))


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, steps: int = 40) -> Array:
    """An ellipse as a polygon [steps, 2]; `turn` in radians."""
    a = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    u, v = rx * np.cos(a), ry * np.sin(a)
    return np.stack([x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)], 1)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    """The corners of a rectangle between two opposite ones."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def stroke(points: Points, widths: float | Sequence[float]) -> Array:
    """A polygon around an open line [N, 2] with a width (or one a point), tapering between them."""
    p = np.asarray(points, np.float64)
    w = np.interp(np.linspace(0, 1, len(p)), np.linspace(0, 1, np.size(widths)), np.atleast_1d(widths)) / 2
    d = np.gradient(p, axis=0)
    n = np.stack([-d[:, 1], d[:, 0]], 1) / (np.linalg.norm(d, axis=1, keepdims=True) + 1e-9)
    return np.concatenate([p + n * w[:, None], (p - n * w[:, None])[::-1]])


def noise(
    rng: np.random.Generator, height: int, width: int, cells: float, octaves: int = 4, stretch: float = 1.0
) -> Array:
    """Cloudy noise in 0..1, float32 [height, width]; `cells` across the width, `stretch` > 1 draws it out sideways."""
    out = np.zeros((height, width), np.float32)
    total = 0.0
    for k in range(octaves):
        nx = max(2, round(cells * 2**k / stretch))
        ny = max(2, round(cells * 2**k * height / width))
        grid = rng.random((ny + 1, nx + 1), dtype=np.float32)
        out += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**k
        total += 0.55**k
    return cast(Array, np.clip(out / total, 0, 1))


@dataclass(frozen=True)
class Canvas:
    """A picture's frame in its own units: x from left to right, y from top to bottom, `unit` pixels a unit."""

    unit: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return round((self.bottom - self.top) * self.unit), round((self.right - self.left) * self.unit)

    def blank(self) -> Array:
        """An empty picture float32 [H, W, 4]."""
        return np.zeros((*self.shape, 4), np.float32)

    def grid(self) -> tuple[Array, Array]:
        """x and y of every pixel's centre in units, float32 [H, W] each."""
        h, w = self.shape
        x = self.left + (np.arange(w, dtype=np.float32) + 0.5) / self.unit
        y = self.top + (np.arange(h, dtype=np.float32) + 0.5) / self.unit
        return cast(tuple[Array, Array], tuple(np.meshgrid(x, y)))

    def mask(self, points: Points, soft: float = 0.0) -> Array:
        """Coverage float32 [H, W] of a polygon; `soft` is a blur in units."""
        out = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(out, [self._pixels(points)], 255, cv2.LINE_AA, 4)
        return self.blur(out.astype(np.float32) / 255, soft)

    def blur(self, picture: Array, sigma: float) -> Array:
        """Gaussian blur; sigma in units."""
        s = sigma * self.unit
        if s <= 0.3:
            return picture
        h, w = picture.shape[:2]
        if s < 6 or min(h, w) < 32:
            return cast(Array, cv2.GaussianBlur(picture, (0, 0), s))
        small = cv2.resize(picture, ((w + 3) // 4, (h + 3) // 4), interpolation=cv2.INTER_AREA)
        return cast(Array, cv2.resize(cv2.GaussianBlur(small, (0, 0), s / 4), (w, h), interpolation=cv2.INTER_LINEAR))

    def _pixels(self, points: Points) -> Array:
        p = (np.asarray(points, np.float64) - (self.left, self.top)) * self.unit - 0.5
        return np.round(p * 16).astype(np.int32)

    def _part(
        self, points: Points, soft: float, within: Array | None, blurred: bool = True
    ) -> tuple[tuple[slice, slice], Array]:
        p = (np.asarray(points) - (self.left, self.top)) * self.unit
        pad = 3 + 3.2 * soft * self.unit
        h, w = self.shape
        x0, y0 = np.clip(np.floor(p.min(0) - pad), 0, (w - 1, h - 1)).astype(int)
        x1, y1 = np.clip(np.ceil(p.max(0) + pad), (x0 + 1, y0 + 1), (w, h)).astype(int)
        out = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(out, [self._pixels(points) - np.array([x0 * 16, y0 * 16], np.int32)], 255, cv2.LINE_AA, 4)
        where = (slice(int(y0), int(y1)), slice(int(x0), int(x1)))
        m = self.blur(out.astype(np.float32) / 255, soft if blurred else 0.0)
        return where, m if within is None else m * within[where]

    def fill(
        self,
        picture: Array,
        points: Points,
        colour: Colour,
        alpha: float = 1.0,
        soft: float = 0.0,
        within: Array | None = None,
    ) -> None:
        """Paint a polygon over the picture, in place."""
        where, m = self._part(points, soft, within)
        m = m[..., None] * alpha
        picture[where] = picture[where] * (1 - m) + np.array((*colour, 1.0), np.float32) * m

    def tint(
        self,
        picture: Array,
        points: Points,
        colour: Colour,
        alpha: float = 1.0,
        soft: float = 0.0,
        within: Array | None = None,
    ) -> None:
        """Multiply the picture's colours inside a polygon by `colour`, in place; light and coverage stay."""
        where, m = self._part(points, soft, within)
        m = m[..., None] * alpha
        picture[where][..., :3] *= 1 - m + np.array(colour, np.float32) * m

    def puff(
        self,
        picture: Array,
        points: Points,
        colour: Colour,
        roundness: float = 0.12,
        light: float = -0.5,
        texture: Array | None = None,
    ) -> None:
        """Paint a polygon as a soft, lit volume."""
        where, m = self._part(points, roundness, None, blurred=False)
        lit = relief(self.blur(m, roundness), roundness * self.unit * 1.6, light)
        rgb = shaded(np.array(colour, np.float32)[None, None], lit)
        if texture is not None:
            rgb = rgb * texture[where][..., None]
        over(picture[where], rgb, m)


def relief(height: Array, depth: float, light: float = -0.5) -> Array:
    """Light 0..1 on a height field [H, W], from above and from the left (light < 0) or the right."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.125) * depth
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.125) * depth
    n = np.sqrt(1 + gx * gx + gy * gy)
    lx, ly, lz = light * 0.9, -0.55, 0.72
    size = (lx * lx + ly * ly + lz * lz) ** 0.5
    return cast(Array, np.clip((-gx * lx - gy * ly + lz) / n / size, 0, 1))


def shaded(albedo: Array, lit: Array, warm: float = 0.12) -> Array:
    """Albedo under light 0..1: shadows are darker and, as skin and cloth are, warmer and more saturated."""
    s = (0.42 + 0.72 * lit)[..., None]
    shadow = np.array([1.0, 1.0 - warm, 1.0 - 0.6 * warm], np.float32)
    return np.clip(albedo * s * (shadow + (1 - shadow) * np.clip(lit[..., None] * 1.25, 0, 1)), 0, 1)


def over(picture: Array, rgb: Array, mask: Array) -> None:
    """Lay colours [H, W, 3] over the picture where the mask [H, W] covers, in place."""
    m = mask[..., None]
    picture[..., :3] = picture[..., :3] * (1 - m) + rgb * m
    picture[..., 3:] = picture[..., 3:] * (1 - m) + m


@dataclass(frozen=True)
class Sprite:
    """A cut-out, uint8 [H, W, 4] premultiplied, with smaller copies; `canvas` gives the units of the largest."""

    canvas: Canvas
    levels: tuple[Array, ...]

    @classmethod
    def of(cls, canvas: Canvas, picture: Array, halves: int = 4) -> "Sprite":
        """Freeze a float picture."""
        levels = [np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)]
        for _ in range(halves):
            h, w = levels[-1].shape[:2]
            if min(h, w) < 16:
                break
            levels.append(
                cast(Array, cv2.resize(levels[-1], ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA))
            )
        return cls(canvas, tuple(levels))

    def graded(self, grade: Colour) -> "Sprite":
        """The same sprite in another light."""
        gains = (*grade, 1.0)
        assert max(gains) <= 1.0, "a grade only takes light away, so that colours stay within the coverage"
        return Sprite(self.canvas, tuple(cv2.multiply(level, gains) for level in self.levels))

    def put(
        self, frame: Array, scale: float, x: float, y: float, turn: float = 0.0, pivot: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Draw onto frame uint8 [H, W, 3]: `scale` pixels a unit, `pivot` (units) at (x, y), `turn` in radians."""
        k = 0
        while k + 1 < len(self.levels) and scale < 0.55 * self.canvas.unit / 2**k:
            k += 1
        image = self.levels[k]
        fx = image.shape[1] / (self.canvas.right - self.canvas.left)
        fy = image.shape[0] / (self.canvas.bottom - self.canvas.top)
        c, s = np.cos(turn) * scale, np.sin(turn) * scale
        px, py = self.canvas.left - pivot[0], self.canvas.top - pivot[1]
        m = np.array([[c / fx, -s / fy, x + c * px - s * py], [s / fx, c / fy, y + s * px + c * py]])
        h, w = image.shape[:2]
        corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]]) @ m.T
        fh, fw = frame.shape[:2]
        x0, y0 = np.clip(np.floor(corners.min(0)), 0, (fw, fh)).astype(int)
        x1, y1 = np.clip(np.ceil(corners.max(0)), 0, (fw, fh)).astype(int)
        if x1 <= x0 or y1 <= y0:
            return
        m[:, 2] -= (x0, y0)
        m[:, 2] += (m[:, :2].sum(1) - 1) / 2
        warped = cv2.warpAffine(image, m, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
        lay(frame[y0:y1, x0:x1], warped)


def lay(frame: Array, cutout: Array) -> None:
    """Lay a premultiplied cut-out uint8 [H, W, 4] over frame uint8 [H, W, 3] of the same size, in place."""
    rest = cv2.cvtColor(cv2.bitwise_not(cutout[..., 3]), cv2.COLOR_GRAY2RGB)
    frame[...] = cv2.add(cv2.multiply(frame, rest, scale=1 / 255), cv2.cvtColor(cutout, cv2.COLOR_RGBA2RGB))
