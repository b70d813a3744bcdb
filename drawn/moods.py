"""Times of day and weathers: what they do to the sky and to people."""

from __future__ import annotations

from dataclasses import dataclass

from drawn.paint import Colour

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


MOODS = {
    "dawn": Mood(
        "at dawn", (0.42, 0.55, 0.75), (0.98, 0.80, 0.68), (1.0, 0.88, 0.84), (1.0, 0.90, 0.70), (1.0, 0.93, 0.90), 0.55
    ),
    "noon": Mood(
        "at noon", (0.25, 0.52, 0.85), (0.78, 0.90, 0.97), (1.0, 1.0, 1.0), (1.0, 0.97, 0.85), (1.0, 1.0, 0.98), -0.4
    ),
    "dusk": Mood(
        "at dusk",
        (0.26, 0.22, 0.46),
        (0.98, 0.56, 0.36),
        (0.93, 0.52, 0.47),
        (1.0, 0.76, 0.42),
        (1.0, 0.87, 0.78),
        -0.6,
    ),
    "night": Mood(
        "at night",
        (0.03, 0.05, 0.14),
        (0.13, 0.18, 0.34),
        (0.14, 0.18, 0.30),
        (0.85, 0.90, 1.0),
        (0.78, 0.82, 0.95),
        0.5,
    ),
    "overcast": Mood(
        "on a grey day",
        (0.58, 0.65, 0.72),
        (0.82, 0.86, 0.88),
        (0.92, 0.94, 0.95),
        (0.95, 0.95, 0.92),
        (0.94, 0.96, 0.99),
        -0.3,
    ),
    "morning": Mood(
        "in the morning",
        (0.36, 0.62, 0.88),
        (0.97, 0.95, 0.82),
        (1.0, 0.98, 0.94),
        (1.0, 0.96, 0.78),
        (1.0, 0.98, 0.93),
        0.5,
    ),
    "evening": Mood(
        "in the golden evening",
        (0.55, 0.50, 0.52),
        (1.0, 0.80, 0.42),
        (1.0, 0.86, 0.60),
        (1.0, 0.92, 0.60),
        (1.0, 0.92, 0.76),
        -0.6,
    ),
    "fog": Mood(
        "in the fog",
        (0.70, 0.74, 0.77),
        (0.80, 0.82, 0.83),
        (0.82, 0.84, 0.85),
        (0.88, 0.89, 0.88),
        (0.92, 0.94, 0.96),
        -0.3,
        haze=0.62,
    ),
    "storm": Mood(
        "under a stormy sky",
        (0.17, 0.20, 0.26),
        (0.46, 0.50, 0.53),
        (0.30, 0.33, 0.38),
        (0.60, 0.62, 0.62),
        (0.80, 0.84, 0.90),
        -0.4,
        haze=0.15,
    ),
}
