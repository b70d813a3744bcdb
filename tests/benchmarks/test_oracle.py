"""The oracle against the truth, on frames as they are drawn and on spoilt ones."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn.film import draw_frames, truth

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from oracle import SIZE, Oracle


def blurred(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(frame, (0, 0), 3)


def darker_and_moved(frame: np.ndarray) -> np.ndarray:
    return np.roll(cv2.convertScaleAbs(frame, alpha=0.93), (1, 3), (0, 1))


def larger(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (448, 256), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module", params=[7, 52])
def film(request):
    told = truth(request.param)
    seconds = [second for second in told.timeline if second.kind == "scene"][1::5]
    frames = list(draw_frames(told.seed, [second.second for second in seconds], size=SIZE))
    return Oracle(told), seconds, frames


@pytest.mark.parametrize(
    ("spoil", "share"),
    [(np.copy, 0.95), (blurred, 0.85), (darker_and_moved, 0.85), (larger, 0.9)],
    ids=["as drawn", "blurred", "darker", "larger"],
)
def test_it_names_the_place_and_counts_the_people(film, spoil: Callable[[np.ndarray], np.ndarray], share: float):
    oracle, seconds, frames = film
    said = [oracle(spoil(frame)) for frame in frames]
    places = [verdict.place == second.place for verdict, second in zip(said, seconds, strict=True)]
    people = [verdict.people == len(second.appearances) for verdict, second in zip(said, seconds, strict=True)]
    assert np.mean(places) >= 0.95
    assert np.mean(people) >= share


def test_it_names_the_colours_of_clothes(film):
    oracle, seconds, frames = film
    tops = {name: who.top for name, who in oracle.truth.who.items()}
    worn, missing = [], []
    for second, frame in zip(seconds, frames, strict=True):
        there = {one.character for one in second.appearances}
        seen = oracle(frame).clothes
        worn += [tops[name] in seen for name in there]
        missing += [tops[name] in seen for name in set(tops) - there]
    assert np.mean(worn) >= 0.85
    assert np.mean(missing) <= 0.25


def test_a_picture_of_another_film_is_no_proof_of_people_or_place(film):
    oracle, seconds, _ = film
    others = list(draw_frames(1002, [second.second for second in seconds], size=SIZE))
    said = [oracle(frame) for frame in others]
    right = [v.place == s.place and v.people == len(s.appearances) for v, s in zip(said, seconds, strict=True)]
    assert np.mean(right) < 0.5


def test_it_names_who_stands_where_and_is_not_misled_by_blur():
    told = truth(7, 24)
    seconds = [second for second in told.timeline if second.appearances][::3]
    oracle, right = Oracle(told), list[bool]()
    for second, frame in zip(seconds, draw_frames(7, [s.second for s in seconds], 24, SIZE), strict=True):
        seats = tuple(one.character for one in sorted(second.appearances, key=lambda one: one.box))
        right += [oracle.who(oracle(picture)) == seats for picture in (frame, blurred(frame))]
    assert np.mean(right) >= 0.85
