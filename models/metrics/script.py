"""Agreement of pictures with a story: sizes of shots, camera angles and moves, clothes, relative size, narration.

Shapes: F faces in a picture, A angles, E numbers of CLIP's vectors.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from models.metrics.figure import Floats, Samples

SIZES = ("wide", "full", "medium", "close-up", "extreme close-up")
"""Sizes of shots, from far to near."""

ANGLES = (
    "a low-angle shot, the camera looks up from below",
    "an eye-level shot, the camera looks straight ahead",
    "a high-angle shot, the camera looks down from above",
    "an overhead shot, seen from directly above",
)
"""Camera angles from below to above, as sentences for CLIP."""

MOVES = ("still", "pan right", "pan left", "tilt up", "tilt down", "zoom in", "zoom out")
"""Of the camera."""

WHAT = {
    "lt_script": "LT: share of the shots in which the script has a character that show it, more is better",
    "shot_size": "shot size: 1 where it is the script's, a quarter less for each size between, more is better",
    "camera_angle": "camera angle: 1 where it is the script's, a third less for each angle between, more is better",
    "camera": "camera: share of shots in which it moves as the script says, more is better",
    "clothes": "clothes: share of pairs of a character's shots in which they have the same colour, more is better",
    "relative_size": "relative size: 1 where characters keep the ratios of their sizes in all shots, more is better",
    "narration": "narration: words of the script that are heard otherwise, as a share (WER), less is better",
}
"""Metric -> one line for people."""

REASONS = {
    "lt_script": "no shot of the script names a character",
    "shot_size": "no shot with a face has a size in the script",
    "camera_angle": "the script names no camera angle",
    "camera": "the script names no camera move of a shot that is a video of its own",
    "clothes": "no character's clothes are seen in two shots",
    "relative_size": "no two characters are seen together in two shots",
    "narration": "no script has words that are spoken",
}
"""Metric -> why it may have no samples."""

_BOUNDS = (0.09, 0.15, 0.28, 0.5)  # height of the tallest face, of the picture's; a body is about 8.5 faces tall
_NAMES = (
    (4, r"extreme close|very close|\becu\b"),
    (3, r"close|\bcu\b"),
    (1, r"full|medium long|medium wide|american|cowboy"),
    (2, r"medium|waist|\bms\b"),
    (0, r"wide|long|establishing|far|aerial|bird"),
)
_ANGLES = (
    (3, r"overhead|top[ -]down|bird|(directly|straight|right) above|god's eye"),
    (2, r"high[ -]?angle|from above"),
    (0, r"low[ -]?angle|from below|worm"),
    (1, r"eye[ -]?level|straight[ -]on"),
)
_STILL = 0.03  # of the picture's width or height: a camera that moves less is still
_MOVES = {
    "pan right": r"(pan|truck)\w*[^,;.]*right",
    "pan left": r"(pan|truck)\w*[^,;.]*left",
    "tilt up": r"(tilt|crane|pedestal|boom)\w*[^,;.]*up",
    "tilt down": r"(tilt|crane|pedestal|boom)\w*[^,;.]*down",
    "zoom in": r"(zoom|push|dolly|track|mov)\w*[ -]+(slowly )?in\b",
    "zoom out": r"(zoom|pull|dolly|track|mov)\w*[ -]+(slowly )?(out|back)\b",
    "still": r"static|still|fixed|locked",
}


def size_named(words: str) -> int | None:
    """The size that a script's words name, as an index into SIZES; None if they name none."""
    return next((size for size, pattern in _NAMES if re.search(pattern, words, re.IGNORECASE)), None)


def size_seen(faces_F4: Floats) -> int | None:
    """A picture's size by its tallest face (boxes x0, y0, x1, y1 in 0-1), an index into SIZES; None without a face."""
    if not len(faces_F4):
        return None
    return int(np.searchsorted(_BOUNDS, (faces_F4[:, 3] - faces_F4[:, 1]).max(), side="right"))


