"""Metrics of characters: how many there are, who they are, whether they are pasted from their references.

Definitions follow ViStoryBench 1.3. Shapes: T shots, D detected people, E expected characters, R reference pictures,
C numbers of an identity vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.metrics.figure import Figure, Floats, Ints, absent, mean, unusable
from models.metrics.pictures import unit

_EPS = 1e-6


@dataclass(frozen=True)
class Cast:
    """Who was detected in the shots of one story, and who should be.

    Args:
        detected: for each shot the identity vectors [D, C] of its crops, D may be 0.
        expected: for each shot the names of its characters.
        references: name -> identity vectors [R, C] of reference pictures; the first is what the model was given.
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


def ensemble(embedders: Sequence[Floats]) -> Floats:
    """[N, sum of C] vectors whose cosine is the mean of the cosines of several embedders' vectors [N, C]."""
    joined_NC: Floats = np.concatenate([unit(rows_NC) for rows_NC in embedders], axis=1) / np.sqrt(len(embedders))
    return joined_NC


def occm(detected_T: Ints | Sequence[int], expected_T: Ints | Sequence[int]) -> Figure:
    """Character count: the mean of 100 exp(-|D - E| / (eps + E)) over shots."""
    what = "OCCM: 100 where as many characters are shown as the script has, less otherwise"
    found_T, wanted_T = (np.asarray(counts, dtype=np.float64) for counts in (detected_T, expected_T))
    if unfit := unusable(what, shots=found_T, counts_of_the_script=wanted_T):
        return unfit
    return mean(100 * np.exp(-np.abs(found_T - wanted_T) / (_EPS + wanted_T)), what)


def assigned(alike_DE: Floats) -> list[tuple[int, int]]:
    """(detected, expected) pairs whose similarities have the largest sum, each used once (Hungarian matching)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(alike_DE, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def identities(stories: Mapping[str, Cast]) -> dict[str, Figure]:
    """CIDS cross and self and the copy-paste score. A sample is a character of a story.

    Returns:
        cids_cross: cosine of matched crops and references; 0 for a character that no shot shows.
        cids_self: cosine of two matched crops of one character; 1 for a single crop, 0 for none.
        copy_paste: how much nearer crops are to the first reference than to the others, for characters with several.
    """
    cross: list[tuple[str, float]] = []
    own: list[tuple[str, float]] = []
    pasted: list[tuple[str, float]] = []
    for story, cast in stories.items():
        crops = _matched(cast)
        for name, crops_NC in crops.items():
            alike_NR = crops_NC @ unit(cast.references[name]).T
            cross.append((story, float(alike_NR.mean()) if len(crops_NC) else 0.0))
            own.append((story, _pairs(crops_NC)))
            if len(crops_NC) and alike_NR.shape[1] > 1:
                pasted.append((story, float((alike_NR[:, :1] - alike_NR[:, 1:]).mean())))
    nobody = "no shot of the script names a character"
    return {
        "cids_cross": _figure(cross, "CIDS cross: cosine of a character and its references, more is better", nobody),
        "cids_self": _figure(own, "CIDS self: cosine of a character in two shots, more is better", nobody),
        "copy_paste": _figure(
            pasted,
            "copy-paste: cosine to the reference given minus that to others of the character, less is better",
            "no character that is shown has two reference pictures",
        ),
    }


def _matched(cast: Cast) -> dict[str, Floats]:
    """name -> unit vectors [N, C] of the crops that were matched with it."""
    found: dict[str, list[Floats]] = {name: [] for names in cast.expected for name in names}
    for crops_DC, names in zip(cast.detected, cast.expected, strict=True):
        if not len(crops_DC) or not names:
            continue
        alike_DE = np.stack([(unit(crops_DC) @ unit(cast.references[name]).T).max(axis=1) for name in names], axis=1)
        for crop, name in assigned(alike_DE):
            found[names[name]].append(unit(crops_DC[crop]))
    width = {name: cast.references[name].shape[1] for name in found}
    return {name: np.array(crops, dtype=np.float64).reshape(-1, width[name]) for name, crops in found.items()}


def _pairs(crops_NC: Floats) -> float:
    if len(crops_NC) < 2:
        return float(len(crops_NC))
    upper = np.triu_indices(len(crops_NC), 1)
    return float((crops_NC @ crops_NC.T)[upper].mean())


def _figure(samples: Sequence[tuple[str, float]], what: str, empty: str) -> Figure:
    if not samples:
        return absent(what, empty)
    return mean([value for _, value in samples], what, [story for story, _ in samples])
