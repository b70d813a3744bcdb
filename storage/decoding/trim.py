"""How much of a film's beginning and end is left out: titles, credits and black (paper, appendix C)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

_BLACK = 28  # brightest, but for a hundredth of the picture, of a black keyframe, 0-255
_NEAR = 4  # grey levels about the commonest one that count as a flat background
_FLAT, _EMPTY = 0.55, 0.85  # share of the background in a title that stands or rolls, and in any title on black
_DARK = 48  # background of credits, 0-255
_STILL = 1.0  # mean change of a keyframe that stands still, 0-255
_ROLLED = 0.6  # of the change that must vanish when the picture is moved up again
_FASTEST = 24  # rows of 64 that credits roll in a step
_ISLAND = 2  # keyframes between titles that are none: fades, the studio's picture
_ALIKE, _DIMMER = 0.9, 0.85  # correlation with, and brightness of, the neighbour of a keyframe in a fade


class TrimSeconds(BaseModel, frozen=True, extra="forbid"):
    """A fixed length of each film, in seconds."""

    kind: Literal["seconds"] = "seconds"
    start: float = Field(0.0, ge=0.0, description="seconds cut off at the beginning")
    end: float = Field(0.0, ge=0.0, description="seconds cut off at the end")

    def __str__(self) -> str:
        return f"trim.start {self.start:g} s and trim.end {self.end:g} s"


class TrimShare(BaseModel, frozen=True, extra="forbid"):
    """A fixed share of each film's length."""

    kind: Literal["share"] = "share"
    start: float = Field(0.0, ge=0.0, lt=1.0, description="share of the film's length cut off at the beginning")
    end: float = Field(0.0, ge=0.0, lt=1.0, description="share of the film's length cut off at the end")

    def __str__(self) -> str:
        return f"trim.start {self.start:.0%} and trim.end {self.end:.0%}"


class TrimAutomatic(BaseModel, frozen=True, extra="forbid"):
    """Black, fades out of and into it, static titles and rolling credits on a flat background.

    Titles over moving pictures stay.
    """

    kind: Literal["automatic"] = "automatic"
    longest: float = Field(
        0.15, ge=0.0, lt=0.5, description="share of the film's length that is cut off at either end at most"
    )

    def __str__(self) -> str:
        return f"trim.kind 'automatic' and trim.longest {self.longest:.0%}"


Trim = Annotated[TrimSeconds | TrimShare | TrimAutomatic, Field(discriminator="kind")]


@dataclass(frozen=True)
class Signs:
    """What one keyframe shows of titles, by itself and beside the one before."""

    black: bool
    flat: bool
    empty: bool  # hardly more than a black background
    steady: bool  # it stands where the one before stood, or rolled up from there
    alike: bool  # the same picture as the one before, whatever its brightness
    brightness: float


def signs(luma: np.ndarray, before: np.ndarray | None) -> Signs:
    """Of uint8 [64, 112], and the keyframe before."""
    levels = np.convolve(np.bincount(luma.ravel(), minlength=256), np.ones(2 * _NEAR + 1), mode="same")
    background, share = int(levels.argmax()), float(levels.max() / luma.size)
    here = luma.astype(np.float32)
    there = here if before is None else before.astype(np.float32)
    return Signs(
        black=bool(np.percentile(luma, 99) < _BLACK),
        flat=share >= _FLAT,
        empty=share >= _EMPTY and background < _BLACK,
        steady=before is not None and (_stands(here, there) or (background < _DARK and _rolls(here, there))),
        alike=before is not None and _correlation(here, there) >= _ALIKE,
        brightness=float(here.mean()),
    )


def kept(trim: Trim, shown: Sequence[Signs], pts: Sequence[float], end: float) -> slice:
    """Which keyframes are left, of those shown at `pts` seconds in a film of `end` seconds."""
    match trim:
        case TrimSeconds():
            first, last = trim.start, end - trim.end
        case TrimShare():
            first, last = trim.start * end, (1 - trim.end) * end
        case TrimAutomatic():
            titles = _titles(shown)
            most = int(np.searchsorted(pts, trim.longest * end))
            back = len(pts) - int(np.searchsorted(pts, (1 - trim.longest) * end))
            start = _run(titles, shown, most)
            return slice(start, len(pts) - _run(titles[::-1], _backwards(shown), back))
    return slice(int(np.searchsorted(pts, first)), int(np.searchsorted(pts, last)))


def _titles(shown: Sequence[Signs]) -> list[bool]:
    after = [*shown[1:], None]
    return [
        one.black or one.empty or (one.flat and (one.steady or bool(next_ and next_.flat and next_.steady)))
        for one, next_ in zip(shown, after, strict=True)
    ]


def _backwards(shown: Sequence[Signs]) -> list[Signs]:
    """Seen from the end: each is alike to the one after it in the film."""
    alike = [*[one.alike for one in shown[1:]], False]
    return [
        Signs(one.black, one.flat, one.empty, one.steady, same, one.brightness)
        for one, same in zip(shown, alike, strict=True)
    ][::-1]


def _run(titles: Sequence[bool], shown: Sequence[Signs], most: int) -> int:
    """How many keyframes from the first on are titles, with what lies between them and the fade behind them."""
    length = 0
    for index, title in enumerate(titles[:most]):
        if title and index - length <= _ISLAND:
            length = index + 1
    while 0 < length < min(most, len(shown) - 1) and _fades(shown[length], shown[length + 1]):
        length += 1
    return length


def _fades(one: Signs, following: Signs) -> bool:
    return following.alike and one.brightness < _DIMMER * following.brightness


def _stands(here: np.ndarray, there: np.ndarray) -> bool:
    return bool(np.abs(here - there).mean() < _STILL)


def _rolls(here: np.ndarray, there: np.ndarray) -> bool:
    change = np.abs(here - there).mean()
    moved = min(np.abs(here[:-rows] - there[rows:]).mean() for rows in range(1, _FASTEST))
    return bool(moved < (1 - _ROLLED) * change)


def _correlation(here: np.ndarray, there: np.ndarray) -> float:
    one, other = here - here.mean(), there - there.mean()
    return float((one * other).sum() / max(1e-6, np.sqrt((one**2).sum() * (other**2).sum())))
