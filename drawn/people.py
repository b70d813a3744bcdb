"""Who plays: a person's looks as numbers, and the cast of three that a seed picks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drawn.paint import Colour


@dataclass(frozen=True)
class Look:
    """Everything that makes a person recognisable; lengths are in half head heights, eyes at y = 0, chin at y = 1."""

    words: str
    skin: Colour
    hair: Colour
    style: str  # long | bob | bun | short | crop | afro | slick | curls
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
    beard: str = "none"  # none | stubble | full | moustache
    glasses: bool = False
    freckles: float = 0.0
    age: float = 0.0
    lashes: float = 0.5
    build: float = 1.0
    tall: float = 1.0
    top: Colour = (0.4, 0.4, 0.5)
    bottom: Colour = (0.2, 0.22, 0.28)
    accent: Colour = (0.8, 0.3, 0.2)
    clothes: str = "jumper"  # jumper | coat | shirt | dress


@dataclass(frozen=True)
class Person:
    """One character of a film."""

    name: str
    pronoun: str
    look: Look

    @property
    def description(self) -> str:
        """One sentence."""
        return f"{self.name} is {self.look.words}."


WOMEN = {
    "auburn": Look(
        "a young woman with long auburn hair, green eyes and freckles, in a {top} coat",
        (0.96, 0.78, 0.68),
        (0.52, 0.20, 0.09),
        "long",
        iris=(0.25, 0.45, 0.25),
        width=0.70,
        jaw=0.50,
        chin=0.18,
        eye_size=0.185,
        eye_open=0.105,
        eye_tilt=0.02,
        brow=0.032,
        nose=0.38,
        nose_width=0.105,
        mouth=0.21,
        lips=1.15,
        lip=(0.80, 0.40, 0.40),
        freckles=1.0,
        lashes=1.0,
        build=0.86,
        tall=0.96,
        clothes="coat",
    ),
    "afro": Look(
        "a young woman with dark skin and a big round afro, in a {top} dress",
        (0.46, 0.28, 0.19),
        (0.09, 0.06, 0.05),
        "afro",
        iris=(0.20, 0.11, 0.06),
        width=0.73,
        jaw=0.55,
        chin=0.22,
        eye_gap=0.33,
        eye_size=0.18,
        eye_open=0.10,
        eye_tilt=0.02,
        brow=0.045,
        nose=0.43,
        nose_width=0.175,
        mouth=0.27,
        lips=1.65,
        lip=(0.72, 0.40, 0.42),
        lashes=1.0,
        build=0.88,
        tall=0.98,
        clothes="dress",
    ),
    "bob": Look(
        "a woman with a straight black bob and a fringe, in a {top} jumper",
        (0.95, 0.80, 0.66),
        (0.07, 0.07, 0.09),
        "bob",
        iris=(0.17, 0.10, 0.06),
        width=0.76,
        jaw=0.60,
        chin=0.20,
        eye_gap=0.335,
        eye_size=0.175,
        eye_open=0.068,
        eye_tilt=0.035,
        brow=0.036,
        brow_lift=0.03,
        nose=0.40,
        nose_width=0.13,
        mouth=0.20,
        lips=1.1,
        lip=(0.88, 0.42, 0.44),
        lashes=0.8,
        build=0.82,
        tall=0.93,
    ),
    "bun": Look(
        "an elderly woman with a white bun and round glasses, in a {top} cardigan",
        (0.93, 0.75, 0.66),
        (0.86, 0.85, 0.84),
        "bun",
        iris=(0.33, 0.45, 0.58),
        width=0.73,
        jaw=0.60,
        chin=0.26,
        eye_gap=0.29,
        eye_size=0.15,
        eye_open=0.07,
        eye_tilt=-0.02,
        brow=0.03,
        nose=0.47,
        nose_width=0.145,
        mouth=0.21,
        lips=0.7,
        lip=(0.86, 0.58, 0.55),
        glasses=True,
        age=1.0,
        lashes=0.4,
        build=0.92,
        tall=0.9,
    ),
}
MEN = {
    "beard": Look(
        "an old man with white hair and a full white beard, in a {top} coat",
        (0.89, 0.66, 0.55),
        (0.88, 0.87, 0.85),
        "short",
        iris=(0.35, 0.48, 0.62),
        width=0.76,
        jaw=0.66,
        chin=0.34,
        eye_gap=0.29,
        eye_size=0.145,
        eye_open=0.068,
        eye_tilt=-0.025,
        brow=0.075,
        nose=0.47,
        nose_width=0.175,
        mouth=0.22,
        lips=0.75,
        beard="full",
        age=1.0,
        lashes=0.2,
        build=1.16,
        tall=1.03,
        clothes="coat",
    ),
    "dark": Look(
        "a young man with very dark skin and close-cropped black hair, in a {top} shirt",
        (0.36, 0.215, 0.15),
        (0.05, 0.045, 0.04),
        "crop",
        iris=(0.14, 0.08, 0.05),
        width=0.70,
        jaw=0.62,
        chin=0.30,
        eye_gap=0.33,
        eye_size=0.155,
        eye_open=0.08,
        brow=0.065,
        brow_lift=-0.02,
        nose=0.45,
        nose_width=0.19,
        mouth=0.28,
        lips=1.55,
        lip=(0.74, 0.46, 0.44),
        lashes=0.3,
        build=1.06,
        tall=1.07,
        clothes="shirt",
    ),
    "moustache": Look(
        "a middle-aged man with slicked dark hair, a thick moustache and square glasses, in a {top} shirt",
        (0.80, 0.57, 0.42),
        (0.11, 0.08, 0.07),
        "slick",
        iris=(0.22, 0.13, 0.07),
        width=0.68,
        jaw=0.55,
        chin=0.24,
        eye_gap=0.275,
        eye_size=0.145,
        eye_open=0.075,
        brow=0.07,
        nose=0.49,
        nose_width=0.15,
        mouth=0.23,
        lips=0.85,
        beard="moustache",
        glasses=True,
        age=0.45,
        lashes=0.2,
        build=1.1,
        tall=1.0,
        clothes="shirt",
    ),
    "blond": Look(
        "a young man with tousled blond curls and blue eyes, in a {top} jumper",
        (0.96, 0.77, 0.66),
        (0.80, 0.60, 0.28),
        "curls",
        iris=(0.25, 0.45, 0.68),
        width=0.69,
        jaw=0.60,
        chin=0.30,
        eye_gap=0.30,
        eye_size=0.155,
        eye_open=0.08,
        brow=0.055,
        brow_lift=-0.03,
        nose=0.44,
        nose_width=0.13,
        mouth=0.25,
        lips=0.9,
        beard="stubble",
        lashes=0.3,
        build=1.04,
        tall=1.05,
    ),
}
LOOKS = {**WOMEN, **MEN}
CASTS = [
    tuple(row.split())
    for row in (  # threes whose faces a recogniser keeps apart; see benchmarks/face_recall.py
        "auburn afro beard",
        "auburn afro moustache",
        "auburn dark beard",
        "auburn dark moustache",
        "auburn beard moustache",
        "afro bob bun",
        "afro bob beard",
        "afro bob moustache",
        "bob dark beard",
        "bob dark moustache",
        "bob dark bun",
        "bob beard moustache",
        "afro beard moustache",
        "afro bun moustache",
        "bob blond moustache",
        "bob bun moustache",
    )
]
HER_NAMES = [
    "Mara",
    "Ines",
    "Lena",
    "Noor",
    "Ada",
    "Yuki",
    "Tilda",
    "Rosa",
    "Sela",
    "Wren",
    "Imani",
    "Petra",
    "Anouk",
    "Dalia",
]
HIS_NAMES = [
    "Tomas",
    "Elio",
    "Bruno",
    "Kofi",
    "Anton",
    "Idris",
    "Jonas",
    "Milo",
    "Osman",
    "Teo",
    "Viktor",
    "Radu",
    "Emil",
    "Hugo",
]
CLOTHS: dict[str, Colour] = {
    "red": (0.72, 0.17, 0.16),
    "mustard": (0.85, 0.62, 0.18),
    "teal": (0.12, 0.46, 0.47),
    "navy": (0.15, 0.21, 0.40),
    "green": (0.22, 0.42, 0.26),
    "plum": (0.43, 0.18, 0.38),
    "white": (0.88, 0.86, 0.82),
    "orange": (0.86, 0.42, 0.15),
    "blue": (0.25, 0.45, 0.72),
    "grey": (0.42, 0.44, 0.48),
}


def cast(seed: int) -> tuple[Person, ...]:
    """Three people who cannot be taken for each other: names, looks and clothes follow from the seed."""
    rng = np.random.default_rng([seed, 1])
    kinds = list(CASTS[int(rng.integers(len(CASTS)))])
    rng.shuffle(kinds)
    cloths = list(rng.permutation(list(CLOTHS)))
    hers, his = list(rng.permutation(HER_NAMES)), list(rng.permutation(HIS_NAMES))
    people = []
    for i, kind in enumerate(kinds):
        look = vary(LOOKS[kind], rng)
        cloth = str(cloths[i])
        look = replace(look, words=look.words.format(top=cloth), top=CLOTHS[cloth], accent=CLOTHS[str(cloths[i + 3])])
        her = kind in WOMEN
        people.append(Person(str((hers if her else his)[i]), "she" if her else "he", look))
    return tuple(people)


def vary(look: Look, rng: np.random.Generator) -> Look:
    """The same type of person, another individual."""

    def near(value: float, share: float) -> float:
        return value * (1 + share * float(rng.uniform(-1, 1)))

    skin = near(1.0, 0.05)
    return replace(
        look,
        skin=(look.skin[0] * skin, look.skin[1] * skin, look.skin[2] * skin),
        width=near(look.width, 0.03),
        jaw=near(look.jaw, 0.05),
        chin=near(look.chin, 0.1),
        eye_gap=near(look.eye_gap, 0.04),
        eye_size=near(look.eye_size, 0.05),
        brow=near(look.brow, 0.15),
        nose=near(look.nose, 0.04),
        nose_width=near(look.nose_width, 0.08),
        mouth=near(look.mouth, 0.08),
        lips=near(look.lips, 0.1),
        build=near(look.build, 0.05),
        tall=near(look.tall, 0.02),
    )
