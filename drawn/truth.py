"""What a drawn film is known to show, second by second; written beside the film and read by tests and benchmarks."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

Box = tuple[float, float, float, float]
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Appearance:
    """A person in a frame: boxes are (x0, y0, x1, y1) in 0..1 of the frame; `face_pixels` is the face's height."""

    character: str
    box: Box
    face: Box
    face_pixels: float


@dataclass(frozen=True)
class Who:
    """A person's look in words, one fact per field, and the exact colours as RGB in 0..1; "none" if there is none."""

    woman: bool
    years: str
    skin: str
    hair: str
    style: str
    beard: str
    glasses: str
    clothes: str
    top: str
    accent: str
    skin_rgb: Rgb
    hair_rgb: Rgb
    top_rgb: Rgb
    accent_rgb: Rgb


@dataclass(frozen=True)
class Where:
    """A place's kind, its time of day or weather, and what falls there: none, motes, rain or snow."""

    kind: str
    mood: str
    air: str


@dataclass(frozen=True)
class Second:
    """The frame at `second` seconds, exactly; `shot` counts from 0 and includes the title and the end."""

    second: int
    shot: int
    kind: Literal["title", "scene", "end"]
    place: str
    shot_size: str
    plot: str
    appearances: tuple[Appearance, ...]


@dataclass(frozen=True)
class Truth:
    """A whole film: names with a sentence and the facts each, the cuts in seconds, and one entry a whole second."""

    seed: int
    title: str
    seconds: float
    fps: int
    width: int
    height: int
    characters: dict[str, str]
    places: dict[str, str]
    who: dict[str, Who]
    where: dict[str, Where]
    cuts: tuple[float, ...]
    timeline: tuple[Second, ...]

    def to_json(self) -> str:
        """The truth as JSON text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Truth":
        """The truth that `to_json` wrote."""
        raw = json.loads(text)
        timeline = tuple(
            Second(
                **{
                    **s,
                    "appearances": tuple(
                        Appearance(a["character"], tuple(a["box"]), tuple(a["face"]), a["face_pixels"])
                        for a in s["appearances"]
                    ),
                }
            )
            for s in raw["timeline"]
        )
        who = {name: Who(**_tuples(facts)) for name, facts in raw["who"].items()}
        where = {name: Where(**facts) for name, facts in raw["where"].items()}
        return cls(**{**raw, "who": who, "where": where, "cuts": tuple(raw["cuts"]), "timeline": timeline})


def _tuples(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
