"""Histograms with round bin edges, drawn as SVG."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

_BARS = 16  # maximum number of bars
_WIDTH, _HEIGHT, _BASE = 320.0, 116.0, 92.0  # of the drawing, and the position of its axis
_WIDEST = 48.0  # maximum width of a bar
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Histogram(BaseModel, frozen=True, extra="forbid"):
    """Counts of values in bins of equal width.

    Args:
        mean, median, high: of all values; `high` is the 95th percentile; None without values.
        edges: one more than counts; the last bin also has everything above it.
    """

    title: str
    unit: str
    n: int
    mean: float | None
    median: float | None
    high: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, title: str, unit: str, values: Sequence[float] | NDArray[np.float64]) -> "Histogram":
        numbers = np.asarray(values, np.float64)
        if not len(numbers):
            return cls(title=title, unit=unit, n=0, mean=None, median=None, high=None, edges=(), counts=())
        top = float(np.percentile(numbers, 99))
        step = _step(top, whole=bool((numbers == np.round(numbers)).all()))
        bars = min(int(top // step) + 1, _BARS)
        places = np.minimum((numbers // step).astype(np.int64), bars - 1)
        return cls(
            title=title,
            unit=unit,
            n=len(numbers),
            mean=_short(numbers.mean()),
            median=_short(np.median(numbers)),
            high=_short(np.percentile(numbers, 95)),
            edges=tuple(round(step * bar, 9) for bar in range(bars + 1)),
            counts=tuple(np.bincount(places, minlength=bars).tolist()),
        )

    def svg(self) -> str:
        """An SVG element; the page's style sets the colours of the classes `bar` and `tick`."""
        slot = min(_WIDTH / max(len(self.counts), 1), _WIDEST)
        most = max(self.counts, default=1)
        parts = []
        for place, count in enumerate(self.counts):
            height = max(_BASE * 0.94 * count / most, 1.5 if count else 0.0)
            parts.append(
                f'<rect class="bar" x="{place * slot + 1:.1f}" y="{_BASE - height:.1f}" width="{slot - 2:.1f}" '
                f'height="{height:.1f}" rx="1.5"><title>{self._span(place)}: {count}</title></rect>'
            )
        every = max(1, -(-len(self.counts) // 8))
        for place in range(0, len(self.counts), every):
            middle = self._whole_steps() or len(self.counts) == 1
            x = (place + 0.5) * slot if middle else place * slot + 1
            anchor = "middle" if middle else "start"
            parts.append(f'<text class="tick" x="{x:.1f}" y="108" text-anchor="{anchor}">{self.edges[place]:g}</text>')
        parts.append(f'<line class="axis" x1="0" x2="{_WIDTH:g}" y1="{_BASE}" y2="{_BASE}"/>')
        label = f"{self.title}, {self.unit}"
        body = "".join(parts)
        return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">{body}</svg>'

    def _whole_steps(self) -> bool:
        return len(self.edges) > 1 and self.edges[1] == 1

    def _span(self, place: int) -> str:
        low, high, last = self.edges[place], self.edges[place + 1], place == len(self.counts) - 1
        if last:
            return f"{low:g} or more"
        return f"{low:g}" if self._whole_steps() else f"{low:g} to {high:g}"


def _step(top: float, whole: bool) -> float:
    """The smallest round bin width with which _BARS bins cover `top`."""
    least = 1.0 if whole else 1e-6
    size = 10.0 ** np.floor(np.log10(max(top, least) / _BARS))
    steps = [float(nice * size) for nice in _NICE]
    return max(least, next(step for step in steps if step * _BARS > top or step == steps[-1]))


def _short(number: float) -> float:
    return float(f"{number:.4g}")
