"""The cast of a seed's film: people with random looks, different enough not to be confused."""

from dataclasses import replace
from itertools import count

import numpy as np

from drawn.paint import Colour, blend, scaled
from drawn.people import CLOTHS, HAIRS, SKINS, Look, Person, named
from drawn.worlds import holds_out

MOST = 5
HER_NAMES = (
    "Mara Ines Lena Noor Ada Yuki Tilda Rosa Sela Wren Imani Petra Anouk Dalia Freya Nadia Salome Zora Greta Ilse"
)
HIS_NAMES = (
    "Tomas Elio Bruno Kofi Anton Idris Jonas Milo Osman Teo Viktor Radu Emil Hugo Aaron Caspar Felix Ivo Matti Silas"
)
TROUSERS: tuple[Colour, ...] = ((0.20, 0.22, 0.28), (0.16, 0.20, 0.36), (0.33, 0.25, 0.18), (0.55, 0.48, 0.38))
LEAST_APART = 0.47
TELLING = {  # weights in `apart`: how well a length of the face distinguishes people
    "nose_width": 1.5,
    "eye_gap": 0.75,
    "brow_lift": 0.48,
    "eye_open": 0.35,
    "nose": 0.28,
    "mouth": 0.22,
    "jaw": 0.15,
    "chin": 0.14,
}


def held_out(look: Look) -> bool:
    """Whether a look is one of the two that training never sees: ginger full beards, and blond buns."""
    hair = named(look.hair, HAIRS)
    return (look.beard == "full" and hair == "ginger") or (look.style == "bun" and hair == "blond")


def apart(a: Look, b: Look) -> float:
    """Approximate distance between two faces for dlib's recogniser, fitted to drawn faces (r = 0.7).

    Two poses of one person are up to 0.35 apart. People in one film are at least LEAST_APART apart.
    """
    covers = {"none": 0, "stubble": 0, "moustache": 1, "full": 2}
    return (
        0.25
        + 0.12 * abs(float(np.mean(a.skin)) - float(np.mean(b.skin)))
        + 0.04 * float(np.linalg.norm(np.subtract(a.hair, b.hair)))
        + 0.010 * (a.style != b.style)
        + 0.053 * (covers[a.beard] != covers[b.beard])
        + 0.020 * (a.glasses != b.glasses)
        + 0.028 * ((a.glasses == "none") != (b.glasses == "none"))
        + 0.027 * (a.woman != b.woman)
        + 0.026 * abs(a.age - b.age)
        + sum(weight * abs(float(getattr(a, length)) - float(getattr(b, length))) for length, weight in TELLING.items())
    )


def seen(look: Look) -> tuple[object, ...]:
    """What a description says about a person, except for the clothes."""
    return look.woman, look.years, look.head, named(look.skin, SKINS)


def cast(seed: int, most: int = MOST) -> tuple[Person, ...]:
    """Three to five people, at most `most`: names, looks and clothes follow from the seed."""
    rng = np.random.default_rng([seed, 1])
    number = min(most, int(rng.integers(3, MOST + 1)))
    cloths = rng.permutation(list(CLOTHS))
    hers, his = list(rng.permutation(HER_NAMES.split())), list(rng.permutation(HIS_NAMES.split()))
    looks: list[Look] = []
    for i in range(number):
        look = _another(rng, looks, held=holds_out(seed) and i < 2)
        top, accent = (CLOTHS[str(c)] for c in (cloths[i], cloths[i + number]))
        looks.append(replace(look, top=scaled(top, rng.uniform(0.95, 1.05)), accent=accent))
    people = [Person(str((hers if look.woman else his).pop()), look) for look in looks]
    return tuple(people[i] for i in rng.permutation(number))


def _another(rng: np.random.Generator, looks: list[Look], held: bool) -> Look:
    """A person who differs from all others; after many attempts, a smaller difference is enough."""
    for tries in count():
        look = draw(rng)
        if held:
            woman = not any(held_out(other) and other.woman for other in looks)
            look = _held(look, rng, woman)
        unlike = all(apart(look, o) >= LEAST_APART * 0.999**tries and seen(look) != seen(o) for o in looks)
        if unlike and held_out(look) == held:
            return look
    raise AssertionError


def _held(look: Look, rng: np.random.Generator, woman: bool) -> Look:
    skin = _skin(rng.uniform(0, 0.25))
    if woman:
        return replace(draw(rng, woman=True), skin=skin, hair=HAIRS["blond"], style="bun", age=0.0)
    style = str(rng.choice(["short", "curls", "slick"]))
    return replace(draw(rng, woman=False), skin=skin, hair=HAIRS["ginger"], style=style, beard="full", age=0.2)


