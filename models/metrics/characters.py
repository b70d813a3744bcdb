"""Metrics of characters: their number, their identity, and whether they are copied from their references.

Definitions follow ViStoryBench 1.3. Shapes: T shots, D detected people, E expected characters, R reference pictures,
C numbers of an identity vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.metrics.figure import Figure, Floats, Ints, Samples, mean, means_by_story, unusable
from models.metrics.pictures import unit

WHAT = {
    "occm": "OCCM: 100 where as many characters are shown as the script has, more is better",
    "cids_cross": "CIDS cross: cosine of a character and its references, more is better",
    "cids_self": "CIDS self: cosine of a character in two shots, more is better",
    "copy_paste": "copy-paste: cosine to the reference given minus that to others of the character, less is better",
}
"""Metric -> one line for people."""

OF_IDENTITY = ("cids_cross", "cids_self", "copy_paste")
"""Metrics that compare identity vectors."""

REASONS = {
    "cids_cross": "no shot of the script names a character",
    "cids_self": "no shot of the script names a character",
    "copy_paste": "no character that is shown has two reference pictures",
}
"""Metric -> why it may have no samples."""

_EPS = 1e-6


@dataclass(frozen=True)
class Cast:
    """The detected and the expected characters of the shots of one story.

    Args:
        detected: for each shot the identity vectors [D, C] of its crops, D may be 0.
        expected: for each shot the names of its characters.
        references: name -> identity vectors [R, C] of reference pictures; the first one is the model's input.
    """

    detected: Sequence[Floats]
    expected: Sequence[Sequence[str]]
    references: Mapping[str, Floats]

    def __post_init__(self) -> None:
        if len(self.detected) != len(self.expected):
            raise ValueError(f"{len(self.detected)} shots were looked at, {len(self.expected)} are in the script")
        named = {name for names in self.expected for name in names}
        if unknown := sorted(name for name in named if len(self.references.get(name, ())) == 0):
            raise ValueError(f"{unknown[0]!r} has no reference picture, add one or leave the character out")
        vectors = [rows_NC for rows_NC in (*self.detected, *self.references.values()) if len(rows_NC)]
        if len(widths := {rows_NC.shape[1] for rows_NC in vectors}) > 1:
            raise ValueError(f"identity vectors have {' and '.join(map(str, sorted(widths)))} numbers")
        if not all(np.isfinite(rows_NC).all() for rows_NC in vectors):
            raise ValueError("identity vectors have numbers that are not finite")


def ensemble(embedders: Sequence[Floats]) -> Floats:
    """[N, sum of C] vectors whose cosine is the mean of the cosines of several embedders' vectors [N, C]."""
    joined_NC: Floats = np.concatenate([unit(rows_NC) for rows_NC in embedders], axis=1) / np.sqrt(len(embedders))
    return joined_NC


def occm(detected_T: Ints | Sequence[int], expected_T: Ints | Sequence[int]) -> Figure:
    """Character count: the mean of `occms` over shots."""
    what = WHAT["occm"]
    found_T, wanted_T = (np.asarray(counts, dtype=np.float64) for counts in (detected_T, expected_T))
    if unfit := unusable(what, shots=found_T, counts_of_the_script=wanted_T):
        return unfit
    return mean(occms(found_T, wanted_T), what)


def occms(detected_T: Floats, expected_T: Floats) -> Floats:
    """[T] 100 exp(-|D - E| / (eps + E)), D detected and E expected characters of a shot."""
    scores_T: Floats = 100 * np.exp(-np.abs(detected_T - expected_T) / (_EPS + expected_T))
    return scores_T


def assigned(alike_DE: Floats) -> list[tuple[int, int]]:
    """(detected, expected) pairs whose similarities have the largest sum, each used once (Hungarian matching)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(alike_DE, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def identities(stories: Mapping[str, Cast]) -> dict[str, Figure]:
    """CIDS cross and self and the copy-paste score: the means of `identity_samples`."""
    samples = identity_samples(stories)
    return means_by_story({name: WHAT[name] for name in samples}, samples, REASONS).figures


def identity_samples(stories: Mapping[str, Cast]) -> dict[str, Samples]:
    """Metric -> "story/character" -> value.

    Returns:
        cids_cross: cosine of matched crops and references; 0 for a character that no shot shows.
        cids_self: cosine of two matched crops of one character; 1 for a single crop, 0 for none.
        copy_paste: how much more similar crops are to the first reference than to the others, if there are several.
    """
    cross, own, pasted = Samples(), Samples(), Samples()
    for story, cast in stories.items():
        for name, crops_NC in _matched(cast).items():
            alike_NR = crops_NC @ unit(cast.references[name]).T
            cross[f"{story}/{name}"] = float(alike_NR.mean()) if len(crops_NC) else 0.0
            own[f"{story}/{name}"] = _pairs(crops_NC)
            if len(crops_NC) and alike_NR.shape[1] > 1:
                pasted[f"{story}/{name}"] = float((alike_NR[:, :1] - alike_NR[:, 1:]).mean())
    return {"cids_cross": cross, "cids_self": own, "copy_paste": pasted}


def matches(cast: Cast) -> list[dict[str, int]]:
    """For each shot the characters that it shows -> the number of the detected crop, by `assigned`."""
    found: list[dict[str, int]] = []
    for crops_DC, names in zip(cast.detected, (list(dict.fromkeys(names)) for names in cast.expected), strict=True):
        if not len(crops_DC) or not names:
            found.append({})
            continue
        alike_DE = np.stack([(unit(crops_DC) @ unit(cast.references[name]).T).max(axis=1) for name in names], axis=1)
        found.append({names[column]: crop for crop, column in assigned(alike_DE)})
    return found


def _matched(cast: Cast) -> dict[str, Floats]:
    """name -> unit vectors [N, C] of the crops that were matched with it."""
    found: dict[str, list[Floats]] = {name: [] for names in cast.expected for name in names}
    for crops_DC, seen in zip(cast.detected, matches(cast), strict=True):
        for name, crop in seen.items():
            found[name].append(unit(crops_DC[crop]))
    width = {name: cast.references[name].shape[1] for name in found}
    return {name: np.array(crops, dtype=np.float64).reshape(-1, width[name]) for name, crops in found.items()}


def _pairs(crops_NC: Floats) -> float:
    if len(crops_NC) < 2:
        return float(len(crops_NC))
    upper = np.triu_indices(len(crops_NC), 1)
    return float((crops_NC @ crops_NC.T)[upper].mean())
