"""People found by their faces: proportions, order, the limit of five."""

import numpy as np
import pytest

from models.detector import MtcnnConfig, build
from models.detector.mtcnn import _persons, body_box
from models.face import Face

IMAGE = np.zeros((512, 896, 3), np.uint8)


def test_a_body_hangs_below_its_face():
    x0, y0, x1, y1 = body_box((0.45, 0.10, 0.50, 0.20), 1.75)
    assert (x0 + x1) / 2 == pytest.approx(0.475)
    assert (x1 - x0) * 1.75 == pytest.approx(2 * 1.35 * 0.1)
    assert (y0, y1) == pytest.approx((0.065, 1.0))


def test_a_body_is_cut_at_the_border():
    assert body_box((0.0, 0.0, 0.5, 0.9), 1.75)[:2] == (0.0, 0.0)
    assert body_box((0.0, 0.0, 0.5, 0.9), 1.75)[3] == 1.0


def test_the_five_largest_are_kept_in_order():
    faces = [Face((0.1 * i, 0.1, 0.1 * i + 0.02 + 0.005 * i, 0.15 + 0.01 * i), 0.95) for i in range(8)]
    persons = _persons(IMAGE, faces)
    areas = [(p.box[2] - p.box[0]) * (p.box[3] - p.box[1]) for p in persons]
    assert len(persons) == 5
    assert areas == sorted(areas, reverse=True)
    assert persons[0].face is faces[7]


def test_an_empty_picture_and_no_pictures():
    detector = build(MtcnnConfig())
    assert detector.detect([IMAGE]) == [[]]
    assert detector.detect([]) == []
    assert (detector.name, detector.licence) == ("mtcnn", "MIT")
    assert detector.revision.startswith("facenet_pytorch 2.6.0 ")
