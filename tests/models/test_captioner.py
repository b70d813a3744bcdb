"""The describer states what is in the picture, in a constant vocabulary, joined by row id."""

import numpy as np
import pytest

from models.captioner import FRAME, DescriberConfig, FrameFacts, build
from models.captioner.colours import NAMES, PALETTE, nearest, to_lab
from models.captioner.describer import motion, people
from models.detector import Person
from models.face import Face


@pytest.fixture
def describer():
    return build(DescriberConfig())


def flag(*bands):
    """Horizontal bands of named colours."""
    rows = [np.full((512 // len(bands), 896, 3), PALETTE[name], np.uint8) for name in bands]
    return np.concatenate(rows)


def standing(x, y=0.2, face=0.1):
    """A person whose face box is `face` of the picture's height, centred at x."""
    half = face * 0.4 / 1.75
    box = (x - half, y, x + half, y + face)
    return Person((max(0, x - 3 * half), max(0, y - 0.03), min(1, x + 3 * half), 1.0), 0.99, Face(box, 0.99))


def test_every_palette_colour_is_its_own_name():
    rgb = np.array(list(PALETTE.values()), dtype=np.float64)
    assert [NAMES[i] for i in nearest(to_lab(rgb))] == list(PALETTE)


def test_lab_of_known_colours():
    np.testing.assert_allclose(
        to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]])),
        [[100, 0, 0], [0, 0, 0], [53.2, 80.1, 67.2]],
        atol=0.1,
    )


def test_lab_follows_its_formula_on_a_grid_of_colours():
    rgb_P3 = np.stack(np.meshgrid(*3 * [np.arange(0, 256, 15)]), axis=-1).reshape(-1, 3)
    linear_P3 = np.where(rgb_P3 > 10, ((rgb_P3 / 255 + 0.055) / 1.055) ** 2.4, rgb_P3 / 255 / 12.92)
    to_xyz_33 = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz_P3 = linear_P3 @ to_xyz_33.T / np.array([0.95047, 1.0, 1.08883])
    x_P, y_P, z_P = np.where(xyz_P3 > 0.008856, np.cbrt(xyz_P3), 7.787 * xyz_P3 + 16 / 116).T
    lab_P3 = np.stack([116 * y_P - 16, 500 * (x_P - y_P), 200 * (y_P - z_P)], axis=-1)
    np.testing.assert_allclose(to_lab(rgb_P3), lab_P3, atol=0.05)


def test_regions_are_told_apart(describer):
    ((caption,),) = describer.caption([FrameFacts("f-000001", flag("blue", "white", "green"))])
    assert (caption.row_id, caption.subject_index) == ("f-000001", FRAME)
    for sentence in ("The top is blue.", "The middle is white.", "The bottom is green.", "No people are seen."):
        assert sentence in caption.text
    assert caption.text.count(".") == 8


def test_left_and_right_are_not_confused(describer):
    image = flag("white")
    image[:, :300] = PALETTE["red"]
    ((caption,),) = describer.caption([FrameFacts("f-000001", image)])
    assert "The top is red on the left and white in the centre and on the right." in caption.text


def test_people_hide_no_background_and_wear_their_own_colours(describer):
    image = flag("white", "white", "green")
    image[200:, 330:560] = PALETTE["red"]  # a coat in the middle
    image[120:200, 400:490] = PALETTE["beige"]
    image[85:118, 400:490] = PALETTE["dark brown"]
    one = Person((0.36, 0.15, 0.63, 1.0), 0.99, Face((0.447, 0.23, 0.547, 0.39), 0.99))
    ((frame, person),) = describer.caption([FrameFacts("f-000001", image, (one,))])
    assert "The middle is white." in frame.text
    assert frame.text.startswith("A medium shot of one person in the centre.")
    assert person.subject_index == 0
    assert person.text == "A person in the centre, at medium distance, wears red; the hair or hat is dark brown."


@pytest.mark.parametrize(
    ("persons", "said"),
    [
        ([], "No people are seen."),
        ([standing(0.2, face=0.05)], "A wide shot of one person on the left."),
        ([standing(0.8), standing(0.2)], "A full shot of two people on the left and on the right."),
        ([standing(0.5, face=0.6)], "An extreme close-up of one person in the centre."),
        ([standing(0.5), standing(0.52), standing(0.9)], "A full shot of three people in the centre and on the right."),
    ],
)
def test_people_are_counted_and_placed(persons, said):
    assert people(persons) == said


@pytest.mark.parametrize(
    ("difference", "shot_second", "said"),
    [
        (90, 0, "A new shot begins."),
        (0.5, 3, "Almost nothing moves."),
        (4, 3, "The picture moves slowly."),
        (10, 3, "The picture moves."),
        (40, 3, "The picture moves fast."),
    ],
)
def test_motion(difference, shot_second, said):
    assert motion(difference, shot_second) == said


def test_light_follows_the_picture(describer):
    dark = describer.caption([FrameFacts("f-000001", flag("black"))])[0][0].text
    warm = describer.caption([FrameFacts("f-000001", flag("orange", "orange"))])[0][0].text
    assert "The light is very dark and colourless with low contrast, evenly spread. The picture is empty." in dark
    assert "bright and warm" in warm


def test_captions_do_not_depend_on_company(describer):
    frames = [FrameFacts(f"f-{i:06d}", flag(a, b)) for i, (a, b) in enumerate([("red", "blue"), ("teal", "black")])]
    assert describer.caption(frames) == [*describer.caption(frames[:1]), *describer.caption(frames[1:])]


def test_boxes_on_the_border_are_measured(describer):
    corner = Person((0.98, 0.97, 1.0, 1.0), 0.9, Face((0.99, 0.99, 1.0, 1.0), 0.9))
    outside = Person((-0.1, -0.2, 0.01, 0.01), 0.9)
    ((_, *persons),) = describer.caption([FrameFacts("f-000001", flag("green"), (corner, outside))])
    assert "wears green" in persons[0].text
    assert "wears green" in persons[1].text
