"""Which of a film's places a picture shows, who is there, and in which colours: by colours and shapes alone, against
the truth.

The film's places are painted as all its keyframes see them, without people. A picture shows the place of the view that
it is nearest to where nobody hides it; people stand where it departs from that view, and wear the colours of cloth that
are found there, by the place's light. Who they are is told by painting every person of the film into every seat of that
place: the nearest of these figures gives the name.

Shapes: H x W pixels, N views of the film, R x C cells of a figure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from drawn.paint import Array, Colour
from drawn.people import CLOTHS, HAIRS, SKINS
from drawn.script import Script, write
from drawn.stage import Stage
from drawn.truth import Truth

SIZE = (224, 128)
CELLS = (28, 16)
_SEEN = 0.45  # share of the cells that no person hides, even in an extreme close-up
_SHIFTS = [(x, y) for x in (-6, -3, 0, 3, 6) for y in (-3, 0, 3)]  # pixels by which a view may be off
_DEPARTS = 26.0  # levels of 0-255 in one of the colours
_LEAST_HIGH, _LEAST_WIDE, _GAP = 0.14, 0.05, 0.03  # of the picture's height: of a person, and between two
_ALIKE = 0.45  # how high a person is at least, of the highest
_WORN = 0.03  # share of what departs that a colour of cloth has at least, where it is worn
_SHADE = 0.95  # of a colour's light, in the middle of what it covers
_LIGHTNESS = 0.5  # how much lightness counts beside colour, in Lab
_FIGURE = (6, 12)  # cells across and down a person


@dataclass(frozen=True)
class Figure:
    """A person's mean colours [R, C, 3], and how much of each cell the person fills [R, C]."""

    colours: Array
    filled: Array

    def apart(self, other: Figure) -> float:
        """Mean difference of colours where both are."""
        both = np.minimum(self.filled, other.filled)
        differ = np.abs(self.colours - other.colours).mean(-1)
        return float((both * differ).sum() / max(float(both.sum()), 1e-6))


@dataclass(frozen=True)
class Verdict:
    """What a picture shows: its place, the figures of its people from left to right, and colours of CLOTHS."""

    place: str
    figures: tuple[Figure, ...]
    clothes: frozenset[str]

    @property
    def people(self) -> int:
        return len(self.figures)


class Oracle:
    """Judges pictures of one film; `size` is (width, height) in pixels, of the film's shape."""

    def __init__(self, truth: Truth, size: tuple[int, int] = SIZE) -> None:
        self._script = write(truth.seed, int(truth.seconds), size[0] / size[1])
        self._stage = Stage(self._script, size)
        scenes = [second for second in truth.timeline if second.kind == "scene"]
        self.size, self.truth = size, truth
        self.places = [second.place for second in scenes]
        self._views = {second.second: _soft(self._stage.frame(second.second, people=False)) for second in scenes}
        self._seconds = list(self._views)
        self._layouts = np.stack([_layout(view) for view in self._views.values()])
        moods = {place.name: place.mood for place in self._script.places}
        self._palettes = {place: _palette(moods[place].grade) for place in set(self.places)}

    def __call__(self, picture: Array) -> Verdict:
        """Judge a picture, RGB uint8 [H, W, 3] of any size and of the film's shape."""
        picture = _soft(cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA))
        apart = self._layouts - _layout(picture)  # [N, H, W, 3]
        worst = np.abs(apart).max(-1).reshape(len(apart), -1)
        seen = round(_SEEN * worst.shape[1])
        nearest = int(np.argmin(np.sort(worst, axis=1)[:, :seen].mean(1)))
        there = np.argsort(worst[nearest])[:seen]
        light = np.median(apart[nearest].reshape(-1, 3)[there], axis=0)  # all of a picture may be lighter or darker
        lit, place = picture + light, self.places[nearest]
        departs = _departs(lit, self._views[self._seconds[nearest]])
        return Verdict(place, tuple(_figures(lit, departs)), _worn(lit[departs], self._palettes[place]))

    def who(self, verdict: Verdict) -> tuple[str, ...]:
        """The names of those whom a picture shows, from left to right."""
        return tuple(self._named(figure, verdict.place) for figure in verdict.figures)

    def _named(self, figure: Figure, place: str) -> str:
        """Whose figure is the nearest of those in the place or, where the film shows nobody, of all."""
        known = [one for one in self._painted if one[1] == place] or self._painted
        return min(known, key=lambda one: figure.apart(one[2]))[0]

    @cached_property
    def _painted(self) -> list[tuple[str, str, Figure]]:
        """(name, place, figure) of each person in the first seat of each shot, as if the shot were theirs alone."""
        painted = []
        for who, person in enumerate(self._script.people):
            self._stage.script = _alone(self._script, who)
            for shot in self._script.shots:
                if not shot.roles:
                    continue
                second = (shot.start + shot.end) // 2
                seen = _soft(self._stage.frame(second))
                if found := _figures(seen, _departs(seen, self._views[second])):
                    place = self._script.places[shot.place].name
                    painted.append((person.name, place, max(found, key=lambda figure: figure.filled.sum())))
        self._stage.forget()
        return painted


