"""A film as a list of shots, made from a seed: who is where and when, and how the camera moves.

The film falls into two halves that play in the same places with the same people, framed anew.
Positions are in frame heights, x = 0 in the frame's middle; scales are half a head's height in frame heights.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drawn.body import GESTURES
from drawn.casting import cast
from drawn.people import Person
from drawn.places import Place, places_of
from drawn.words import PLOTS

Kind = Literal["title", "scene", "end"]


@dataclass(frozen=True)
class Role:
    """One person in one shot: moves from x0 to x1 with the eyes at y; `yaw` is the side they face."""

    who: int
    x0: float
    x1: float
    y: float
    scale: float
    yaw: float
    smile: float
    gesture: str
    walks: bool
    talks: bool
    phase: float


@dataclass(frozen=True)
class Move:
    """The camera from start to end (x, y, zoom), and the part of the background that it looks at."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    view: tuple[float, float, float]


@dataclass(frozen=True)
class Shot:
    """One shot from `start` to `end`, whole seconds."""

    index: int
    start: int
    end: int
    kind: Kind
    place: int
    size: str
    roles: tuple[Role, ...]
    move: Move
    plot: str


@dataclass(frozen=True)
class Script:
    """The whole film before it is drawn."""

    seed: int
    seconds: int
    title: str
    people: tuple[Person, ...]
    places: tuple[Place, ...]
    shots: tuple[Shot, ...]

    def shot_at(self, time: float) -> Shot:
        """The shot that runs at `time` seconds."""
        return next((s for s in self.shots if time < s.end), self.shots[-1])


THINGS = ("letter", "music box", "map", "lantern", "key", "blue stone", "clock", "song", "violin", "diary", "ring")
TITLES = ("The Lost {T}", "The {T} of {p}", "{A} and the {T}", "A {T} for {A}", "Where the {T} Sleeps", "The Last {T}")


@dataclass(frozen=True)
class Framing:
    """How a size of shot looks at a place: the camera's reach and zoom, and the background's view and focus."""

    reach: float
    zoom: float
    spread: float
    lift: float
    near: float
    focus: Literal["sharp", "soft", "blurred"]


FRAMINGS = {
    "very wide": Framing(0.20, 1.12, 0.25, 0.0, 1.0, "sharp"),
    "wide": Framing(0.17, 1.15, 0.30, 0.0, 1.0, "sharp"),
    "medium": Framing(0.10, 1.22, 0.55, -0.04, 1.4, "soft"),
    "close two-shot": Framing(0.04, 1.10, 0.65, -0.08, 1.7, "blurred"),
    "close-up": Framing(0.05, 1.25, 0.75, -0.10, 1.9, "blurred"),
    "extreme close-up": Framing(0.03, 1.15, 0.75, -0.10, 2.1, "blurred"),
    "card": Framing(0.0, 1.0, 0.0, 0.0, 1.0, "sharp"),
}
CLOSE = {  # x to either side (of the width), the least and largest scale, y of the eyes
    "close-up": (0.10, 0.235, 0.27, 0.465),
    "extreme close-up": (0.05, 0.31, 0.34, 0.45),
}
SLOTS = (  # what a half shows in turn, one of each: a framing and how many people
    (("wide", 0), ("very wide", 0)),
    (("medium", 2),),
    (("close-up", 1),),
    (("wide", 2), ("wide", 3)),
    (("close-up", 1), ("extreme close-up", 1)),
    (("medium", 1),),
    (("close-up", 1),),
    (("wide", 1), ("very wide", 1), ("very wide", 3)),
    (("medium", 2), ("close two-shot", 2)),
)
PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


