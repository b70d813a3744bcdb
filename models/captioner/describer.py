"""A deterministic describer: it states its measurements in a small, fixed vocabulary.

The sentences condition the autoregressive model, so they contain what distinguishes places and people: colours by
region (without people), light, detail, shot size, positions and clothes of people, and motion.
Shapes: pictures are measured at H=64 by W=112, in CIELAB; `index` holds each pixel's named colour.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from models.captioner.captioner import FRAME, Caption, FrameFacts
from models.captioner.colours import main_colour, main_colours, nearest, shares, to_lab
from models.detector import Person
from models.face import Image

HEIGHT, WIDTH = 64, 112
NUMBERS = ("no", "one", "two", "three", "four", "five")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


class DescriberConfig(BaseModel, frozen=True, extra="forbid"):
    """Sentences that state only measurements; no model, nothing invented."""

    kind: Literal["describer"] = "describer"

    revision: ClassVar[str] = "1"


class Describer:
    """Derives each sentence from measurements; no model, nothing invented."""

    name = "describer"
    revision = DescriberConfig.revision
    licence = "Apache-2.0"

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole picture (subject -1), then one per person in their order."""
        return [self._frame(facts) for facts in frames]

    def _frame(self, facts: FrameFacts) -> list[Caption]:
        lab_HW3 = _measured(facts.image)
        index_HW = nearest(lab_HW3)
        sentences = [
            people(facts.persons),
            motion(facts.motion, facts.shot_second),
            palette(index_HW),
            *regions(index_HW, _background(facts.persons)),
            light(lab_HW3),
            detail(lab_HW3),
        ]
        frame = Caption(facts.row_id, FRAME, " ".join(sentences))
        return [frame, *(Caption(facts.row_id, i, person(p, index_HW)) for i, p in enumerate(facts.persons))]


def _measured(image: Image) -> NDArray[np.float64]:
    from PIL import Image as Pillow

    return to_lab(np.asarray(Pillow.fromarray(image).resize((WIDTH, HEIGHT), Pillow.Resampling.BOX)))


