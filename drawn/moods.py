"""Times of day and weathers: what they do to the sky and to people."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from drawn.paint import Colour

_DATA = files("drawn").joinpath("moods.json")
HORIZON = 0.60  # y of the skyline in frame heights


@dataclass(frozen=True)
class Mood:
    """A time of day or a weather: the sky's colours, the light on people, and from which side it comes."""

    word: str
    high: Colour
    low: Colour
    cloud: Colour
    sun: Colour
    grade: Colour
    light: float
    haze: float = 0.0  # how far distance fades into the low sky's colour


@cache
def moods() -> dict[str, Mood]:
    """All of them, by their names in KINDS of drawn.places."""
    read: dict[str, dict[str, Any]] = json.loads(_DATA.read_text())
    return {name: Mood(**{key: _frozen(value) for key, value in mood.items()}) for name, mood in read.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
