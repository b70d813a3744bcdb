"""What is drawn stays what it was: training data, looks and figures rest on it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from drawn import face
from drawn.body import GESTURES, body
from drawn.casting import draw
from drawn.features import Pose
from drawn.moods import moods
from drawn.paint import Array
from drawn.people import BEARDS, CLOTHES, STYLES
from drawn.places import KINDS, Place, paint_place

SEEN = Path(__file__).with_name("frames.png")
"""Small pictures side by side: a place of each kind, then a body in each of the clothes with a head on it. To make it
anew after a change that is wanted: python tests/drawn/test_frames.py"""


def test_places_clothes_and_faces_look_as_they_did() -> None:
    seen, drawn = cv2.imread(str(SEEN)).astype(int), _sheet().astype(int)
    assert np.abs(seen - drawn).max() <= 2, "2 of 255: processors round differently"


def _sheet() -> Array:
    rng = np.random.default_rng(5)
    pictures = [_place(kind, mood) for kind, mood in zip(KINDS, moods(), strict=False)]
    for number, clothes in enumerate(CLOTHES):
        look = replace(draw(rng), clothes=clothes, style=list(STYLES)[number], beard=list(BEARDS)[number % len(BEARDS)])
        gesture = GESTURES[number % len(GESTURES)]
        pictures.append(body(look, gesture, number, 12.0, True).levels[0])
        pictures.append(face.head(look, Pose(yaw=0.5), 32.0).levels[0])
    small = [cv2.resize(picture[..., :3], (24, 24), interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.hstack(small)


def _place(kind: str, mood: str) -> Array:
    layers = paint_place(Place("", kind, moods()[mood], "", "none", 7), (96, 64))
    picture = layers.far
    for layer in (layers.mid, layers.ground, layers.near):
        picture = picture * (1 - layer[..., 3:]) + layer
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    cv2.imwrite(str(SEEN), _sheet())
