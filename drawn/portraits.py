"""Photographs of people for story files: the described person in front of a wall, drawn as in a film.

python -m drawn.portraits examples/faces
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from drawn.casting import draw
from drawn.moods import moods
from drawn.paint import Array
from drawn.people import CLOTHS, HAIRS, SKINS, Look, Person, named
from drawn.places import KINDS, Place
from drawn.script import Move, Role, Script, Shot
from drawn.stage import Stage

SIZE = 320
LIGHTHOUSE = {  # the cast of examples/lighthouse.yaml
    "ada": {"woman": True, "years": "elderly", "skin": "light", "hair": "grey", "style": "bun", "glasses": "none"}
    | {"clothes": "coat", "top": "blue", "accent": "red"},
    "bo": {"woman": False, "years": "young", "skin": "brown", "hair": "black", "style": "curls", "beard": "full"}
    | {"glasses": "none", "clothes": "jumper", "top": "green"},
    "mira": {"woman": True, "years": "young", "skin": "pale", "hair": "ginger", "style": "long", "freckles": 1.0}
    | {"glasses": "none", "clothes": "dress", "top": "yellow", "accent": "white"},
}


def person(seed: int, wanted: Mapping[str, object]) -> Look:
    """Somebody of whom these facts are true; clothes and freckles are put on, all else is looked for."""
    rng = np.random.default_rng(seed)
    put_on: dict[str, object] = {key: CLOTHS[str(wanted[key])] for key in ("top", "accent") if key in wanted}
    put_on |= {key: wanted[key] for key in ("clothes", "freckles") if key in wanted}
    for _ in count():
        look = draw(rng)
        facts = {"skin": named(look.skin, SKINS), "hair": named(look.hair, HAIRS)}
        known = {key: facts.get(key, getattr(look, key)) for key in wanted if key not in put_on}
        if all(known[key] == wanted[key] for key in known):
            return replace(look, **put_on)  # type: ignore[arg-type]
    raise AssertionError


def portrait(look: Look, size: int = SIZE) -> Array:
    """A close-up, RGB uint8 [size, size, 3]."""
    wall = Place("", "room", moods()["noon"], KINDS["room"].where, "none", 0)
    still = Move((0.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.0, -0.1, 2.0))
    role = Role(0, 0.0, 0.0, 0.47, 0.23, 0.0, 0.3, "rest", False, False, 0.0)
    shot = Shot(0, 0, 2, "scene", 0, "close-up", (role,), still, "")
    return Stage(Script(0, 2, "", (Person("", look),), (wall,), (shot,)), (size, size)).frame(0.5)


def main() -> None:
    """Draw the cast of the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    if there := [path for name in LIGHTHOUSE if (path := folder / f"{name}.jpg").exists()]:
        parser.error(f"{str(there[0])!r} already exists: remove it, or name another folder")
    for seed, (name, wanted) in enumerate(LIGHTHOUSE.items()):
        picture = cv2.cvtColor(portrait(person(seed, wanted)), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