def _window(box: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of the measured picture inside a box; at least one pixel."""
    x0, y0, x1, y1 = (min(max(v, 0.0), 1.0) for v in box)
    left, top = min(int(x0 * WIDTH), WIDTH - 1), min(int(y0 * HEIGHT), HEIGHT - 1)
    return slice(top, max(top + 1, round(y1 * HEIGHT))), slice(left, max(left + 1, round(x1 * WIDTH)))


def _background(persons: Sequence[Person]) -> NDArray[np.bool_]:
    free_HW = np.ones((HEIGHT, WIDTH), bool)
    for one in persons:
        free_HW[_window(one.box)] = False
    return free_HW


SHOT_SIZES = ("a wide shot", "a full shot", "a medium shot", "a close-up", "an extreme close-up")
DISTANCES = dict(
    zip(SHOT_SIZES, ("far away", "some way off", "at medium distance", "close", "very close"), strict=True)
)


def shot_size(persons: Sequence[Person]) -> str:
    """The usual names, by the height of the tallest head in the picture (a body is about 8.5 faces tall)."""
    tallest = max((_face_height(one) for one in persons), default=0.0)
    return _level(tallest, (0.09, 0.15, 0.28, 0.5), SHOT_SIZES)


def _face_height(one: Person) -> float:
    box = one.face.box if one.face else one.box
    return (box[3] - box[1]) if one.face else (box[3] - box[1]) / 8.5


def where(one: Person) -> str:
    """Left, centre or right third, by the middle of the face or, if there is none, of the body."""
    box = one.face.box if one.face else one.box
    middle = (box[0] + box[2]) / 2
    return "on the left" if middle < 0.38 else "on the right" if middle > 0.62 else "in the centre"


def people(persons: Sequence[Person]) -> str:
    """Number, positions and size of people."""
    if not persons:
        return "No people are seen."
    places = [where(one) for one in sorted(persons, key=lambda one: one.box[0] + one.box[2])]
    places = list(dict.fromkeys(places))
    noun = "person" if len(persons) == 1 else "people"
    stated = f"{shot_size(persons)} of {NUMBERS[min(len(persons), 5)]} {noun} {_listed(places)}."
    return stated[0].upper() + stated[1:]


def motion(difference: float, shot_second: int) -> str:
    """Motion since the previous second; not measured across a cut."""
    if shot_second == 0:
        return "A new shot begins."
    speeds = ("Almost nothing moves.", "The picture moves slowly.", "The picture moves.", "The picture moves fast.")
    return _level(difference, (2.0, 6.0, 15.0), speeds)


def palette(index_HW: NDArray[np.int64]) -> str:
    """The picture's main colours, and the strongest colour of a small area."""
    first, *rest = shares(index_HW)
    named = [first.name] + [one.name for one in rest[:2] if one.share >= 0.12]
    little = [one.name for one in rest if 0.015 <= one.share < 0.12 and one.name in _STRONG]
    main = f"The colours are {_listed(named)}" if len(named) > 1 else f"The main colour is {first.name}"
    return f"{main}{f' with a little {little[0]}' if little else ''}."


_STRONG = {"red", "pink", "orange", "yellow", "green", "light green", "teal", "light blue", "blue", "purple", "magenta"}


def regions(index_HW: NDArray[np.int64], free_HW: NDArray[np.bool_]) -> list[str]:
    """One sentence each for top, middle and bottom: colours from left to right, without people if possible."""
    sentences = []
    for row, band in zip(ROWS, np.array_split(np.arange(HEIGHT), 3), strict=True):
        names = []
        for columns in np.array_split(np.arange(WIDTH), 3):
            cell = np.ix_(band, columns)
            free_in_cell = free_HW[cell]
            names.append(main_colour(index_HW[cell][free_in_cell] if free_in_cell.mean() > 0.1 else index_HW[cell]))
        sentences.append(_row_sentence(row, names))
    return sentences


def _row_sentence(row: str, names: Sequence[str]) -> str:
    left, centre, right = names
    if left == centre == right:
        return f"The {row} is {left}."
    if left == centre:
        return f"The {row} is {left} on the left and in the centre and {right} on the right."
    if centre == right:
        return f"The {row} is {left} on the left and {right} in the centre and on the right."
    if left == right:
        return f"The {row} is {left} on both sides and {centre} in the centre."
    return f"The {row} is {left} on the left, {centre} in the centre and {right} on the right."


def light(lab_HW3: NDArray[np.float64]) -> str:
    """Brightness, warmth, contrast and the brightest part."""
    lightness_HW, green_red_HW, blue_yellow_HW = np.moveaxis(lab_HW3, -1, 0)
    bright = _level(lightness_HW.mean(), (18, 34, 52, 68), ("very dark", "dark", "dim", "bright", "very bright"))
    tint = _level(blue_yellow_HW.mean() + 0.5 * green_red_HW.mean(), (-4, 5), ("cool", "neutral", "warm"))
    if np.hypot(green_red_HW, blue_yellow_HW).mean() < 3:
        tint = "colourless"
    contrast = _level(lightness_HW.std(), (12, 24), ("low", "medium", "high"))
    peak = f"brightest {_peak(lightness_HW)}" if lightness_HW.std() > 3 else "evenly spread"
    return f"The light is {bright} and {tint} with {contrast} contrast, {peak}."


def detail(lab_HW3: NDArray[np.float64]) -> str:
    """Amount of detail, and the most detailed part."""
    lightness_HW = lab_HW3[..., 0]
    edges_HW = np.abs(np.diff(lightness_HW, axis=0))[:, 1:] + np.abs(np.diff(lightness_HW, axis=1))[1:]
    busy = _level(edges_HW.mean(), (1.0, 2.5, 5.0, 9.0), ("empty", "plain", "calm", "detailed", "busy"))
    peak = f", most detailed {_peak(edges_HW)}" if edges_HW.mean() >= 1.0 else ""
    return f"The picture is {busy}{peak}."


def _level(value: float, bounds: Sequence[float], words: Sequence[str]) -> str:
    """The word of the interval that `value` falls into; there is one word more than there are bounds."""
    return words[sum(value >= bound for bound in bounds)]


def _peak(values_HW: NDArray[np.float64]) -> str:
    """Name of that ninth of the picture which has the largest mean."""
    means = [[cell.mean() for cell in np.array_split(band, 3, axis=1)] for band in np.array_split(values_HW, 3, axis=0)]
    row, column = divmod(int(np.argmax(means)), 3)
    if (row, column) == (1, 1):
        return "in the centre"
    if column == 1:
        return f"at the {ROWS[row]}"
    return f"on the {COLUMNS[column]}" if row == 1 else f"at the {ROWS[row]} {COLUMNS[column]}"


def person(one: Person, index_HW: NDArray[np.int64]) -> str:
    """A person's position and size, the colours below the chin, and the colour above the face."""
    size = DISTANCES[shot_size([one])]
    clothes = main_colours(index_HW[_window(_chest(one))])
    head = "" if one.face is None else f"; the hair or hat is {main_colour(index_HW[_window(_crown(one))])}"
    return f"A person {where(one)}, {size}, wears {clothes}{head}."


def _chest(one: Person) -> tuple[float, float, float, float]:
    """Two face heights below the neck, as wide as the shoulders; without a face, the box's middle."""
    if one.face is None:
        x0, y0, x1, y1 = one.box
        return x0 + 0.25 * (x1 - x0), y0 + 0.25 * (y1 - y0), x1 - 0.25 * (x1 - x0), y0 + 0.6 * (y1 - y0)
    x0, y0, x1, y1 = one.face.box
    low = min(y1 + 0.25 * (y1 - y0), 0.95)
    return x0 - 0.3 * (x1 - x0), low, x1 + 0.3 * (x1 - x0), min(low + 2 * (y1 - y0), one.box[3])


def _crown(one: Person) -> tuple[float, float, float, float]:
    """The strip above the face box."""
    assert one.face is not None
    x0, y0, x1, y1 = one.face.box
    return x0 + 0.2 * (x1 - x0), y0 - 0.25 * (y1 - y0), x1 - 0.2 * (x1 - x0), y0 + 0.02 * (y1 - y0)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
