"""The subjects of captions, one picture each. Answers are joined by row id and subject, never by position."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from models.captioner.captioner import FRAME, Caption, FrameFacts
from models.captioner.describer import Describer
from models.face import Image

SMALLEST = 16  # smallest side of a crop, in pixels


@dataclass(frozen=True)
class Subject:
    """A keyframe (`index` -1) or one of its persons, and the picture to describe."""

    row_id: str
    index: int
    image: Image

    @property
    def prompt(self) -> str:
        """Name of the prompt for this subject."""
        return "frame" if self.index == FRAME else "person"


def subjects(frames: Sequence[FrameFacts], margin: float) -> list[Subject]:
    """Each keyframe, then each of its persons in their order."""
    found = []
    for facts in frames:
        found.append(Subject(facts.row_id, FRAME, facts.image))
        for index, person in enumerate(facts.persons):
            found.append(Subject(facts.row_id, index, crop(facts.image, person.box, margin)))
    return found


def crop(image: Image, box: tuple[float, float, float, float], margin: float) -> Image:
    """The part of a picture inside a box (in fractions of it), enlarged on each side by `margin` of the box's size."""
    height, width = image.shape[:2]
    left, right = _span(box[0], box[2], margin, width)
    top, bottom = _span(box[1], box[3], margin, height)
    return image[top:bottom, left:right]


def _span(low: float, high: float, margin: float, pixels: int) -> tuple[int, int]:
    """The pixels of one side; at least SMALLEST of them, or all."""
    around = margin * (high - low)
    first, last = int((low - around) * pixels), round((high + around) * pixels)
    length = min(max(last - first, SMALLEST), pixels)
    first = min(max(first, 0), pixels - length)
    return first, min(max(last, first + length), pixels)


def joined(frames: Sequence[FrameFacts], captions: Iterable[Caption]) -> list[list[Caption]]:
    """For each keyframe the caption of the whole picture, then of each person; the describer replaces unusable ones.

    Raises:
        ValueError: a subject of a keyframe does not have exactly one caption.
    """
    given = list(captions)
    by_subject = {(one.row_id, one.subject_index): one for one in given}
    wanted = [[(facts.row_id, index) for index in range(FRAME, len(facts.persons))] for facts in frames]
    flat = [key for keys in wanted for key in keys]
    if not len(flat) == len(set(flat)) == len(given) == len(by_subject) or set(flat) != set(by_subject):
        lost = sorted(set(flat) - set(by_subject))[:3]
        raise ValueError(f"{len(given)} captions of {len(by_subject)} subjects for {len(flat)}; without one: {lost}")
    return [_measured(facts, [by_subject[key] for key in keys]) for facts, keys in zip(frames, wanted, strict=True)]


def _measured(facts: FrameFacts, captions: list[Caption]) -> list[Caption]:
    """Captions with a reason are replaced by the describer's."""
    if not any(caption.reason for caption in captions):
        return captions
    (measured,) = Describer().caption([facts])
    return [replace(own, text=other.text) if own.reason else own for own, other in zip(captions, measured, strict=True)]
