"""Six painted places in three depths; a film plays in four of them, at a time of day that its seed picks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drawn.landscapes import Four, forest, harbour, mountain
from drawn.moods import MOODS, Mood
from drawn.paint import Array, Canvas
from drawn.scenery import Rng
from drawn.towns import room, street, village


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
    def description(self) -> str:
        """One sentence."""
        return f"{WORDS[self.kind]}, {self.mood.word}."


@dataclass(frozen=True)
class Layers:
    """A place's pictures float32 [h, w, 4], premultiplied; `far` is opaque, `near` stands before the people."""

    canvas: Canvas
    far: Array
    mid: Array
    ground: Array
    near: Array


WORDS = {
    "harbour": "A harbour with a lighthouse, moored boats and a wooden quay",
    "forest": "A forest of tall trunks with light between the leaves",
    "street": "A narrow street of old houses with lit windows and wet cobbles",
    "room": "A warm room with a bookshelf, a tall window and a lamp",
    "mountain": "A high meadow below snowy peaks, with pines and a cabin",
    "village": "A village under snow with steep roofs and lit windows",
}
KINDS: dict[str, tuple[str, tuple[str, ...], str, tuple[str, ...]]] = {
    "harbour": ("at the harbour", ("dusk", "dawn", "noon"), "none", ("Old Harbour", "Gull Quay", "Salt Pier")),
    "forest": ("in the forest", ("noon", "dawn"), "motes", ("Fern Wood", "Owl Forest", "the Green Hollow")),
    "street": ("in the street", ("night", "dusk"), "rain", ("Lantern Street", "Copper Lane", "Clock Alley")),
    "room": ("in the room", ("dusk", "night", "dawn"), "motes", ("the Reading Room", "the Attic", "the Map Room")),
    "mountain": (
        "in the high meadow",
        ("noon", "dawn", "overcast"),
        "none",
        ("High Meadow", "Cloud Pass", "Eagle Ridge"),
    ),
    "village": (
        "in the snowy village",
        ("night", "dusk", "overcast"),
        "snow",
        ("Winter Village", "Frost Hill", "Snow Market"),
    ),
}


def places_of(seed: int, count: int = 4) -> tuple[Place, ...]:
    """The film's places, all of different kinds."""
    rng = np.random.default_rng([seed, 2])
    out: list[Place] = []
    for kind in rng.permutation(list(KINDS))[:count]:
        where, moods, air, names = KINDS[str(kind)]
        used = [p.mood.word for p in out]
        fresh = [m for m in moods if MOODS[m].word not in used] or list(moods)
        mood = MOODS[str(rng.choice(fresh))]
        out.append(Place(str(rng.choice(names)), str(kind), mood, where, air, int(rng.integers(2**31))))
    return tuple(out)


def paint_place(place: Place, size: tuple[int, int]) -> Layers:
    """Paint a place for frames of size (width, height) in pixels: 1.8 by 1.4 frames, the frame in the middle."""
    wide = size[0] / size[1]
    canvas = Canvas(float(size[1]), -0.9 * wide, -0.2, 0.9 * wide, 1.2)
    rng = np.random.default_rng(place.seed)
    far, mid, ground, near = PAINTERS[place.kind](canvas, rng, place.mood)
    shade = np.clip(canvas.grid()[1] - 0.75, 0, 1)[..., None] * 0.5
    ground[..., :3] *= 1 - shade
    return Layers(canvas, far, mid, ground, near)


PAINTERS: dict[str, Callable[[Canvas, Rng, Mood], Four]] = {
    "harbour": harbour,
    "forest": forest,
    "street": street,
    "room": room,
    "mountain": mountain,
    "village": village,
}