def _alone(script: Script, who: int) -> Script:
    """The film with one person in all shots that show anybody."""
    shots = (replace(shot, roles=tuple(replace(role, who=who) for role in shot.roles[:1])) for shot in script.shots)
    return replace(script, shots=tuple(shots))


def _soft(picture: Array) -> Array:
    """Without what is finer than a few pixels, such as rain, float32."""
    soft: Array = cv2.GaussianBlur(cv2.medianBlur(picture, 5), (0, 0), 1.5).astype(np.float32)
    return soft


def _layout(picture: Array) -> Array:
    layout: Array = cv2.resize(picture, CELLS, interpolation=cv2.INTER_AREA)
    return layout


def _departs(picture: Array, view: Array) -> Array:
    """Where the picture differs [H, W] from the view and from the view shifted by a few pixels."""
    least = np.full(picture.shape[:2], np.inf, np.float32)
    for x, y in _SHIFTS:
        moved = cv2.warpAffine(
            view, np.array([[1, 0, x], [0, 1, y]], np.float32), view.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
        )
        least = np.minimum(least, np.abs(picture - moved).max(-1))
    departs: Array = least > _DEPARTS
    return departs


def _figures(picture: Array, departs: Array) -> list[Figure]:
    """Those who stand side by side: runs of columns in which enough departs, and about as much as in the highest."""
    mask = cv2.morphologyEx(departs.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    high = mask.shape[0]
    heights = mask.sum(0) / high
    columns = (heights > _LEAST_HIGH / 2).astype(np.uint8)
    closed = cv2.morphologyEx(columns[None], cv2.MORPH_CLOSE, np.ones((1, round(_GAP * high)), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed.astype(np.int8), [0]])))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    least = max(_LEAST_HIGH, _ALIKE * max((float(heights[start:end].max()) for start, end in runs), default=0.0))
    return [
        _figure(picture[:, start:end], mask[:, start:end])
        for start, end in runs
        if heights[start:end].max() >= least and end - start >= _LEAST_WIDE * high
    ]


def _figure(picture: Array, mask: Array) -> Figure:
    """The cells of a person, from the head's top down to the feet or the picture's edge."""
    rows = np.flatnonzero(mask.any(1))
    mask = mask[rows[0] : rows[-1] + 1].astype(np.float32)
    colours = cv2.resize(picture[rows[0] : rows[-1] + 1] * mask[..., None], _FIGURE, interpolation=cv2.INTER_AREA)
    filled = cv2.resize(mask, _FIGURE, interpolation=cv2.INTER_AREA)
    return Figure(colours / np.maximum(filled, 1e-6)[..., None], filled)


def _palette(grade: Colour) -> Array:
    """The colours of cloth, then those of skin and hair, by a light, in Lab."""
    colours = [*CLOTHS.values(), *SKINS.values(), *HAIRS.values()]
    return _lab(np.multiply(colours, grade).astype(np.float32) * _SHADE * 255)


def _worn(pixels: Array, palette: Array) -> frozenset[str]:
    """The colours of cloth that enough of the pixels [N, 3] are nearest to."""
    if not len(pixels):
        return frozenset()
    weights = np.array([_LIGHTNESS, 1, 1], np.float32)
    apart = np.linalg.norm((_lab(pixels)[:, None] - palette) * weights, axis=-1)
    shares = np.bincount(apart.argmin(1), minlength=len(palette)) / len(pixels)
    return frozenset(name for name, share in zip(CLOTHS, shares, strict=False) if share >= _WORN)


def _lab(colours: Array) -> Array:
    """[N, 3] of 0-255 in Lab."""
    lab: Array = cv2.cvtColor(colours[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]
    return lab
