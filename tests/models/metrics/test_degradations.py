"""A degradation moves the metrics that should move, and only these.

Two stories of tiny pictures: a place in four quarters, and in front of it people of 6x6 pixels. The encoders are
exact: what they return is what was drawn, as far as the pixels still show it.
"""

import numpy as np
import pytest

from models.metrics import characters, consistency, pictures, sound
from models.metrics.characters import Cast

SHOTS, SIDE = 12, 24
RANDOM = np.random.default_rng(0)
PLACES = {story: RANDOM.normal(size=(SHOTS, 4)) for story in ("a", "b")}
TINT = np.array([1.0, 0.9, 0.8])
ANGLE = 0.35  # between a character and each of two references
RATE = 10


def person(character, angle):
    vector = np.zeros(8)
    vector[2 * character : 2 * character + 2] = np.cos(angle), np.sin(angle)
    return vector


CAST = ("Ann", "Bob")
REFERENCES = {name: np.stack([person(i, ANGLE), person(i, -ANGLE)]) for i, name in enumerate(CAST)}


def drawn(story):
    """[SHOTS, SIDE, SIDE, 3] in 0-1: fine texture over four quarters of one place each."""
    quarters = (PLACES[story] - PLACES[story].min()) / np.ptp(PLACES[story]) * 0.5 + 0.2
    rough = np.kron(quarters.reshape(SHOTS, 2, 2), np.ones((SIDE // 2, SIDE // 2)))
    texture = 0.1 * (np.indices((SIDE, SIDE)).sum(axis=0) % 2 - 0.5)
    return (rough + texture)[..., None] * TINT


def world():
    stories = {}
    for story in ("a", "b"):
        expected = [[CAST[t % 2]] for t in range(SHOTS)]
        crops = [[person(t % 2, 0.05 * (-1) ** (t // 2))] for t in range(SHOTS)]
        stories[story] = {"pictures": drawn(story), "crops": crops, "expected": expected, "plots": PLACES[story]}
    picture = np.zeros(100)
    picture[[10, 35, 80]] = 1
    return {"stories": stories, "picture": picture, "sound": picture}


def meaning(images):
    """What is in the four quarters, as a CLIP would tell it: neither texture nor tint."""
    rough = images.reshape(len(images), 2, SIDE // 2, 2, SIDE // 2, 3).mean(axis=(2, 4, 5)).reshape(-1, 4)
    return rough - rough.mean()


def texture(images):
    """How fine a picture is: what Inception's early layers see, without colour."""
    grey = images.mean(axis=-1, keepdims=True)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2, 3)), np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2, 3))
    return 10 * np.stack(steps, axis=1)


def style(images):
    return images.mean(axis=(1, 2)) - 0.3


def all_metrics(world):
    stories = world["stories"]
    seen = np.concatenate([meaning(one["pictures"]) for one in stories.values()])
    told = np.concatenate([one["plots"] - PLACES[name].mean() for name, one in stories.items()])
    images = np.concatenate([one["pictures"] for one in stories.values()])
    real = np.concatenate([drawn(story) for story in stories])
    casts = {
        name: Cast([np.array(crops).reshape(-1, 8) for crops in one["crops"]], one["expected"], REFERENCES)
        for name, one in stories.items()
    }
    shown = {
        (name, who): np.array([any(pictures.cosine(np.array(crop)[None], REFERENCES[who][:1])[0] > 0.8
                                   for crop in crops) for crops in one["crops"]])
        for name, one in stories.items() for who in CAST
    }  # fmt: skip
    original = {
        (name, who): np.array([who in names for names in one["expected"]])
        for name, one in stories.items() for who in CAST
    }  # fmt: skip
    figures = {
        "clip_score": pictures.clip_score(seen, told),
        "frechet": pictures.frechet(texture(images), texture(real), "texture"),
        "clip_sim": pictures.clip_sim(seen[:-1], seen[1:]),
        "csd": pictures.style_cross(style(images), style(real)),
        "csd_self": pictures.style_self(style(images)),
        "loudness": sound.loudness_gap([20 * np.log10(np.square(world["sound"]).mean())], -16),
        "occm": characters.occm(
            [len(crops) for one in stories.values() for crops in one["crops"]],
            [len(names) for one in stories.values() for names in one["expected"]],
        ),
        **characters.identities(casts),
        "lt": consistency.long_term(original, shown),
        "sound": sound.sound_step([(world["sound"], world["picture"])], RATE),
        "drift": consistency.drift([meaning(one["pictures"]) for one in stories.values()]),
    }
    return {name: figure.value for name, figure in figures.items()}


def each_picture(change):
    def degraded(world):
        for one in world["stories"].values():
            one["pictures"] = change(one["pictures"])

    return degraded


def blurred(images):
    return (images + np.roll(images, 1, axis=1) + np.roll(images, 1, axis=2) + np.roll(images, (1, 1), (1, 2))) / 4


def shuffled_stories(world):
    a, b = world["stories"].values()
    a["plots"], b["plots"] = b["plots"] - PLACES["b"].mean() + PLACES["a"].mean(), a["plots"]


def exchanged_characters(world):
    for one in world["stories"].values():
        one["crops"] = one["crops"][1:] + one["crops"][:1]


def one_too_many(world):
    for one in world["stories"].values():
        one["crops"] = [[*crops, person(3, 0)] for crops in one["crops"]]


def pasted_reference(world):
    for one in world["stories"].values():
        one["crops"] = [[REFERENCES[names[0]][0]] for names in one["expected"]]


def late(world):
    world["sound"] = np.roll(world["sound"], round(0.5 * RATE))


NOISE = np.random.default_rng(1).normal(scale=0.2, size=(SHOTS, SIDE, SIDE, 1))
CASES = [
    (each_picture(blurred), {"frechet"}),
    (each_picture(lambda images: images + NOISE), {"frechet"}),
    (each_picture(lambda images: images * [1.0, 0.75, 1.4]), {"csd"}),
    (shuffled_stories, {"clip_score"}),
    (exchanged_characters, {"cids_cross", "lt"}),
    (one_too_many, {"occm"}),
    (pasted_reference, {"copy_paste"}),
    (late, {"sound"}),
]
LEAST = {"clip_score": 10, "occm": 5, "frechet": 0.05, "drift": 0.5, "csd": 0.02}  # 0.15 for the others


@pytest.mark.parametrize(
    ("degrade", "moved"),
    CASES,
    ids=["blur", "noise", "colour cast", "shuffled stories", "exchanged", "one too many", "pasted", "sound late"],
)
def test_a_degradation_moves_its_metrics_and_only_these(degrade, moved):
    before, changed = all_metrics(world()), world()
    degrade(changed)
    after = all_metrics(changed)
    by = {name: abs(after[name] - before[name]) for name in before}
    assert {name for name, distance in by.items() if distance > LEAST.get(name, 0.15)} == moved, by


def test_sound_half_a_second_late_is_told_as_such():
    changed = world()
    late(changed)
    assert all_metrics(changed)["sound"] == pytest.approx(0.5)
