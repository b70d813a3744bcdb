"""Reference frames for few-shot generation (section 3.4): from a film's training half or, without one, from the film.

A keyframe is never its own reference. For a film that is held out as a whole there are two sets of references: each is
used for the keyframes of the other set, and the first also for all other keyframes.

Shapes: T held-out keyframes, R references, L tokens, D token width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.autoregressive.script_tokens import FrameScript

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class References:
    """Reference frames of the held-out keyframes at `places`; none for a single keyframe."""

    scripts: Sequence[FrameScript]
    tokens_RLD: "Tensor | None"
    places: list[int]


def references(
    train: Sequence[FrameScript],
    train_TLD: "Tensor",
    test: Sequence[FrameScript],
    test_TLD: "Tensor",
    count: int,
) -> list[References]:
    """Sets of at most `count` references, evenly spread; each held-out keyframe belongs to exactly one set."""
    if len(train):
        places = spread(len(train), count)
        return [References([train[place] for place in places], train_TLD[places], list(range(len(test))))]
    if len(test) < 2:
        return [References((), None, list(range(len(test))))]
    both = spread(len(test), 2 * min(count, len(test) // 2))
    first, second = both[::2], both[1::2]
    others = sorted(set(range(len(test))) - set(first))
    return [
        References([test[place] for place in mine], test_TLD[mine], theirs)
        for mine, theirs in ((first, others), (second, first))
    ]


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the indices below `count`, evenly spread, without repetition."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, wanted))})
