"""A drawn film's own script, in words that a person would use: who is there, how they look, where, when, what happens.

Each moment can be said in many ways; a number picks one. Nothing is said that the truth does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drawn.people import BEARDS, CLOTHES, GLASSES, STYLES, article, listed
from drawn.truth import Second, Truth, Where, Who

REVISION = "1"  # of the phrases

NUMBERS = ("Nobody", "One person", "Two people", "Three people")
PLACES = {
    "harbour": ("the harbour", "the quay", "the old harbour with its lighthouse", "a harbour with boats"),
    "forest": ("the forest", "the woods", "a forest of tall trees", "a path in the forest"),
    "street": ("the street", "a street of old houses", "the old town", "a cobbled street with lamps"),
    "room": ("the room", "a room full of books", "a room with a window and a bookshelf", "the library room"),
    "mountain": ("the mountains", "a meadow in the mountains", "the high meadow", "a meadow below snowy peaks"),
    "village": ("the snowy village", "a village in the snow", "the village", "snow-covered houses"),
    "beach": ("the beach", "a sandy beach", "the beach with its palms", "the seaside"),
    "desert": ("the desert", "the dunes", "a desert with red rocks", "a desert with cacti"),
}
TIMES = {
    "at dawn": ("It is dawn.", "At dawn.", "The sun rises.", "Early in the morning, at sunrise."),
    "at noon": ("It is noon.", "At noon.", "Bright daylight under a blue sky.", "In the middle of the day."),
    "at dusk": ("It is dusk.", "At dusk.", "The sun sets.", "At sunset, the sky is red."),
    "at night": ("It is night.", "At night.", "It is dark.", "In the middle of the night."),
    "on a grey day": ("It is a grey day.", "On a grey day.", "The sky is grey.", "It is cloudy."),
    "in the morning": ("It is morning.", "In the morning.", "A bright morning.", "The morning is clear."),
    "in the golden evening": (
        "It is evening.",
        "In the golden evening.",
        "Golden evening light.",
        "The light is golden.",
    ),
    "in the fog": ("It is foggy.", "In the fog.", "Fog hides what is far away.", "Thick fog."),
    "under a stormy sky": ("A storm is coming.", "Under a stormy sky.", "Dark clouds.", "The sky is dark and stormy."),
}
FALLS = {
    "rain": ("It rains.", "Rain falls.", "It is raining.", "In the rain."),
    "snow": ("It snows.", "Snow falls.", "It is snowing.", "In falling snow."),
}
FRAMES = {
    "very wide": ("{w} small in the distance.", "{w} seen from far away.", "A very wide shot of {w}."),
    "wide": ("{w} from head to foot.", "A wide shot of {w}.", "{w} seen whole, walking."),
    "medium": ("{w} seen from the waist up.", "A medium shot of {w}.", "The camera shows {w} down to the hips."),
    "close two-shot": ("The faces of {w}, close together.", "A close shot of {w}.", "{w} face to face with us, close."),
    "close-up": ("A close-up of {w}.", "The face of {w}, close.", "We look {w} in the face."),
    "extreme close-up": ("An extreme close-up of {w}.", "The face of {w} fills the picture.", "{w}, very close."),
}
PLAIN = {"stripes": "striped jumper"}
EMPTY = ("Nobody is there.", "No people.", "{p}, empty.", "The place lies empty.")


@dataclass(frozen=True)
class Told:
    """The script of one moment: a sentence or more for each of these."""

    characters: tuple[str, ...]
    scene_elements: tuple[str, ...]
    plots: tuple[str, ...]


def told(truth: Truth, second: int, seed: int) -> Told:
    """What a person would write of a second of the film; `seed` picks the words.

    Raises:
        IndexError: for a second that the film does not have.
    """
    moment, rng = truth.timeline[second], np.random.default_rng([truth.seed, seed])
    if moment.kind != "scene":
        return Told((), ("Letters on a dark picture.",), (moment.plot,))
    shown = sorted(moment.appearances, key=lambda one: one.box[0] + one.box[2])
    names = [one.character for one in shown]
    where = truth.where[moment.place]
    place = _one(rng, PLACES[where.kind])
    return Told(
        tuple(_character(rng, name, truth.who[name]) for name in names),
        tuple(_scene(rng, moment.place, place, where)),
        tuple(_plots(rng, moment, names, place)),
    )


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _character(rng: np.random.Generator, name: str, who: Who) -> str:
    hair = STYLES[who.style].format(who.hair, article(who.hair))
    more = [BEARDS[who.beard].format(who.hair), GLASSES[who.glasses]]
    skin = f"{who.skin} skin"
    head = [hair, *filter(None, more)]
    wear = f"{article(who.top)} {CLOTHES[who.clothes].format(who.top, who.accent, article(who.accent))}"
    plain = f"{article(who.top)} {who.top} {PLAIN.get(who.clothes, who.clothes)}"
    sex = "woman" if who.woman else "man"
    grown = f"{article(who.years)} {who.years} {sex}"
    return _one(
        rng,
        (
            f"{name} is {grown} with {listed([skin, *head])}, in {wear}.",
            f"{name}, {grown} with {listed(head)}, wears {wear}.",
            f"{name}: {', '.join([who.years + ' ' + sex, skin, *head, wear])}.",
            f"{name} has {listed(head)} and wears {wear}.",
            f"{name}, a {sex} with {skin} and {listed(head)}, in {plain}.",
            f"{name} wears {plain}. {'She' if who.woman else 'He'} has {listed([*head, skin])}.",
        ),
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


def _plots(rng: np.random.Generator, moment: Second, names: list[str], place: str) -> list[str]:
    if not names:
        return [moment.plot, _one(rng, EMPTY).format(p=_upper(place))]
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
