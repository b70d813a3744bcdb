"""Who plays: a person's looks as numbers, and the words that follow from them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from drawn.paint import Colour

_DATA: dict[str, Any] = json.loads(files("drawn").joinpath("people.json").read_text())


def _colours(name: str) -> dict[str, Colour]:
    return {colour: (red, green, blue) for colour, (red, green, blue) in _DATA[name].items()}


SKINS, HAIRS, CLOTHS = _colours("skins"), _colours("hairs"), _colours("cloths")
_PHRASES: dict[str, dict[str, str]] = _DATA
STYLES, BEARDS, GLASSES, CLOTHES = (_PHRASES[name] for name in ("styles", "beards", "glasses", "clothes"))


def named(colour: Colour, palette: Mapping[str, Colour]) -> str:
    """The palette's nearest name."""
    return min(palette, key=lambda name: float(np.linalg.norm(np.subtract(palette[name], colour))))


def article(word: str) -> str:
    """A or an."""
    return "an" if word[0] in "aeiou" else "a"


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if parts[1:] else parts[0]


@dataclass(frozen=True)
class Look:
    """Everything that makes a person recognisable; lengths are in half head heights, eyes at y = 0, chin at y = 1."""

    woman: bool
    skin: Colour
    hair: Colour
    style: str  # of STYLES
    iris: Colour = (0.30, 0.20, 0.12)
    width: float = 0.72  # half width at the cheekbones
    jaw: float = 0.56  # half width at the height of the mouth
    chin: float = 0.22  # half width near the chin
    eye_gap: float = 0.31
    eye_size: float = 0.165
    eye_open: float = 0.085
    eye_tilt: float = 0.01
    brow: float = 0.05
    brow_lift: float = 0.0
    nose: float = 0.42  # y of the nose's base
    nose_width: float = 0.13
    mouth: float = 0.24  # half width
    lips: float = 1.0
    lip: Colour = (0.86, 0.55, 0.53)
    beard: str = "none"  # of BEARDS
    glasses: str = "none"  # of GLASSES
    freckles: float = 0.0
    age: float = 0.0
    lashes: float = 0.5
    build: float = 1.0
    tall: float = 1.0
    top: Colour = (0.4, 0.4, 0.5)
    bottom: Colour = (0.2, 0.22, 0.28)
    accent: Colour = (0.8, 0.3, 0.2)
    clothes: str = "jumper"  # of CLOTHES

    @property
    def years(self) -> str:
        """The age in a word."""
        return "young" if self.age < 0.3 else "middle-aged" if self.age < 0.7 else "elderly"

    @property
    def head(self) -> tuple[str, ...]:
        """What is to be seen of the head, a phrase each."""
        hair = named(self.hair, HAIRS)
        said = (STYLES[self.style], BEARDS[self.beard], GLASSES[self.glasses], "freckles" if self.freckles else "")
        return tuple(phrase.format(hair, article(hair)) for phrase in said if phrase)

    @property
    def wear(self) -> str:
        """The clothes in words."""
        top, accent = named(self.top, CLOTHS), named(self.accent, CLOTHS)
        return f"{article(top)} {CLOTHES[self.clothes].format(top, accent, article(accent))}"

    @property
    def words(self) -> str:
        """The whole look: a young woman with light skin, long auburn hair and freckles, in a red dress."""
        who = f"{article(self.years)} {self.years} {'woman' if self.woman else 'man'}"
        return f"{who} with {listed([f'{named(self.skin, SKINS)} skin', *self.head])}, in {self.wear}"


@dataclass(frozen=True)
class Person:
    """One character of a film."""

    name: str
    look: Look

    @property
    def pronoun(self) -> str:
        """She or he."""
        return "she" if self.look.woman else "he"

    @property
    def description(self) -> str:
        """One sentence."""
        return f"{self.name} is {self.look.words}."
