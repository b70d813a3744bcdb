"""Agreement of pictures with a story: sizes of shots, clothes, relative size of people, narration.

Shapes: T shots, F faces in a picture.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from models.metrics.figure import Figure, Floats, absent, mean

SIZES = ("wide", "full", "medium", "close-up", "extreme close-up")
"""Of shots, from far to near."""

NARRATION = "narration: words of the script that are heard otherwise, as a share (WER), less is better"
"""One line for people."""

_BOUNDS = (0.09, 0.15, 0.28, 0.5)  # height of the tallest face, of the picture's; a body is about 8.5 faces tall
_NAMES = (
    (4, r"extreme close|very close|\becu\b"),
    (3, r"close|\bcu\b"),
    (1, r"full|medium long|medium wide|american|cowboy"),
    (2, r"medium|waist|\bms\b"),
    (0, r"wide|long|establishing|far|aerial|bird"),
)


def size_named(words: str) -> int | None:
    """Which of SIZES a script's words name, None where they name none."""
    return next((size for size, pattern in _NAMES if re.search(pattern, words, re.IGNORECASE)), None)


def size_seen(faces_F4: Floats) -> int | None:
    """Which of SIZES a picture has, by its tallest face (boxes x0, y0, x1, y1 in 0-1); None without a face."""
    if not len(faces_F4):
        return None
    return int(np.searchsorted(_BOUNDS, (faces_F4[:, 3] - faces_F4[:, 1]).max(), side="right"))


def shot_size(named_T: Sequence[int | None], seen_T: Sequence[int | None], stories: Sequence[str]) -> Figure:
    """1 where a shot has the size that the script names, 0 where it could not be farther from it; mean over shots."""
    what = "shot size: 1 where it is the script's, less by a quarter for each size that lies between, more is better"
    pairs = [
        (story, 1 - abs(named - seen) / (len(SIZES) - 1))
        for named, seen, story in zip(named_T, seen_T, stories, strict=True)
        if named is not None and seen is not None
    ]
    if not pairs:
        return absent(what, "no shot with a face has a size in the script")
    return mean([value for _, value in pairs], what, [story for story, _ in pairs])


def clothes(colours: Mapping[tuple[str, str], Sequence[str]]) -> Figure:
    """How constant the colour of a character's clothes is.

    Args:
        colours: (story, character) -> the name of the colour in each shot in which it was seen.
    """
    what = "clothes: share of pairs of a character's shots in which its clothes have the same colour, more is better"
    values = {
        (story, who): np.mean([left == right for left, right in combinations(seen, 2)])
        for (story, who), seen in colours.items()
        if len(seen) > 1
    }
    if not values:
        return absent(what, "no character's clothes are seen in two shots")
    return mean(list(map(float, values.values())), what, [story for story, _ in values])


def relative_size(ratios: Mapping[tuple[str, str, str], Sequence[float]]) -> Figure:
    """Relative size of two characters from shot to shot, by MSVBench's formula: 1 - (largest / smallest ratio - 1).

    Args:
        ratios: (story, character, other) -> how many times as tall as the other's face it is, in each shot of both.
    """
    what = "relative size: 1 where two characters keep the ratio of their sizes in all shots, less otherwise"
    values = [(story, max(0.0, 2 - max(seen) / min(seen))) for (story, _, _), seen in ratios.items() if len(seen) > 1]
    if not values:
        return absent(what, "no two characters are seen together in two shots")
    return mean([value for _, value in values], what, [story for story, _ in values])


def narration(heard: Sequence[str], told: Sequence[str], stories: Sequence[str]) -> Figure:
    """Word error rate of what a recogniser hears of each movie, beside the words of its script; mean over movies."""
    what = NARRATION
    pairs = [(story, word_error_rate(*both)) for story, *both in zip(stories, heard, told, strict=True) if both[1]]
    if not pairs:
        return absent(what, "no script has words that are spoken")
    return mean([value for _, value in pairs], what)


def word_error_rate(heard: str, told: str) -> float:
    """Words to insert, leave out or exchange in what is heard, as a share of the words told; case and marks aside."""
    mine, theirs = (re.findall(r"[\w']+", text.lower()) for text in (heard, told))
    if not theirs:
        raise ValueError("there are no words that should be heard")
    costs = list(range(len(theirs) + 1))
    for row, word in enumerate(mine, start=1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(theirs, start=1):
            diagonal, costs[column] = (
                costs[column],
                min(costs[column] + 1, costs[column - 1] + 1, diagonal + (word != other)),
            )
    return costs[-1] / len(theirs)