def write(seed: int, seconds: int, aspect: float) -> Script:
    """Write the film of a seed; `aspect` is width / height of the frame."""
    if seconds < 8:
        raise ValueError(f"a film needs at least 8 seconds, got {seconds}")
    rng = np.random.default_rng([seed, 3])
    card = 4 if seconds >= 60 else 2 if seconds >= 24 else 1
    middle = seconds // 2
    spans = [(card, middle), (middle, seconds - card)]
    lengths = [_lengths(rng, b - a) for a, b in spans]
    halves = [_slots(rng, len(parts)) for parts in lengths]
    people = cast(seed, min(sum(n for _, n in slots) for slots in halves))
    places = places_of(seed, min(4, *(len(n) for n in lengths)))
    thing = str(rng.choice(THINGS))
    title = str(rng.choice(TITLES)).format(T=thing.title(), A=people[0].name, p=places[0].name.removeprefix("the "))
    still = Move((0.0, 0.0, 1.0), (0.10, -0.02, 1.22), (rng.uniform(-0.3, 0.1), 0.0, 1.15))
    shots = [Shot(0, 0, card, "title", 0, "card", (), still, f"The title: {title}.")]
    for (start, _), parts, slots in zip(spans, lengths, halves, strict=True):
        order = rng.permutation(len(places))
        casting = _casting(rng, slots, len(people))
        for k, (size, _) in enumerate(slots):
            place = int(order[k * len(places) // len(slots)])
            roles = tuple(
                _role(rng, who, i, len(casting[k]), size, people[who], aspect) for i, who in enumerate(casting[k])
            )
            text = _plot(rng, people, casting[k], places[place], thing)
            shots.append(
                Shot(
                    len(shots), start, start + parts[k], "scene", place, size, roles, _move(rng, size, len(roles)), text
                )
            )
            start += parts[k]
    last = replace(still, start=still.end, end=still.start, view=(rng.uniform(-0.1, 0.3), 0.0, 1.25))
    shots.append(Shot(len(shots), seconds - card, seconds, "end", len(places) - 1, "card", (), last, "The end."))
    return Script(seed, seconds, title, people, places, tuple(shots))


def _lengths(rng: np.random.Generator, total: int) -> list[int]:
    count = max(2, round(total / 4.9))
    parts = np.full(count, total // count)
    parts[rng.permutation(count)[: total - int(parts.sum())]] += 1
    for _ in range(count if total // count >= 4 else 0):
        a, b = rng.choice(count, 2, replace=False)
        if parts[a] > 3 and parts[b] < 7:
            parts[a] -= 1
            parts[b] += 1
    return [int(p) for p in parts]


def _slots(rng: np.random.Generator, count: int) -> list[tuple[str, int]]:
    turns = [SLOTS[(k + (count < 5)) % len(SLOTS)] for k in range(count)]
    return [choices[int(rng.integers(len(choices)))] for choices in turns]


def _casting(rng: np.random.Generator, slots: list[tuple[str, int]], people: int) -> list[tuple[int, ...]]:
    """Who is in each shot: whoever has been seen least, and for a close-up least in close-ups."""
    seen, close = np.zeros(people), np.zeros(people)
    out = []
    for size, count in slots:
        luck = rng.random(people) * 0.5
        rank = np.argsort(seen + luck + (10 * close if size in CLOSE else 0))
        chosen = tuple(int(w) for w in rank[:count])
        for who in chosen:
            seen[who] += 1
            close[who] += size in CLOSE
        out.append(chosen)
    return out


def _role(rng: np.random.Generator, who: int, place: int, count: int, size: str, person: Person, aspect: float) -> Role:
    side = {1: (0,), 2: (-1, 1), 3: (-1, 1, 0)}[count][place]
    gesture = str(rng.choice(GESTURES if FRAMINGS[size].focus != "blurred" else GESTURES[:1]))
    yaw, smile, phase = rng.uniform(-0.5, 0.5), float(rng.choice([0.0, 0.3, 0.7])), rng.uniform(0, 6.28)
    if side:
        yaw = -0.45 * side
    if size in CLOSE or size == "close two-shot":
        far, low, high, y = CLOSE.get(size, (0.02, 0.175, 0.195, 0.47))
        x = (0.22 * side + rng.uniform(-far, far, 2)) * aspect
        y, scale = y + rng.uniform(-0.025, 0.025), rng.uniform(low, high)
        return Role(who, float(x[0]), float(x[1]), y, scale, yaw, smile, gesture, False, True, phase)
    if size == "medium":
        centre = side * rng.uniform(0.19, 0.23) if side else rng.uniform(-0.16, 0.16)
        x = (centre + rng.uniform(-0.05, 0.05, 2)) * aspect
        y = rng.uniform(0.40, 0.44) + 0.03 * (1.0 - person.look.tall)
        return Role(
            who, float(x[0]), float(x[1]), y, rng.uniform(0.138, 0.155), yaw, smile, gesture, False, True, phase
        )
    scale = float(rng.uniform(0.060, 0.068) if size == "wide" else rng.uniform(0.043, 0.049))
    low, high = {1: (-0.28, 0.28), 2: (0.08, 0.36), 3: (0.20, 0.36) if side else (-0.06, 0.06)}[count]
    play = min(0.10, (high - low) / 2)
    a, b = rng.uniform(low, low + play), rng.uniform(high - play, high)
    x0, x1 = (a, b) if rng.random() < 0.5 else (b, a)
    x0, x1 = x0 * (side or 1) * aspect, x1 * (side or 1) * aspect
    y = (0.89 if size == "wide" else 0.86) + 0.02 * place - (9.5 * person.look.tall) * scale
    return Role(
        who, float(x0), float(x1), float(y), scale, float(np.sign(x1 - x0)) * 0.5, smile, gesture, True, False, phase
    )


def _move(rng: np.random.Generator, size: str, people: int) -> Move:
    """A pan, a push in, a pull out or a drift, as wide as the shot's size allows."""
    framing = FRAMINGS[size]
    reach, zoom = framing.reach * (1.6 if people == 0 else 1.0), framing.zoom
    way = float(rng.choice([-1, 1]))
    kind = str(rng.choice(["pan", "push", "pull", "drift"]))
    start, end = {
        "pan": ((-way * reach, 0.0, 1.06), (way * reach, 0.0, 1.06)),
        "push": ((0.0, 0.0, 1.0), (way * reach * 0.3, 0.0, zoom)),
        "pull": ((way * reach * 0.3, 0.0, zoom), (0.0, 0.0, 1.0)),
        "drift": ((-way * reach * 0.7, 0.02, 1.0), (way * reach * 0.7, -0.02, 1.0 + 0.6 * (zoom - 1))),
    }[kind]
    x = rng.uniform(-framing.spread, framing.spread)
    return Move(start, end, (x, framing.lift, framing.near * rng.uniform(1.0, 1.12)))


def _plot(rng: np.random.Generator, people: tuple[Person, ...], who: tuple[int, ...], place: Place, thing: str) -> str:
    text = str(rng.choice(PLOTS[str(len(who))]))
    names = dict(zip("ABC", [people[w].name for w in who], strict=False))
    she, her, hers, herself = PRONOUNS[people[who[0]].pronoun] if who else ("", "", "", "")
    name = place.name[0].upper() + place.name[1:]
    where = f"{place.where} {place.when}"
    pronouns = {"s": she, "o": her, "h": hers, "r": herself}
    return text.format(**names, **pronouns, t=thing, w=where, n=place.when, p=place.name, P=name)