def shot_sizes(named: Mapping[str, int | None], seen: Mapping[str, int | None]) -> Samples:
    """1 if a shot has the size that the script names, 0 if it is as far from it as possible.

    Args:
        named, seen: "story/shot" -> index into SIZES.
    """
    return _near(named, seen, len(SIZES))


def angle_named(words: str) -> int | None:
    """The angle that a script's words name, as an index into ANGLES; None if they name none."""
    return next((angle for angle, pattern in _ANGLES if re.search(pattern, words, re.IGNORECASE)), None)


def angle_seen(picture_E: Floats, told_AE: Floats) -> int:
    """Which of ANGLES a picture has: the one whose words are nearest in CLIP's space. Vectors have unit length."""
    return int(np.argmax(told_AE @ picture_E))


def camera_angles(named: Mapping[str, int | None], seen: Mapping[str, int | None]) -> Samples:
    """1 if a shot has the angle that the script names, 0 if it is as far from it as possible.

    Args:
        named, seen: "story/shot" -> index into ANGLES.
    """
    return _near(named, seen, len(ANGLES))


def _near(named: Mapping[str, int | None], seen: Mapping[str, int | None], steps: int) -> Samples:
    pairs = {shot: (one, seen[shot]) for shot, one in named.items()}
    return {
        shot: 1 - abs(one - other) / (steps - 1)
        for shot, (one, other) in pairs.items()
        if one is not None and other is not None
    }


def move_named(words: str) -> str | None:
    """The one of MOVES that a script's words name, None if they name none."""
    return next((move for move, pattern in _MOVES.items() if re.search(pattern, words, re.IGNORECASE)), None)


def move_seen(camera_3: Floats) -> str:
    """The camera's move, one of MOVES: the one that shifts the edges of the picture most.

    Args:
        camera_3: motion to the right in picture widths, up in picture heights, and the logarithm of the zoom.
    """
    right, up, near = camera_3.tolist()
    apart = near / 2  # by how much a zoom moves the edges
    far = dict(zip(MOVES, (_STILL, right, -right, up, -up, apart, -apart), strict=True))
    return max(far, key=lambda move: far[move])


def camera(named: Mapping[str, str | None], seen: Mapping[str, str]) -> Samples:
    """1 if the camera moves as the script says, otherwise 0.

    Args:
        named, seen: "story/shot" -> one of MOVES.
    """
    return {shot: float(move == seen[shot]) for shot, move in named.items() if move and shot in seen}


def clothes(colours: Mapping[tuple[str, str], Sequence[str]]) -> Samples:
    """How constant the colour of a character's clothes is: "story/character" -> share of pairs of shots.

    Args:
        colours: (story, character) -> the name of the colour in each shot in which it was seen.
    """
    return {
        f"{story}/{who}": float(np.mean([left == right for left, right in combinations(seen, 2)]))
        for (story, who), seen in colours.items()
        if len(seen) > 1
    }


def relative_sizes(ratios: Mapping[tuple[str, str, str], Sequence[float]]) -> Samples:
    """How constant the relative sizes of a story's characters are, by MSVBench's formula, at least 0: 1 - the mean over
    pairs of characters of (largest / smallest ratio - 1).

    Args:
        ratios: (story, character, other) -> how many times as tall as the other's face it is, in each shot of both.
    """
    deviations: dict[str, list[float]] = {}
    for (story, _, _), seen in ratios.items():
        if len(seen) > 1:
            deviations.setdefault(story, []).append(max(seen) / min(seen) - 1)
    return {story: max(0.0, 1 - float(np.mean(apart))) for story, apart in deviations.items()}


def narration(heard: Mapping[str, str], told: Mapping[str, str]) -> Samples:
    """Word error rate of a recogniser on each story's movie, against the words of its script."""
    return {story: word_error_rate(words, told[story]) for story, words in heard.items() if told[story]}


def word_error_rate(heard: str, told: str) -> float:
    """Insertions, deletions and substitutions as a share of the words told, ignoring case and punctuation."""
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
