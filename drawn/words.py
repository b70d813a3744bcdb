"""A drawn film's own script, in words that a person would use: who is there, how they look, where, when, what happens.

words.json says each moment in many ways; a number picks one. Nothing is said that the truth does not know.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from drawn.people import BEARDS, CLOTHES, GLASSES, STYLES, article, listed
from drawn.truth import Second, Truth, Where, Who

REVISION = "2"  # of the phrases

NUMBERS = ("Nobody", "One person", "Two people", "Three people")
_SAID: dict[str, dict[str, list[str]]] = json.loads(files("drawn").joinpath("words.json").read_text())
PLACES, TIMES, FALLS, FRAMES = _SAID["places"], _SAID["times"], _SAID["falls"], _SAID["frames"]
PLOTS = _SAID["plots"]
"""What happens in a shot, by the number of people in it."""

PLAIN = {"stripes": "striped jumper"}
SHORTER = {"afro": "{1} {0} afro", "bob": "{1} {0} bob", "curls": "{} curls", "fringe": "{1} {0} fringe"}  # than STYLES
EMPTY = ("Nobody is there.", "No people.", "{p}, empty.", "The place lies empty.")


@dataclass(frozen=True)
class Script:
    """The script of one moment: a sentence or more for each of these."""

    characters: tuple[str, ...]
    scene_elements: tuple[str, ...]
    plots: tuple[str, ...]


def told(truth: Truth, second: int, seed: int) -> Script:
    """What a person would write of a second of the film; `seed` picks the words.

    Raises:
        IndexError: for a second that the film does not have.
    """
    moment, rng = truth.timeline[second], np.random.default_rng([truth.seed, seed])
    if moment.kind != "scene":
        return Script((), ("Letters on a dark picture.",), (moment.plot,))
    shown = sorted(moment.appearances, key=lambda one: one.box[0] + one.box[2])
    names = [one.character for one in shown]
    where = truth.where[moment.place]
    place = _one(rng, PLACES[where.kind])
    shot_list = rng.random() < 0.5
    return Script(
        tuple((_looks if shot_list else _character)(rng, name, truth.who[name]) for name in names),
        (*_scene(rng, moment.place, place, where), *([_one(rng, _size(moment.shot_size))] if shot_list else [])),
        tuple(_plots(rng, moment, names, place, noted=shot_list)),
    )


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


@dataclass(frozen=True)
class _Parts:
    """A person's looks, as parts of a sentence."""

    sex: str
    grown: str
    skin: str
    head: list[str]
    wear: str
    plain: str

    @classmethod
    def of(cls, rng: np.random.Generator, who: Who) -> "_Parts":
        hair = STYLES[who.style] if rng.random() < 0.5 else SHORTER.get(who.style, STYLES[who.style])
        more = [BEARDS[who.beard].format(who.hair), GLASSES[who.glasses]]
        sex = "woman" if who.woman else "man"
        return cls(
            sex,
            f"{article(who.years)} {who.years} {sex}",
            f"{who.skin} skin",
            [hair.format(who.hair, article(who.hair)), *filter(None, more)],
            f"{article(who.top)} {CLOTHES[who.clothes].format(who.top, who.accent, article(who.accent))}",
            f"{article(who.top)} {who.top} {PLAIN.get(who.clothes, who.clothes)}",
        )


def _character(rng: np.random.Generator, name: str, who: Who) -> str:
    """A person by name."""
    one = _Parts.of(rng, who)
    return _one(
        rng,
        (
            f"{name} is {one.grown} with {listed([one.skin, *one.head])}, in {one.wear}.",
            f"{name}, {one.grown} with {listed(one.head)}, wears {one.wear}.",
            f"{name}: {', '.join([who.years + ' ' + one.sex, one.skin, *one.head, one.wear])}.",
            f"{name} has {listed(one.head)} and wears {one.wear}.",
            f"{name}, a {one.sex} with {one.skin} and {listed(one.head)}, in {one.plain}.",
            f"{name} wears {one.plain}. {'She' if who.woman else 'He'} has {listed([*one.head, one.skin])}.",
        ),
    )


def _looks(rng: np.random.Generator, name: str, who: Who) -> str:
    """A person as in a list of the cast, mostly without the name."""
    one = _Parts.of(rng, who)
    said = _one(
        rng,
        (
            f"{one.grown} with {listed([one.skin, *one.head])}, in {one.wear}.",
            f"{one.grown} with {listed([one.skin, *one.head])}, in {one.plain}.",
            f"{one.grown} with {listed([*one.head, one.skin])}, wearing {one.wear}.",
            f"{one.grown} in {one.wear}, with {listed([one.skin, *one.head])}.",
            f"{one.grown} in {one.plain}, with {listed(one.head)}.",
            f"a {one.sex} with {listed([one.skin, *one.head])}, in {one.wear}.",
            f"{who.years} {one.sex}, {', '.join([one.skin, *one.head, one.wear])}.",
        ),
    )
    return f"{name}: {said}" if rng.random() < 0.2 else _upper(said)


def _size(size: str) -> tuple[str, ...]:
    """The framing as a note, as in a shot list."""
    return (
        size,
        size,
        f"{_upper(size)}.",
        f"{size} shot" if "wide" in size or size == "medium" else f"{size} of the face",
    )


def _scene(rng: np.random.Generator, name: str, place: str, where: Where) -> list[str]:
    said = [
        _one(
            rng,
            (
                f"{_upper(place)}.",
                f"{_upper(name)}, {place}.",
                f"The place is {place}.",
                f"{_upper(place)}, {where.mood}.",
                f"We are at {name}: {place}.",
            ),
        )
    ]
    if where.mood not in said[0]:
        said.append(_one(rng, TIMES[where.mood]))
    if where.air in FALLS:
        said.append(_one(rng, FALLS[where.air]))
    return said


def _plots(rng: np.random.Generator, moment: Second, names: list[str], place: str, noted: bool) -> list[str]:
    """What happens; if the framing is noted elsewhere, mostly without it."""
    if not names:
        return [moment.plot, *([] if noted and rng.random() < 0.5 else [_one(rng, EMPTY).format(p=_upper(place))])]
    if noted and rng.random() < 0.6:
        return [moment.plot]
    frame = _one(rng, FRAMES[moment.shot_size]).format(w=listed(names))
    there = "is" if len(names) == 1 else "are"
    extra = (
        f"{listed(names)} {there} there.",
        f"{NUMBERS[len(names)]}: {listed(names)}.",
        f"On the left {names[0]}, on the right {names[-1]}." if names[1:] else f"{names[0]} is alone.",
    )
    return [moment.plot, frame, *([_one(rng, extra)] if rng.random() < 0.6 else [])]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
