"""Consistency over time: the paper's ST and LT, and drift.

Shapes: T keyframes of one movie in order of time, C numbers of CLIP's image vector.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from models.metrics.figure import Bools, Figure, Floats, Ints, absent, mean, unusable
from models.metrics.pictures import cosine, unit

DRIFT = "drift: slope of the cosine with the first keyframe, per 100 keyframes, nearer to 0 is better"
"""One line for people."""

Character = TypeVar("Character", bound=Hashable)


def long_term(
    original: Mapping[Character, Bools],
    generated: Mapping[Character, Bools],
    reading: Literal["appendix_b", "section_4_2"] = "appendix_b",
) -> Figure:
    """LT: whether characters appear in the same keyframes as in the original.

    Args:
        original, generated: character -> [T] whether a keyframe shows it. Characters are pooled, frame by frame.
        reading: appendix_b: share of the original frames with the character whose generated versions show it, as the
            paper's author defines it; section_4_2: generated frames with the character as a share of all frames.
    """
    what = "LT: share of keyframes in which a character appears as in the original, more is better"
    if lost := sorted(str(one) for one in original if one not in generated):
        return absent(what, f"nobody looked for {lost[0]!r} in the generated keyframes")
    for character, original_T in original.items():
        if len(original_T) != len(generated[character]):
            return absent(what, f"{len(generated[character])} generated and {len(original_T)} original keyframes")
    if not any(shown_T.any() for shown_T in original.values()):
        return absent(what, "no original keyframe shows a character")
    if reading == "section_4_2":
        return mean(np.concatenate([generated[character] for character in original]), what)
    return mean(list(appearances(original, generated).values()), what)


def appearances(
    original: Mapping[Character, Bools], generated: Mapping[Character, Bools]
) -> dict[tuple[Character, int], bool]:
    """(character, index of an original frame with it) -> whether the generated frame shows it."""
    return {
        (one, place): bool(generated[one][place])
        for one, shown_T in original.items()
        for place in np.flatnonzero(shown_T).tolist()
    }


def short_term(
    features_TC: Floats,
    shown: Mapping[Character, Bools],
    reading: Literal["selected", "adjacent"] = "selected",
    times_T: Ints | None = None,
) -> Figure:
    """ST: the cosine of CLIP's vectors of two keyframes with the same character.

    Args:
        features_TC: of one movie.
        shown: character -> [T] whether a keyframe shows it.
        reading: selected: each keyframe with the character and the next one with it, as the paper's author defines
            it; adjacent: only if that is the directly next keyframe (section 4.2).
        times_T: times of the keyframes in steps, if keyframes are missing in between.
    """
    what = "ST: cosine of consecutive keyframes with the same character, more is better"
    times_T = np.arange(len(features_TC)) if times_T is None else times_T
    if unfit := unusable(what, keyframes=features_TC, times=times_T):
        return unfit
    values: list[float] = []
    for shown_T in shown.values():
        if len(shown_T) != len(features_TC):
            return absent(what, f"{len(features_TC)} keyframes, {len(shown_T)} of which were searched for a character")
        selected = np.flatnonzero(shown_T)
        before, after = selected[:-1], selected[1:]
        near = np.ones(len(before), np.bool_) if reading == "selected" else times_T[after] - times_T[before] == 1
        values.extend(cosine(features_TC[before[near]], features_TC[after[near]]).tolist())
    if not values:
        return absent(what, "no character is in two such keyframes")
    return mean(values, what)


def presence(faces: Sequence[Floats], reference_D: Floats, threshold: float) -> Bools:
    """[T] whether a keyframe shows a face within `threshold` of the reference (Appendix B).

    Args:
        faces: for each keyframe its face embeddings [F, D], F may be 0.
    """
    near = [bool(len(f) and np.linalg.norm(f - reference_D, axis=1).min() < threshold) for f in faces]
    return np.array(near, dtype=np.bool_)


def drift(movies: Sequence[Floats]) -> Figure:
    """Drift from a movie's first keyframe: the slope of the cosine with it, per 100 keyframes.

    0: no drift; -0.1: the cosine falls by a tenth over 100 keyframes. Fitted by least squares, without the first
    keyframe, whose cosine is always 1. Movies of fewer than three keyframes are ignored.

    Args:
        movies: for each its features [T, C].
    """
    what = DRIFT
    long = [rows_TC for rows_TC in movies if len(rows_TC) >= 3]
    if not long:
        return absent(what, f"a slope takes three keyframes, none of {len(movies)} movies has them")
    return mean([slope(rows_TC) for rows_TC in long], what)


def slope(rows_TC: Floats) -> float:
    """The drift of one movie of at least three keyframes."""
    alike_T = unit(rows_TC[1:]) @ unit(rows_TC[0])
    time_T = np.arange(len(alike_T)) - (len(alike_T) - 1) / 2
    return float(100 * (time_T @ alike_T) / (time_T @ time_T))