def _skin(darkness: float) -> Colour:
    tones = list(SKINS.values())
    at = darkness * (len(tones) - 1)
    k = min(int(at), len(tones) - 2)
    return blend(tones[k], tones[k + 1], at - k)


def _pick(rng: np.random.Generator, odds: dict[str, float]) -> str:
    share = np.array(list(odds.values()))
    return str(rng.choice(list(odds), p=share / share.sum()))


def draw(rng: np.random.Generator, woman: bool | None = None) -> Look:
    """One person, of a sex or of any; clothes' colours are left to the cast."""

    def between(low: float, high: float) -> float:
        return rng.uniform(low, high)

    woman = bool(rng.random() < 0.5) if woman is None else woman
    dark = between(0, 1)
    old = float(rng.choice([0.0, 0.15, 0.45, 1.0], p=[0.4, 0.15, 0.25, 0.2]))
    hair = _hair(rng, dark, old)
    if woman:
        styles = {"long": 3, "fringe": 2, "bob": 2.5, "bun": 2, "short": 1, "curls": 2}
        styles |= {"afro": 4.0, "crop": 1.0} if dark > 0.45 else {}
    else:
        styles = {"short": 3, "crop": 2, "slick": 2, "curls": 2, "bald": 2, "long": 1}
        styles |= {"afro": 2.5, "slick": 0.0} if dark > 0.45 else {}
    style = _pick(rng, {name: float(odds) for name, odds in styles.items()})
    beard = "none" if woman else _pick(rng, {"none": 3, "stubble": 2, "full": 3, "moustache": 2})
    clothes = {"jumper": 2, "stripes": 2, "coat": 2, "shirt": 2, "t-shirt": 2, "waistcoat": 1.5}
    light_eyes = [(0.25, 0.45, 0.25), (0.25, 0.45, 0.68), (0.42, 0.50, 0.55), (0.34, 0.22, 0.12)]
    iris = light_eyes[int(rng.integers(4))] if dark < 0.3 else (0.24 - 0.12 * dark, 0.14 - 0.07 * dark, 0.07)
    red = (0.80, 0.38, 0.40) if woman else (0.86, 0.58, 0.55)
    return Look(
        woman,
        _skin(dark),
        scaled(HAIRS[hair], between(0.94, 1.06)),
        style,
        iris=iris,
        width=between(0.66, 0.78),
        jaw=between(0.47, 0.61) if woman else between(0.53, 0.68),
        chin=between(0.17, 0.25) if woman else between(0.23, 0.35),
        eye_gap=between(0.265, 0.345),
        eye_size=(between(0.166, 0.188) if woman else between(0.145, 0.160)) * (1 - 0.08 * old),
        eye_open=(between(0.070, 0.106) if woman else between(0.066, 0.086)) * (1 - 0.15 * old),
        eye_tilt=between(-0.005, 0.036) - 0.025 * old,
        brow=between(0.028, 0.050) if woman else between(0.045, 0.080),
        brow_lift=between(-0.03, 0.03),
        nose=between(0.38, 0.455) + 0.03 * old,
        nose_width=between(0.095, 0.150) + 0.045 * dark + (0.0 if woman else 0.018),
        mouth=between(0.20, 0.265) + 0.015 * dark,
        lips=between(0.80, 1.15) + 0.5 * dark - 0.25 * old,
        lip=blend(red, (0.72, 0.42, 0.42), dark),
        beard=beard,
        glasses=_pick(rng, {"none": 7, "round": 1.5, "square": 1.5}),
        freckles=float(dark < 0.25 and old < 0.4 and hair in ("auburn", "ginger", "blond") and rng.random() < 0.6),
        age=old,
        lashes=between(0.7, 1.0) if woman and old < 0.9 else between(0.2, 0.4),
        build=between(0.82, 0.95) if woman else between(1.0, 1.16),
        tall=(between(0.91, 0.99) if woman else between(0.99, 1.07)) - 0.03 * old,
        bottom=TROUSERS[int(rng.integers(len(TROUSERS)))],
        clothes=_pick(rng, clothes | ({"dress": 3} if woman else {})),
    )


def _hair(rng: np.random.Generator, dark: float, old: float) -> str:
    if old > 0.7 or (old > 0.3 and rng.random() < 0.3):
        return _pick(rng, {"grey": 1, "white": 1} if old > 0.7 else {"grey": 1})
    if dark > 0.55:
        return _pick(rng, {"black": 3, "dark brown": 1})
    if dark > 0.32:
        return _pick(rng, {"black": 3, "dark brown": 2, "brown": 1.5})
    return _pick(rng, {"black": 2, "dark brown": 1, "brown": 2, "auburn": 2, "ginger": 2, "blond": 3})
