"""Painted places in three depths; a film plays in four of them, at times of day and in weathers that its seed picks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from drawn.landscapes import Four, beach, desert, forest, harbour, mountain
from drawn.moods import Mood, moods
from drawn.paint import Array, Canvas
from drawn.scenery import Rng
from drawn.towns import room, street, village
from drawn.worlds import HELD_PLACE, holds_out


@dataclass(frozen=True)
class Place:
    """One place of a film; `air` is what drifts through it."""

    name: str
    kind: str
    mood: Mood
    where: str
    air: str
    seed: int

    @property
    def when(self) -> str:
        """The time of day and the weather in words."""
        return self.mood.word + AIRS[self.air]

    @property
    def description(self) -> str:
        """One sentence."""
        return f"{KINDS[self.kind].words}, {self.when}."


@dataclass(frozen=True)
class Layers:
    """A place's pictures float32 [h, w, 4], premultiplied; `far` is opaque, `near` stands before the people."""

    canvas: Canvas
    far: Array
    mid: Array
    ground: Array
    near: Array


@dataclass(frozen=True)
class Kind:
    """What all places of a kind have in common, and the variants that each place picks from."""

    words: str
    where: str
    paint: Callable[[Canvas, Rng, Mood], Four]
    moods: str
    airs: str
    names: Sequence[str]


AIRS = {"none": "", "motes": "", "rain": " with falling rain", "snow": " with falling snow"}
_PAINTERS = {paint.__name__: paint for paint in (harbour, forest, street, room, mountain, village, beach, desert)}
KINDS = {
    name: Kind(**facts, paint=_PAINTERS[name])
    for name, facts in json.loads(files("drawn").joinpath("places.json").read_text()).items()
}


def places_of(seed: int, count: int = 4) -> tuple[Place, ...]:
    """The film's places, all of different kinds."""
    rng = np.random.default_rng([seed, 2])
    kinds = [str(k) for k in rng.permutation([k for k in KINDS if k != HELD_PLACE])][:count]
    if holds_out(seed):
        kinds[int(rng.integers(count))] = HELD_PLACE
    out: list[Place] = []
    for name in kinds:
        kind, used = KINDS[name], [p.mood.word for p in out]
        choice = kind.moods.split()
        fresh = [m for m in choice if moods()[m].word not in used] or choice
        mood = moods()[str(rng.choice(fresh))]
        air = str(rng.choice(kind.airs.split()))
        out.append(Place(str(rng.choice(kind.names)), name, mood, kind.where, air, int(rng.integers(2**31))))
    return tuple(out)


def paint_place(place: Place, size: tuple[int, int]) -> Layers:
    """Paint a place for frames of size (width, height) in pixels: 1.8 by 1.4 frames, the frame in the middle."""
    wide = size[0] / size[1]
    canvas = Canvas(float(size[1]), -0.9 * wide, -0.2, 0.9 * wide, 1.2)
    rng = np.random.default_rng(place.seed)
    far, mid, ground, near = KINDS[place.kind].paint(canvas, rng, place.mood)
    shade = np.clip(canvas.grid()[1] - 0.75, 0, 1)[..., None] * 0.5
    ground[..., :3] *= 1 - shade
    if place.mood.haze and place.kind != "room":
        for layer, share in ((far, 1.0), (mid, 0.75), (ground, 0.25)):
            fade = share * place.mood.haze
            layer[..., :3] += fade * (np.array(place.mood.low, np.float32) * layer[..., 3:] - layer[..., :3])
    return Layers(canvas, far, mid, ground, near)
