"""A window that moves over a large picture stands for a camera whose motion is known."""

import cv2
import numpy as np
import pytest

from storage.results.motion import motion_of_frames

LARGE = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC
)


def window(right=0.0, up=0.0, near=1.0):
    """The picture after the camera moved so far, in widths and heights of the picture, and zoomed so much."""
    size = 160 / near, 90 / near
    middle = 320 + 160 * right, 240 - 90 * up
    x, y = middle[0] - size[0] / 2, middle[1] - size[1] / 2
    moves = np.array([[near, 0, -near * x], [0, near, -near * y]])
    return cv2.warpAffine(LARGE, moves, (160, 90))


@pytest.mark.parametrize("move", [{"right": 0.3}, {"right": -0.2}, {"up": 0.3}, {"near": 1.2}, {"near": 0.9}, {}])
def test_a_camera_is_followed(move):
    steps = [
        {name: (name == "near") + (to - (name == "near")) * t / 10 for name, to in move.items()} for t in range(11)
    ]
    right, up, near = motion_of_frames(window(**step) for step in steps)
    assert right == pytest.approx(move.get("right", 0), abs=0.02)
    assert up == pytest.approx(move.get("up", 0), abs=0.02)
    assert np.exp(near) == pytest.approx(move.get("near", 1), abs=0.02)


def test_a_blank_picture_one_picture_and_a_cut_are_no_move():
    blank = np.full((90, 160), 40, np.uint8)
    other = np.random.default_rng(1).integers(0, 256, (90, 160), np.uint8)
    cuts = [window(), blank, window(right=0.5), other, cv2.flip(other, -1), window()]
    for pictures in ([], [window()], [blank, blank], cuts):
        assert motion_of_frames(pictures).tolist() == [0, 0, 0]
